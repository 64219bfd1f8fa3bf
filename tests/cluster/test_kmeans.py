"""k-means against scikit-learn, brute force, and its own invariants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.cluster import KMeans as Reference
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

from lowdim import KMeans


def reference(X: Any, start: np.ndarray, **options: Any) -> Reference:
    return Reference(len(start), init=start, n_init=1, **options).fit(X)


def brute_inertia(X: np.ndarray, centres: np.ndarray, weight: Any = 1.0) -> float:
    distances = np.square(X[:, None] - centres).sum(-1)
    return float((weight * distances.min(1)).sum())


def form(X: np.ndarray, kind: str) -> Any:
    kinds: dict[str, Callable] = {
        "dense": lambda X: X,
        "csr": sp.csr_matrix,
        "csc": sp.csc_matrix,
        "torch": torch.from_numpy,
        "float32": lambda X: X.astype(np.float32),
    }
    return kinds[kind](X)


# Against scikit-learn and brute force ---------------------------------------------------------


@pytest.mark.parametrize("kind", ["dense", "csr", "csc", "torch"])
@pytest.mark.parametrize("n_columns", [2, 30, 300])
def test_the_same_start_ends_where_scikit_learn_ends(
    kind: str, n_columns: int, blobs: Callable
) -> None:
    X, _ = blobs(700, n_columns, 7, spread=1.0)
    if kind.startswith("cs"):
        X[np.random.default_rng(1).random(X.shape) < 0.7] = 0.0
    start = X[:7]
    ours, theirs = KMeans(7, init=start, tol=0).fit(form(X, kind)), reference(X, start, tol=0)
    assert ours.inertia_ == pytest.approx(theirs.inertia_, rel=1e-10)
    np.testing.assert_allclose(ours.cluster_centers_, theirs.cluster_centers_, atol=1e-9)
    np.testing.assert_array_equal(ours.labels_, theirs.labels_)
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.converged_


def test_weights_and_tolerance_are_scikit_learns(blobs: Callable) -> None:
    X, _ = blobs(500, 4, 5, spread=1.0)
    weight = np.random.default_rng(1).uniform(0, 3, 500)
    weight[:100] = 0
    start = X[-5:]
    theirs = Reference(5, init=start, n_init=1, tol=0).fit(X, sample_weight=weight)
    ours = KMeans(5, init=start, tol=0).fit(X, sample_weight=weight)
    assert ours.inertia_ == pytest.approx(theirs.inertia_, rel=1e-10)
    loose = KMeans(5, init=start, tol=1e-1).fit(X)
    assert loose.n_iter_ == reference(X, start, tol=1e-1).n_iter_ < ours.n_iter_


def test_weights_are_repetitions(blobs: Callable) -> None:
    X, _ = blobs(100, 3, 3, spread=1.0)
    counts = np.random.default_rng(1).integers(0, 4, 100)
    start = X[counts > 0][:3]
    weighted = KMeans(3, init=start, tol=0).fit(X, sample_weight=counts)
    repeated = KMeans(3, init=start, tol=0).fit(np.repeat(X, counts, axis=0))
    np.testing.assert_allclose(weighted.cluster_centers_, repeated.cluster_centers_, atol=1e-10)
    assert weighted.inertia_ == pytest.approx(repeated.inertia_, rel=1e-10)


@pytest.mark.parametrize("kind", ["dense", "csr", "float32"])
def test_what_it_says_is_what_it_has(kind: str, blobs: Callable) -> None:
    X, labels = blobs()
    tolerance = 1e-4 if kind == "float32" else 1e-9
    model = KMeans(4, random_state=0, n_init=5).fit(form(X, kind))
    centres = model.cluster_centers_
    assert adjusted_rand_score(labels, model.labels_) > 0.95
    assert model.inertia_ == pytest.approx(brute_inertia(X, centres), rel=tolerance)
    assert -model.score(form(X, kind)) == pytest.approx(model.inertia_, rel=tolerance)
    distances = np.sqrt(np.square(X[:, None] - centres).sum(-1))
    np.testing.assert_allclose(model.transform(form(X, kind)), distances, atol=10 * tolerance)
    np.testing.assert_array_equal(model.predict(form(X, kind)), model.labels_)
    assert model.restart_inertias_.shape == (5,)
    assert model.inertia_ in model.restart_inertias_
    assert model.inertia_ == pytest.approx(model.restart_inertias_.min(), rel=tolerance)
    assert (np.diff(model.inertia_trace_) <= 1e-9 * model.inertia_).all()


@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.integers(4, 30), st.integers(1, 4)),
        elements=st.integers(-3, 3).map(float),
    ),
    st.integers(1, 4),
    st.sampled_from(["farthest", "random", "split"]),
    st.sampled_from(["greedy-k-means++", "k-means++", "random", "random-partition"]),
)
@settings(deadline=None, max_examples=120)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_ties_duplicates_and_constant_columns_do_no_harm(
    X: np.ndarray, k: int, empty: str, init: str
) -> None:
    model = KMeans(k, init=init, empty=empty, tol=0, random_state=0).fit(X)
    assert np.isfinite(model.cluster_centers_).all()
    assert model.inertia_ == pytest.approx(brute_inertia(X, model.cluster_centers_), abs=1e-8)
    # No better than what the best assignment of rows to K points can be.
    assert model.inertia_ <= np.square(X - X.mean(0)).sum() + 1e-8
    assert (np.diff(model.inertia_trace_) <= 1e-8).all()


def test_a_start_that_separates_two_rows_of_three_is_seen_through() -> None:
    """The optimum of tiny problems, by brute force over all partitions."""
    rng = np.random.default_rng(0)
    for _ in range(10):
        X = rng.normal(size=(7, 2))
        best = min(
            sum(
                np.square(X[own] - X[own].mean(0)).sum()
                for own in (
                    np.array([(code >> i) & 1 for i in range(7)], bool) ^ flip
                    for flip in (False, True)
                )
                if own.any()
            )
            for code in range(1, 2**6)
        )
        model = KMeans(2, n_init=30, init="random", tol=0, random_state=0).fit(X)
        assert model.inertia_ == pytest.approx(best, rel=1e-9)


# Empty clusters, and where it begins ----------------------------------------------------------


@pytest.mark.parametrize("empty", ["farthest", "random", "split"])
@pytest.mark.parametrize("kind", ["dense", "csr"])
def test_an_empty_cluster_finds_rows(empty: str, kind: str, blobs: Callable) -> None:
    X, labels = blobs(300, 2, 3, spread=8.0)
    centres = np.array([X[labels == k].mean(0) for k in range(3)])
    start = np.array([centres[0], centres[0] + 1e3, centres[0] + 2e3])  # two own nothing
    model = KMeans(3, init=start, empty=empty, random_state=0).fit(form(X, kind))
    assert len(np.unique(model.labels_)) == 3
    assert np.isfinite(model.cluster_centers_).all()
    if empty != "split":
        assert adjusted_rand_score(labels, model.labels_) > 0.99


def test_fewer_different_rows_than_clusters_are_told_of() -> None:
    X = np.repeat(np.eye(3), 5, axis=0)
    for empty in ("farthest", "random", "split"):
        with pytest.warns(ConvergenceWarning, match="fewer than n_clusters=5 different rows"):
            model = KMeans(5, empty=empty, random_state=0).fit(X)
        assert model.inertia_ == pytest.approx(0, abs=1e-12)
        assert np.isfinite(model.cluster_centers_).all()


def test_as_many_clusters_as_rows() -> None:
    X = np.random.default_rng(0).normal(size=(12, 3))
    model = KMeans(12, random_state=0).fit(X)
    assert model.inertia_ == pytest.approx(0, abs=1e-12)
    assert sorted(model.labels_) == list(range(12))
    one = KMeans(1).fit(X)
    np.testing.assert_allclose(one.cluster_centers_[0], X.mean(0), atol=1e-12)


def test_better_seeds_leave_less_inertia(blobs: Callable) -> None:
    X, _ = blobs(2000, 2, 30, spread=10.0)
    left = {
        init: np.mean(
            [
                KMeans(30, init=init, n_init=1, max_iter=1, random_state=seed).fit(X).inertia_
                for seed in range(8)
            ]
        )
        for init in ("greedy-k-means++", "k-means++", "random", "random-partition")
    }
    assert left["greedy-k-means++"] < left["k-means++"] < left["random"]
    assert left["random"] < left["random-partition"]


def test_seeds_of_many_rows_come_from_a_sample(blobs: Callable) -> None:
    X, _ = blobs(15_000, 2, 5, spread=10.0)
    weight = np.zeros(15_000)
    weight[:11_000] = 1  # more rows than a sample has
    X[11_000:] += 1e4
    model = KMeans(5, random_state=0, n_init=3).fit(X, sample_weight=weight)
    alone = KMeans(5, random_state=0, n_init=3).fit(X[:11_000])
    assert model.inertia_ == pytest.approx(alone.inertia_, rel=1e-3)


@pytest.mark.parametrize("init", ["greedy-k-means++", "random"])
def test_it_repeats_bit_for_bit(init: str, blobs: Callable) -> None:
    X, _ = blobs()
    first, second = (KMeans(4, init=init, random_state=3, n_init=4).fit(X) for _ in range(2))
    np.testing.assert_array_equal(first.cluster_centers_, second.cluster_centers_)
    other = KMeans(4, init=init, random_state=4, n_init=4, max_iter=1)
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        assert (other.fit(X).cluster_centers_ != first.cluster_centers_).any()


# Units, blocks, pieces ------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e-3, 1e4])
def test_units_do_not_matter(scale: float, blobs: Callable) -> None:
    X, _ = blobs(spread=1.0)
    model = KMeans(4, random_state=0).fit(X)
    moved = KMeans(4, random_state=0).fit(X * scale + 1e3 * scale)
    np.testing.assert_array_equal(model.labels_, moved.labels_)
    assert moved.inertia_ == pytest.approx(model.inertia_ * scale**2, rel=1e-7)


def test_blocks_of_rows_are_all_the_same(blobs: Callable) -> None:
    X, _ = blobs(spread=1.0)
    whole = KMeans(4, init=X[:4], tol=0).fit(X)
    parts = KMeans(4, init=X[:4], tol=0, batch_size=37).fit(X)
    np.testing.assert_allclose(parts.cluster_centers_, whole.cluster_centers_, atol=1e-10)
    np.testing.assert_array_equal(parts.labels_, whole.labels_)


def test_pieces_come_close_to_the_whole(blobs: Callable) -> None:
    X, labels = blobs(3000, 3, 4)
    model = KMeans(4, random_state=0, n_init=3)
    for start in range(0, 3000, 300):
        model.partial_fit(X[start : start + 300])
        assert model.labels_.shape == (300,)
    whole = KMeans(4, random_state=0, n_init=3).fit(X)
    assert brute_inertia(X, model.cluster_centers_) < 1.01 * whole.inertia_
    assert adjusted_rand_score(labels, model.predict(X)) > 0.95
    # A second look at rows that moved nothing changes nothing but the weight of the past.
    still = KMeans(4, init=whole.cluster_centers_, tol=0).fit(X)
    again = still.cluster_centers_.copy()
    still.partial_fit(X)
    np.testing.assert_allclose(still.cluster_centers_, again, atol=1e-9)


# Bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_clusters": 0}, ValueError, "n_clusters=0"),
        ({"n_clusters": 21}, ValueError, r"20 sample\(s\).*n_clusters=21"),
        ({"init": "best"}, ValueError, "init='best'"),
        ({"init": np.zeros((2, 3))}, ValueError, r"init has shape \(2, 3\), expected \(3, 2\)"),
        ({"init": np.full((3, 2), np.nan)}, ValueError, "init contains NaN"),
        ({"n_init": 0}, ValueError, "n_init=0"),
        ({"n_init": "many"}, ValueError, "n_init='many'"),
        ({"max_iter": 0}, ValueError, "max_iter"),
        ({"tol": -1.0}, ValueError, "tol"),
        ({"empty": "drop"}, ValueError, "empty='drop'"),
        ({"batch_size": 0}, ValueError, "batch_size"),
    ],
)
def test_bad_arguments_are_named(options: dict, error: type[Exception], message: str) -> None:
    X = np.random.default_rng(0).normal(size=(20, 2))
    with pytest.raises(error, match=message):
        KMeans(**{"n_clusters": 3, **options}).fit(X)

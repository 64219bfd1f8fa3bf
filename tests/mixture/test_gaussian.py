"""Gaussian mixtures against scikit-learn, scipy, their invariants, and related models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture as Reference
from sklearn.utils.estimator_checks import parametrize_with_checks

from lowdim import GaussianMixture, SoftKMeans, SubspaceMixture
from lowdim.data import as_rows
from lowdim.data.standardized import StandardizedRows
from lowdim.mixture._em import em_step
from lowdim.mixture._family import concatenate
from lowdim.mixture._gaussian import fused
from lowdim.mixture._gaussian.arguments import check_arguments
from lowdim.mixture._gaussian.covariance import SHAPES, matrices
from lowdim.mixture._gaussian.fit import first_parameters, make_family

KINDS = tuple(SHAPES)


def blobs(
    n: int = 600, d: int = 4, k: int = 3, spread: float = 3.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Rows in clusters that are each longer in some directions than in others."""
    rng = np.random.default_rng(seed)
    centres = spread * rng.normal(size=(k, d))
    turns = rng.normal(size=(k, d, d)) / np.sqrt(d) + 0.5 * np.eye(d)
    labels = rng.integers(k, size=n)
    rows = np.einsum("ni,nij->nj", rng.normal(size=(n, d)), turns[labels])
    return rows + centres[labels], labels


def start_of(X: np.ndarray, kind: str, k: int = 3) -> dict[str, np.ndarray]:
    """A start that both packages take."""
    covariance, d = np.atleast_2d(np.cov(X.T)), X.shape[1]
    precisions = {
        "full": np.repeat(np.linalg.inv(covariance)[None], k, axis=0),
        "tied": np.linalg.inv(covariance),
        "diag": np.repeat(1 / np.diag(covariance)[None], k, axis=0),
        "spherical": np.repeat(d / np.trace(covariance), k),
    }
    weights = np.arange(1.0, k + 1)
    return {
        "means_init": X[:k],
        "weights_init": weights / weights.sum(),
        "precisions_init": precisions[kind],
    }


def by_scipy(model: GaussianMixture, X: np.ndarray) -> np.ndarray:
    """Log joint densities, (N, K)."""
    k, d = model.means_.shape
    covariances = matrices(model.covariances_, model.covariance_type, k, d)
    return np.stack(
        [
            np.log(w) + multivariate_normal(m, c).logpdf(X)
            for w, m, c in zip(model.weights_, model.means_, covariances, strict=True)
        ],
        1,
    )


# Against scikit-learn and scipy ---------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("d", "spread"), [(1, 1.0), (4, 0.5), (4, 3.0), (30, 0.3)])
def test_every_step_is_scikit_learns(kind: str, d: int, spread: float) -> None:
    X, _ = blobs(500, d, spread=spread)
    options = {"tol": 1e-7, "max_iter": 200, "reg_covar": 0.0, "covariance_type": kind}
    options |= start_of(X, kind)
    theirs = Reference(3, **options).fit(X)
    ours = GaussianMixture(3, accelerate=False, **options).fit(X)
    assert ours.n_iter_ == theirs.n_iter_
    bounds = ours.lower_bounds_[: len(theirs.lower_bounds_)]  # at the limit, one more is known
    np.testing.assert_allclose(bounds, theirs.lower_bounds_, rtol=0, atol=1e-8)
    # They return what comes after one more M-step.
    np.testing.assert_allclose(ours.means_, theirs.means_, atol=1e-2)
    np.testing.assert_allclose(ours.weights_, theirs.weights_, atol=1e-2)


@pytest.mark.parametrize("kind", KINDS)
def test_the_regularisation_is_scikit_learns_in_other_units(kind: str) -> None:
    X, _ = blobs()
    reg = 0.3
    options = {"tol": 1e-6, "max_iter": 300, "covariance_type": kind, **start_of(X, kind)}
    theirs = Reference(3, reg_covar=reg, **options).fit(X)
    ours = GaussianMixture(3, reg_covar=reg / X.var(0).mean(), accelerate=False, **options).fit(X)
    assert ours.lower_bound_ == pytest.approx(theirs.lower_bound_, abs=1e-8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["dense", "csr", "float32"])
def test_answers_are_scipys(kind: str, form: str) -> None:
    X, _ = blobs(200, spread=1.0)
    if form == "csr":
        X[np.abs(X) < 0.5] = 0.0
    forms: dict[str, Callable] = {
        "dense": np.asarray,
        "csr": sp.csr_matrix,
        "float32": lambda X: X.astype(np.float32),
    }
    rows = forms[form](X)
    tolerance = 1e-5 if form == "float32" else 1e-9  # the rows are rounded, products are not
    model = GaussianMixture(3, covariance_type=kind, random_state=0, tol=1e-6).fit(rows)
    joint = by_scipy(model, X)
    total = logsumexp(joint, axis=1)
    np.testing.assert_allclose(model.score_samples(rows), total, atol=tolerance)
    shares = np.exp(joint - total[:, None])
    np.testing.assert_allclose(model.predict_proba(rows), shares, atol=tolerance)
    np.testing.assert_array_equal(model.predict(rows), joint.argmax(1))
    assert model.lower_bound_ == pytest.approx(total.mean(), abs=tolerance)
    assert model.score(rows) == pytest.approx(total.mean(), abs=tolerance)
    n, p = len(X), model.n_parameters()
    assert model.aic(rows) == pytest.approx(2 * p - 2 * total.sum(), rel=tolerance)
    assert model.bic(rows) == pytest.approx(p * np.log(n) - 2 * total.sum(), rel=tolerance)
    entropy = -(shares * np.log(np.maximum(shares, 1e-300))).sum()
    assert model.icl(rows) == pytest.approx(model.bic(rows) + 2 * entropy, rel=10 * tolerance)
    k, d = model.means_.shape
    product = matrices(model.covariances_, kind, k, d) @ matrices(model.precisions_, kind, k, d)
    np.testing.assert_allclose(product, np.repeat(np.eye(d)[None], k, 0), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_are_counted_as_scikit_learn_counts(kind: str) -> None:
    X, _ = blobs()
    ours = GaussianMixture(3, covariance_type=kind, random_state=0).fit(X)
    theirs = Reference(3, covariance_type=kind, random_state=0).fit(X)
    assert ours.n_parameters() == theirs._n_parameters()


@pytest.mark.parametrize("kind", KINDS)
def test_it_finds_what_scikit_learn_finds(kind: str) -> None:
    """Clusters that overlap, so that single starts end in different places."""
    differences = []
    for seed in range(12):
        X, _ = blobs(400, 3, 4, spread=2.0, seed=seed)
        options = {"covariance_type": kind, "tol": 1e-5, "max_iter": 500, "n_init": 6}
        theirs = Reference(4, random_state=0, **options).fit(X)
        ours = GaussianMixture(4, random_state=0, **options).fit(X)
        differences.append(ours.lower_bound_ - theirs.lower_bound_)
    assert np.mean(differences) > -0.01
    assert sum(difference > -1e-3 for difference in differences) >= 9


# Invariants -----------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.sampled_from(KINDS), st.booleans(), st.integers(1, 5))
@settings(deadline=None, max_examples=60)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_no_step_lowers_the_likelihood(seed: int, kind: str, accelerate: bool, k: int) -> None:
    X, _ = blobs(60, 3, 3, spread=1.0, seed=seed)
    weight = np.random.default_rng(seed).uniform(0, 2, 60)
    model = GaussianMixture(
        k, covariance_type=kind, accelerate=accelerate, tol=0, max_iter=40, reg_covar=0.0,
        init_params="random_from_data", n_init=1, random_state=seed,
    )  # fmt: skip
    try:
        model.fit(X, sample_weight=weight)
    except ValueError as error:  # a component that was left with a few rows
        assert "became singular" in str(error)
        return
    assert (np.diff(model.lower_bounds_) > -1e-9).all()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_last_step_that_breaks_a_component_is_told() -> None:
    """At the iteration limit a component had just shrunk onto one row."""
    X, _ = blobs(60, 3, 3, spread=1.0, seed=1001)
    weight = np.random.default_rng(1001).uniform(0, 2, 60)
    model = GaussianMixture(
        5, covariance_type="spherical", accelerate=False, tol=0, max_iter=40, reg_covar=0.0,
        init_params="random_from_data", n_init=1, random_state=1001,
    )  # fmt: skip
    with pytest.raises(ValueError, match="became singular"):
        model.fit(X, sample_weight=weight)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_repetitions(kind: str) -> None:
    X, _ = blobs(150)
    counts = np.random.default_rng(1).integers(0, 4, 150)
    options = {"covariance_type": kind, "tol": 1e-9, "max_iter": 500, **start_of(X, kind)}
    weighted = GaussianMixture(3, **options).fit(X, sample_weight=counts)
    repeated = GaussianMixture(3, **options).fit(np.repeat(X, counts, axis=0))
    assert weighted.lower_bound_ == pytest.approx(repeated.lower_bound_, abs=1e-9)
    np.testing.assert_allclose(weighted.covariances_, repeated.covariances_, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [1e-3, 1e4])
def test_units_move_the_likelihood_by_their_logarithm(kind: str, scale: float) -> None:
    X, _ = blobs()
    model = GaussianMixture(3, covariance_type=kind, random_state=0).fit(X)
    moved = GaussianMixture(3, covariance_type=kind, random_state=0).fit(X * scale)
    expected = model.lower_bound_ - 4 * np.log(scale)
    assert moved.lower_bound_ == pytest.approx(expected, abs=1e-8)
    np.testing.assert_allclose(moved.predict_proba(X * scale), model.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_of_rows_are_all_the_same(kind: str) -> None:
    X, _ = blobs()
    options = {"covariance_type": kind, **start_of(X, kind)}
    whole = GaussianMixture(3, **options).fit(X)
    parts = GaussianMixture(3, batch_size=41, **options).fit(X)
    assert parts.lower_bound_ == pytest.approx(whole.lower_bound_, abs=1e-10)
    np.testing.assert_allclose(parts.means_, whole.means_, atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("d", [3, 70])
def test_sparse_rows_are_the_same_rows(kind: str, d: int) -> None:
    X, _ = blobs(400, d, 2)
    X[np.random.default_rng(0).random(X.shape) < 0.5] = 0.0
    options = {"covariance_type": kind, "tol": 1e-6, **start_of(X, kind, 2)}
    dense = GaussianMixture(2, **options).fit(X)
    sparse = GaussianMixture(2, **options).fit(sp.csr_matrix(X))
    assert sparse.lower_bound_ == pytest.approx(dense.lower_bound_, rel=1e-8)
    np.testing.assert_allclose(sparse.covariances_, dense.covariances_, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("soft", [True, False])
@pytest.mark.parametrize("spread", [0.1, 2.0])
def test_leaving_out_hopeless_components_changes_nothing(
    soft: bool, spread: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The compiled pass with bounds first, against the same scores made at once."""
    from lowdim.mixture._gaussian.estep import accumulate

    X, _ = blobs(700, 24, 5, spread=spread)
    weights = np.random.default_rng(0).uniform(0.5, 2, 700)
    model = GaussianMixture(5, random_state=0).fit(X)
    white = np.linalg.inv(np.linalg.cholesky(model.covariances_))
    factors, order = white.swapaxes(1, 2), np.arange(24)
    shifts = np.einsum("kab,kb->ka", white, model.means_)
    log_det = np.linalg.slogdet(model.covariances_)[1]
    constants = np.log(model.weights_) - 0.5 * (log_det + 24 * np.log(2 * np.pi))

    def run(m: int) -> tuple:
        parts = (factors[:, :m, :m], factors[:, :, m:])
        contiguous = [np.ascontiguousarray(part) for part in parts]
        return accumulate(X, order, weights, *contiguous, shifts, constants, soft, 1.0)

    for whole, bounded in zip(run(24), run(8), strict=True):
        np.testing.assert_allclose(bounded, whole, rtol=1e-11, atol=1e-11)
    joint = by_scipy(model, X)
    rows = logsumexp(joint, axis=1) if soft else joint.max(1)
    assert run(8)[3] == pytest.approx(weights @ rows, rel=1e-11)
    # And columns may come in any order.
    monkeypatch.setattr(fused, "STEP_COLUMNS", 0)
    monkeypatch.setattr(fused, "_telling", lambda p, r: np.arange(24)[::-1].copy())
    again = GaussianMixture(5, random_state=0).fit(X)
    assert again.lower_bound_ == pytest.approx(model.lower_bound_, abs=1e-9)


@pytest.mark.parametrize("d", [1, 3, 24])
@pytest.mark.parametrize("assignment", ["soft", "hard"])
def test_a_step_of_few_rows_is_one_call_and_the_same(
    d: int, assignment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, labels = blobs(400, d, 3)
    weight = np.random.default_rng(0).uniform(0, 2, 400)
    model = GaussianMixture(3, init_params=labels, reg_covar=1e-3)
    data = StandardizedRows(
        as_rows(X), device=torch.device("cpu"), dtype=torch.float64, sample_weight=weight
    )
    arguments = check_arguments(model, as_rows(X))
    family = make_family("full", arguments, data, np.random.default_rng(0))
    start = first_parameters(family, arguments, data)
    both = concatenate([start, replace(start, covariances=2.0 * start.covariances)])
    fast = em_step(family, data, both, assignment, 0.7)
    monkeypatch.setattr(fused, "STEP_COLUMNS", 0)
    slow = em_step(family, data, both, assignment, 0.7)
    np.testing.assert_allclose(fast[0], slow[0], rtol=1e-12)
    for name in ("weights", "means", "covariances"):
        np.testing.assert_allclose(
            getattr(fast[1], name), getattr(slow[1], name), rtol=1e-9, atol=1e-11
        )
    np.testing.assert_array_equal(fast[2], slow[2])


def test_a_restart_that_breaks_leaves_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    X, labels = blobs(200, 3, 2)
    data = StandardizedRows(as_rows(X), device=torch.device("cpu"), dtype=torch.float64)
    arguments = check_arguments(GaussianMixture(2, init_params=labels % 2), as_rows(X))
    family = make_family("full", arguments, data, np.random.default_rng(0))
    start = first_parameters(family, arguments, data)
    broken = replace(start, covariances=-start.covariances)
    objective, updated, _ = em_step(family, data, concatenate([broken, start]), "soft", 1.0)
    alone = em_step(family, data, start, "soft", 1.0)
    assert np.isnan(objective[0])
    assert objective[1] == alone[0][0]
    np.testing.assert_array_equal(updated.covariances[1], alone[1].covariances[0])
    assert torch.isfinite(updated.covariances[0]).all()


# Related models -------------------------------------------------------------------------------


def test_one_component_is_the_sample_moments() -> None:
    X, _ = blobs()
    covariance = np.cov(X.T, bias=True)
    for kind, expected in {
        "full": covariance[None],
        "tied": covariance,
        "diag": np.diag(covariance)[None],
        "spherical": np.array([np.trace(covariance) / 4]),
    }.items():
        model = GaussianMixture(covariance_type=kind, reg_covar=0.0).fit(X)
        np.testing.assert_allclose(model.means_[0], X.mean(0), atol=1e-12)
        np.testing.assert_allclose(model.covariances_, expected, rtol=1e-9)


def test_full_covariances_are_subspaces_of_full_dimension() -> None:
    X, labels = blobs(500, 4, 3)
    full = GaussianMixture(3, init_params=labels, reg_covar=0.0, tol=1e-10, max_iter=500).fit(X)
    whole = SubspaceMixture(dims=[4, 4, 4], init=labels, tol=1e-10).fit(X)
    assert full.lower_bound_ == pytest.approx(whole.lower_bound_, abs=1e-7)
    assert full.n_parameters() == whole.n_parameters()


def test_spheres_are_subspaces_of_no_dimension_and_stiff_ones_k_means() -> None:
    X, labels = blobs(500, 4, 3)
    options = {"reg_covar": 0.0, "tol": 1e-10, "max_iter": 500}
    spheres = GaussianMixture(3, covariance_type="spherical", init_params=labels, **options).fit(X)
    points = SubspaceMixture(dims=[0, 0, 0], init=labels, tol=1e-10).fit(X)
    assert spheres.lower_bound_ == pytest.approx(points.lower_bound_, abs=1e-7)
    # With equal weights and the variance 1 / (2 beta), soft k-means has the same posterior.
    soft = SoftKMeans(3, beta=0.7, random_state=0).fit(X)
    twin = clone(spheres).set_params(
        init_params="random_from_data", n_init=1, max_iter=1, means_init=soft.cluster_centers_,
        weights_init=np.full(3, 1 / 3), precisions_init=np.full(3, 1.4),
    )  # fmt: skip
    with pytest.warns(ConvergenceWarning):
        twin.fit(X)
    joint = -0.7 * np.square(X[:, None] - soft.cluster_centers_).sum(-1)
    shares = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    np.testing.assert_allclose(soft.predict_proba(X), shares, atol=1e-9)
    # The one step that was made begins with just these shares.
    np.testing.assert_allclose(twin.means_, shares.T @ X / shares.sum(0)[:, None], atol=1e-8)


# Starts ---------------------------------------------------------------------------------------


def test_clusters_long_in_one_direction_are_found() -> None:
    """k-means cuts them across; in whitened coordinates it does not."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 200)
    X = rng.normal(size=(600, 3)) * [60, 1, 1]
    X[:, 1] += 9 * labels
    model = GaussianMixture(3, covariance_type="tied", random_state=0, max_iter=300).fit(X)
    assert adjusted_rand_score(labels, model.predict(X)) > 0.99
    assert model.restart_lower_bounds_.shape == (3,)
    white = GaussianMixture(3, init_params="whitened", n_init=5, random_state=0, max_iter=300)
    assert adjusted_rand_score(labels, white.fit_predict(X)) > 0.99


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "init", ["auto", "kmeans", "whitened", "random_from_data", "k-means++", "random"]
)
def test_every_kind_of_start_begins(kind: str, init: str) -> None:
    X, _ = blobs(300, 25, 3)
    model = GaussianMixture(3, covariance_type=kind, init_params=init, random_state=0, max_iter=500)
    first, second = clone(model).fit(X), clone(model).fit(X)
    np.testing.assert_array_equal(first.means_, second.means_)
    assert len(first.restart_lower_bounds_) == (3 if init == "auto" else 1)
    assert np.isfinite(first.lower_bound_)


@pytest.mark.parametrize("kind", KINDS)
def test_labels_and_shares_are_starts(kind: str) -> None:
    X, labels = blobs(spread=6.0)
    by_labels = GaussianMixture(3, covariance_type=kind, init_params=labels).fit(X)
    by_shares = GaussianMixture(3, covariance_type=kind, init_params=np.eye(3)[labels]).fit(X)
    np.testing.assert_allclose(by_labels.means_, by_shares.means_)
    assert adjusted_rand_score(labels, by_labels.predict(X)) > 0.9
    again = clone(by_labels).set_params(warm_start=True).fit(X)
    steps = again.n_iter_
    assert again.fit(X).n_iter_ <= steps
    assert again.lower_bound_ >= by_labels.lower_bound_ - 1e-9


def test_a_component_that_loses_its_rows_is_put_elsewhere() -> None:
    X, labels = blobs(300, 3, 3)
    start = start_of(X, "full")
    start["means_init"] = np.array([X.mean(0), X.mean(0) + 1e4, X.mean(0) - 1e4])
    model = GaussianMixture(3, random_state=0, max_iter=500, **start).fit(X)
    assert (model.weights_ > 0.05).all()
    assert adjusted_rand_score(labels, model.predict(X)) > 0.8


# Hard cases -----------------------------------------------------------------------------------


def test_five_hundred_columns_stay_finite() -> None:
    X, labels = blobs(300, 500, 3)
    for kind in KINDS:
        model = GaussianMixture(3, covariance_type=kind, random_state=0, max_iter=300).fit(X)
        shares = model.predict_proba(X)
        assert np.isfinite(shares).all()
        np.testing.assert_allclose(shares.sum(1), 1, atol=1e-12)
        if kind != "full":  # a full covariance has more parameters here than there are numbers
            assert adjusted_rand_score(labels, model.predict(X)) == 1.0


@pytest.mark.parametrize("kind", KINDS)
def test_constant_columns_and_duplicates(kind: str) -> None:
    X, _ = blobs(200, 3, 2)
    flat = np.c_[X, np.full(200, 7.0)]
    model = GaussianMixture(2, covariance_type=kind, random_state=0).fit(flat)
    assert np.isfinite(model.lower_bound_)
    np.testing.assert_allclose(model.means_[:, 3], 7.0)
    twice = GaussianMixture(2, covariance_type=kind, random_state=0).fit(np.repeat(X, 2, axis=0))
    assert np.isfinite(twice.lower_bound_)
    same = GaussianMixture(2, covariance_type=kind, random_state=0).fit(np.ones((10, 2)))
    assert np.isfinite(same.means_).all()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_as_many_components_as_rows_is_told_of() -> None:
    X = np.random.default_rng(0).normal(size=(6, 2))
    model = GaussianMixture(6, random_state=0).fit(X)
    assert model.degenerate_
    assert np.isfinite(model.means_).all()
    with pytest.raises(ValueError, match=r"component \d, with .* rows in 2 columns. Raise"):
        GaussianMixture(6, reg_covar=0.0, random_state=0, init_params="kmeans").fit(
            np.repeat(np.eye(6)[:, :2], 3, axis=0) * [[1, 2]] + np.arange(18)[:, None] // 3
        )


def test_a_sound_restart_is_preferred_to_a_likelier_collapsed_one() -> None:
    X, _ = blobs(300, 2, 2)
    X = np.concatenate([X, np.repeat(X[:1], 3, axis=0)])  # rows to collapse on
    model = GaussianMixture(3, n_init=30, random_state=0, max_iter=500).fit(X)
    assert not model.degenerate_
    assert np.linalg.eigvalsh(model.covariances_).min() > 2e-6 * X.var(0).mean()


def test_pieces_come_close_to_the_whole() -> None:
    X, _ = blobs(6000, 4, 3)
    for kind in KINDS:
        model = GaussianMixture(3, covariance_type=kind, random_state=0)
        for start in range(0, 6000, 500):
            model.partial_fit(X[start : start + 500])
        whole = GaussianMixture(3, covariance_type=kind, random_state=0, tol=1e-6).fit(X)
        assert model.score(X) > whole.score(X) - 0.02
        assert adjusted_rand_score(whole.predict(X), model.predict(X)) > 0.95
    # What is known from `fit` is not forgotten at the first piece.
    before = whole.means_.copy()
    whole.partial_fit(X[:300])
    assert np.abs(whole.means_ - before).max() < 0.6


def test_draws_have_the_moments_of_the_model() -> None:
    X, _ = blobs()
    for kind in KINDS:
        model = GaussianMixture(3, covariance_type=kind, random_state=0).fit(X)
        rows, labels = model.sample(40_000, random_state=1)
        np.testing.assert_allclose(np.bincount(labels) / 40_000, model.weights_, atol=0.02)
        covariances = matrices(model.covariances_, kind, 3, 4)
        for j in range(3):
            own = rows[labels == j]
            np.testing.assert_allclose(own.mean(0), model.means_[j], atol=0.15)
            scale = np.abs(covariances[j]).max()
            np.testing.assert_allclose(np.cov(own.T), covariances[j], atol=0.06 * scale)


def test_frames_and_anndata_are_read() -> None:
    X, _ = blobs(100)
    model = GaussianMixture(2, random_state=0)
    frame = clone(model).fit(pd.DataFrame(X, columns=list("abcd")))
    assert list(frame.feature_names_in_) == list("abcd")
    adata = clone(model).fit(ad.AnnData(X))
    np.testing.assert_allclose(adata.means_, clone(model).fit(X).means_)


# scikit-learn's checks, and bad input ---------------------------------------------------------

READS_CLASSIFIER_TAGS = (
    "the check reads classifier_tags of anything that has predict_proba and accepts sparse input"
)
OTHER_DRAWS = (
    "starts drawn at random fall on other rows where rows are repeated; from the same start, "
    "weights are repetitions (test_weights_are_repetitions)"
)


@parametrize_with_checks(
    [
        GaussianMixture(),
        *(
            GaussianMixture(2, covariance_type=kind, n_init=1, init_params="kmeans")
            for kind in (*KINDS, "low_rank")
        ),
    ],
    expected_failed_checks=lambda estimator: {
        "check_estimator_sparse_array": READS_CLASSIFIER_TAGS,
        "check_estimator_sparse_matrix": READS_CLASSIFIER_TAGS,
        **(
            {}
            if estimator.n_components == 1 or estimator.covariance_type == "diag"
            else {
                "check_sample_weight_equivalence_on_dense_data": OTHER_DRAWS,
                "check_sample_weight_equivalence_on_sparse_data": OTHER_DRAWS,
            }
        ),
    },
)
def test_conventions(estimator: BaseEstimator, check: Callable) -> None:
    check(estimator)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_components": 0}, "n_components=0"),
        ({"n_components": 21}, r"20 sample\(s\)"),
        ({"covariance_type": "round"}, "covariance_type='round'"),
        ({"tol": -1.0}, "tol"),
        ({"reg_covar": -1e-3}, "reg_covar"),
        ({"max_iter": 0}, "max_iter"),
        ({"n_init": 0}, "n_init"),
        ({"n_init": "most"}, "n_init='most'"),
        ({"init_params": "best"}, "init_params='best'"),
        ({"init_params": np.full(20, 2)}, "labels other than 0 to 1"),
        ({"init_params": np.zeros((20, 2))}, "all zero in a row"),
        ({"init_params": np.zeros((3, 2))}, r"init_params has shape \(3, 2\)"),
        ({"weights_init": [0.5, 0.6]}, "sum to 1"),
        ({"weights_init": [1.0]}, r"weights_init has shape \(1,\)"),
        ({"means_init": np.zeros((2, 3))}, "means_init has shape"),
        ({"means_init": np.full((2, 2), np.nan)}, "means_init contains NaN"),
        ({"precisions_init": -np.ones((2, 2, 2))}, "precisions_init must be positive"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_bad_arguments_are_named(options: dict[str, Any], message: str) -> None:
    X = np.random.default_rng(0).normal(size=(20, 2))
    with pytest.raises(ValueError, match=message):
        GaussianMixture(**{"n_components": 2, **options}).fit(X)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [None, "float32"])
def test_few_rows_in_single_precision(kind: str, dtype: str | None) -> None:
    """Fewer rows than columns in a cluster far out: its covariance is a small difference."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 50)) * np.linspace(10, 0.5, 50)
    labels = np.zeros(300, dtype=int)
    labels[:37] = 1
    X[:37, 0] += 50
    rows = X.astype(np.float32)
    model = GaussianMixture(2, covariance_type=kind, init_params=labels, dtype=dtype).fit(rows)
    exact = GaussianMixture(2, covariance_type=kind, init_params=labels).fit(X)
    assert model.lower_bound_ == pytest.approx(exact.lower_bound_, abs=0.5 if dtype else 1e-2)


def test_a_single_row_is_a_piece() -> None:
    X, labels = blobs()
    for kind in KINDS:
        model = GaussianMixture(3, covariance_type=kind, init_params=labels).fit(X)
        before = model.score(X)
        model.partial_fit(X[:1]).partial_fit(X[1:3])
        assert np.isfinite(model.means_).all()
        if kind in ("tied", "spherical"):
            assert model.score(X) > before - 5

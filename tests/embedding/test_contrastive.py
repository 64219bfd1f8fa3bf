"""The estimators LargeVis and InfoTSNE."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

import lowdim as ld

KINDS = [ld.LargeVis, ld.InfoTSNE]


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    return load_digits(return_X_y=True)


def kept(X: np.ndarray, Y: np.ndarray, k: int = 15) -> float:
    """Share of the neighbours of rows that are neighbours in the layout."""
    near = [
        NearestNeighbors(n_neighbors=k).fit(Z).kneighbors(return_distance=False) for Z in (X, Y)
    ]
    return float(np.mean([len(np.intersect1d(a, b)) / k for a, b in zip(*near, strict=True)]))


@pytest.mark.parametrize(("kind", "least"), [(ld.LargeVis, 0.54), (ld.InfoTSNE, 0.57)])
def test_digits_are_laid_out_well(digits, kind: Any, least: float) -> None:
    X, labels = digits
    model = kind(random_state=0).fit(X)
    Y = model.embedding_
    assert Y.shape == (1797, 2)
    assert Y.dtype == np.float32
    assert kept(X, Y) > least
    assert KNeighborsClassifier(15).fit(Y, labels).score(Y, labels) > 0.975
    assert model.stop_reason_ == "limit"
    assert model.n_iter_ == model.max_iter


def test_the_more_negatives_the_nearer_to_t_sne(digits, kl_divergence) -> None:
    X = digits[0][::3]
    exact = ld.TSNE(random_state=0).fit(X)
    kls = []
    for n_negatives in (5, 100, 599):
        model = ld.InfoTSNE(n_negatives=n_negatives, random_state=0).fit(X)
        kls.append(kl_divergence(model.affinities_.matrix, model.embedding_))
    assert kls[0] > kls[1] > kls[2]
    assert kls[2] < 1.2 * exact.kl_divergence_  # rows have a sum each, and not all one


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_layout(digits, kind: Any) -> None:
    X = np.concatenate([digits[0][:400]] * 3) + np.random.default_rng(0).normal(size=(1200, 64))
    one = kind(max_iter=60, random_state=3, n_jobs=1)
    first = one.fit_transform(X)
    assert np.array_equal(first, one.fit_transform(X))
    for n_jobs in (2, 5):
        assert np.array_equal(
            first, kind(max_iter=60, random_state=3, n_jobs=n_jobs).fit_transform(X)
        )
    assert not np.array_equal(first, one.set_params(random_state=4).fit_transform(X))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_components", [1, 2, 3])
def test_groups_come_apart_and_new_rows_go_to_them(blobs, kind: Any, n_components: int) -> None:
    X, labels = blobs
    model = kind(n_components, perplexity=15, random_state=0).fit(X[::2])
    told = KNeighborsClassifier(5).fit(model.embedding_, labels[::2])
    assert told.score(model.embedding_, labels[::2]) > 0.98
    new = X[1::2]
    together = model.transform(new)
    assert told.score(together, labels[1::2]) > 0.98
    model.set_params(n_jobs=3)
    parts = np.concatenate([model.transform(new[::-1][:61]), model.transform(new[::-1][61:])])
    assert np.array_equal(parts[::-1], together)


@pytest.mark.parametrize("kind", KINDS)
def test_new_digits_come_to_their_like(digits, kind: Any) -> None:
    X, labels = digits
    train, test = np.arange(1797) % 4 != 0, np.arange(1797) % 4 == 0
    model = kind(random_state=0).fit(X[train])
    by_rows = KNeighborsClassifier(15).fit(X[train], labels[train]).score(X[test], labels[test])
    by_places = KNeighborsClassifier(15).fit(model.embedding_, labels[train])
    assert by_places.score(model.transform(X[test]), labels[test]) > by_rows - 0.02


@pytest.mark.parametrize("kind", KINDS)
def test_hard_cases_have_finite_layouts(kind: Any) -> None:
    rows = np.repeat(np.random.default_rng(0).normal(size=(20, 3)), 10, axis=0)
    rows[-1] = 1e4
    assert np.isfinite(kind(perplexity=15, random_state=0).fit_transform(rows)).all()
    for n in (4, 5, 9):
        X = np.random.default_rng(0).normal(size=(n, 3))
        assert np.isfinite(kind(perplexity=2, random_state=0).fit_transform(X)).all()
    graph = np.kron(np.eye(3), np.ones((15, 15)))
    assert np.isfinite(kind(affinity="precomputed", random_state=0).fit_transform(graph)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_callbacks_stop_the_fit(blobs, kind: Any) -> None:
    seen = []
    model = kind(
        perplexity=10,
        callbacks=lambda *told: seen.append(told) or told[0] == 100,
        random_state=0,
    ).fit(blobs[0])
    assert [number for number, _, _ in seen] == [50, 100]
    assert np.array_equal(seen[-1][1], model.embedding_)
    assert (model.n_iter_, model.stop_reason_) == (100, "callback")
    assert np.isfinite([value for _, _, value in seen]).all()


@pytest.mark.parametrize(
    ("kind", "arguments", "error", "message"),
    [
        (ld.LargeVis, {"n_negatives": -1}, ValueError, "n_negatives=-1"),
        (ld.LargeVis, {"repulsion_strength": -1}, ValueError, "repulsion_strength=-1"),
        (ld.LargeVis, {"perplexity": 100}, ValueError, "perplexity=100"),
        (ld.LargeVis, {"max_iter": -1}, ValueError, "max_iter=-1"),
        (ld.LargeVis, {"learning_rate": 0}, ValueError, "learning_rate=0"),
        (ld.InfoTSNE, {"n_components": 4}, ValueError, "n_components=4"),
        (ld.InfoTSNE, {"n_negatives": 1}, ValueError, "n_negatives=1"),
        (ld.InfoTSNE, {"learning_rate": "fast"}, TypeError, "learning_rate='fast'"),
        (ld.InfoTSNE, {"early_exaggeration": 0}, ValueError, "early_exaggeration=0"),
        (ld.InfoTSNE, {"max_iter": 0}, ValueError, "max_iter=0"),
    ],
)
def test_bad_arguments_are_named(kind: Any, arguments: dict, error: type, message: str) -> None:
    X = np.random.default_rng(0).normal(size=(60, 5))
    with pytest.raises(error, match=message):
        kind(**{"perplexity": 10, **arguments}).fit(X)


@pytest.mark.parametrize("kind", KINDS)
def test_files_keep_the_layout_and_places_of_new_rows(blobs, kind: Any, tmp_path) -> None:
    X, _ = blobs
    model = kind(perplexity=10, max_iter=30, random_state=0).fit(X[::2])
    model.save(tmp_path / "model.h5")
    again = ld.load(tmp_path / "model.h5")
    assert np.array_equal(again.embedding_, model.embedding_)
    assert np.array_equal(again.transform(X[1:20:2]), model.transform(X[1:20:2]))

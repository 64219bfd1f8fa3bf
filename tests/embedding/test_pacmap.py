"""PaCMAP: its loss and gradient, layouts, new rows, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

import lowdim as ld
from lowdim.affinities import Pairs, pacmap_pairs
from lowdim.affinities.pairs import local_scales
from lowdim.embedding._crew import Crew
from lowdim.embedding._pacmap.course import weights_of
from lowdim.embedding._pacmap.descent import Descent
from lowdim.neighbors import nearest_neighbors


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    return load_digits(return_X_y=True)


@pytest.fixture(scope="module")
def fitted(digits) -> ld.PaCMAP:
    return ld.PaCMAP(random_state=0).fit(digits[0])


def loss(Y: np.ndarray, pairs: Pairs, weights: tuple[float, float, float]) -> float:
    """As the paper states it, pair by pair in float64."""
    total = 0.0
    near, further, mid = weights
    for chosen, weight, cost in (
        (pairs.near, near, lambda d: d / (10 + d)),
        (pairs.mid_near, mid, lambda d: d / (10_000 + d)),
        (pairs.further, further, lambda d: 1 / (1 + d)),
    ):
        d = 1 + ((Y[:, None] - Y[chosen]) ** 2).sum(2)
        total += weight * cost(d).sum()
    return float(total)


@pytest.mark.parametrize("n_components", [1, 2, 3])
@pytest.mark.parametrize("weights", [(2.0, 1.0, 700.0), (3.0, 1.0, 3.0), (1.0, 1.0, 0.0)])
def test_the_gradient_is_that_of_the_loss(n_components: int, weights: tuple) -> None:
    rng = np.random.default_rng(0)
    pairs = pacmap_pairs(rng.normal(size=(70, 4)), 6, random_state=0)
    Y = rng.normal(scale=3.0, size=(70, n_components)).astype(np.float32)
    with Crew(1) as crew:
        descent = Descent(pairs, Y, rate=1.0, crew=crew)
        found = descent.gradient(weights).astype(np.float64)
        assert descent.loss(weights) == pytest.approx(loss(Y, pairs, weights), rel=1e-6)
    expected = np.empty_like(found)
    for i, a in np.ndindex(*Y.shape):
        ends = []
        for step in (1e-4, -1e-4):
            moved = Y.astype(np.float64)
            moved[i, a] += step
            ends.append(loss(moved, pairs, weights))
        expected[i, a] = (ends[0] - ends[1]) / 2e-4
    np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())


def test_the_phases_are_those_of_the_paper() -> None:
    weights = list(weights_of((100, 100, 250)))
    assert len(weights) == 450
    assert weights[0] == (2.0, 1.0, 1000.0)
    assert weights[50] == pytest.approx((2.0, 1.0, 501.5))
    assert weights[100] == weights[199] == (3.0, 1.0, 3.0)
    assert weights[200] == weights[-1] == (1.0, 1.0, 0.0)


def test_digits_are_laid_out_well(digits, fitted) -> None:
    X, labels = digits
    Y = fitted.embedding_
    assert Y.shape == (1797, 2)
    assert Y.dtype == np.float32
    near = [
        NearestNeighbors(n_neighbors=15).fit(Z).kneighbors(return_distance=False) for Z in (X, Y)
    ]
    kept = np.mean([len(np.intersect1d(a, b)) / 15 for a, b in zip(*near, strict=True)])
    assert kept > 0.47  # pacmap 0.9.1: 0.48 to 0.49
    assert (labels[near[1]] == labels[:, None]).mean() > 0.96
    rng = np.random.default_rng(0)
    i, j, k = rng.integers(1797, size=(3, 20_000))
    closer = [((Z[i] - Z[j]) ** 2).sum(1) < ((Z[i] - Z[k]) ** 2).sum(1) for Z in (X, Y)]
    assert (closer[0] == closer[1]).mean() > 0.66  # pacmap 0.9.1: 0.68
    assert (fitted.n_iter_, fitted.stop_reason_) == (450, "limit")
    assert fitted.affinities_.matrix.sum() == pytest.approx(17_970)


def test_the_same_seed_gives_the_same_layout(digits) -> None:
    X = digits[0][:1200]
    state = np.random.get_state()[1].copy()
    one = ld.PaCMAP(num_iters=(20, 20, 20), random_state=3)
    first = one.fit_transform(X)
    assert np.array_equal(first, one.fit_transform(X))
    for n_jobs in (1, 2, 5):
        assert np.array_equal(first, clone(one).set_params(n_jobs=n_jobs).fit_transform(X))
    assert not np.array_equal(first, clone(one).set_params(random_state=4).fit_transform(X))
    assert np.array_equal(state, np.random.get_state()[1])


@pytest.mark.parametrize("init", ["pca", "spectral", "random"])
@pytest.mark.parametrize("n_components", [1, 2, 3])
def test_groups_come_apart(blobs, init: str, n_components: int) -> None:
    X, labels = blobs
    Y = ld.PaCMAP(n_components, init=init, random_state=0).fit_transform(X)
    assert Y.shape == (300, n_components)
    nearest = NearestNeighbors(n_neighbors=10).fit(Y).kneighbors(return_distance=False)
    assert (labels[nearest] == labels[:, None]).mean() > 0.95


@pytest.mark.parametrize("metric", ["cosine", "manhattan", "correlation"])
def test_other_metrics(blobs, metric: str) -> None:
    X, labels = blobs
    model = ld.PaCMAP(metric=metric, random_state=0)
    Y = model.fit_transform(X)
    assert KNeighborsClassifier(5).fit(Y, labels).score(Y, labels) > 0.95
    assert np.isfinite(model.transform(X[:5])).all()


def test_given_distances_are_those_of_rows(blobs) -> None:
    X, labels = blobs
    distances = np.linalg.norm(X[:, None] - X[None], axis=2)
    model = ld.PaCMAP(metric="precomputed", init="random", random_state=0).fit(distances)
    of_rows = ld.PaCMAP(init="random", random_state=0).fit(X)
    assert (model.pairs_.near == of_rows.pairs_.near).mean() > 0.999
    assert (model.pairs_.mid_near == of_rows.pairs_.mid_near).mean() > 0.999
    Y = model.transform(distances[:20])
    assert KNeighborsClassifier(5).fit(model.embedding_, labels).score(Y, labels[:20]) == 1.0


def test_given_neighbours_are_used_as_they_are(blobs) -> None:
    X, _ = blobs
    start = np.random.default_rng(0).normal(size=(300, 2))
    whole = ld.PaCMAP(init=start, random_state=0).fit(X)
    given = ld.PaCMAP(init=start, neighbors=nearest_neighbors(X, 60), random_state=0).fit(X)
    assert np.array_equal(whole.embedding_, given.embedding_)
    assert np.isfinite(given.transform(X[:3])).all()


def test_many_columns_are_reduced_first(blobs) -> None:
    X, labels = blobs
    rng = np.random.default_rng(0)
    wide = np.hstack([X, 0.01 * rng.normal(size=(300, 194))])
    dense = ld.PaCMAP(random_state=0).fit(wide)
    sparse = ld.PaCMAP(random_state=0).fit(sp.csr_matrix(wide))
    assert dense.reduction_[0].shape == (200, 100)
    assert ld.PaCMAP(apply_pca=False, random_state=0).fit(wide).reduction_ is None
    for model in (dense, sparse):
        Y = model.transform(wide[::3])
        places = KNeighborsClassifier(5).fit(model.embedding_, labels)
        assert places.score(Y, labels[::3]) > 0.98


def test_an_estimator_says_where_rows_begin(blobs) -> None:
    X, labels = blobs
    wide = np.hstack([X, 0.01 * np.random.default_rng(0).normal(size=(300, 194))])
    for columns in (X, wide):
        model = ld.PaCMAP(init=ld.PCA(2), random_state=0)
        Y = model.fit_transform(columns)
        assert KNeighborsClassifier(5).fit(Y, labels).score(Y, labels) > 0.98


def test_new_rows_come_to_their_like(digits, fitted) -> None:
    X, labels = digits
    train, test = np.arange(1797) % 4 != 0, np.arange(1797) % 4 == 0
    model = ld.PaCMAP(random_state=0).fit(X[train])
    Y = model.transform(X[test])
    by_rows = KNeighborsClassifier(15).fit(X[train], labels[train]).score(X[test], labels[test])
    by_places = KNeighborsClassifier(15).fit(model.embedding_, labels[train])
    assert by_places.score(Y, labels[test]) > by_rows - 0.02
    again = np.linalg.norm(fitted.transform(X[:200]) - fitted.embedding_[:200], axis=1)
    assert np.median(again) < 0.02 * np.ptp(fitted.embedding_)
    parts = [model.transform(X[test][::-1][part]) for part in (slice(0, 7), slice(7, None))]
    assert np.array_equal(np.concatenate(parts)[::-1], Y)


def test_new_rows_settle_where_their_loss_is_least(blobs) -> None:
    X, _ = blobs
    model = ld.PaCMAP(random_state=0).fit(X[::2])
    Y = model.transform(X[1::2]).astype(np.float64)
    found = model._index.query(X[1::2], model.neighbors_.n_neighbors)
    scales = local_scales(model.neighbors_)
    scaled = found.distances**2 / scales[found.indices]
    near = np.take_along_axis(found.indices, np.argsort(scaled, axis=1)[:, :10], 1)
    gaps = Y[:, None] - model.embedding_[near]
    weights = (11 + (gaps**2).sum(2)) ** -2.0
    pull = (weights[:, :, None] * gaps).sum(1) / weights.sum(1)[:, None]
    assert np.abs(pull).max() < 1e-3


def test_callbacks_see_the_loss_and_stop(blobs) -> None:
    X, _ = blobs
    seen = []
    model = ld.PaCMAP(
        callbacks=lambda *told: seen.append(told) or told[0] == 150,
        callbacks_every=75,
        random_state=0,
    ).fit(X)
    assert [iteration for iteration, _, _ in seen] == [75, 150]
    assert np.array_equal(seen[-1][1], model.embedding_)
    assert (model.n_iter_, model.stop_reason_) == (150, "callback")
    expected = loss(model.embedding_.astype(np.float64), model.pairs_, (3.0, 1.0, 3.0))
    assert model.history_["loss"][-1] == pytest.approx(expected, rel=1e-5)


def test_an_interrupt_keeps_the_layout(blobs) -> None:
    def interrupt(*told: object) -> None:
        raise KeyboardInterrupt

    model = ld.PaCMAP(callbacks=interrupt, callbacks_every=20, random_state=0).fit(blobs[0])
    assert (model.n_iter_, model.stop_reason_) == (20, "interrupted")
    assert np.isfinite(model.embedding_).all()


def test_equal_rows_and_far_ones_do_no_harm() -> None:
    X = np.repeat(np.random.default_rng(0).normal(size=(20, 3)), 10, axis=0)
    X[-1] = 1e4
    assert np.isfinite(ld.PaCMAP(random_state=0).fit_transform(X)).all()
    constant = ld.PaCMAP(random_state=0).fit_transform(np.ones((60, 3)))
    assert np.isfinite(constant).all()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_components": 0}, ValueError, "n_components=0"),
        ({"n_neighbors": 0}, ValueError, "n_neighbors=0"),
        ({"n_neighbors": 30}, ValueError, "X has 60 rows, too few for n_neighbors=30"),
        ({"MN_ratio": -1}, ValueError, "MN_ratio=-1"),
        ({"FP_ratio": -1}, ValueError, "FP_ratio=-1"),
        ({"lr": 0}, ValueError, "lr=0"),
        ({"num_iters": (1, 2)}, ValueError, r"num_iters=\(1, 2\)"),
        ({"num_iters": (1, 2, -3)}, ValueError, "num_iters=-3"),
        ({"init": "best"}, ValueError, "init='best'"),
        ({"callbacks": [3]}, TypeError, "callbacks has 3"),
        ({"metric": "angle"}, ValueError, "metric='angle'"),
        ({"neighbors": "near"}, ValueError, "neighbors='near'"),
        ({"neighbors": nearest_neighbors(np.eye(40), 20)}, ValueError, "of 40 rows"),
        ({"n_jobs": 0}, ValueError, "n_jobs=0"),
    ],
)
def test_bad_arguments_are_named(arguments: dict, error: type, message: str) -> None:
    X = np.random.default_rng(0).normal(size=(60, 5))
    with pytest.raises(error, match=message):
        ld.PaCMAP(**arguments).fit(X)


def test_rows_that_are_no_numbers_and_too_few_are_named() -> None:
    X = np.random.default_rng(0).normal(size=(60, 5))
    X[3, 2] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        ld.PaCMAP().fit(X)
    with pytest.raises(ValueError, match="X has 4 rows, too few"):
        ld.PaCMAP().fit(X[10:14])

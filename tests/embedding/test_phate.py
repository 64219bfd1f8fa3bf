"""PHATE: metric scaling, layouts of courses, new rows, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist, squareform
from scipy.stats import spearmanr
from sklearn.base import clone

import lowdim as ld
from lowdim.embedding._crew import Crew
from lowdim.embedding._spectral.metric_scaling import metric_scaling, stress_gradient
from lowdim.embedding._spectral.stress import HostStress
from lowdim.neighbors import nearest_neighbors


@pytest.fixture(scope="module")
def branches() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows along three arms in ten columns, the arm of each, and how far out it is."""
    rng = np.random.default_rng(0)
    arm, along = np.repeat(np.arange(3), 150), np.tile(np.linspace(0, 1, 150), 3)
    ends = np.linalg.qr(rng.normal(size=(10, 3)))[0].T
    return 10 * along[:, None] * ends[arm] + 0.1 * rng.normal(size=(450, 10)), arm, along


def stress(Y: np.ndarray, distances: np.ndarray) -> float:
    return float(((squareform(pdist(Y)) - distances) ** 2).sum() / 2)


def test_the_gradient_of_the_stress_is_right() -> None:
    rng = np.random.default_rng(0)
    Y, distances = rng.normal(size=(40, 2)), squareform(pdist(rng.normal(size=(40, 5))))
    gradient, sums = np.empty((40, 2)), np.empty(16)
    bounds = np.arange(17) * 40 // 16
    stress_gradient(0, 16, np.ascontiguousarray(Y.T), distances, bounds, gradient, sums)
    assert sums.sum() / 2 == pytest.approx(stress(Y, distances))
    for i, a in np.ndindex(4, 2):
        ends = []
        for step in (1e-6, -1e-6):
            moved = Y.copy()
            moved[i, a] += step
            ends.append(stress(moved, distances))
        assert 2 * gradient[i, a] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5)


def test_distances_in_the_plane_are_met() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(size=(120, 2))
    with Crew(1) as crew:
        places, left, n_iter = metric_scaling(
            HostStress(squareform(pdist(true)), crew),
            true + 0.5 * rng.normal(size=(120, 2)),
            max_iter=500,
            tol=1e-14,
        )
    assert left < 1e-5
    assert n_iter > 1
    np.testing.assert_allclose(pdist(places), pdist(true), atol=1e-3)


def test_scaling_is_no_worse_than_scikit_learns(branches) -> None:
    from sklearn.manifold import smacof

    model = ld.PHATE(random_state=0).fit(branches[0])
    distances = cdist(model.potential_.values, model.potential_.values)
    _, own = smacof(
        distances, init=model.landmark_embedding_, n_init=1, max_iter=300, normalized_stress=False
    )
    classic = ld.PHATE(mds="classic", random_state=0).fit(branches[0])
    found = stress(model.landmark_embedding_, distances)
    assert found < 1.002 * own
    assert found < 0.98 * stress(classic.landmark_embedding_, distances)
    assert model.stress_ == pytest.approx(np.sqrt(2 * found / (distances**2).sum()), rel=1e-6)


@pytest.mark.parametrize(("n_landmark", "t"), [(2000, 200), (100, "auto")])
def test_arms_stay_whole_and_in_order(branches, n_landmark: int, t: object) -> None:
    X, arm, along = branches
    model = ld.PHATE(n_landmark=n_landmark, t=t, random_state=0)
    Y = model.fit_transform(X)
    assert Y.shape == (450, 2)
    assert Y.dtype == np.float32
    centre = Y[along < 0.1].mean(0)
    for k in range(3):
        out = np.linalg.norm(Y[arm == k] - centre, axis=1)
        assert spearmanr(out, along[arm == k]).statistic > 0.95
        steps = np.linalg.norm(np.diff(Y[arm == k], axis=0), axis=1)
        assert steps.max() < 0.2 * np.ptp(Y)


def test_the_same_seed_gives_the_same_layout(branches) -> None:
    X = branches[0]
    one = ld.PHATE(n_landmark=100, random_state=3)
    first = one.fit_transform(X)
    assert np.array_equal(first, one.fit_transform(X))
    for n_jobs in (1, 2, 5):
        assert np.array_equal(first, clone(one).set_params(n_jobs=n_jobs).fit_transform(X))


@pytest.mark.parametrize("n_landmark", [2000, 100])
def test_new_rows_come_to_their_like(branches, n_landmark: int) -> None:
    X, _, _ = branches
    model = ld.PHATE(n_landmark=n_landmark, random_state=0).fit(X[::2])
    Y = model.transform(X[1::2])
    beside = np.linalg.norm(Y - model.embedding_, axis=1)  # each lies between two of the fit
    assert np.median(beside) < 0.05 * np.ptp(model.embedding_)
    parts = [model.transform(X[1::2][::-1][part]) for part in (slice(0, 7), slice(7, None))]
    assert np.array_equal(np.concatenate(parts)[::-1], Y)


def test_steps_and_gamma_are_used(branches) -> None:
    X = branches[0]
    model = ld.PHATE(t=7, gamma=0.0, random_state=0).fit(X)
    assert model.potential_.n_steps == 7
    assert model.potential_.entropy is None
    assert (model.potential_.values >= 0).all()  # roots, not logarithms
    np.testing.assert_allclose((model.potential_.values**2).sum(1) / 4, 1.0, rtol=1e-6)
    chosen = ld.PHATE(random_state=0).fit(X).potential_
    assert 1 < chosen.n_steps < 100


def test_given_distances_and_neighbours(branches) -> None:
    X = branches[0]
    whole = ld.PHATE(random_state=0).fit(X)
    given = ld.PHATE(neighbors=nearest_neighbors(X, 100), random_state=0).fit(X)
    assert np.array_equal(whole.embedding_, given.embedding_)
    with pytest.raises(ValueError, match="needs the rows of the fit"):
        given.transform(X)
    by_graph = ld.PHATE(metric="precomputed", random_state=0)
    by_graph.fit(nearest_neighbors(X, 100).to_csr())
    np.testing.assert_allclose(by_graph.embedding_, whole.embedding_, atol=1e-4)
    by_distances = ld.PHATE(metric="precomputed", random_state=0).fit(cdist(X, X))
    assert spearmanr(pdist(by_distances.embedding_), pdist(whole.embedding_)).statistic > 0.999


def test_parts_without_a_way_between_them_and_copies_have_a_layout() -> None:
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(50, 2)), rng.normal(size=(50, 2)) + 1e4, np.ones((30, 2))])
    for n_landmark in (None, 20):
        Y = ld.PHATE(n_landmark=n_landmark, random_state=0).fit_transform(X)
        assert np.isfinite(Y).all()
    assert np.isfinite(ld.PHATE(knn=1, random_state=0).fit_transform(X[:2])).all()
    assert np.isfinite(ld.PHATE(random_state=0).fit_transform(np.ones((20, 3)))).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_components": 0}, "n_components=0"),
        ({"knn": 60}, "knn=60"),
        ({"decay": 0}, "decay=0"),
        ({"t": 0}, "t=0"),
        ({"gamma": 2}, "gamma=2"),
        ({"n_landmark": 1}, "n_landmark=1"),
        ({"mds": "best"}, "mds='best'"),
        ({"tol": -1}, "tol=-1"),
        ({"metric": "angle"}, "metric='angle'"),
        ({"neighbors": "near"}, "neighbors='near'"),
        ({"neighbors": nearest_neighbors(np.eye(40), 20)}, "those of 40 rows"),
    ],
)
def test_bad_arguments_are_named(arguments: dict, message: str) -> None:
    X = np.random.default_rng(0).normal(size=(60, 5))
    with pytest.raises(ValueError, match=message):
        ld.PHATE(**arguments).fit(X)


@pytest.mark.slow
def test_the_trajectory_of_blood_stays_connected(datasets: Path) -> None:
    """Cells of paul15 are one course with branches: neighbours in the layout lead everywhere."""
    import anndata
    from scipy.sparse.csgraph import connected_components

    adata = anndata.read_h5ad(datasets / "paul15.h5ad")
    counts = adata.X.toarray().astype(np.float64)
    rows = np.log1p(counts / counts.sum(1, keepdims=True) * 1e4)
    model = ld.PHATE(random_state=0).fit(ld.PCA(50, random_state=0).fit_transform(rows))
    Y = model.embedding_
    labels = adata.obs["cell_type"].cat.codes.to_numpy()
    graph = nearest_neighbors(Y, 15)
    parts = connected_components(graph.to_csr(), directed=False)[1]
    assert np.bincount(parts).max() > 0.97 * len(Y)
    votes = labels[graph.indices]
    right = [np.bincount(own).argmax() == label for own, label in zip(votes, labels, strict=True)]
    assert np.mean(right) > 0.76  # phate 2.0.0: 0.796

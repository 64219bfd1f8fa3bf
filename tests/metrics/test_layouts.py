"""Measures of layouts are what their definitions say, and scikit-learn's where it has them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn import manifold
from sklearn.metrics import silhouette_score
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from lowdim import metrics
from lowdim.affinities import EntropicAffinity

N = 140


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=(N, 6)) + 4 * np.eye(6)[np.arange(N) % 3]


@pytest.fixture(scope="module")
def layout(rows: np.ndarray) -> np.ndarray:
    return rows[:, :2] + np.random.default_rng(1).normal(scale=0.5, size=(N, 2))


def order(points: np.ndarray, metric: str = "euclidean") -> np.ndarray:
    """Neighbours of all points, nearest first, (N, N - 1)."""
    distances = cdist(points, points, metric)
    np.fill_diagonal(distances, np.inf)
    return np.argsort(distances, axis=1)[:, :-1]


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "cityblock"])
def test_trustworthiness_is_that_of_scikit_learn(
    rows: np.ndarray, layout: np.ndarray, metric: str
) -> None:
    for k in (1, 5, 30):
        expected = manifold.trustworthiness(rows, layout, n_neighbors=k, metric=metric)
        found = metrics.trustworthiness(rows, layout, k, metric=metric)
        assert found == pytest.approx(expected, abs=1e-12)
    several = metrics.trustworthiness(sp.csr_matrix(rows), layout, (5, 30))
    expected = [metrics.trustworthiness(rows, layout, k) for k in (5, 30)]
    np.testing.assert_allclose(several, expected)


def test_continuity_is_trustworthiness_the_other_way(rows: np.ndarray, layout: np.ndarray) -> None:
    expected = manifold.trustworthiness(layout, rows, n_neighbors=9)
    assert metrics.continuity(rows, layout, 9) == pytest.approx(expected, abs=1e-12)


def test_preservation_is_the_share_of_common_neighbours(
    rows: np.ndarray, layout: np.ndarray
) -> None:
    near, drawn = order(rows), order(layout)
    sizes = (1, 7, 40, N - 1)
    expected = [
        np.mean([len({*near[i, :k]} & {*drawn[i, :k]}) / k for i in range(N)]) for k in sizes
    ]
    found = metrics.neighborhood_preservation(rows, layout, sizes)
    np.testing.assert_allclose(found, expected)
    assert found[-1] == 1.0
    assert isinstance(metrics.neighborhood_preservation(rows, layout, 7), float)


def test_equal_points_are_equally_good() -> None:
    X = np.arange(12.0)[:, None]
    assert metrics.neighborhood_preservation(X, np.zeros((12, 2)), 3) <= 1.0
    assert metrics.neighborhood_preservation(np.zeros((12, 3)), X, 3) == 1.0


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**16), scale=st.floats(0.01, 100.0), angle=st.floats(0.0, 6.0))
def test_moved_turned_and_scaled_layouts_are_as_good(seed: int, scale: float, angle: float) -> None:
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(30, 4)), rng.normal(size=(30, 2))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = scale * Y @ turn + 3.0
    for measure in (
        metrics.trustworthiness,
        metrics.continuity,
        metrics.neighborhood_preservation,
        metrics.distance_correlation,
        metrics.random_triplet_accuracy,
    ):
        arguments = (5,) if "n_neighbors" in measure.__code__.co_varnames else ()
        value = measure(X, Y, *arguments)
        assert measure(X, moved, *arguments) == pytest.approx(value, abs=1e-6)
        assert 0.0 <= value <= 1.0 or measure is metrics.distance_correlation
        assert measure(X, X, *arguments) == pytest.approx(1.0)


def test_a_sample_of_rows_comes_near_all(rows: np.ndarray, layout: np.ndarray) -> None:
    for measure in (metrics.trustworthiness, metrics.neighborhood_preservation):
        whole = measure(rows, layout, 10)
        part = [measure(rows, layout, 10, sample_size=70, random_state=s) for s in range(20)]
        assert np.mean(part) == pytest.approx(whole, abs=0.02)
        assert len(set(part)) > 1
        again = measure(rows, layout, 10, sample_size=70, random_state=0)
        assert again == part[0]


def test_label_accuracy_leaves_one_out(rows: np.ndarray, layout: np.ndarray) -> None:
    labels = np.array(["b", "a", "c"])[np.arange(N) % 3]
    for k in (1, 4, 15):
        expected = cross_val_score(
            KNeighborsClassifier(k, algorithm="brute"), layout, labels, cv=LeaveOneOut()
        ).mean()
        assert metrics.knn_label_accuracy(layout, labels, k) == pytest.approx(expected)
    missing = pd.Series(labels).where(np.arange(N) > 20)
    expected = metrics.knn_label_accuracy(layout[21:], labels[21:])
    assert metrics.knn_label_accuracy(layout, missing) == expected


def test_silhouette_is_that_of_scikit_learn(layout: np.ndarray) -> None:
    labels = np.arange(N) % 3
    assert metrics.silhouette(layout, labels) == pytest.approx(silhouette_score(layout, labels))
    assert np.isnan(metrics.silhouette(layout, np.zeros(N)))


def test_distances_are_those_of_all_pairs(rows: np.ndarray, layout: np.ndarray) -> None:
    from scipy.stats import pearsonr, spearmanr

    pairs = np.triu_indices(N, 1)
    far, apart = cdist(rows, rows)[pairs], cdist(layout, layout)[pairs]
    found = metrics.distance_correlation(rows, layout)
    assert found == pytest.approx(spearmanr(far, apart).statistic)
    pearson = metrics.distance_correlation(rows, layout, method="pearson")
    assert pearson == pytest.approx(pearsonr(far, apart).statistic)
    drawn = metrics.distance_correlation(rows, layout, n_pairs=5_000)
    assert drawn == pytest.approx(found, abs=0.05)
    assert np.isnan(metrics.distance_correlation(rows, np.zeros((N, 2))))


@pytest.mark.parametrize("metric", ["euclidean", "manhattan", "cosine"])
def test_distances_of_sparse_rows_are_those_of_dense_ones(metric: str) -> None:
    X = np.random.default_rng(0).normal(size=(60, 5)).clip(-0.5, None) + 0.5
    layout, given = X[:, :2], {"metric": metric}
    for measure in (metrics.distance_correlation, metrics.random_triplet_accuracy):
        own, expected = measure(sp.csr_matrix(X), layout, **given), measure(X, layout, **given)
        assert own == pytest.approx(expected, abs=1e-3)  # of distances that are equal but rounded


def test_triplets_agree_as_often_as_all_of_them(rows: np.ndarray, layout: np.ndarray) -> None:
    far, apart = cdist(rows, rows), cdist(layout, layout)
    nearer = [d[:, :, None] < d[:, None, :] for d in (far, apart)]
    i, j, k = np.indices((N, N, N))
    different = (i != j) & (j != k) & (i != k)
    expected = (nearer[0] == nearer[1])[different].mean()
    found = metrics.random_triplet_accuracy(rows, layout)
    assert found == pytest.approx(expected, abs=0.01)
    chance = metrics.random_triplet_accuracy(rows, np.random.default_rng(2).normal(size=(N, 2)))
    assert chance == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(("dof", "d"), [(1.0, 1), (1.0, 2), (0.5, 2), (1.0, 3), (2.0, 5)])
def test_divergence_is_its_definition(rows: np.ndarray, dof: float, d: int) -> None:
    graph = EntropicAffinity(5).graph(rows)
    Y = 3 * np.random.default_rng(3).normal(size=(N, d)) + 50
    P = graph.matrix.toarray().astype(np.float64)
    W = (1 + cdist(Y, Y) ** 2 / dof) ** -dof
    np.fill_diagonal(W, 0)
    P, Q = P / P.sum(), W / W.sum()
    expected = (P[P > 0] * np.log(P[P > 0] / Q[P > 0])).sum()
    assert metrics.kl_divergence(graph, Y, dof=dof) == pytest.approx(expected, rel=1e-5)
    scaled = metrics.kl_divergence(7 * graph.matrix + sp.eye(N), Y, dof=dof)
    assert scaled == pytest.approx(expected, rel=1e-5)
    part = metrics.kl_divergence(graph, Y, dof=dof, sample_size=100)
    assert part == pytest.approx(expected, abs=0.1)


def test_quality_is_a_row_of_all_measures(rows: np.ndarray, layout: np.ndarray) -> None:
    labels = np.arange(N) % 3
    graph = EntropicAffinity(5).graph(rows)
    table = metrics.embedding_quality(rows, layout, labels, graph=graph, name="plane")
    assert list(table.index) == ["plane"]
    row = table.loc["plane"]
    assert row["preservation_50"] == metrics.neighborhood_preservation(rows, layout, 50)
    assert row["trustworthiness"] == metrics.trustworthiness(rows, layout, 15)
    assert row["label_accuracy_data"] == metrics.knn_label_accuracy(rows, labels)
    assert row["kl_divergence"] == metrics.kl_divergence(graph, layout)
    assert np.isfinite(row).all()
    plain = metrics.embedding_quality(rows, layout, metric="cityblock")
    assert list(plain) == ["preservation_15", "preservation_50", "trustworthiness", "continuity"]
    few = metrics.embedding_quality(rows[:20], layout[:20])
    assert next(iter(few)) == "preservation_6"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda X, Y: metrics.trustworthiness(X, Y[:-1]), "layout has 139 rows, expected 140"),
        (lambda X, Y: metrics.trustworthiness(X, Y, 70), "n_neighbors=70 is too large"),
        (lambda X, Y: metrics.continuity(X, Y, []), "n_neighbors is empty"),
        (lambda X, Y: metrics.continuity(X, Y * np.nan), "layout"),
        (lambda X, Y: metrics.distance_correlation(X, Y, method="kendall"), "method="),
        (lambda X, Y: metrics.distance_correlation(X, Y, metric="chebyshev"), "metric="),
        (lambda X, Y: metrics.random_triplet_accuracy(X[:2], Y[:2]), "at least 3"),
        (lambda X, Y: metrics.knn_label_accuracy(Y, [1, 2]), r"labels has shape \(2,\)"),
        (lambda X, Y: metrics.knn_label_accuracy(Y, [None] * N), "all missing"),
        (lambda X, Y: metrics.kl_divergence(sp.eye(3), Y), "shape"),
        (lambda X, Y: metrics.kl_divergence(sp.eye(N), Y), "weights >= 0"),
        (lambda X, Y: metrics.kl_divergence(sp.eye(N), Y, dof=0.0), "dof="),
    ],
)
def test_what_makes_no_sense_is_told(
    rows: np.ndarray, layout: np.ndarray, call, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        call(rows, layout)

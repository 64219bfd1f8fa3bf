"""Exact neighbours: against all distances in float64, with ties, copies, and hard numbers."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from lowdim.neighbors import NeighborIndex, Neighbors, nearest_neighbors

NAMES = {"manhattan": "cityblock"}
METRICS = ("euclidean", "sqeuclidean", "cosine", "correlation", "manhattan")


def by_all_distances(distances: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest others by distance, then index."""
    distances = distances.copy()
    np.fill_diagonal(distances, np.inf)
    indices = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return indices, np.take_along_axis(distances, indices, 1)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("n", "d", "k"), [(5, 2, 4), (150, 3, 7), (1300, 20, 30)])
def test_neighbors_are_those_of_all_distances(metric: str, n: int, d: int, k: int) -> None:
    X = np.random.default_rng(0).normal(size=(n, d)) + 3
    if metric == "correlation" and d == 2:  # two columns: all correlations are one or minus one
        X = np.random.default_rng(0).normal(size=(n, 6))
    found = nearest_neighbors(X, k, metric=metric)
    indices, distances = by_all_distances(cdist(X, X, NAMES.get(metric, metric)), k)
    assert found.indices.dtype == np.int32 and found.distances.dtype == np.float32
    assert found.recall is None and found.n_points == n
    np.testing.assert_allclose(found.distances, distances, rtol=2e-5, atol=1e-6)
    assert (found.indices == indices).mean() > 0.999


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "cosine", "manhattan"])
def test_sparse_rows_have_the_neighbors_of_dense_ones(metric: str) -> None:
    X = sp.random(300, 80, density=0.1, random_state=0, format="csr")
    X = X[np.diff(X.indptr) > 0]
    found = nearest_neighbors(X, 9, metric=metric)
    expected = nearest_neighbors(X.toarray(), 9, metric=metric)
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_allclose(found.distances, expected.distances, rtol=1e-5, atol=1e-6)
    index = NeighborIndex(X, metric=metric)
    np.testing.assert_array_equal(index.query(X[:5], 1).indices.ravel(), np.arange(5))
    np.testing.assert_array_equal(index.query(X[:5].toarray(), 1).indices.ravel(), np.arange(5))
    dense = NeighborIndex(X.toarray(), metric=metric)
    np.testing.assert_array_equal(dense.query(X[:5], 1).indices.ravel(), np.arange(5))


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 60), st.integers(1, 4), st.integers(1, 3), st.integers(0, 10**6))
def test_ties_go_to_the_lower_index(n: int, d: int, n_values: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.integers(0, n_values, size=(n, d)).astype(np.float32)
    k = int(rng.integers(1, n))
    for metric in ("sqeuclidean", "manhattan"):
        indices, distances = by_all_distances(cdist(X, X, NAMES.get(metric, metric)), k)
        found = nearest_neighbors(X, k, metric=metric)
        np.testing.assert_allclose(found.distances, distances, rtol=1e-5, atol=1e-5)
        assert (found.indices != np.arange(n)[:, None]).all()
        # Integers around their mean are exact only up to rounding: equal where distances tell.
        clear = np.isin(found.indices, indices) | (distances == distances[:, -1:])
        assert clear.all()


def test_copies_are_neighbors_at_distance_zero_and_no_row_is_its_own() -> None:
    X = np.repeat(np.random.default_rng(0).normal(size=(30, 5)), 4, axis=0)
    found = nearest_neighbors(X, 3)
    np.testing.assert_array_equal(found.distances, 0)
    np.testing.assert_array_equal(found.indices // 4, np.arange(120)[:, None] // 4 * [1, 1, 1])
    same = nearest_neighbors(np.ones((50, 3)), 5)
    np.testing.assert_array_equal(same.distances, 0)
    np.testing.assert_array_equal(same.indices[7], [0, 1, 2, 3, 4])
    np.testing.assert_array_equal(same.indices[0], [1, 2, 3, 4, 5])


@pytest.mark.parametrize("shift", [0.0, 1e6])
@pytest.mark.parametrize("unit", [1e-25, 1.0, 1e25])
def test_rounding_does_not_choose_among_far_groups(shift: float, unit: float) -> None:
    """Groups 1e5 times as far apart as wide: products in float32 cannot tell their rows apart."""
    rng = np.random.default_rng(0)
    groups = np.repeat([[0.0, 0.0], [1e5, 0.0], [0.0, -1e5]], 40, axis=0)
    X = ((groups + rng.integers(0, 512, size=(120, 2)) + shift) * unit).astype(np.float64)
    found = nearest_neighbors(X, 6)
    _, distances = by_all_distances(cdist(X / unit, X / unit), 6)
    np.testing.assert_allclose(found.distances.astype(float) / unit, distances, rtol=0.02)
    assert (found.indices // 40 == np.arange(120)[:, None] // 40).all()


def test_an_outlier_does_not_blur_the_rest() -> None:
    X = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    X[17] = 1e6
    indices, _ = by_all_distances(cdist(X, X), 5)
    found = nearest_neighbors(X, 5)
    rest = np.arange(200) != 17
    assert (found.indices[rest] == indices[rest]).mean() > 0.98


def test_given_distances() -> None:
    X = np.random.default_rng(0).normal(size=(60, 3))
    D = cdist(X, X)
    found = nearest_neighbors(D, 5, metric="precomputed")
    np.testing.assert_array_equal(found.indices, nearest_neighbors(X, 5).indices)
    index = NeighborIndex(D, metric="precomputed")
    np.testing.assert_array_equal(index.query(D[:4], 1).indices.ravel(), np.arange(4))


@pytest.mark.parametrize("n_jobs", [1, 2, 5])
def test_threads_change_nothing(n_jobs: int) -> None:
    X = np.random.default_rng(0).normal(size=(900, 8)).astype(np.float32)
    found, alone = nearest_neighbors(X, 12, n_jobs=n_jobs), nearest_neighbors(X, 12, n_jobs=1)
    np.testing.assert_array_equal(found.indices, alone.indices)
    np.testing.assert_array_equal(found.distances, alone.distances)


def test_rows_may_be_queried_in_any_order_and_company() -> None:
    rng = np.random.default_rng(0)
    index = NeighborIndex(rng.normal(size=(500, 6)))
    new = rng.normal(size=(300, 6))
    together, order = index.query(new, 8), rng.permutation(300)
    np.testing.assert_array_equal(index.query(new[order], 8).indices, together.indices[order])
    np.testing.assert_array_equal(index.query(new[:1], 8).indices, together.indices[:1])


def test_a_permutation_of_rows_permutes_neighbors() -> None:
    rng = np.random.default_rng(0)
    X, order = rng.normal(size=(300, 5)), rng.permutation(300)
    found, moved = nearest_neighbors(X, 6), nearest_neighbors(X[order], 6)
    np.testing.assert_array_equal(order[moved.indices], found.indices[order])


@pytest.mark.parametrize(
    ("X", "k", "arguments", "message"),
    [
        (np.ones((4, 2)), 4, {}, "n_neighbors=4, but there are 3 other points"),
        (np.ones((1, 2)), 1, {}, "minimum of 2"),
        (np.full((9, 2), np.nan), 1, {}, "X contains NaN"),
        (np.eye(4), 1, {"metric": "nonsense"}, "metric='nonsense' is not a choice"),
        (np.eye(4), 1, {"method": "nonsense"}, "method='nonsense' is not a choice"),
        (np.diag([1.0, 0, 1]), 1, {"metric": "cosine"}, "zero throughout, row 1"),
        (np.ones((4, 2)), 1, {"metric": "correlation"}, "constant, row 0"),
        (sp.eye(4).tocsr(), 1, {"metric": "correlation"}, "toarray"),
        (np.ones((4, 2)), 1, {"metric": "precomputed"}, "square"),
        (-np.ones((4, 4)), 1, {"metric": "precomputed"}, "negative distance in row 0"),
        (np.eye(4), 1, {"metric": "manhattan", "method": "approximate"}, "method='exact'"),
        (np.eye(4), 0, {}, "n_neighbors=0 is too small"),
    ],
)
def test_bad_input_is_named(X, k, arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        nearest_neighbors(X, k, **arguments)


def test_new_rows_need_the_same_columns() -> None:
    with pytest.raises(ValueError, match="has 2 columns"):
        NeighborIndex(np.eye(4)).query(np.ones((3, 2)), 1)


def test_what_is_found_can_be_cut_short_and_stored() -> None:
    X = np.random.default_rng(0).normal(size=(40, 3))
    found = nearest_neighbors(X, 10)
    np.testing.assert_array_equal(found.nearest(4).indices, nearest_neighbors(X, 4).indices)
    assert found.to_csr().shape == (40, 40) and found.to_csr().nnz == 400
    with pytest.raises(ValueError, match="n_neighbors=11"):
        found.nearest(11)


@pytest.mark.parametrize(
    ("indices", "distances", "message"),
    [
        (np.zeros((3, 2), np.int32), np.zeros((3, 1), np.float32), "same shape"),
        (np.zeros((3, 2)), np.zeros((3, 2), np.float32), "int32"),
        (np.full((3, 2), 3, np.int32), np.zeros((3, 2), np.float32), "n_points=3"),
        (np.zeros((3, 2), np.int32), np.full((3, 2), np.nan, np.float32), "row 0 are negative"),
        (np.zeros((1, 2), np.int32), np.array([[2, 1]], np.float32), "do not ascend"),
    ],
)
def test_inconsistent_results_cannot_be_made(indices, distances, message) -> None:
    with pytest.raises(ValueError, match=message):
        Neighbors(indices, distances, "euclidean", 3)

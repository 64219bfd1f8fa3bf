"""Entropic affinities: their perplexity, their symmetry, and hard rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.spatial.distance import cdist

from lowdim.affinities import EntropicAffinity
from lowdim.neighbors import Neighbors, nearest_neighbors


def perplexities(conditional) -> np.ndarray:
    """Of rows that sum to one."""
    logs = conditional.astype(np.float64)
    logs.data = -logs.data * np.log(np.maximum(logs.data, 1e-300))
    return np.exp(np.asarray(logs.sum(1)).ravel())


@settings(deadline=None, max_examples=60)
@given(
    st.integers(5, 80),
    st.floats(0.0, 1.0),
    st.sampled_from([1e-12, 1.0, 1e12]),
    st.integers(0, 10**6),
)
def test_every_row_has_the_perplexity(n: int, share: float, unit: float, seed: int) -> None:
    X = np.random.default_rng(seed).standard_t(1.5, size=(n, 3)) * unit
    k = n - 1
    perplexity = 1.5 + share * (k - 2)
    found = nearest_neighbors(X, k)
    conditional = EntropicAffinity(perplexity, n_neighbors="all").conditional(found)
    np.testing.assert_allclose(np.asarray(conditional.sum(1)).ravel(), 1, rtol=1e-5)
    np.testing.assert_allclose(perplexities(conditional), perplexity, rtol=1e-5)


def test_affinities_are_those_of_a_root_finder_in_float64() -> None:
    X = np.random.default_rng(0).normal(size=(40, 4))
    squares = cdist(X, X, "sqeuclidean")
    expected = np.zeros((40, 40))
    for i in range(40):
        own = np.delete(squares[i], i)

        def shares(log_b: float, own: np.ndarray = own) -> np.ndarray:
            weights = np.exp(-np.exp(log_b) * (own - own.min()))
            return weights / weights.sum()

        def error(log_b: float) -> float:
            p = shares(log_b)
            return float(-(p * np.log(np.maximum(p, 1e-300))).sum() - np.log(7.0))

        expected[i, np.arange(40) != i] = shares(brentq(error, -10, 10))
    graph = EntropicAffinity(7.0, n_neighbors="all").graph(X)
    np.testing.assert_allclose(graph.matrix.toarray(), (expected + expected.T) / 80, atol=1e-8)


def test_the_graph_is_symmetric_and_sums_to_one() -> None:
    X = np.random.default_rng(0).normal(size=(300, 5))
    graph = EntropicAffinity(10).graph(X)
    matrix = graph.matrix
    assert matrix.dtype == np.float32 and matrix.indices.dtype == np.int32
    assert matrix.has_sorted_indices and (matrix.data > 0).all()
    assert abs(matrix - matrix.T).max() == 0
    assert float(matrix.sum(dtype=np.float64)) == pytest.approx(1, abs=1e-6)
    assert (matrix.diagonal() == 0).all()
    assert graph.bandwidths.shape == (300,) and (graph.bandwidths > 0).all()


def test_it_does_not_depend_on_units_or_the_order_of_rows() -> None:
    rng = np.random.default_rng(0)
    X, order = rng.normal(size=(200, 4)), rng.permutation(200)
    graph = EntropicAffinity(10).graph(X)
    larger = EntropicAffinity(10).graph(X * 1e6)
    np.testing.assert_allclose(larger.matrix.toarray(), graph.matrix.toarray(), atol=1e-8)
    np.testing.assert_allclose(larger.bandwidths, graph.bandwidths * 1e6, rtol=1e-4)
    moved = EntropicAffinity(10).graph(X[order]).matrix.toarray()
    np.testing.assert_allclose(moved, graph.matrix.toarray()[np.ix_(order, order)], atol=1e-9)


def test_squared_distances_are_not_squared_again() -> None:
    X = np.random.default_rng(0).normal(size=(100, 4))
    plain = EntropicAffinity(10).graph(X).matrix
    squared = EntropicAffinity(10).graph(X, metric="sqeuclidean").matrix
    np.testing.assert_allclose(squared.toarray(), plain.toarray(), atol=1e-8)


def test_more_copies_than_the_perplexity_share_a_row_evenly() -> None:
    X = np.concatenate([np.zeros((12, 2)), np.random.default_rng(0).normal(size=(30, 2))])
    conditional = EntropicAffinity(5).conditional(nearest_neighbors(X, 15)).toarray()
    np.testing.assert_allclose(conditional[0, 1:12], 1 / 11, rtol=1e-5)
    np.testing.assert_allclose(conditional[0, 12:], 0, atol=1e-6)
    same = EntropicAffinity(5).conditional(nearest_neighbors(np.ones((40, 3)), 15))
    np.testing.assert_allclose(same.data, 1 / 15, rtol=1e-6)


def test_an_outlier_keeps_its_neighbors() -> None:
    X = np.concatenate([np.random.default_rng(0).normal(size=(60, 3)), np.full((1, 3), 1e4)])
    conditional = EntropicAffinity(6).conditional(nearest_neighbors(X, 18))
    np.testing.assert_allclose(perplexities(conditional)[:60], 6, rtol=1e-5)
    assert perplexities(conditional)[60] == pytest.approx(6, rel=1e-3)


@pytest.mark.parametrize(
    ("n", "arguments", "message"),
    [
        (20, {"perplexity": 30}, "perplexity=30 needs more neighbours.*19 per row"),
        (3, {"perplexity": 2}, "perplexity=2 needs more"),
        (50, {"perplexity": 0.5}, "perplexity=0.5 is out of range"),
        (50, {"perplexity": 5, "n_neighbors": 4}, "perplexity=5 needs more"),
        (50, {"perplexity": 5, "n_neighbors": 50}, "n_neighbors=50, but there are 49"),
    ],
)
def test_bad_input_is_named(n: int, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EntropicAffinity(**arguments).graph(np.random.default_rng(0).normal(size=(n, 2)))


def test_a_graph_needs_the_neighbors_of_its_own_points() -> None:
    found = Neighbors(
        np.array([[0, 1], [1, 2]], np.int32), np.array([[1, 2], [1, 3]], np.float32), "euclidean", 9
    )
    with pytest.raises(ValueError, match="2 rows among 9 points"):
        EntropicAffinity(1.5).from_neighbors(found)
    assert EntropicAffinity(1.5).conditional(found).shape == (2, 9)

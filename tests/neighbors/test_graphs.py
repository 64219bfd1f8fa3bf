"""Neighbours from graphs that others made."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.neighbors import NearestNeighbors

from lowdim.neighbors import from_graph, nearest_neighbors

X = np.random.default_rng(0).normal(size=(120, 4))


def test_a_sparse_graph_goes_there_and_back() -> None:
    found = nearest_neighbors(X, 8)
    again = from_graph(found.to_csr())
    np.testing.assert_array_equal(again.indices, found.indices)
    np.testing.assert_array_equal(again.distances, found.distances)
    fewer = from_graph(found.to_csr(), n_neighbors=3)
    np.testing.assert_array_equal(fewer.indices, found.indices[:, :3])


def test_arrays_with_or_without_the_row_itself() -> None:
    found = nearest_neighbors(X, 8)
    distances, indices = NearestNeighbors(n_neighbors=9).fit(X).kneighbors(X)
    np.testing.assert_array_equal(from_graph((indices, distances)).indices, found.indices)
    distances, indices = NearestNeighbors(n_neighbors=8).fit(X).kneighbors()
    np.testing.assert_array_equal(from_graph((indices, distances)).indices, found.indices)


def test_rows_with_more_neighbors_are_cut_to_the_fewest() -> None:
    graph = nearest_neighbors(X, 8).to_csr().tolil()
    graph[3, graph.rows[3][0]] = 0
    found = from_graph(graph.tocsr())
    assert found.n_neighbors == 7


def test_copies_are_stored_zeros() -> None:
    graph = sp.csr_matrix(
        ([0.0, 1.0, 0.0, 1.0, 1.0, 1.0], ([0, 0, 1, 1, 2, 2], [1, 2, 0, 2, 0, 1]))
    )
    found = from_graph(graph)
    np.testing.assert_array_equal(found.distances, [[0, 1], [0, 1], [1, 1]])


@pytest.mark.parametrize(
    ("graph", "error", "message"),
    [
        (np.ones((3, 3)), TypeError, "graph is a ndarray"),
        (sp.csr_matrix(np.ones((3, 2))), ValueError, "square"),
        (sp.csr_matrix(np.diag([1.0, 1], 1)), ValueError, "0 neighbours in row 2"),
        (sp.csr_matrix(-np.ones((3, 3))), ValueError, "row 0 that is negative"),
        ((np.ones((3, 2)), np.ones((3, 2))), ValueError, "integers from 0 to 2"),
        ((np.ones((3, 2), int), np.ones((3, 1))), ValueError, "same shape"),
        ((np.array([[1, 1], [0, 2], [0, 1]]), np.ones((3, 2))), ValueError, "twice in row 0"),
    ],
)
def test_bad_graphs_are_named(graph, error, message) -> None:
    with pytest.raises(error, match=message):
        from_graph(graph)

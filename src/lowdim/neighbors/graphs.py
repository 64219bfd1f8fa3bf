"""Neighbours that were found elsewhere: sparse graphs of distances, or pairs of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, issparse

from lowdim._validation import check_positive_int
from lowdim.neighbors._neighbors import Neighbors


def from_graph(
    graph: Any, *, n_neighbors: int | None = None, metric: str = "euclidean"
) -> Neighbors:
    """Neighbours from a sparse matrix of distances, or from indices and distances.

    Parameters
    ----------
    graph : sparse matrix of shape (N, N), or (indices, distances)
        Stored values are distances to neighbours, as in ``adata.obsp["distances"]``; those on the
        diagonal are passed over, and zeros that are stored elsewhere are copies. Or two arrays,
        (N, k), as of `sklearn.neighbors.NearestNeighbors.kneighbors` or umap-learn; a row may be
        its own first neighbour, which is passed over as well.
    n_neighbors : int, optional
        k: how many to keep of each row; by default the least number that a row has.
    metric : str, default="euclidean"
        Of the distances; "sqeuclidean" says that they are squared.

    Raises
    ------
    TypeError
        `graph` is of another type.
    ValueError
        A row has fewer neighbours than `n_neighbors`, or none; a distance is negative, NaN or
        infinite; an index is out of range or comes twice in a row.

    Examples
    --------
    >>> found = from_graph(([[0, 1], [1, 0]], [[0.0, 2.0], [0.0, 2.0]]))
    >>> found.indices.tolist(), found.distances.tolist()
    ([[1], [0]], [[2.0], [2.0]])
    """
    if issparse(graph):
        rows, columns, distances, n = _of_sparse(graph)
    elif isinstance(graph, (tuple, list)) and len(graph) == 2:
        rows, columns, distances, n = _of_pair(*graph)
    else:
        raise TypeError(
            f"graph is a {type(graph).__name__}; pass a sparse matrix of distances, or a pair "
            "(indices, distances) of arrays."
        )
    if not (np.isfinite(distances) & (distances >= 0)).all():
        row = int(rows[np.flatnonzero(~(np.isfinite(distances) & (distances >= 0)))[0]])
        raise ValueError(f"graph has a distance in row {row} that is negative or not finite.")
    others = rows != columns
    rows, columns, distances = rows[others], columns[others], distances[others]
    counts = np.bincount(rows, minlength=n)
    k = int(counts.min()) if n_neighbors is None else check_positive_int(n_neighbors, "n_neighbors")
    if not 1 <= k <= counts.min():
        row = int(counts.argmin())
        wanted = "at least one" if n_neighbors is None else f"n_neighbors={k}"
        raise ValueError(
            f"graph has {counts[row]} neighbours in row {row}, where {wanted} is needed; search "
            "again with more neighbours, or use PrecomputedAffinity for a graph of weights."
        )
    return _first_of_each(rows, columns, distances, counts, k, metric)


def _first_of_each(
    rows: np.ndarray,
    columns: np.ndarray,
    distances: np.ndarray,
    counts: np.ndarray,
    k: int,
    metric: str,
) -> Neighbors:
    """The k nearest of each row, by distance and index."""
    order = np.lexsort((columns, distances.astype(np.float32), rows))
    first = np.cumsum(counts) - counts
    chosen = order[first[:, None] + np.arange(k)]
    indices = columns[chosen].astype(np.int32)
    ascending = np.sort(indices, axis=1)
    twice = (ascending[:, 1:] == ascending[:, :-1]).any(1)
    if twice.any():
        raise ValueError(f"graph names a neighbour twice in row {int(twice.argmax())}.")
    return Neighbors(indices, distances[chosen].astype(np.float32), metric, len(counts))


def _of_sparse(graph: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    matrix = csr_matrix(graph)
    n = matrix.shape[0]
    if matrix.shape[1] != n:
        raise ValueError(f"graph has shape {matrix.shape}; pass a square matrix of distances.")
    rows = np.repeat(np.arange(n), np.diff(matrix.indptr))
    return rows, matrix.indices.astype(np.int64), matrix.data.astype(np.float64), n


def _of_pair(indices: Any, distances: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    indices, distances = np.asarray(indices), np.asarray(distances, dtype=np.float64)
    if indices.ndim != 2 or indices.shape != distances.shape or not indices.size:
        raise ValueError(
            f"graph has indices of shape {indices.shape} and distances of shape "
            f"{distances.shape}; pass two arrays of the same shape, (N, k)."
        )
    n = len(indices)
    if indices.dtype.kind not in "iu" or indices.min() < 0 or indices.max() >= n:
        raise ValueError(
            f"graph has indices that are no row numbers; pass integers from 0 to {n - 1}."
        )
    rows = np.repeat(np.arange(n), indices.shape[1])
    return rows, indices.astype(np.int64).ravel(), distances.ravel(), n

"""How smoothly values vary over places."""

from __future__ import annotations

from typing import Any

import numpy as np

#: Neighbours of every place, as far as there are so many.
NEIGHBORS = 6


def moran(
    values: Any, places: Any, n_neighbors: int = NEIGHBORS, samples: Any = None
) -> np.ndarray:
    """Moran's I of every column over the graph of nearest neighbours, made symmetric.

    Parameters
    ----------
    values : array-like of shape (N, L)
    places : array-like of shape (N, D)
    n_neighbors : int, default=6
    samples : array-like of shape (N,), optional
        The slide of every row; only rows of the same one are neighbours.

    Returns
    -------
    (L,). 1 is smooth, 0 is without order, and 0 is also said of a constant column.
    """
    from scipy.sparse import block_diag
    from sklearn.neighbors import kneighbors_graph

    values, places = np.asarray(values, dtype=np.float64), np.asarray(places, dtype=np.float64)
    n = len(values)
    groups = [np.arange(n)]
    if samples is not None:
        _, number = np.unique(np.asarray(samples).astype(str), return_inverse=True)
        groups = [np.flatnonzero(number == k) for k in range(number.max() + 1)]
    graphs = [
        kneighbors_graph(places[rows], min(n_neighbors, len(rows) - 1), include_self=False)
        for rows in groups
        if len(rows) > 1
    ]
    if not graphs:
        return np.zeros(values.shape[1])
    graph = block_diag(graphs, format="csr")
    graph = 0.5 * (graph + graph.T)
    rows = np.concatenate([rows for rows in groups if len(rows) > 1])
    centred = (values - values.mean(0))[rows]
    spread = np.maximum(((values - values.mean(0)) ** 2).sum(0), 1e-300)
    return np.asarray((centred * (graph @ centred)).sum(0) / spread * n / graph.sum())

"""Graphs that heed labels of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from lowdim.affinities import Graph
from lowdim.affinities._graph import tidy

#: Exponents by which edges weaken where a label is unknown, and, for a weight of one, where labels
#: differ.
UNKNOWN, FAR = 1.0, 1e12


def categories(y: Any, n_rows: int) -> np.ndarray:
    """Labels as numbers from 0, (N,); -1 where they are unknown: -1, NaN or None.

    Raises
    ------
    ValueError
        There is not one label for each row.
    """
    import pandas as pd

    labels = np.asarray(y).ravel() if not isinstance(y, (pd.Series, pd.Categorical)) else y
    if len(labels) != n_rows:
        raise ValueError(f"y has {len(labels)} labels, but X has {n_rows} rows; pass one per row.")
    codes, kinds = pd.factorize(labels, use_na_sentinel=True)
    unknown = np.array([np.issubdtype(type(kind), np.number) and kind == -1 for kind in kinds])
    if unknown.any():
        codes = np.where(np.isin(codes, np.flatnonzero(unknown)), -1, codes)
    return np.asarray(codes)


def by_category(graph: Graph, labels: np.ndarray, weight: float) -> Graph:
    """Edges between rows of different labels weakened, and those of each row made strong again.

    Memberships are divided by e where a label is unknown and by ``exp(far)`` where labels differ,
    ``far = 2.5 / (1 - weight)``; then each row's strongest edge is a full member again, and the two
    directions are joined as UMAP does, as of umap-learn.

    Parameters
    ----------
    graph : Graph
    labels : (N,)
        As of `categories`.
    weight : float
        0 heeds the rows alone, 1 the labels alone.
    """
    matrix = sp.coo_matrix(graph.matrix)
    one, other = labels[matrix.row], labels[matrix.col]
    far = 2.5 / (1.0 - weight) if weight < 1.0 else FAR
    exponent = np.where((one < 0) | (other < 0), UNKNOWN, np.where(one != other, far, 0.0))
    values = matrix.data * np.exp(-exponent)
    weakened = sp.csr_matrix((values, (matrix.row, matrix.col)), shape=matrix.shape)
    largest = weakened.max(axis=1).toarray().ravel()
    scaled = sp.diags(np.divide(1.0, largest, out=np.zeros_like(largest), where=largest > 0))
    directed = sp.csr_matrix(scaled @ weakened)
    reverse = sp.csr_matrix(directed.T)
    return Graph(tidy(directed + reverse - directed.multiply(reverse)), graph.bandwidths)

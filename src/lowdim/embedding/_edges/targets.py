"""Graphs that heed what else is known of rows: labels or numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from lowdim.affinities import Graph, UMAPAffinity
from lowdim.affinities._graph import tidy
from lowdim.neighbors import NeighborIndex

if TYPE_CHECKING:
    import torch

#: Distances of numbers, under the names that users may give them.
METRICS = {
    "euclidean": "euclidean",
    "l2": "euclidean",
    "manhattan": "manhattan",
    "l1": "manhattan",
}
#: Largest and least membership that stands for a pair without an edge.
LARGEST_ABSENT, LEAST_ABSENT = 1e-4, 1e-8

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
    return Graph(_joined(weakened), graph.bandwidths)


def numbers(y: Any, n_rows: int) -> np.ndarray:
    """Numbers that are known of rows, (N, q), float64.

    Raises
    ------
    ValueError
        They are no numbers, not finite, or not those of each row.
    """
    values = np.asarray(y)
    if values.dtype.kind not in "buif":
        raise ValueError(
            f"y has dtype {values.dtype}, of which there are no distances; pass numbers, or "
            "target_metric='categorical'."
        )
    if values.ndim not in (1, 2) or len(values) != n_rows:
        raise ValueError(
            f"y has shape {values.shape}, but X has {n_rows} rows; pass one or more numbers per "
            "row."
        )
    values = values.reshape(n_rows, -1).astype(np.float64)
    unknown = np.flatnonzero(~np.isfinite(values).all(1))
    if len(unknown):
        raise ValueError(
            f"y has NaN or infinity in {len(unknown)} row(s), first row {unknown[0]}; leave these "
            "rows to transform, or pass classes and target_metric='categorical'."
        )
    return values


def memberships_of_numbers(
    values: np.ndarray,
    metric: str,
    n_neighbors: int,
    rng: np.random.Generator,
    n_jobs: int | None,
    device: torch.device,
) -> sp.csr_matrix:
    """How much each row's neighbours by numbers, (N, q), are members, (N, N); not symmetric."""
    affinity = UMAPAffinity(n_neighbors)
    one = values.shape[1] == 1  # where both metrics are the same, and this one is quicker
    index = NeighborIndex(
        values,
        metric="euclidean" if one else METRICS[metric],
        random_state=rng,
        n_jobs=n_jobs,
        device=device,
    )
    found = index.neighbors(affinity.n_neighbors_for(len(values)))
    return sp.csr_matrix(affinity.conditional(found))


def by_numbers(graph: Graph, other: sp.csr_matrix, weight: float) -> Graph:
    """Edges that are strong both by rows and by their numbers, as of umap-learn.

    Memberships become ``v^a u^b`` with ``a = min(1, (1 - weight) / weight)`` and ``b = min(1,
    weight / (1 - weight))``. What is a member in one of the two alone has half of the least
    membership in the other. Then rows are made whole as in `by_category`.

    Parameters
    ----------
    graph : Graph
        Of rows, with memberships v.
    other : CSR, (N, N)
        Memberships u by numbers.
    weight : float
        0 heeds the rows alone, 1 the numbers alone.
    """
    if weight == 0.0:
        return graph
    powers = min(1.0, (1.0 - weight) / weight), 1.0 if weight >= 0.5 else weight / (1.0 - weight)
    memberships = graph.matrix, other
    absent = [max(0.5 * float(own.data.min()), LEAST_ABSENT) for own in memberships]
    absent[1] = min(absent[1], LARGEST_ABSENT)
    logs, least = [], 0.0
    for own, power, low in zip(memberships, powers, absent, strict=True):
        matrix = own.astype(np.float64)
        matrix.data = power * np.log(matrix.data / low)  # above what stands for no edge, which is 0
        logs.append(matrix)
        least += power * float(np.log(low))
    both = sp.csr_matrix(logs[0] + logs[1])
    both.data = np.exp(both.data + least)
    return Graph(_joined(both), graph.bandwidths)


def _joined(directed: sp.csr_matrix) -> sp.csr_matrix:
    """Each row's strongest edge made a full member, and the two directions joined as by UMAP."""
    largest = directed.max(axis=1).toarray().ravel()
    scaled = sp.diags(np.divide(1.0, largest, out=np.zeros_like(largest), where=largest > 0))
    directed = sp.csr_matrix(scaled @ directed)
    reverse = sp.csr_matrix(directed.T)
    return tidy(directed + reverse - directed.multiply(reverse))

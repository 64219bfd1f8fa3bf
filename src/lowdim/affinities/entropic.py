"""Affinities with the same perplexity in every row, as t-SNE uses them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lowdim._threads import in_threads, row_parts
from lowdim._validation import check_interval
from lowdim.affinities._base import (
    NeighborAffinity,
    check_own,
    count_neighbors,
    squared_distances,
)
from lowdim.affinities._graph import Graph, mean_of_both, rows_to_csr
from lowdim.neighbors import Neighbors

#: Neighbours per unit of perplexity: what lies beyond has a weight of next to nothing.
PER_PERPLEXITY = 3
#: Rows that are worth a thread.
THREAD_ROWS = 2000


class EntropicAffinity(NeighborAffinity):
    """Gaussian affinities with a bandwidth for each row that gives all the same perplexity.

    ``p_j|i = exp(-d_ij^2 / (2 s_i^2)) / sum_k exp(-d_ik^2 / (2 s_i^2))`` over the neighbours of row
    i, with s_i such that the entropy of the row is ``log(perplexity)``, and ``P_ij = (p_j|i +
    p_i|j) / 2N`` (van der Maaten and Hinton 2008, Visualizing data using t-SNE, section 2).

    Parameters
    ----------
    perplexity : float, default=30.0
        Effective number of neighbours; at least 1 and less than the number of neighbours.
    n_neighbors : int, "auto" or "all", default="auto"
        Neighbours that have a weight: three times the perplexity for "auto", or all other rows,
        which is the exact N x N affinity, for small N.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.random.default_rng(0).normal(size=(100, 3))
    >>> graph = EntropicAffinity(perplexity=5).graph(rows)
    >>> graph.matrix.shape, round(float(graph.matrix.sum()), 6)
    ((100, 100), 1.0)
    """

    def __init__(self, perplexity: float = 30.0, *, n_neighbors: int | str = "auto") -> None:
        self.perplexity = perplexity
        self.n_neighbors = n_neighbors

    def n_neighbors_for(self, n_points: int) -> int:
        """Neighbours that each of so many rows needs.

        Raises
        ------
        ValueError
            There are too few rows for the perplexity.
        """
        perplexity = check_interval(self.perplexity, "perplexity", low=1.0)
        most = math.ceil(PER_PERPLEXITY * perplexity)
        k = count_neighbors(self.n_neighbors, most, n_points)
        _check_perplexity(perplexity, k)
        return k

    def from_neighbors(self, neighbors: Neighbors) -> Graph:
        """The joint probabilities of rows whose neighbours are known; they sum to one."""
        check_own(neighbors)
        weights, bandwidths = self._calibrated(neighbors)
        weights /= np.float32(neighbors.n_rows)
        matrix = rows_to_csr(neighbors.indices, weights, neighbors.n_points)
        del weights
        return Graph(mean_of_both(matrix), bandwidths)

    def conditional(self, neighbors: Neighbors) -> Any:
        """``p_j|i`` of each row, CSR, (n, n_points); rows sum to one."""
        weights, _ = self._calibrated(neighbors)
        return rows_to_csr(neighbors.indices, weights, neighbors.n_points)

    def _calibrated(self, neighbors: Neighbors) -> tuple[np.ndarray, np.ndarray]:
        perplexity = check_interval(self.perplexity, "perplexity", low=1.0)
        _check_perplexity(perplexity, neighbors.n_neighbors)
        return calibrated(squared_distances(neighbors), perplexity)


def calibrated(squares: np.ndarray, perplexity: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights of rows, (n, k), float32, which sum to one and have the perplexity; bandwidths, (n,).

    Parameters
    ----------
    squares : (n, k), float32
        Squared distances, the least first.
    perplexity : float
        Less than k.
    """
    from lowdim.affinities._perplexity import calibrate

    weights, precisions = np.empty_like(squares), np.empty(len(squares))
    parts = row_parts(len(squares), len(squares) // THREAD_ROWS)
    tasks = [(squares[part], weights[part], precisions[part]) for part in parts]
    in_threads(lambda task: calibrate(task[0], math.log(perplexity), *task[1:]), tasks)
    with np.errstate(divide="ignore"):
        return weights, np.sqrt(0.5 / precisions)


def _check_perplexity(perplexity: float, n_neighbors: int) -> None:
    if perplexity >= n_neighbors:
        remedy = "pass at least 3 rows" if n_neighbors < 2 else "pass a smaller perplexity"
        raise ValueError(
            f"perplexity={perplexity:g} needs more neighbours than that, and there are "
            f"{n_neighbors} per row; {remedy}"
            + (f", such as {n_neighbors / PER_PERPLEXITY:.3g}." if n_neighbors >= 3 else ".")
        )

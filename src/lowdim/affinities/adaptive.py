"""Affinities whose bandwidth is the distance of a neighbour."""

from __future__ import annotations

from typing import Any

import numpy as np

from lowdim._validation import check_positive_int
from lowdim.affinities._base import (
    NeighborAffinity,
    check_own,
    count_neighbors,
    squared_distances,
)
from lowdim.affinities._graph import Graph, mean_of_both, rows_to_csr, tidy
from lowdim.affinities.fixed import NEIGHBORS, to_sum_one
from lowdim.neighbors import Neighbors


class SelfTuningAffinity(NeighborAffinity):
    """Gaussian affinities with the product of two rows' bandwidths.

    ``exp(-d_ij^2 / (s_i s_j))`` with s_i the distance of row i to its K-th neighbour, normalised to
    a sum of one (Zelnik-Manor and Perona 2004, Self-tuning spectral clustering).

    Parameters
    ----------
    scale_neighbor : int, default=7
        K.
    n_neighbors : int, "auto" or "all", default="auto"
        Neighbours that have a weight: 90 for "auto", or all other rows.
    """

    def __init__(self, scale_neighbor: int = 7, *, n_neighbors: int | str = "auto") -> None:
        self.scale_neighbor = scale_neighbor
        self.n_neighbors = n_neighbors

    def n_neighbors_for(self, n_points: int) -> int:
        """Neighbours that each of so many rows needs."""
        k = count_neighbors(self.n_neighbors, NEIGHBORS, n_points)
        _check_scale(self.scale_neighbor, k)
        return k

    def from_neighbors(self, neighbors: Neighbors) -> Graph:
        """The joint affinities of rows whose neighbours are known; they sum to one."""
        check_own(neighbors)
        scales = distances_to(neighbors, self.scale_neighbor)
        products = scales[:, None] * scales[neighbors.indices]
        squares = squared_distances(neighbors).astype(np.float64)
        weights = np.exp(-squares / products).astype(np.float32)
        matrix = rows_to_csr(neighbors.indices, weights, neighbors.n_points)
        return Graph(to_sum_one(tidy(matrix.maximum(matrix.T.tocsr()))), scales)

    def conditional(self, neighbors: Neighbors) -> Any:
        """Affinities of each row with its own bandwidth, CSR, (n, n_points); rows sum to one."""
        scales = distances_to(neighbors, self.scale_neighbor)[:, None]
        logs = -squared_distances(neighbors).astype(np.float64) / scales**2
        weights = np.exp(logs - logs.max(1, keepdims=True))
        values = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
        return rows_to_csr(neighbors.indices, values, neighbors.n_points)


class MAGICAffinity(NeighborAffinity):
    """Gaussian affinities with the bandwidth of one row, averaged over both directions.

    ``a_ij = exp(-(d_ij / s_i)^2)`` with s_i the distance of row i to its K-th neighbour, and
    ``(a_ij + a_ji) / 2`` normalised to a sum of one. `transitions` are its rows, each brought to a
    sum of one: the diffusion that MAGIC smooths expression with (van Dijk et al. 2018, Recovering
    gene interactions from single-cell data using data diffusion).

    Parameters
    ----------
    scale_neighbor, n_neighbors
        As of `SelfTuningAffinity`.
    """

    def __init__(self, scale_neighbor: int = 7, *, n_neighbors: int | str = "auto") -> None:
        self.scale_neighbor = scale_neighbor
        self.n_neighbors = n_neighbors

    def n_neighbors_for(self, n_points: int) -> int:
        """Neighbours that each of so many rows needs."""
        k = count_neighbors(self.n_neighbors, NEIGHBORS, n_points)
        _check_scale(self.scale_neighbor, k)
        return k

    def from_neighbors(self, neighbors: Neighbors) -> Graph:
        """The joint affinities of rows whose neighbours are known; they sum to one."""
        scales = distances_to(neighbors, self.scale_neighbor)
        return Graph(to_sum_one(self._mean(neighbors)), scales)

    def transitions(self, neighbors: Neighbors) -> Any:
        """Probabilities of a step from each row, CSR, (N, N): rows sum to one."""
        return rows_to_one(self._mean(neighbors))

    def conditional(self, neighbors: Neighbors) -> Any:
        """Affinities of each row, CSR, (n, n_points); rows sum to one."""
        return rows_to_one(self._one_way(neighbors))

    def _mean(self, neighbors: Neighbors) -> Any:
        check_own(neighbors)
        return mean_of_both(self._one_way(neighbors))

    def _one_way(self, neighbors: Neighbors) -> Any:
        decay = 1.0 if neighbors.metric == "sqeuclidean" else 2.0
        return power_kernel(neighbors, self.scale_neighbor, decay)


def distances_to(neighbors: Neighbors, which: Any) -> np.ndarray:
    """Distance of every row to one of its neighbours, (n,), float64.

    Where that is zero, because the neighbour is a copy, the least distance of the row that is not
    takes its place, or one.
    """
    k = _check_scale(which, neighbors.n_neighbors)
    scales = neighbors.distances[:, k - 1].astype(np.float64)
    if not scales.all():
        others = np.where(neighbors.distances > 0, neighbors.distances, np.inf).min(1)
        scales = np.where(scales > 0, scales, np.where(np.isfinite(others), others, 1.0))
    return scales


def rows_to_one(matrix: Any) -> Any:
    """The same matrix, its rows scaled in place to sums of one."""
    totals = np.asarray(matrix.sum(1, dtype=np.float64)).ravel()
    inverse = np.divide(1.0, totals, out=np.zeros_like(totals), where=totals > 0)
    matrix.data *= np.repeat(inverse, np.diff(matrix.indptr)).astype(matrix.dtype)
    return matrix


def power_kernel(neighbors: Neighbors, which: Any, decay: float) -> Any:
    """``exp(-(d_ij / s_i)^decay)``, CSR, (n, n_points), s_i the distance to one neighbour."""
    scales = distances_to(neighbors, which)[:, None]
    with np.errstate(over="ignore"):
        weights = np.exp(-((neighbors.distances / scales) ** decay)).astype(np.float32)
    return rows_to_csr(neighbors.indices, weights, neighbors.n_points)


def _check_scale(which: Any, n_neighbors: int) -> int:
    k = check_positive_int(which, "scale_neighbor")
    if k > n_neighbors:
        raise ValueError(
            f"scale_neighbor={k}, but rows have {n_neighbors} neighbours; pass scale_neighbor <= "
            f"{n_neighbors}, or more neighbours."
        )
    return k

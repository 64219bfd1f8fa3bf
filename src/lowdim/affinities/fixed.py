"""Affinities that know no bandwidths of rows, and averages over several perplexities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lowdim._validation import check_in, check_interval, check_positive
from lowdim.affinities._base import (
    NeighborAffinity,
    check_own,
    count_neighbors,
    squared_distances,
)
from lowdim.affinities._graph import Graph, mean_of_both, rows_to_csr, tidy
from lowdim.affinities.entropic import PER_PERPLEXITY, EntropicAffinity, calibrated
from lowdim.neighbors import Neighbors

#: Neighbours with a weight unless another number is asked for.
NEIGHBORS = 90
NORMALIZATIONS = ("rows", "all")


class GaussianAffinity(NeighborAffinity):
    """Gaussian affinities with the same bandwidth for all rows.

    ``exp(-d_ij^2 / (2 s^2))``, normalised to a sum of one.

    Parameters
    ----------
    bandwidth : float, default=1.0
        s, in units of the distances.
    n_neighbors : int, "auto" or "all", default="auto"
        Neighbours that have a weight: 90 for "auto", or all other rows.
    normalization : {"rows", "all"}, default="rows"
        Bring each row to the same sum before the mean of both directions, so that all rows count
        alike, or the whole matrix at once.
    """

    def __init__(
        self,
        bandwidth: float = 1.0,
        *,
        n_neighbors: int | str = "auto",
        normalization: str = "rows",
    ) -> None:
        self.bandwidth = bandwidth
        self.n_neighbors = n_neighbors
        self.normalization = normalization

    def n_neighbors_for(self, n_points: int) -> int:
        """Neighbours that each of so many rows needs."""
        return count_neighbors(self.n_neighbors, NEIGHBORS, n_points)

    def from_neighbors(self, neighbors: Neighbors) -> Graph:
        """The joint affinities of rows whose neighbours are known; they sum to one."""
        bandwidths = np.full(neighbors.n_rows, float(self.bandwidth))
        return Graph(_joint(neighbors, self._logs(neighbors), self.normalization), bandwidths)

    def conditional(self, neighbors: Neighbors) -> Any:
        """Affinities of each row, CSR, (n, n_points); rows sum to one."""
        return _by_row(neighbors, self._logs(neighbors))

    def _logs(self, neighbors: Neighbors) -> np.ndarray:
        bandwidth = check_positive(self.bandwidth, "bandwidth")
        return squared_distances(neighbors).astype(np.float64) * (-0.5 / bandwidth**2)


class StudentAffinity(NeighborAffinity):
    """Affinities that fall off as a power of the distance.

    ``(1 + d_ij^2 / a)^(-(a + 1) / 2)``, normalised to a sum of one.

    Parameters
    ----------
    dof : float, default=1.0
        a, the degrees of freedom: 1 for the Cauchy kernel of t-SNE's layouts.
    n_neighbors, normalization
        As of `GaussianAffinity`.
    """

    def __init__(
        self, dof: float = 1.0, *, n_neighbors: int | str = "auto", normalization: str = "rows"
    ) -> None:
        self.dof = dof
        self.n_neighbors = n_neighbors
        self.normalization = normalization

    def n_neighbors_for(self, n_points: int) -> int:
        """Neighbours that each of so many rows needs."""
        return count_neighbors(self.n_neighbors, NEIGHBORS, n_points)

    def from_neighbors(self, neighbors: Neighbors) -> Graph:
        """The joint affinities of rows whose neighbours are known; they sum to one."""
        return Graph(_joint(neighbors, self._logs(neighbors), self.normalization))

    def conditional(self, neighbors: Neighbors) -> Any:
        """Affinities of each row, CSR, (n, n_points); rows sum to one."""
        return _by_row(neighbors, self._logs(neighbors))

    def _logs(self, neighbors: Neighbors) -> np.ndarray:
        dof = check_positive(self.dof, "dof")
        squares = squared_distances(neighbors).astype(np.float64)
        return np.log1p(squares / dof) * (-0.5 * (dof + 1.0))


class UniformAffinity(NeighborAffinity):
    """The same affinity to each of the nearest neighbours, whatever their distances.

    Parameters
    ----------
    n_neighbors : int, default=15
    symmetrization : {"mean", "union"}, default="mean"
        Whether a pair that are neighbours in both directions counts twice.
    """

    def __init__(self, n_neighbors: int = 15, *, symmetrization: str = "mean") -> None:
        self.n_neighbors = n_neighbors
        self.symmetrization = symmetrization

    def n_neighbors_for(self, n_points: int) -> int:
        """Neighbours that each of so many rows needs."""
        return count_neighbors(self.n_neighbors, NEIGHBORS, n_points)

    def from_neighbors(self, neighbors: Neighbors) -> Graph:
        """The joint affinities of rows whose neighbours are known; they sum to one."""
        check_own(neighbors)
        check_in(self.symmetrization, "symmetrization", ("mean", "union"))
        matrix = self.conditional(neighbors)
        if self.symmetrization == "union":
            return Graph(to_sum_one(tidy(matrix.maximum(matrix.T.tocsr()))))
        return Graph(to_sum_one(mean_of_both(matrix)))

    def conditional(self, neighbors: Neighbors) -> Any:
        """Affinities of each row, CSR, (n, n_points); rows sum to one."""
        k = count_neighbors(self.n_neighbors, NEIGHBORS, neighbors.n_points)
        nearest = neighbors.nearest(min(k, neighbors.n_neighbors))
        return _by_row(nearest, np.zeros(nearest.distances.shape))


class MultiscaleAffinity(NeighborAffinity):
    """The mean of entropic affinities of several perplexities.

    The large ones keep the arrangement of groups, the small ones what is within them (Kobak and
    Berens 2019, The art of using t-SNE for single-cell transcriptomics).

    Parameters
    ----------
    perplexities : sequence of float, default=(30.0, 300.0)
    n_neighbors : int, "auto" or "all", default="auto"
        Neighbours that have a weight: three times the largest perplexity for "auto".
    """

    def __init__(
        self, perplexities: Sequence[float] = (30.0, 300.0), *, n_neighbors: int | str = "auto"
    ) -> None:
        self.perplexities = perplexities
        self.n_neighbors = n_neighbors

    def n_neighbors_for(self, n_points: int) -> int:
        """Neighbours that each of so many rows needs."""
        largest = max(self._checked())
        return EntropicAffinity(largest, n_neighbors=self.n_neighbors).n_neighbors_for(n_points)

    def from_neighbors(self, neighbors: Neighbors) -> Graph:
        """The joint probabilities of rows whose neighbours are known; they sum to one."""
        check_own(neighbors)
        return Graph(to_sum_one(mean_of_both(self.conditional(neighbors))))

    def conditional(self, neighbors: Neighbors) -> Any:
        """Means of the probabilities of each row, CSR, (n, n_points); rows sum to one."""
        perplexities, k = self._checked(), neighbors.n_neighbors
        if max(perplexities) >= k:
            raise ValueError(
                f"perplexities={tuple(perplexities)} need more neighbours than the {k} of each "
                f"row; pass ones below {k}, such as {k / PER_PERPLEXITY:.3g}."
            )
        squares = squared_distances(neighbors)
        weights = sum(calibrated(squares, own)[0] for own in perplexities)
        values = np.asarray(weights, np.float32) / np.float32(len(perplexities))
        return rows_to_csr(neighbors.indices, values, neighbors.n_points)

    def _checked(self) -> list[float]:
        values = [check_interval(own, "perplexities", low=1.0) for own in self.perplexities]
        if not values:
            raise ValueError("perplexities is empty; pass at least one.")
        return values


def to_sum_one(matrix: Any) -> Any:
    """The same matrix, scaled in place."""
    total = float(matrix.data.sum(dtype=np.float64))
    if not total > 0:
        raise ValueError("All affinities are zero; pass a larger bandwidth or more neighbours.")
    matrix.data *= np.float32(1 / total)
    return matrix


def _shares(logs: np.ndarray) -> np.ndarray:
    """Weights that sum to one in each row, from their logarithms."""
    weights = np.exp(logs - logs.max(1, keepdims=True))
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float32)


def _by_row(neighbors: Neighbors, logs: np.ndarray) -> Any:
    return rows_to_csr(neighbors.indices, _shares(logs), neighbors.n_points)


def _joint(neighbors: Neighbors, logs: np.ndarray, normalization: str) -> Any:
    """Symmetric weights that sum to one; pairs of which only one is the other's neighbour too."""
    check_own(neighbors)
    check_in(normalization, "normalization", NORMALIZATIONS)
    if normalization == "rows":
        return to_sum_one(mean_of_both(_by_row(neighbors, logs)))
    weights = np.exp(logs - logs.max()).astype(np.float32)
    matrix = rows_to_csr(neighbors.indices, weights, neighbors.n_points)
    return to_sum_one(tidy(matrix.maximum(matrix.T.tocsr())))

"""Transport between samples under a linear map, and the gradient of its costs by the map."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from lowdim._threads import in_threads
from lowdim.samples._support import Support
from lowdim.transport.gaussians import spectral_factors, square_roots
from lowdim.transport.mixtures import COSTS

#: Bytes of trees that are kept; with more pairs, plans begin anew with every map.
KEPT_BYTES = 2**30
#: Parts that pairs are split into; sums over parts do not depend on the number of threads.
PARTS = 16
#: Singular values of a factor that are a smaller share of the largest one are zero.
NOTHING = 1e-8


@dataclass(frozen=True)
class Projection:
    """Components under a map.

    Attributes
    ----------
    means : (M, r)
    spread : (M, r, r) or None
        Covariances, diagonal matrices if only the diagonals count; None for points.
    half : (M, D, r) or None
        Covariances before the map times its transpose.
    roots : (M, r) or (M, 0)
        Square roots of eigenvalues, ascending, or of a diagonal.
    factors : (M, r, r) or (0, r, r)
        Lower triangular, where covariances are not diagonal.
    """

    means: np.ndarray
    spread: np.ndarray | None
    half: Any
    roots: np.ndarray
    factors: np.ndarray

    @classmethod
    def of(cls, support: Support, W: np.ndarray, *, diagonal: bool) -> Projection:
        """Under a map W, (r, D)."""
        means, spread, half = support.projected(W)
        M, r = means.shape
        none = np.empty((0, r, r))
        if spread is None:
            return cls(means, None, None, np.empty((M, 0)), none)
        if diagonal or r == 1:
            own = np.diagonal(spread, axis1=1, axis2=2)
            return cls(means, spread, half, square_roots(own.clip(min=0), "covariances"), none)
        factors, roots = spectral_factors(spread, "covariances")
        return cls(means, spread, half, roots, factors)


class MapTransport:
    """Costs of pairs of samples, whose plans are mended from one map to the next.

    Parameters
    ----------
    support : Support
    cost : {"mw2", "mixed"}
    diagonal : bool
        Whether only the variances of the mapped axes count, not their correlations.
    """

    def __init__(self, support: Support, *, cost: str, diagonal: bool) -> None:
        from lowdim.transport._tree import room_for_trees

        self.support, self.diagonal = support, diagonal
        self.mean_power, self.power = COSTS[cost]
        S, self._n_nodes = len(support), 2 * int(support.sizes.max()) + 1
        n_pairs = S * (S - 1) // 2
        pair_bytes = self._n_nodes * sum(part.itemsize for part in room_for_trees(1, 1))
        self._keeps = n_pairs * pair_bytes <= KEPT_BYTES
        self._trees = room_for_trees(n_pairs if self._keeps else 0, self._n_nodes)
        self._planted = np.zeros(n_pairs if self._keeps else 0, dtype=bool)

    def distances(self, W: np.ndarray, pairs: np.ndarray) -> Transported:
        """Distances of pairs of samples, (n, 2) with the lower number first, under a map."""
        from lowdim.samples import _map_costs as compiled

        support, at = self.support, Projection.of(self.support, W, diagonal=self.diagonal)
        trees, numbers, fresh = self._trees_of(pairs)
        found = np.empty(len(pairs))
        geometry = at.means, at.roots, at.factors, self.mean_power
        table = compiled.component_costs(*geometry) if support.is_shared else None

        def solve(part: slice) -> None:
            own = pairs[part], numbers[part], fresh[part], support.offsets, support.weights
            if table is None:
                compiled.own_costs(*own, *geometry, trees, found[part])
            else:
                compiled.shared_costs(*own, support.rows, table, trees, found[part])

        in_threads(solve, _parts(len(pairs)))
        return Transported(self, at, pairs, numbers, trees, found.clip(min=0) ** self.power)

    def _trees_of(self, pairs: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray]:
        """Where the trees of pairs are, their numbers there, and which are yet to be planted."""
        from lowdim.transport._tree import room_for_trees

        if not self._keeps:
            trees = room_for_trees(len(pairs), self._n_nodes)
            return trees, np.arange(len(pairs)), np.ones(len(pairs), dtype=bool)
        i, j = pairs.T
        numbers = i * len(self.support) - i * (i + 1) // 2 + j - i - 1
        fresh = ~self._planted[numbers]
        self._planted[numbers] = True
        return self._trees, numbers, fresh


@dataclass(frozen=True)
class Transported:
    """Distances of pairs under one map.

    Attributes
    ----------
    distances : (n,)
    """

    _by: MapTransport
    at: Projection
    _pairs: np.ndarray
    _numbers: np.ndarray
    _trees: Any
    distances: np.ndarray

    def gradient(self, slopes: np.ndarray) -> np.ndarray:
        """Gradient by the map, (r, D), of a loss with these slopes by the distances, (n,).

        Plans are held: where they are the best ones, a change of theirs costs nothing to first
        order (the envelope theorem).
        """
        if self._by.power != 1.0:  # of the root of a cost
            far = self.distances > 0
            slopes = np.where(far, slopes / (2 * np.where(far, self.distances, 1.0)), 0.0)
        M, r = self.at.means.shape
        of_means, of_traces = np.zeros((M, r)), np.zeros(M)
        of_factors = np.zeros((M, r, r if len(self.at.factors) else 1))
        for part in self._sums(slopes):
            of_means += part[0]
            of_traces += part[1]
            of_factors += part[2]
        found = of_means.T @ self._by.support.means
        if self.at.spread is None:
            return np.asarray(found)
        if len(self.at.factors):
            inverses = np.linalg.pinv(self.at.factors, rcond=NOTHING)
            by_covariances = of_traces[:, None, None] * np.eye(r) - of_factors @ inverses
        else:
            roots = np.where(self.at.roots > 0, self.at.roots, np.inf)
            by_covariances = _diagonals(of_traces[:, None] - of_factors[:, :, 0] / roots)
        return np.asarray(found + by_map(by_covariances, self.at.half))

    def _sums(self, slopes: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """What belongs to means, traces and factors, part by part."""
        from lowdim.samples import _map_costs as compiled

        support, at, power = self._by.support, self.at, self._by.mean_power
        M, r = at.means.shape

        def zeros() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            return np.zeros((M, r)), np.zeros(M), np.zeros((M, r, r if len(at.factors) else 1))

        geometry = at.means, at.roots, at.factors, power
        if support.is_shared:
            moved, sums = np.zeros((M, M)), zeros()
            compiled.flows(
                self._pairs, self._numbers, slopes, support.offsets, support.rows, self._trees,
                moved,
            )  # fmt: skip
            compiled.shared_gradient(moved, *geometry, *sums)
            return [sums]

        def work(part: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            sums = zeros()
            own = self._pairs[part], self._numbers[part], slopes[part], support.offsets
            compiled.own_gradient(*own, *geometry, self._trees, *sums)
            return sums

        return in_threads(work, _parts(len(self._pairs)))


def by_map(by_covariances: np.ndarray, half: np.ndarray) -> np.ndarray:
    """The gradient by W, (r, D), from that by the symmetric covariances ``W C W'``, (M, r, r)."""
    return np.asarray(2 * np.tensordot(by_covariances, half, axes=([0, 2], [0, 2])))


def _diagonals(values: np.ndarray) -> np.ndarray:
    return values[:, :, None] * np.eye(values.shape[1])


def _parts(n: int) -> list[slice]:
    edges = [n * part // PARTS for part in range(PARTS + 1)]
    return [slice(low, high) for low, high in pairwise(edges) if high > low]

"""Transport between samples under a linear map, and the gradient of its costs by the map."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim._threads import in_threads
from lowdim.samples._support import Support
from lowdim.transport.gaussians import spectral_factors, square_roots
from lowdim.transport.mixtures import COSTS

if TYPE_CHECKING:
    import torch

    from lowdim.samples._map_on_device import MapTransportThere, SupportThere

#: Parts that pairs are split into; sums over parts do not depend on the number of threads.
PARTS = 16
#: Pairs whose plans, for which there was no room, are found again together.
TOGETHER = 64
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
    def of(cls, support: Support | SupportThere, W: np.ndarray, *, diagonal: bool) -> Projection:
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

    @property
    def inverses(self) -> np.ndarray:
        """Of the factors, (M, r, r), or of the roots, (M, r); zero where these are."""
        if len(self.factors):
            return np.linalg.pinv(self.factors, rcond=NOTHING)
        return 1 / np.where(self.roots > 0, self.roots, np.inf)

    def by_covariances(self, of_traces: np.ndarray, of_factors: np.ndarray) -> np.ndarray:
        """Gradients by the covariances, (M, r, r), from what `pull` sums for them."""
        if len(self.factors):
            turned = of_factors @ self.inverses
        else:
            turned = (of_factors[:, :, 0] * self.inverses)[:, :, None] * np.eye(self.means.shape[1])
        return np.asarray(of_traces[:, None, None] * np.eye(self.means.shape[1]) - turned)


class MapTransport:
    """Costs of pairs of samples, whose plans are mended from one map to the next.

    Parameters
    ----------
    support : Support
    cost : {"mw2", "mixed"}
    diagonal : bool
        Whether only the variances of the mapped axes count, not their correlations.
    entropic : float
        Strength of an entropic penalty on plans, relative to the mean cost of a pair.

    Attributes
    ----------
    plans : KeptPlans or None
        None where they are entropic.
    """

    def __init__(
        self, support: Support, *, cost: str, diagonal: bool = False, entropic: float = 0.0
    ) -> None:
        from lowdim.samples._kept_plans import KeptPlans

        self.support, self.diagonal, self.entropic = support, diagonal, float(entropic)
        self.mean_power, self.power = COSTS[cost]
        self.n_nodes = 2 * int(support.sizes.max()) + 1
        self.plans = None if entropic else KeptPlans(len(support), self.n_nodes)

    def distances(self, W: np.ndarray, pairs: np.ndarray) -> Transported:
        """Distances of pairs of samples, (n, 2) with the lower number first, under a map.

        Ask for the gradient of one map before the distances of the next, which take its plans.
        """
        from lowdim.samples._map_costs import pair_costs

        at = Projection.of(self.support, W, diagonal=self.diagonal)
        geometry = self._geometry(at)
        costs, found = np.empty(len(pairs)), np.ones(len(pairs), dtype=bool)
        plans = self.plans
        places = fresh = np.empty(0)  # entropic plans have none
        if plans is not None:
            places, fresh = plans.places(pairs)

        def solve(part: slice) -> None:
            if plans is None:
                from lowdim.samples._entropic_maps import entropic_costs

                entropic_costs(pairs[part], self.entropic, geometry, costs[part], found[part])
            else:
                own = places[part], fresh[part]
                pair_costs(pairs[part], *own, geometry, plans.trees, costs[part])

        in_threads(solve, parts(len(pairs)))
        distances = costs.clip(min=0) ** self.power
        trees = None if plans is None else plans.trees
        return Transported(self, at, geometry, pairs, places, trees, bool(found.all()), distances)

    def _geometry(self, at: Projection) -> Any:
        """What the compiled loops take."""
        from lowdim.samples._map_costs import Geometry, between_components

        support, r = self.support, at.means.shape[1]
        table, points = np.empty((0, 0)), np.empty((r, 0))
        if support.is_shared:
            components = at.means, at.roots, at.factors
            table = between_components(components, components, self.mean_power)
            table = (table + table.T) / 2
            np.fill_diagonal(table, 0)
        if at.spread is None:
            points = np.ascontiguousarray(at.means.T)
        return Geometry(
            support.offsets, support.weights, support.rows, table, points, at.means, at.roots,
            at.factors, self.mean_power,
        )  # fmt: skip


def map_transport(
    support: Support, device: torch.device, *, cost: str, diagonal: bool, entropic: float
) -> MapTransport | MapTransportThere:
    """Transport under a map, compiled on the host and by torch elsewhere."""
    if device.type == "cpu":
        return MapTransport(support, cost=cost, diagonal=diagonal, entropic=entropic)
    from lowdim.samples._map_on_device import MapTransportThere

    return MapTransportThere(
        support, cost=cost, diagonal=diagonal, entropic=entropic, device=device
    )


@dataclass(frozen=True)
class Transported:
    """Distances of pairs under one map.

    Attributes
    ----------
    at : Projection
    converged : bool
        Whether all entropic plans were found.
    distances : (n,)
    """

    _by: MapTransport
    at: Projection
    _geometry: Any
    _pairs: np.ndarray
    _places: Any
    _trees: Any
    converged: bool
    distances: np.ndarray

    def gradient(self, slopes: np.ndarray, by_covariances: np.ndarray | None = None) -> np.ndarray:
        """Gradient by the map, (r, D), of a loss with these slopes by the distances, (n,).

        Exact plans are held: a change of the best one costs nothing to first order (the envelope
        theorem). Entropic plans move with their costs. The loss may depend on the mapped
        covariances besides, with slopes (M, r, r).
        """
        slopes = of_costs(slopes, self.distances, self._by.power)
        of_means, *sums = self._sums(slopes)
        support = self._by.support
        if self.at.spread is None:
            return support.pulled(of_means, None, None)
        found = self.at.by_covariances(*sums)
        if by_covariances is not None:
            found += by_covariances
        return support.pulled(of_means, found, self.at.half)

    def _sums(self, slopes: np.ndarray) -> list[np.ndarray]:
        """What is for means, (M, r), traces, (M,), and factors, (M, r, r), or roots, (M, r, 1)."""
        from lowdim.samples._map_costs import shared_gradients

        M, r = self.at.means.shape
        shape = (M, r, r) if len(self.at.factors) else (*self.at.roots.shape, 1)
        shared = M if self._by.support.is_shared else 0

        def work(part: slice) -> tuple[np.ndarray, ...]:
            moved = np.zeros((shared, shared))
            sums = np.zeros((M, r)), np.zeros(M), np.zeros(shape)
            pairs, own = self._pairs[part], slopes[part]
            if self._by.entropic:
                from lowdim.samples._entropic_maps import entropic_gradients

                entropic_gradients(pairs, own, self._by.entropic, self._geometry, moved, sums)
            else:
                self._add_exact(pairs, self._places[part], own, moved, sums)
            return (moved, *sums)

        found = in_threads(work, parts(len(self._pairs)))
        moved, *sums = (sum(arrays[1:], start=arrays[0]) for arrays in zip(*found, strict=True))
        if shared:
            shared_gradients(moved, self._geometry, tuple(sums))
        return sums

    def _add_exact(
        self,
        pairs: np.ndarray,
        places: np.ndarray,
        slopes: np.ndarray,
        moved: np.ndarray,
        sums: tuple[np.ndarray, ...],
    ) -> None:
        """Add what the plans of pairs tell; those without a place are found again, as they were."""
        from lowdim.samples._map_costs import pair_costs, pair_gradients
        from lowdim.transport._tree import room_for_trees

        held, geometry = places >= 0, self._geometry
        pair_gradients(pairs[held], places[held], slopes[held], geometry, self._trees, moved, sums)
        wanted = np.flatnonzero(~held & (slopes != 0))
        for start in range(0, len(wanted), TOGETHER):
            some = wanted[start : start + TOGETHER]
            numbers, fresh = np.arange(len(some)), np.zeros(len(some), dtype=bool)
            again = room_for_trees(0, self._by.n_nodes, len(some))
            pair_costs(pairs[some], numbers, fresh, geometry, again, np.empty(len(some)))
            pair_gradients(pairs[some], numbers, slopes[some], geometry, again, moved, sums)


def of_costs(slopes: np.ndarray, distances: np.ndarray, power: float) -> np.ndarray:
    """Slopes by costs, (n,), from those by the distances, which are these powers of costs."""
    if power == 1.0:
        return slopes
    far = distances > 0
    return np.where(far, slopes / (2 * np.where(far, distances, 1.0)), 0.0)


def parts(n: int) -> list[slice]:
    """Pairs in parts that threads share out."""
    edges = [n * part // PARTS for part in range(PARTS + 1)]
    return [slice(low, high) for low, high in pairwise(edges) if high > low]

"""Transport between samples under a linear map on a device, and the gradient of its costs.

Costs of all pairs of components, entropic plans and gradients are found there, for many pairs of
samples at once. Exact plans go step by step, which is for the host: costs go there and plans come
back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lowdim._device import to_host
from lowdim._threads import in_threads
from lowdim.data.sending import sent
from lowdim.samples._map_transport import Projection, of_costs, parts
from lowdim.samples._support import Support
from lowdim.transport._device_costs import Components
from lowdim.transport._device_pairs import Measured, PullSums
from lowdim.transport._device_plans import cost_slopes
from lowdim.transport._device_samples import Batch, DeviceSamples
from lowdim.transport.mixtures import COSTS

#: What mass moves per slope of a pair's cost, (B, n, m), in batches of pairs.
Masses = Callable[[], Iterator[tuple[Batch, Tensor]]]


class SupportThere:
    """Components of all samples on a device.

    Parameters
    ----------
    support : Support
    device : torch.device
    """

    def __init__(self, support: Support, device: torch.device) -> None:
        self.device = device
        self.means = sent(support.means, device)
        spread = support.covariances
        self.covariances = None if spread is None else sent(spread, device)

    def projected(self, W: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, Any]:
        """As of `Support`; what is large stays on the device."""
        own = sent(W, self.device)
        means, spread = self.means @ own.T, self.covariances
        if spread is None:
            return to_host(means)[0], None, None
        half = spread @ own.T if spread.ndim == 3 else spread[:, :, None] * own.T
        mapped = own @ half
        told = to_host(means, (mapped + mapped.mT) / 2)
        return told[0], told[1], half

    def pulled(self, of_means: Tensor, by_covariances: Tensor | None, half: Any) -> np.ndarray:
        """As of `Support`."""
        found = of_means.T @ self.means
        if by_covariances is not None:
            found += 2 * torch.tensordot(by_covariances, half, dims=([0, 2], [0, 2]))
        return to_host(found)[0]

    def components(self, at: Projection) -> Components:
        """Those under a map."""
        return Components.sent(at.means, at.roots, at.factors, self.device)


class MapTransportThere:
    """`lowdim.samples._map_transport.MapTransport` on a device.

    Parameters
    ----------
    support, cost, diagonal, entropic
        As there.
    device : torch.device
    """

    def __init__(
        self,
        support: Support,
        *,
        cost: str,
        diagonal: bool = False,
        entropic: float = 0.0,
        device: torch.device,
    ) -> None:
        self.support, self.diagonal = support, diagonal
        self.mean_power, self.power = COSTS[cost]
        self.there = SupportThere(support, device)
        self._samples = DeviceSamples(support.weights, support.offsets, support.rows, device)
        self._plans: EntropicThere | ExactHere
        self._plans = EntropicThere(float(entropic)) if entropic else ExactHere(support)

    @property
    def plans(self) -> Any:
        """The exact plans that the next map mends, or None."""
        return self._plans.kept if isinstance(self._plans, ExactHere) else None

    def distances(self, W: np.ndarray, pairs: np.ndarray) -> TransportedThere:
        """Distances of pairs of samples, (n, 2) with the lower number first, under a map.

        Ask for the gradient of one map before the distances of the next, which take its plans.
        """
        at = Projection.of(self.there, W, diagonal=self.diagonal)
        components, shared = self.there.components(at), self.support.is_shared
        measured = Measured(self._samples, components, self.mean_power, shared=shared)
        costs, converged, masses = self._plans.costs(measured, pairs)
        return TransportedThere(
            self, at, measured, masses, converged, costs.clip(min=0) ** self.power
        )


@dataclass(frozen=True)
class TransportedThere:
    """`lowdim.samples._map_transport.Transported` on a device."""

    _by: MapTransportThere
    at: Projection
    _measured: Measured
    _masses: Masses
    converged: bool
    distances: np.ndarray

    def gradient(self, slopes: np.ndarray, by_covariances: np.ndarray | None = None) -> np.ndarray:
        """As of `Transported`."""
        sums, there = PullSums(self._measured), self._by.there
        slopes = of_costs(slopes, self.distances, self._by.power)
        for batch, mass in self._masses():
            own = sent(slopes[batch.where], there.device)
            sums.add(batch, own[:, None, None] * mass)
        of_means, of_traces, of_factors = sums.told()
        if of_factors is None:
            return there.pulled(of_means, None, None)
        inverses = sent(self.at.inverses, there.device)
        if len(self.at.factors):
            unit = torch.eye(inverses.shape[1], dtype=inverses.dtype, device=there.device)
            found = of_traces[:, None, None] * unit - of_factors @ inverses
        else:
            found = torch.diag_embed(of_traces[:, None] - of_factors[:, :, 0] * inverses)
        if by_covariances is not None:
            found = found + sent(by_covariances, there.device)
        return there.pulled(of_means, found, self.at.half)


class EntropicThere:
    """Entropic plans, which the device finds.

    Parameters
    ----------
    strength : float
        Of the penalty, relative to the mean cost of a pair.
    """

    def __init__(self, strength: float) -> None:
        self.strength = strength

    def costs(self, measured: Measured, pairs: np.ndarray) -> tuple[np.ndarray, bool, Masses]:
        """Costs of pairs, (n,), whether all plans were found, and what slopes of costs are."""
        told = measured.entropic(pairs, np.full(len(pairs), -self.strength), self.strength)

        def masses() -> Iterator[tuple[Batch, Tensor]]:
            for batch, plans in zip(told.batches, told.plans, strict=True):
                yield batch, cost_slopes(measured.problem(batch), plans, self.strength)

        return told.costs, bool(told.found.all()), masses


class ExactHere:
    """Exact plans, which the host finds: costs come from the device, and plans go there.

    Parameters
    ----------
    support : Support
    """

    def __init__(self, support: Support) -> None:
        from lowdim.samples._kept_plans import KeptPlans

        self.support, self.n_nodes = support, 2 * int(support.sizes.max()) + 1
        self.kept = KeptPlans(len(support), self.n_nodes)

    def costs(self, measured: Measured, pairs: np.ndarray) -> tuple[np.ndarray, bool, Masses]:
        """As of `EntropicThere`."""
        places, fresh = self.kept.places(pairs)
        trees, out = self.kept.trees, np.empty(len(pairs))
        batches = list(measured.batches(pairs))
        for batch in batches:
            own = batch.where
            (prices,) = to_host(measured.problem(batch).cost)
            out[own] = self._planned(pairs[own], prices, places[own], fresh[own], trees)

        def masses() -> Iterator[tuple[Batch, Tensor]]:
            for batch in batches:
                yield batch, self._mass(measured, batch, pairs[batch.where], places[batch.where])

        return out, True, masses

    def _planned(
        self,
        pairs: np.ndarray,
        prices: np.ndarray,
        places: np.ndarray,
        fresh: np.ndarray,
        trees: Any,
    ) -> np.ndarray:
        """Least costs of pairs, (n,), whose components cost so much, (n, most, most)."""
        from lowdim.samples._map_costs import given_costs

        out, support = np.empty(len(pairs)), self.support

        def solve(part: slice) -> None:
            own = pairs[part], prices[part], places[part], fresh[part]
            given_costs(*own, support.offsets, support.weights, trees, out[part])

        in_threads(solve, parts(len(pairs)))
        return out

    def _mass(
        self, measured: Measured, batch: Batch, pairs: np.ndarray, places: np.ndarray
    ) -> Tensor:
        """Plans, (B, n, m); those for which there was no room are found again, as they were."""
        from lowdim.transport._tree import room_for_trees

        trees, held = self.kept.trees, places >= 0
        plans = room_for_trees(0, self.n_nodes, len(pairs))
        plans.parent[held], plans.flow[held] = trees.parent[places[held]], trees.flow[places[held]]
        if not held.all():
            (prices,), lost = to_host(measured.problem(batch).cost), np.flatnonzero(~held)
            nothing_kept = np.zeros(len(lost), dtype=bool)
            self._planned(pairs[lost], prices[lost], lost, nothing_kept, plans)
        sizes = np.diff(self.support.offsets)[pairs]
        return _spread_out(batch, plans.parent, plans.flow, *sizes.T[:, :, None])


def _spread_out(
    batch: Batch, parents: np.ndarray, flows: np.ndarray, n: np.ndarray, m: np.ndarray
) -> Tensor:
    """The plans, (B, n, m), of trees, (B, nodes), of so many rows and columns, (B, 1)."""
    nodes = np.arange(parents.shape[1])
    arcs = (nodes < n + m) & (parents >= 0) & (parents < n + m)
    rows, columns = np.where(nodes < n, nodes, parents), np.where(nodes < n, parents, nodes) - n
    B, most = batch.second.masses.shape
    device = batch.second.masses.device
    places = sent(np.where(arcs, rows * most + columns, 0), device)
    mass = sent(np.where(arcs, flows, 0.0), device)  # nothing is added to where there is no arc
    empty = mass.new_zeros(B, batch.first.masses.shape[1] * most)
    return empty.scatter_add_(1, places, mass).view(B, -1, most)

"""Components of samples on a device, and costs and gradients of pairs of samples in batches."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from lowdim._device import free_bytes, to_host
from lowdim.data.device_rows import RESIDENT
from lowdim.data.sending import sent
from lowdim.transport._device_costs import Components, Pulls, between, pulls
from lowdim.transport._device_plans import Plans, Problem

#: Numbers that a batch takes at most: on a device, and on the host, whose caches are small.
THERE, HERE = 2**28, 2**22
#: Numbers that every pair of components takes beside those that its cost is found by.
NUMBERS = 12


class Side(NamedTuple):
    """One sample of each of B pairs, which have n components at most.

    Attributes
    ----------
    samples : (B,), on the host
    rows, masses : (B, n)
        Components, and their weights, zero at the end of those with fewer.
    """

    samples: np.ndarray
    rows: Tensor
    masses: Tensor


class Batch(NamedTuple):
    """Pairs that are worked on together.

    Attributes
    ----------
    where : (B,), on the host
        Their places among all.
    first, second : Side
    """

    where: np.ndarray
    first: Side
    second: Side


class EntropicPairs(NamedTuple):
    """Entropic plans of pairs of samples.

    Attributes
    ----------
    costs, found, penalties : (n,), on the host
        What plans cost without the penalty, whether they were found, and the penalties.
    batches, plans : lists
    """

    costs: np.ndarray
    found: np.ndarray
    penalties: np.ndarray
    batches: list[Batch]
    plans: list[Plans]


class DeviceSamples:
    """Weights and components of S samples, those of sample s at ``offsets[s]:offsets[s + 1]``.

    Parameters
    ----------
    weights : (n,)
    offsets : (S + 1,)
    rows : (n,)
        Which of M different components each is.
    device : torch.device
    """

    def __init__(
        self, weights: np.ndarray, offsets: np.ndarray, rows: np.ndarray, device: torch.device
    ) -> None:
        self.device, self.sizes = device, np.diff(offsets)
        numbers = np.arange(self.sizes.max())
        there = numbers < self.sizes[:, None]
        places = np.where(there, offsets[:-1, None] + numbers, 0)
        self._rows = sent(np.where(there, rows[places], 0), device)
        self._masses = sent(np.where(there, weights[places], 0.0), device)
        self._own = sent(np.flatnonzero(there), device)

    def batches(self, pairs: np.ndarray, numbers: int) -> Iterator[Batch]:
        """All pairs, (n, 2), those of large samples first.

        `numbers` are what a pair of components takes.
        """
        room = HERE
        if self.device.type != "cpu":
            room = min(THERE, int(RESIDENT * free_bytes(self.device)) // 8)
        sizes = self.sizes[pairs]
        order = np.argsort(-sizes.max(1), kind="stable")
        start = 0
        while start < len(order):
            most = int(sizes[order[start]].max())
            where = order[start : start + max(1, room // (most * most * numbers))]
            yield Batch(where, *(self._side(pairs[where, side]) for side in (0, 1)))
            start += len(where)

    def _side(self, samples: np.ndarray) -> Side:
        there, most = sent(samples, self.device), int(self.sizes[samples].max())
        return Side(samples, self._rows[there, :most], self._masses[there, :most])

    def sums(self, batch: Batch, first: Tensor, second: Tensor) -> Tensor:
        """What belongs to components, (B, n, p) and (B, m, p), by the components, (M, p).

        For samples that share none.
        """
        S, K = self._rows.shape
        both = torch.cat([pad(own, (0, 0, 0, K - own.shape[1])) for own in (first, second)])
        owners = np.concatenate([batch.first.samples, batch.second.samples])
        order = sent(np.argsort(owners, kind="stable"), self.device)
        counts = sent(np.bincount(owners, minlength=S), self.device)
        ordered = both.flatten(1).index_select(0, order)
        # Checks of the counts would wait for the device.
        of_samples = torch.segment_reduce(ordered, "sum", lengths=counts, axis=0, unsafe=True)
        return of_samples.view(S * K, -1).index_select(0, self._own)


class Measured:
    """What it costs to move mass between the components of pairs of samples.

    Parameters
    ----------
    samples : DeviceSamples
    components : Components
        M of them.
    power : int
        Of the distance of means.
    shared : bool
        Whether samples have components in common: then costs are in a table.
    """

    def __init__(
        self, samples: DeviceSamples, components: Components, power: int, *, shared: bool
    ) -> None:
        self.samples, self.components, self.power = samples, components, power
        self.shared = shared

    def batches(self, pairs: np.ndarray) -> Iterator[Batch]:
        """As of `DeviceSamples`."""
        return self.samples.batches(
            pairs, NUMBERS + (0 if self.shared else self.components.numbers)
        )

    def problem(self, batch: Batch) -> Problem:
        """Costs and masses."""
        first, second = batch.first, batch.second
        if self.shared:
            cost = self.table[first.rows[:, :, None], second.rows[:, None, :]]
        else:
            cost = between(
                self.components.take(first.rows), self.components.take(second.rows), self.power
            )
        there = (first.masses > 0)[:, :, None] & (second.masses > 0)[:, None, :]
        return Problem(torch.where(there, cost, 0.0), first.masses, second.masses)

    def entropic(self, pairs: np.ndarray, penalties: np.ndarray, strength: float) -> EntropicPairs:
        """Entropic plans of pairs of samples, (n, 2).

        Parameters
        ----------
        pairs : (n, 2)
        penalties : (n,)
            As `lowdim.transport._entropic.entropic_cost` takes them.
        strength : float
            About what they are to the mean costs.
        """
        device, found, told = self.samples.device, [], []
        batches = list(self.batches(pairs))
        for batch in batches:
            problem = self.problem(batch)
            plans = problem.plans(sent(penalties[batch.where], device), strength)
            costs = (plans.mass(problem) * problem.cost).sum((1, 2))
            found.append(plans)
            told.append(torch.stack([costs, plans.penalties, plans.found]))
        out = np.empty((3, len(pairs)))
        if batches:
            order = np.concatenate([batch.where for batch in batches])
            out[:, order] = to_host(torch.cat(told, 1))[0]
        costs, penalties, whether = out
        return EntropicPairs(costs, whether > 0, penalties, batches, found)

    @cached_property
    def table(self) -> Tensor:
        """Costs of all components, (M, M)."""
        rows = [between(*sides, self.power)[0] for _, *sides in self._stretches()]
        table = torch.cat(rows)
        return ((table + table.mT) / 2).fill_diagonal_(0.0)

    def _stretches(self) -> Iterator[tuple[slice, Components, Components]]:
        """Some components beside all, a batch of one."""
        M, numbers = len(self.components.means), NUMBERS + self.components.numbers
        step = max(1, (HERE if self.samples.device.type == "cpu" else THERE) // (numbers * M))
        everything = _one(self.components, slice(None))
        for start in range(0, M, step):
            own = slice(start, start + step)
            yield own, _one(self.components, own), everything


class PullSums:
    """Sums of gradients over pairs of samples, by components.

    Parameters
    ----------
    measured : Measured
    """

    def __init__(self, measured: Measured) -> None:
        self._measured = measured
        means, roots, factors = measured.components
        M, r = means.shape
        self._moved = means.new_zeros(M, M) if measured.shared else None
        self._sums = means.new_zeros(
            M, r + 1 + r * (roots is not None) + r * r * (factors is not None)
        )

    def add(self, batch: Batch, mass: Tensor) -> None:
        """Gradients of ``sum mass * cost``, (B, n, m) of both."""
        measured = self._measured
        rows = batch.first.rows[:, :, None], batch.second.rows[:, None, :]
        if self._moved is not None:
            self._moved.index_put_(rows, mass, accumulate=True)
            return
        sides = (measured.components.take(side.rows) for side in batch[1:])
        self._sums += measured.samples.sums(batch, *map(_flat, pulls(*sides, mass, measured.power)))

    def told(self) -> Pulls:
        """By the M components."""
        if self._moved is not None:
            self._moved.fill_diagonal_(0.0)
            for own, *sides in self._measured._stretches():
                mass = self._moved[None, own]
                first, second = map(_flat, pulls(*sides, mass, self._measured.power))
                self._sums[own] += first[0]
                self._sums += second[0]
        r, sums = self._measured.components.means.shape[1], self._sums
        of_factors = sums[:, r + 1 :]
        factors = of_factors.unflatten(1, (r, -1)) if of_factors.shape[1] else None
        return Pulls(sums[:, :r], sums[:, r], factors)


def _flat(own: Pulls) -> Tensor:
    """All that belongs to a component side by side, (..., n, p)."""
    parts = [own.means, own.traces[..., None]]
    if own.factors is not None:
        parts.append(own.factors.flatten(-2))
    return torch.cat(parts, -1)


def _one(components: Components, own: slice) -> Components:
    return Components(*(None if part is None else part[None, own] for part in components))

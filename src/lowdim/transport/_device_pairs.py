"""What pairs of samples cost on a device, their entropic plans, and gradients, in batches."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lowdim._device import to_host
from lowdim.data.sending import sent
from lowdim.transport._device_costs import Components, Pulls, between, pulls
from lowdim.transport._device_plans import Plans, Problem
from lowdim.transport._device_samples import Batch, DeviceSamples, room_for_numbers
from lowdim.transport._pairs import PairCosts

#: Numbers that every pair of components takes beside those that its cost is found by.
NUMBERS = 12


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
            found.append(plans)
            told.append(torch.stack([plans.costs(problem), plans.penalties, plans.found]))
        out = np.empty((3, len(pairs)))
        if batches:
            order = np.concatenate([batch.where for batch in batches])
            out[:, order] = to_host(torch.cat(told, 1))[0]
        costs, penalties, whether = out
        return EntropicPairs(costs, whether > 0, penalties, batches, found)

    @cached_property
    def table(self) -> Tensor:
        """Costs of all components, (M, M)."""
        everything = _one(self.components, slice(None))
        table = torch.cat(
            [
                between(_one(self.components, own), everything, self.power)[0]
                for own in self.stretches()
            ]
        )
        return ((table + table.mT) / 2).fill_diagonal_(0.0)

    def stretches(self) -> Iterator[slice]:
        """Components in parts, for tables of each with all."""
        M, numbers = len(self.components.means), NUMBERS + self.components.numbers
        step = max(1, room_for_numbers(self.samples.device) // (numbers * M))
        for start in range(0, M, step):
            yield slice(start, start + step)


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
        first, second = (measured.components.take(side.rows) for side in batch[1:])
        both = pulls(first, second, mass, measured.power)
        self._sums += measured.samples.sums(batch, *map(_flat, both))

    def told(self) -> Pulls:
        """By the M components."""
        components, power = self._measured.components, self._measured.power
        if self._moved is not None:
            everything = _one(components, slice(None))
            self._moved.fill_diagonal_(0.0)
            for own in self._measured.stretches():
                both = pulls(_one(components, own), everything, self._moved[None, own], power)
                first, second = map(_flat, both)
                self._sums[own] += first[0]
                self._sums += second[0]
        r, sums = components.means.shape[1], self._sums
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
    """Some of them, as of one sample."""
    means, roots, factors = (None if part is None else part[None, own] for part in components)
    assert means is not None
    return Components(means, roots, factors)


def entropic_costs_there(
    samples: tuple[np.ndarray, np.ndarray, np.ndarray],
    components: tuple[np.ndarray, np.ndarray, np.ndarray],
    power: int,
    strength: float,
    device: torch.device,
) -> PairCosts:
    """What `lowdim.transport._pairs.distances_of` calls.

    Parameters
    ----------
    samples : tuple
        As `DeviceSamples` takes them.
    components : tuple
        As `Components.sent` takes them.
    """
    listed, there = DeviceSamples(*samples, device), Components.sent(*components, device)
    shared = len(samples[2]) > len(components[0])
    measured = Measured(listed, there, power, shared=shared)

    def costs(part: np.ndarray, penalties: np.ndarray, out: np.ndarray, found: np.ndarray) -> None:
        told = measured.entropic(part, penalties, strength)
        out[:], found[:], penalties[:] = told.costs, told.found, told.penalties

    return costs

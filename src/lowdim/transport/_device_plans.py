"""Entropic plans on a device, of many pairs of samples at once, in the logarithms of masses.

Sinkhorn's steps at strong penalties lead to where Newton's on the dual (see
`lowdim.transport._dual`) take over: few steps, each of products of matrices, in place of many
that have to be looked at. Pairs whose plan is found are left alone, so that a plan does not depend
on what else is in its batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from lowdim._device import to_host
from lowdim.data.sending import sent

#: Mass that may be in the wrong columns at the end.
OFF = 1e-11
#: From a strong penalty to the one that is asked for, by this factor, with so many steps at each.
FACTOR, ROUNDS = 4.0, 8
#: A penalty that is no larger is none, of costs that are all zero; its square is a number yet.
NONE = 1e-150
#: Newton's steps at most, and after how many it is looked which plans are found.
STEPS, LOOK = 240, 8
#: How far potentials go in one of them, in units of the penalty, and the shortest that is tried.
REACH, SHORTEST = 8.0, 2.0**-30
#: The dual objective, relative to the largest potentials, is known so well.
ROUNDING = 1e-14


@dataclass(frozen=True)
class Plans:
    """Plans ``P = exp(rows + columns - cost / penalty)`` of B pairs of samples.

    Attributes
    ----------
    rows, columns : (B, n) and (B, m)
        Potentials, in units of the penalty.
    penalties : (B,)
    found : (B,)
        1 where masses are right, else 0.
    """

    rows: Tensor
    columns: Tensor
    penalties: Tensor
    found: Tensor

    def mass(self, problem: Problem) -> Tensor:
        """The plans, (B, n, m)."""
        return torch.exp(
            self.rows[..., None] + self.columns[:, None] + problem.exponents(self.penalties)
        )

    def costs(self, problem: Problem) -> Tensor:
        """What they cost without the penalty, (B,)."""
        return (self.mass(problem) * problem.cost).sum((1, 2))


@dataclass(frozen=True)
class Problem:
    """Masses of B pairs of samples, and what they cost to move.

    Attributes
    ----------
    cost : (B, n, m)
        Zero where there is no mass.
    supply, demand : (B, n) and (B, m)
        Those with fewer components than others end in zeros.
    """

    cost: Tensor
    supply: Tensor
    demand: Tensor

    @property
    def there(self) -> Tensor:
        """Where both sides have mass, (B, n, m)."""
        return (self.supply > 0)[:, :, None] & (self.demand > 0)[:, None, :]

    def exponents(self, penalties: Tensor) -> Tensor:
        """``-cost / penalty``, (B, n, m)."""
        return torch.where(self.there, self.cost / -penalties[:, None, None], -torch.inf)

    def scaled(self, penalties: Tensor) -> Tensor:
        """Penalties, (B,); those below zero are minus the share of the mean cost that they are."""
        sizes = (self.supply > 0).sum(1) * (self.demand > 0).sum(1)
        means = self.cost.sum((1, 2)) / sizes
        return torch.where(penalties < 0, -penalties * means, penalties).clamp(min=NONE)

    def plans(self, penalties: Tensor, strength: float) -> Plans:
        """The plans of least ``<P, C> + penalty * sum P (log P - 1)``.

        Parameters
        ----------
        penalties : (B,)
            As of `scaled`.
        strength : float
            About what they are to the mean cost.
        """
        penalties = self.scaled(penalties)
        levels = max(1, math.ceil(math.log(FACTOR / strength, FACTOR)))
        columns = self._approached(penalties, levels)
        now = _Newton.begun(self, penalties, columns)
        rows, columns, wrong = now.at.rows, now.at.columns, now.at.wrong
        left = np.arange(len(penalties))  # pairs whose plans are not found yet
        for _ in range(0, STEPS, LOOK):
            for _ in range(LOOK):
                now = now.stepped()
            rows = _written(rows, left, now.at.rows)
            columns = _written(columns, left, now.at.columns)
            wrong = _written(wrong, left, now.at.wrong)
            on = np.flatnonzero(to_host((now.at.wrong > OFF) & (now.scales > SHORTEST))[0])
            if not len(on):
                break
            if len(on) < len(left):
                left, now = left[on], now.taken(on)
        return Plans(rows, columns, penalties, (wrong <= OFF).to(wrong.dtype))

    def _approached(self, penalties: Tensor, levels: int) -> Tensor:
        """Potentials of the columns, from penalties that fall to these."""
        log_supply, log_demand = self.supply.log(), self.demand.log()
        columns = torch.zeros_like(self.demand)
        for level in range(levels, -1, -1):
            exponents = self.exponents(penalties * FACTOR**level)
            for _ in range(ROUNDS):
                rows = log_supply - torch.logsumexp(exponents + columns[:, None], 2)
                rows = torch.where(self.supply > 0, rows, 0.0)
                columns = log_demand - torch.logsumexp(exponents + rows[..., None], 1)
                columns = torch.where(self.demand > 0, columns, 0.0)
            columns = columns * FACTOR if level else columns
        return columns


class _State(NamedTuple):
    """Potentials and what follows from them: rows have the right masses whatever the columns.

    Attributes
    ----------
    columns, rows, sums : (B, m), (B, n), (B, m)
        Potentials, and masses of the columns.
    mass : (B, n, m)
    value, wrong : (B,)
        The dual objective, and mass in the wrong columns.
    """

    columns: Tensor
    rows: Tensor
    sums: Tensor
    mass: Tensor
    value: Tensor
    wrong: Tensor


@dataclass(frozen=True)
class _Newton:
    """Where Newton's steps are.

    Attributes
    ----------
    exponents : (B, n, m)
    supply, demand : (B, n) and (B, m)
    at : _State
    scales : (B,)
        The length of the next step.
    """

    exponents: Tensor
    supply: Tensor
    demand: Tensor
    at: _State
    scales: Tensor

    @classmethod
    def begun(cls, problem: Problem, penalties: Tensor, columns: Tensor) -> Self:
        exponents, supply, demand = problem.exponents(penalties), problem.supply, problem.demand
        at = _evaluated(exponents, supply, demand, columns)
        return cls(exponents, supply, demand, at, torch.ones_like(penalties))

    def taken(self, places: np.ndarray) -> Self:
        """Some of the pairs."""
        there = sent(places, self.scales.device)
        given = (self.exponents, self.supply, self.demand, self.scales)
        exponents, supply, demand, scales = (part.index_select(0, there) for part in given)
        at = _State(*(part.index_select(0, there) for part in self.at))
        return type(self)(exponents, supply, demand, at, scales)

    def stepped(self) -> Self:
        """One step on; one that leads nowhere is tried again at half the length."""
        at = self.at
        steps = solve_graph(column_graph(at.mass, self.supply), self.demand - at.sums)
        longest = steps.abs().amax(1).clamp(min=1e-300)
        scales = torch.minimum(self.scales, REACH / longest)
        columns = at.columns + scales[:, None] * steps
        ahead = _evaluated(self.exponents, self.supply, self.demand, columns)
        sizes = at.rows.abs().amax(1) + at.columns.abs().amax(1)
        on = at.wrong > OFF
        taken = on & (ahead.value >= at.value - ROUNDING * sizes)
        now = _State(*(_chosen(taken, *both) for both in zip(ahead, at, strict=True)))
        scales = torch.where(taken, 1.0, torch.where(on, scales / 2, scales))
        return type(self)(self.exponents, self.supply, self.demand, now, scales)


def _evaluated(exponents: Tensor, supply: Tensor, demand: Tensor, columns: Tensor) -> _State:
    mass = exponents + columns[:, None]
    rows = torch.where(supply > 0, supply.log() - torch.logsumexp(mass, 2), 0.0)
    mass = mass.add_(rows[..., None]).exp_()
    sums = mass.sum(1)
    value = (supply * rows).sum(1) + (demand * columns).sum(1)
    return _State(columns, rows, sums, mass, value, (sums - demand).abs().sum(1))


def _written(into: Tensor, places: np.ndarray, values: Tensor) -> Tensor:
    """With values in the places of some pairs."""
    if len(places) == len(into):
        return values
    return into.index_copy(0, sent(places, into.device), values)


def _chosen(mask: Tensor, first: Tensor, second: Tensor) -> Tensor:
    return torch.where(mask.view(-1, *[1] * (first.ndim - 1)), first, second)


def cost_slopes(problem: Problem, plans: Plans, strength: float) -> Tensor:
    """Slopes of ``<P, C>`` by C, (B, n, m); see `lowdim.samples._entropic_maps.entropic_slopes`."""
    mass, cost = plans.mass(problem), problem.cost
    moved = mass * cost
    masses = torch.where(problem.supply > 0, mass.sum(2), 1.0)
    u = moved.sum(2) / masses
    rest = moved.sum(1) - (mass.mT @ u[..., None])[..., 0]
    v = solve_graph(column_graph(mass, masses), rest)
    u = u - (mass @ v[..., None])[..., 0] / masses
    rest = moved - mass * (u[..., None] + v[:, None])
    penalties = plans.penalties[:, None, None]
    # As the mean of the costs grows, so does the penalty.
    sizes = problem.there.sum((1, 2))
    by_mean = (rest * cost).sum((1, 2)) * strength / (plans.penalties**2 * sizes)
    return mass - rest / penalties + by_mean[:, None, None] * problem.there


def column_graph(mass: Tensor, supply: Tensor) -> Tensor:
    """Weights between columns, ``sum_i P_ij P_ik / supply_i``, (B, m, m)."""
    shares = mass / torch.where(supply > 0, supply, 1.0)[..., None]
    return shares.mT @ mass


def solve_graph(graph: Tensor, values: Tensor) -> Tensor:
    """Solve for potentials on graphs, (B, m), of which the first is 0; graphs are overwritten.

    Elimination adds positive numbers only (Grassmann, Taksar and Heyman 1985, Regenerative analysis
    and steady state distributions for Markov chains), so that weights however small count.
    """
    m, left = values.shape[1], values.clone()
    degrees = torch.ones_like(values)
    for j in range(m - 1, 0, -1):
        own = graph[:, j, :j]
        degrees[:, j] = own.sum(1).clamp_(min=1e-300)
        shares = own / degrees[:, j, None]
        left[:, :j].addcmul_(shares, left[:, j, None])
        graph[:, :j, :j].addcmul_(shares[:, :, None], own[:, None, :])
        graph[:, j, :j] = shares
    found = torch.zeros_like(values)
    for j in range(1, m):
        known = (graph[:, j, :j] * found[:, :j]).sum(1)
        found[:, j] = known + left[:, j] / degrees[:, j]
    return found

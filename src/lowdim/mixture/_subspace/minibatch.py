"""EM steps on random rows, which bring restarts close to a maximum in few passes over the data.

Stepwise EM (Cappe and Moulines 2009): the statistics of each step's rows are blended into running
ones by the decaying steps of `online`, so that the parameters converge. What is left of the
sampling noise is for EM with all rows to remove.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np
import torch

from lowdim._results import StopReason
from lowdim.data import as_rows
from lowdim.data.standardized import StandardizedRows
from lowdim.mixture._em import (
    MAX_RESEEDS,
    SETTLED,
    EMOptions,
    EMResult,
    expectation,
    without_broken,
)
from lowdim.mixture._family import Statistics, concatenate
from lowdim.mixture._subspace.family import SubspaceFamily
from lowdim.mixture._subspace.online import blend, rebase, reweighted, step_size
from lowdim.mixture._subspace.parameters import SubspaceParameters


@dataclass(frozen=True)
class Minibatches:
    """How to take random rows.

    Attributes
    ----------
    size : int
        Rows per EM step.
    steps : int
        Steps per round. After each round restarts that have settled leave, and beta grows.
    rounds : int
        Rounds at most.
    replace : bool
        Draw the rows of a step with replacement. Otherwise all rows come once, in random order,
        before any comes again.
    """

    size: int
    steps: int
    rounds: int
    replace: bool = False

    def draw(self, data: StandardizedRows, rng: np.random.Generator) -> Iterator[StandardizedRows]:
        """The rows of each step, without end, in the units of all rows.

        Rows without weight are never drawn; the others have equal chances and count with their
        weights.
        """
        weight = data.sample_weight
        used = np.arange(data.n_rows) if weight is None else np.flatnonzero(weight)
        n_steps = -(-len(used) // self.size)
        while True:
            if self.replace:
                parts = [rng.choice(used, self.size)]
            else:
                parts = np.array_split(rng.permutation(used), n_steps)
            for part in parts:
                index, counts = np.unique(part, return_counts=True)
                own = counts.astype(np.float64) if weight is None else counts * weight[index]
                yield StandardizedRows(
                    as_rows(data.source.take(index)),
                    device=data.device,
                    dtype=data.dtype,
                    sample_weight=None if (own == 1).all() else own,
                    block_rows=data.block_rows,
                    moments=(data.mean, data.scale),
                )


def run_minibatches(
    family: SubspaceFamily,
    data: StandardizedRows,
    start: SubspaceParameters,
    *,
    options: EMOptions,
    plan: Minibatches,
    report: Callable[[int, float], None] | None = None,
) -> EMResult[SubspaceParameters]:
    """Take steps with all restarts, which share the rows of each, until they have settled.

    Objectives are those of all rows at the end, and traces the mean over each round's rows.
    """
    run = _Run(replace(family, total_weight=1.0), start, options)
    pieces = plan.draw(data, family.starter.rng)
    for i in range(plan.rounds):
        run.round(islice(pieces, plan.steps))
        if report is not None:
            report(i + 1, float(np.nanmax(run.value, initial=-np.inf)))
        if not len(run.active):
            break
    return run.result(family, data)


@dataclass
class _Run:
    """Restarts on their way; `now`, `past` and `active` are those that have not settled yet."""

    family: SubspaceFamily  # of statistics per unit of weight
    now: SubspaceParameters
    options: EMOptions
    past: Statistics | None = None
    t: int = 0
    finished: dict[int, SubspaceParameters] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = self.now.n_restarts
        self.active = np.arange(n)
        self.value = np.full(n, -np.inf)  # mean objective of each restart's last round
        self.traces: list[list[float]] = [[] for _ in range(n)]
        self.n_rounds = np.zeros(n, dtype=np.int64)
        self.reseeds = np.zeros(n, dtype=np.int64)
        self.reasons = [StopReason.ITERATION_LIMIT] * n
        self.beta = 1.0 if self.options.annealing is None else self.options.annealing[0]

    def round(self, pieces: Iterator[StandardizedRows]) -> None:
        """Some steps, after which restarts that have settled or failed leave."""
        total, weight = np.zeros(len(self.active)), 0.0
        for rows in pieces:
            total += self._step(rows) * rows.total_weight
            weight += rows.total_weight
        value = total / weight
        failed = ~np.isfinite(value)
        settled = behind = np.zeros_like(failed)
        self.n_rounds[self.active] += 1
        if self.beta == 1.0:
            gain = value - self.value[self.active]
            settled = ~failed & (gain < max(SETTLED, self.options.tol))
            behind = self._behind(value, gain) & ~(failed | settled)
            self.value[self.active] = value
            for restart, mean in zip(self.active, value, strict=True):
                self.traces[restart].append(float(mean))
        elif self.options.annealing is not None:
            self.beta = min(1.0, self.beta * self.options.annealing[1])
        self._leave(failed, StopReason.FAILED)
        self._leave(settled, StopReason.CONVERGED)
        self._leave(behind, StopReason.OUTPACED)
        self._keep(~(failed | settled | behind))

    def _behind(self, value: np.ndarray, gain: np.ndarray) -> np.ndarray:
        """Restarts that are unlikely to become the best, which alone goes on.

        They have found what the best has, or would not reach it in as many more rounds as they
        have taken. All have seen the same rows, so values of the same round can be compared.
        """
        collapsed = self.family.collapsed(self.now).cpu().numpy()
        sound = np.where(np.isfinite(value) & ~collapsed, value, -np.inf)
        if not self.options.comparable or np.isinf(sound).all():
            return np.zeros(len(value), dtype=bool)
        best = int(sound.argmax())
        short = value[best] - value
        alike = np.abs(short) < SETTLED
        alike[best] = False
        return alike | (short > self.n_rounds[self.active] * gain)

    def _step(self, rows: StandardizedRows) -> np.ndarray:
        """One EM step; the rows' mean objective before it, (R,)."""
        assignment = self.options.assignment if self.beta == 1.0 else "soft"
        statistics, value = expectation(self.family, rows, self.now, assignment, self.beta)
        objective = value.cpu().numpy()
        statistics = reweighted(statistics, 1 / rows.total_weight)
        if self.past is not None:
            statistics = blend(self.past, statistics, step_size(self.t))
        statistics = without_broken(statistics, ~np.isfinite(objective))
        after = self.family.maximize(statistics, self.now, closest=assignment == "closest")
        after = self._reseeded(statistics, after)
        self.past, self.now = rebase(statistics, self.now, after), after
        self.t += 1
        return objective

    def _reseeded(self, statistics: Statistics, after: SubspaceParameters) -> SubspaceParameters:
        """Dying components put elsewhere, in restarts that have not had their share of it."""
        starved = self.family.starved(statistics, self.now)
        starved &= torch.from_numpy(self.reseeds[self.active] < MAX_RESEEDS)[:, None]
        if not bool(starved.any()):
            return after
        self.reseeds[self.active] += starved.any(1).numpy()
        return self.family.reseed(after, starved)

    def _leave(self, mask: np.ndarray, reason: StopReason) -> None:
        for position in np.flatnonzero(mask):
            restart = int(self.active[position])
            self.finished[restart] = self.now.select(self._index(np.array([position])))
            self.reasons[restart] = reason

    def _keep(self, mask: np.ndarray) -> None:
        if mask.all() or self.past is None:
            return
        index = self._index(np.flatnonzero(mask))
        self.active = self.active[mask]
        self.now = self.now.select(index)
        self.past = {name: value[index] for name, value in self.past.items()}

    def _index(self, positions: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(positions).to(self.now.weights.device)

    def result(
        self, family: SubspaceFamily, data: StandardizedRows
    ) -> EMResult[SubspaceParameters]:
        """Where the restarts are, seen with all rows."""
        self._leave(np.ones(len(self.active), dtype=bool), StopReason.ITERATION_LIMIT)
        final = concatenate([self.finished[restart] for restart in range(len(self.value))])
        statistics, value = expectation(family, data, final, self.options.assignment)
        starved = family.starved(statistics, final).any(1)
        return EMResult(
            parameters=final,
            objective=value.cpu().numpy(),
            traces=[np.array(trace) for trace in self.traces],
            n_iter=self.n_rounds,
            reasons=self.reasons,
            degenerate=(family.collapsed(final).cpu() | starved).numpy(),
        )

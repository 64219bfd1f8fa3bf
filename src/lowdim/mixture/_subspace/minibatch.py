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

from lowdim._checkpoint import Arrays
from lowdim._journal import Journal
from lowdim._results import StopReason
from lowdim.data import as_rows
from lowdim.data.standardized import StandardizedRows
from lowdim.mixture._checkpoint import (
    finished_as_arrays,
    finished_of,
    parameters_as_arrays,
    parameters_of,
    reasons_as_array,
    reasons_of,
    tensor_of,
    traces_as_arrays,
    traces_of,
)
from lowdim.mixture._em import (
    MAX_RESEEDS,
    SETTLED,
    EMOptions,
    EMResult,
    expectation,
)
from lowdim.mixture._family import Statistics, concatenate, without_broken
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

    def draw(self, data: StandardizedRows, rng: np.random.Generator) -> Pieces:
        """The rows of each step."""
        return Pieces(self, data, rng)


@dataclass
class Pieces:
    """The rows of one step after the other, without end, in the units of all rows.

    Rows without weight are never drawn; the others have equal chances and count with their weights.

    Attributes
    ----------
    order : ndarray
        The numbers of rows as they were last drawn.
    at : int
        How many steps have taken theirs from it.
    """

    plan: Minibatches
    data: StandardizedRows
    rng: np.random.Generator
    order: np.ndarray = field(init=False)
    at: int = 0

    def __post_init__(self) -> None:
        weight = self.data.sample_weight
        self._used = np.arange(self.data.n_rows) if weight is None else np.flatnonzero(weight)
        self._n_steps = 1 if self.plan.replace else -(-len(self._used) // self.plan.size)
        self.order = self._used[:0]

    def __iter__(self) -> Iterator[StandardizedRows]:
        return self

    def __next__(self) -> StandardizedRows:
        data, weight = self.data, self.data.sample_weight
        if not len(self.order) or self.at == self._n_steps:
            if self.plan.replace:
                self.order = self.rng.choice(self._used, self.plan.size)
            else:
                self.order = self.rng.permutation(self._used)
            self.at = 0
        size, larger = divmod(len(self.order), self._n_steps)  # as np.array_split has it
        start = self.at * size + min(self.at, larger)
        part = self.order[start : start + size + (self.at < larger)]
        self.at += 1
        index, counts = np.unique(part, return_counts=True)
        own = counts.astype(np.float64) if weight is None else counts * weight[index]
        return StandardizedRows(
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
    journal: Journal | None = None,
    *,
    options: EMOptions,
    plan: Minibatches,
    report: Callable[[int, float], None] | None = None,
) -> EMResult[SubspaceParameters]:
    """Take steps with all restarts, which share the rows of each, until they have settled.

    Objectives are those of all rows at the end, and traces the mean over each round's rows. The
    restarts go on from where the journal has them, and stop where it is asked to end.
    """
    journal = journal or Journal()
    stage = journal.stage()
    pieces = plan.draw(data, family.starter.rng)
    run = _Run(replace(family, total_weight=1.0), start, options, pieces)
    if stage.kept is not None:
        run.restore(stage.kept)
    while run.n_done < plan.rounds and len(run.active) and not journal.asked:
        run.round(islice(pieces, plan.steps))
        if report is not None:
            report(run.n_done, float(np.nanmax(run.value, initial=-np.inf)))
        stage.keep(run.state)
    stage.close(run.state)
    reason = StopReason.INTERRUPTED if journal.asked else StopReason.ITERATION_LIMIT
    return run.result(family, data, reason)


#: What is known of every restart, and of all together.
OF_RESTARTS = ("active", "value", "n_rounds", "reseeds")
OF_ALL = ("t", "n_done", "beta")


@dataclass
class _Run:
    """Restarts on their way; `now`, `past` and `active` are those that have not settled yet."""

    family: SubspaceFamily  # of statistics per unit of weight
    now: SubspaceParameters
    options: EMOptions
    pieces: Pieces
    past: Statistics | None = None
    t: int = 0
    n_done: int = 0
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
        self.n_done += 1
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

    def state(self) -> Arrays:
        """Where the restarts are, and which rows come next."""
        state = {name: getattr(self, name).copy() for name in OF_RESTARTS}
        state |= {name: np.array(getattr(self, name)) for name in OF_ALL}
        state |= {"reasons": reasons_as_array(self.reasons), **traces_as_arrays(self.traces)}
        state |= {"order": self.pieces.order, "at": np.array(self.pieces.at)}
        past = {} if self.past is None else self.past
        state |= {f"past.{name}": value.cpu().numpy() for name, value in past.items()}
        return state | parameters_as_arrays("now", self.now) | finished_as_arrays(self.finished)

    def restore(self, state: Arrays) -> None:
        """Be where others were."""
        like = self.now
        for name in OF_RESTARTS:
            setattr(self, name, state[name].copy())
        for name in OF_ALL:
            setattr(self, name, state[name].item())
        self.reasons, self.traces = reasons_of(state), traces_of(state)
        self.pieces.order, self.pieces.at = state["order"], int(state["at"])
        self.past = {
            name.removeprefix("past."): tensor_of(array, like.weights)
            for name, array in state.items()
            if name.startswith("past.")
        }
        self.now, self.finished = parameters_of("now", state, like), finished_of(state, like)

    def result(
        self, family: SubspaceFamily, data: StandardizedRows, reason: StopReason
    ) -> EMResult[SubspaceParameters]:
        """Where the restarts are, seen with all rows; `reason` is why those not settled stop."""
        self._leave(np.ones(len(self.active), dtype=bool), reason)
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

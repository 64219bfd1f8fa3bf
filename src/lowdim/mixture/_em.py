"""The one EM loop that serves every mixture.

blocks -> E-step -> additive statistics -> sum -> M-step, for a batch of restarts that share each
pass over the data. The loop owns assignment, annealing, acceleration, death and re-seeding of
components, tolerance, and the trace; the family owns the mathematics of a component.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Generic

import numpy as np
import torch
from torch import Tensor

from lowdim._device import to_device, to_host
from lowdim._journal import Journal
from lowdim._results import StopReason
from lowdim.data.blocks import Rows
from lowdim.mixture._checkpoint import restore, state_of
from lowdim.mixture._family import Family, P, Statistics, concatenate, without_broken
from lowdim.mixture._squarem import extrapolate

#: A restart whose components keep dying is left as it is after this many re-seedings.
MAX_RESEEDS = 5
#: EM steps before extrapolation begins.
WARM_UP = 4
#: Extrapolate only while a step gains more than this share of what the last one gained.
SLOW_GAIN = 0.2
#: What comes before the EM that is kept has settled when a step gains less than this per row.
SETTLED = 1e-3
#: A restart is hopeless if so many steps like its last would not reach a converged one.
PATIENCE = 100


@dataclass(frozen=True)
class EMOptions:
    """How to iterate.

    Attributes
    ----------
    assignment : {"soft", "hard", "closest"}
        Posterior responsibilities; all to the most probable component; all to the nearest.
    max_iter : int
        Passes over the data at most.
    tol : float
        Stop when the objective per unit of row weight gains less than this in an EM step.
    annealing : (beta_0, rate), optional
        Deterministic annealing: responsibilities ~ (weight * density)^beta, beta from beta_0
        to 1, multiplied by rate whenever the annealed objective has settled. The assignment
        is that of this class only at beta = 1.
    accelerate : bool
        SQUAREM extrapolation, accepted only where it does not lower the objective.
    prune : bool
        Stop restarts that a converged one has left behind for good. For restarts that fit the
        same model only: their objectives must be comparable.
    by_likelihood : bool
        Restarts are chosen among by their log-likelihood whatever the assignment. Then only
        soft ones are pruned, since the objective of others does not tell which are behind.
    """

    assignment: str = "soft"
    max_iter: int = 200
    tol: float = 1e-6
    annealing: tuple[float, float] | None = None
    accelerate: bool = True
    prune: bool = True
    by_likelihood: bool = False

    @property
    def comparable(self) -> bool:
        """Whether their objectives tell which restarts are behind."""
        return self.prune and (self.assignment == "soft" or not self.by_likelihood)


@dataclass
class EMResult(Generic[P]):
    """A batch of fitted mixtures.

    Attributes
    ----------
    parameters : Parameters
        Of all restarts, at their last accepted step.
    objective : ndarray of shape (R,)
        Mean objective per row weight; nan for a restart that failed.
    traces : list of ndarray
        The accepted objectives of every restart.
    n_iter : ndarray of shape (R,)
        Passes over the data.
    reasons : list of StopReason
    degenerate : ndarray of shape (R,), bool
        Restarts with a component at the variance floor or without enough rows.
    """

    parameters: P
    objective: np.ndarray
    traces: list[np.ndarray]
    n_iter: np.ndarray
    reasons: list[StopReason]
    degenerate: np.ndarray

    def best(self) -> int:
        """The restart to keep: the highest objective among the sound ones."""
        score = np.where(np.isnan(self.objective), -np.inf, self.objective)
        sound = ~self.degenerate & np.isfinite(score)
        if sound.any():
            score = np.where(sound, score, -np.inf)
        return int(score.argmax())


def expectation(
    family: Family[P],
    data: Rows,
    parameters: P,
    assignment: str = "soft",
    beta: float = 1.0,
) -> tuple[Statistics, Tensor]:
    """One pass over the data: summed statistics and the mean objective of every restart, (R,)."""
    own = family if data.local else family.to_send()
    total: tuple[Statistics, Tensor] = data.total(
        partial(own.expectation, parameters=parameters, assignment=assignment, beta=beta)
    )
    return total[0], total[1] / data.total_weight


def em_step(
    family: Family[P], data: Rows, parameters: P, assignment: str, beta: float
) -> tuple[np.ndarray, P, np.ndarray]:
    """Mean objective of every restart, (R,), its next parameters, and what starved, (R, K)."""
    fused = family.fused_step(data, parameters, assignment, beta) if data.local else None
    if fused is not None:
        return fused
    statistics, value = expectation(family, data, parameters, assignment, beta)
    (objective,) = to_host(value)
    statistics = without_broken(statistics, ~np.isfinite(objective))
    updated = family.maximize(statistics, parameters, closest=assignment == "closest")
    return objective, updated, family.starved(statistics, parameters).numpy()


def run_em(
    family: Family[P],
    data: Rows,
    start: P,
    options: EMOptions,
    report: Callable[[int, float], None] | None = None,
    journal: Journal | None = None,
) -> EMResult[P]:
    """Iterate a batch of restarts until each has stopped for a reason of its own.

    They go on from where the journal has them, and stop where it is asked to end.
    """
    journal = journal or Journal()
    loop, stage = Loop(family, data, start, options), journal.stage()
    del start
    if stage.kept is not None:
        restore(loop, stage.kept)
    while loop.iteration < options.max_iter and len(loop.active) and not journal.asked:
        loop.step()
        if report is not None:
            report(loop.iteration, loop.best_objective())
        stage.keep(lambda: state_of(loop))
    stage.close(lambda: state_of(loop))
    return loop.result(StopReason.INTERRUPTED if journal.asked else StopReason.ITERATION_LIMIT)


@dataclass
class Loop(Generic[P]):
    """State of a running batch; the arrays are indexed by restart, `now` by active restart."""

    family: Family[P]
    data: Rows
    now: P  # parameters to evaluate next, of the active restarts
    options: EMOptions
    iteration: int = 0
    traces: list[list[float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        n = self.now.n_restarts
        self.finished: dict[int, P] = {}  # parameters of each restart that has stopped
        self.active = np.arange(n)
        self.traces = [[] for _ in range(n)]
        self.objective = np.full(n, np.nan)
        self.n_iter = np.zeros(n, dtype=np.int64)
        self.reasons = [StopReason.ITERATION_LIMIT] * n
        self.reseeds = np.zeros(n, dtype=np.int64)
        self.starved = np.zeros(n, dtype=bool)
        self.beta = 1.0 if self.options.annealing is None else self.options.annealing[0]
        self.last_gain = np.full(n, np.inf)
        self.sound_best = -np.inf  # highest converged objective without a collapsed component
        self.settled = np.full(n, -np.inf)  # last objective at the present beta
        self._begin_cycle()

    def best_objective(self) -> float:
        return float(np.fmax.reduce(self.objective))  # nan only where all are

    def step(self) -> None:
        """One pass: evaluate the active restarts, then update, extrapolate or retire them."""
        self.iteration += 1
        self.n_iter[self.active] += 1
        # Annealing is soft; what was asked for goes on from there.
        assignment = self.options.assignment if self.beta == 1.0 else "soft"
        objective, updated, starved = em_step(
            self.family, self.data, self.now, assignment, self.beta
        )
        rejected = self._rejected(objective)
        failed = ~(np.isfinite(objective) | rejected)
        gain = objective - self.settled[self.active]
        accepted = ~(failed | rejected)
        reseeded = np.zeros(len(accepted), dtype=bool)
        if np.count_nonzero(starved):  # of few numbers, faster than any()
            updated, reseeded = self._reseed(updated, starved, accepted)
            accepted &= ~reseeded
            for restart in self.active[reseeded]:  # a new start, so a new trace
                self.settled[restart] = -np.inf
                self.traces[restart].clear()
        self._record(objective, accepted)
        if self.beta < 1.0:
            self._anneal(updated, gain, failed)
            return
        done = accepted & (np.abs(gain) < self.options.tol)
        self._retire(done, StopReason.CONVERGED)
        self._retire(failed, StopReason.FAILED)
        hopeless = accepted & ~done & self._hopeless(objective, gain)
        self._retire(hopeless, StopReason.OUTPACED)
        self._advance(updated, gain, rejected, reseeded, keep=~(done | failed | hopeless))

    def _hopeless(self, objective: np.ndarray, gain: np.ndarray) -> np.ndarray:
        """Restarts too far below a converged one to reach it at their present pace."""
        prune = self.options.comparable and self.iteration > WARM_UP
        if not prune or not self.sound_best > -np.inf:
            return np.zeros(len(self.active), dtype=bool)
        return objective + PATIENCE * np.maximum(gain, 0) < self.sound_best

    # Acceleration -------------------------------------------------------------------------

    def _begin_cycle(self) -> None:
        self.phase = 0
        self.anchors: list[P] = []
        self.fallback: P = self.now

    def _rejected(self, objective: np.ndarray) -> np.ndarray:
        """Extrapolated points that lowered the objective."""
        if self.phase != 2:
            return np.zeros(len(self.active), dtype=bool)
        drop = 1e-12 * np.abs(objective)
        return ~(objective >= self.settled[self.active] - drop)

    def _advance(
        self,
        updated: P,
        gain: np.ndarray,
        rejected: np.ndarray,
        reseeded: np.ndarray,
        keep: np.ndarray,
    ) -> None:
        """Choose the parameters that each remaining restart evaluates next."""
        if self.phase == 2 and rejected.all():
            updated = self.fallback
        elif self.phase == 2 and rejected.any():
            index = self._index(rejected)
            updated = updated.assign(index, self.fallback.select(index))
        before = self.now
        if not keep.all():
            index = self._index(keep)
            before, updated = before.select(index), updated.select(index)
            self.anchors = [anchor.select(index) for anchor in self.anchors]
            self.active = self.active[keep]
        self.now = updated
        slow = self._slow(gain[keep])
        if self.phase == 2 or not slow or reseeded.any():
            self._begin_cycle()
        elif self.phase == 0:
            self.anchors, self.phase = [before], 1
        else:
            self.fallback, self.phase = updated, 2
            self.now = extrapolate(self.family, self.anchors[0], before, updated)
            self.anchors = []

    def _slow(self, gain: np.ndarray) -> bool:
        """Whether to extrapolate: some restart's gains shrink slowly, or a cycle has begun."""
        if not self.options.accelerate or self.options.assignment != "soft":
            return False
        last = self.last_gain[self.active]
        self.last_gain[self.active] = gain
        begun = self.phase == 1 and len(gain) > 0
        return begun or (self.iteration > WARM_UP and bool((gain > SLOW_GAIN * last).any()))

    # Bookkeeping --------------------------------------------------------------------------

    def _index(self, mask: np.ndarray) -> Tensor:
        return to_device(np.flatnonzero(mask), self.data.device)

    def _record(self, objective: np.ndarray, accepted: np.ndarray) -> None:
        for position in accepted.nonzero()[0]:
            restart = self.active[position]
            self.settled[restart] = objective[position]
            if self.beta == 1.0:
                self.objective[restart] = objective[position]
                self.traces[restart].append(float(objective[position]))

    def _reseed(
        self, updated: P, starved: np.ndarray, eligible: np.ndarray
    ) -> tuple[P, np.ndarray]:
        """Re-seed dying components of restarts that have not had their share of it."""
        dying = starved.any(1) & eligible
        chance = self.reseeds[self.active] < MAX_RESEEDS
        self.starved[self.active] = dying & ~chance
        dying &= chance
        if not dying.any():
            return updated, dying
        self.reseeds[self.active[dying]] += 1
        return self.family.reseed(updated, torch.from_numpy(starved & dying[:, None])), dying

    def _anneal(self, updated: P, gain: np.ndarray, failed: np.ndarray) -> None:
        """Raise beta once the slowest restart has settled at the present one."""
        assert self.options.annealing is not None
        self._retire(failed, StopReason.FAILED)
        self.active = self.active[~failed]
        self.now = updated.select(self._index(~failed))
        gain = gain[~failed]
        if len(gain) and np.all(np.abs(gain) < max(SETTLED, self.options.tol)):
            self.beta = min(1.0, self.beta * self.options.annealing[1])
            self.settled[:] = -np.inf

    def _retire(self, mask: np.ndarray, reason: StopReason) -> None:
        if not np.count_nonzero(mask):
            return
        for position in np.flatnonzero(mask):
            restart = int(self.active[position])
            self.finished[restart] = self._one(self.now, int(position))
            self.reasons[restart] = reason
            several = len(self.objective) > 1  # else there is none to be left behind
            if reason is StopReason.CONVERGED and self.options.prune and several:
                self._note_sound(restart)
            if reason is StopReason.FAILED:
                self.objective[restart] = np.nan

    def _one(self, parameters: P, position: int) -> P:
        """One restart of the active ones."""
        if parameters.n_restarts == 1:
            return parameters
        return parameters.select(to_device(np.array([position]), self.data.device))

    def _note_sound(self, restart: int) -> None:
        if not self.starved[restart] and not bool(self.family.collapsed(self.finished[restart])):
            self.sound_best = max(self.sound_best, self.objective[restart])

    def result(self, reason: StopReason) -> EMResult[P]:
        """What all restarts came to; `reason` is why those that are still active stop."""
        if len(self.active):
            self._retire(np.ones(len(self.active), dtype=bool), reason)
            self._evaluate_unfinished()
        final = concatenate([self.finished[restart] for restart in range(len(self.objective))])
        collapsed = self.family.collapsed(final).cpu().numpy()
        return EMResult(
            parameters=final,
            objective=self.objective,
            traces=[np.array(trace) for trace in self.traces],
            n_iter=self.n_iter,
            reasons=self.reasons,
            degenerate=collapsed | self.starved,
        )

    def _evaluate_unfinished(self) -> None:
        """The objective at the parameters that the iteration limit left unevaluated."""
        _, value = expectation(self.family, self.data, self.now, self.options.assignment, 1.0)
        objective = value.cpu().numpy()
        if self.phase == 2:
            rejected = self._rejected(objective)
            if rejected.any():
                index = self._index(rejected)
                fallback = self.fallback.select(index)
                _, other = expectation(
                    self.family, self.data, fallback, self.options.assignment, 1.0
                )
                objective[rejected] = other.cpu().numpy()
                for position in np.flatnonzero(rejected):
                    restart = int(self.active[position])
                    self.finished[restart] = self._one(self.fallback, int(position))
        self.beta = 1.0
        sound = np.isfinite(objective)
        self._record(objective, sound)
        for restart in self.active[~sound]:  # its last step broke it
            self.reasons[restart] = StopReason.FAILED
            self.objective[restart] = np.nan

"""The course of a descent of t-SNE: its phases, and when it ends."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

from lowdim._journal import Journal, Stage
from lowdim.embedding._course import Course, Watch
from lowdim.embedding._kept import KeptSteps

#: Affinities whose logarithms are taken at a time.
AT_A_TIME = 2**20


@dataclass(frozen=True)
class Phase:
    """Iterations with the same settings.

    Attributes
    ----------
    n_iter : int
    exaggeration : float
        Weight of the attraction.
    learning_rate, momentum : float
    """

    n_iter: int
    exaggeration: float
    learning_rate: float
    momentum: float


class Steps(KeptSteps):
    """A layout that goes through phases of iterations."""

    def __init__(self) -> None:
        self.course = Course("gradient_norm", "kl_divergence")

    @property
    @abstractmethod
    def layout(self) -> np.ndarray:
        """The layout as it is now, in the order of the rows, (N, c), float32."""

    @abstractmethod
    def kl_divergence(self) -> float:
        """Of the layout as it is now."""

    @abstractmethod
    def _rest(self) -> None:
        """Set the velocities to zero and the gains to one, as at the start of a phase."""

    @abstractmethod
    def _step(self, phase: Phase, n_before: int) -> None:
        """Move the points; `n_before` iterations of the phase came before."""

    @abstractmethod
    def _norms(self) -> tuple[float, float]:
        """Norms of the gradient, without its factor of four, and of the attraction."""

    def run(
        self,
        phases: Sequence[Phase],
        watch: Watch,
        tol: float = 0.0,
        journal: Journal | None = None,
    ) -> Course:
        """Go through the phases, from where the journal has them.

        The last phase stops when the gradient is no more than `tol` times the attraction; an
        interrupt from the keyboard ends them all and keeps the layout.
        """
        stage = self.taken_up(journal)
        first, goes_on = 0, self.goes_on
        with self.course.keeping_layout(stage):
            for phase in phases:
                n_done = min(max(self.course.n_iter - first, 0), phase.n_iter)
                first += phase.n_iter
                last_tol = tol if phase is phases[-1] else 0.0
                goes_on = goes_on and self._run_phase(phase, n_done, watch, last_tol, stage)
            stage.close(self.state)
        return self.course

    def _run_phase(self, phase: Phase, n_done: int, watch: Watch, tol: float, stage: Stage) -> bool:
        """Whether to go on after the phase, of which so many iterations are done."""
        if n_done == 0:
            self._rest()
        course = self.course
        for n_before in range(n_done, phase.n_iter):
            self._step(phase, n_before)
            course.n_iter += 1
            if course.n_iter % watch.every == 0 and not self._look(watch, tol):
                return False
            if not self.stepped(stage):
                return False
        return True

    def _look(self, watch: Watch, tol: float) -> bool:
        """Take down how far the descent has come; whether to go on."""
        course = self.course
        gradient, attraction = self._norms()
        kl = self.kl_divergence() if watch.asks else float("nan")
        course.note(4.0 * gradient, kl)
        if not course.goes_on(watch, lambda: self.layout, kl):
            return False
        if gradient <= tol * attraction:
            course.reason = "gradient"
            return False
        return True


def entropy_and_mass(p: np.ndarray) -> tuple[float, float]:
    """``sum p log p`` and ``sum p`` of affinities, in float64, without a copy of all."""
    entropy = 0.0
    for start in range(0, len(p), AT_A_TIME):
        part = p[start : start + AT_A_TIME].astype(np.float64)
        entropy += float(xlogy(part, part).sum())
    return entropy, float(p.sum(dtype=np.float64))

"""The course of a descent of t-SNE: its phases, and when it ends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

from lowdim.embedding._course import Course, Watch

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


class Steps(ABC):
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

    def run(self, phases: Sequence[Phase], watch: Watch, tol: float = 0.0) -> Course:
        """Go through the phases; an interrupt from the keyboard ends them and keeps the layout.

        The last phase stops when the gradient is no more than `tol` times the attraction.
        """
        with self.course.keeping_layout():
            for phase in phases:
                if not self._run_phase(phase, watch, tol if phase is phases[-1] else 0.0):
                    break
        return self.course

    def _run_phase(self, phase: Phase, watch: Watch, tol: float) -> bool:
        """Whether to go on after the phase."""
        self._rest()
        course = self.course
        for n_before in range(phase.n_iter):
            self._step(phase, n_before)
            course.n_iter += 1
            if course.n_iter % watch.every == 0 and not self._look(watch, tol):
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

"""The course of a descent of t-SNE: its phases, who looks at it, and when it ends."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from lowdim._progress import Report

logger = logging.getLogger("lowdim")

Callback = Callable[[int, np.ndarray, float], object]
"""Takes the number of iterations, the layout, (N, d), and its KL divergence; true stops the fit."""


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


@dataclass(frozen=True)
class Watch:
    """Who looks at a descent, and when it may stop.

    Attributes
    ----------
    callbacks : sequence of Callback
    every : int
        Iterations between looks.
    tol : float
        Stop in the last phase when the gradient is no more than this share of the attraction.
    report : Report, optional
        Shown every look.
    """

    callbacks: Sequence[Callback] = ()
    every: int = 50
    tol: float = 0.0
    report: Report | None = None


@dataclass
class Course:
    """What became of a descent.

    Attributes
    ----------
    n_iter : int
    reason : str
        "limit", "gradient", "callback" or "interrupted".
    history : dict of lists
        ``iteration``, ``gradient_norm`` and ``kl_divergence`` at every look; the last is nan where
        nobody asked for it.
    """

    n_iter: int = 0
    reason: str = "limit"
    history: dict[str, list[float]] = field(
        default_factory=lambda: {"iteration": [], "gradient_norm": [], "kl_divergence": []}
    )


class Steps(ABC):
    """A layout that goes through phases of iterations."""

    def __init__(self) -> None:
        self.course = Course()

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

    def run(self, phases: Sequence[Phase], watch: Watch) -> Course:
        """Go through the phases; an interrupt from the keyboard ends them and keeps the layout."""
        try:
            for phase in phases:
                last = phase is phases[-1]
                if not self._run_phase(phase, watch, watch.tol if last else 0.0):
                    break
        except KeyboardInterrupt:
            logger.warning("Interrupted after %d iterations.", self.course.n_iter)
            self.course.reason = "interrupted"
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
        asked = bool(watch.callbacks) or watch.report is not None
        kl = self.kl_divergence() if asked else float("nan")
        values = (course.n_iter, 4.0 * gradient, kl)
        for own, value in zip(course.history.values(), values, strict=True):
            own.append(value)
        if watch.report is not None:
            watch.report(course.n_iter, kl)
        answers = [callback(course.n_iter, self.layout, kl) for callback in watch.callbacks]
        if any(answers):
            course.reason = "callback"
            return False
        if gradient <= tol * attraction:
            course.reason = "gradient"
            return False
        return True

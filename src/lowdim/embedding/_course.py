"""The course of a fit: how far it has come, who looks at it, and why it ended."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from lowdim._checkpoint import Arrays
from lowdim._journal import Stage
from lowdim._progress import Report

logger = logging.getLogger("lowdim")

LIMIT, INTERRUPTED = "limit", "interrupted"

Callback = Callable[[int, np.ndarray, float], object]
"""Takes the number of iterations, the layout, (N, c), and its loss; true stops the fit."""


@dataclass(frozen=True)
class Watch:
    """Who looks at a layout on its way.

    Attributes
    ----------
    callbacks : sequence of Callback
    every : int
        Iterations between looks.
    report : Report, optional
        Shown every look.
    """

    callbacks: Sequence[Callback] = ()
    every: int = 50
    report: Report | None = None

    @property
    def asks(self) -> bool:
        """Whether anyone wants to know the loss."""
        return bool(self.callbacks) or self.report is not None


class Course:
    """What became of a fit.

    Parameters
    ----------
    *names : str
        Of the numbers that are taken down at every look, beside ``iteration``.

    Attributes
    ----------
    n_iter : int
    reason : str
        "limit", "gradient", "callback" or "interrupted".
    history : dict of lists
        The numbers, by name; a loss is nan where nobody asked for it.
    """

    def __init__(self, *names: str) -> None:
        self.n_iter, self.reason = 0, LIMIT
        self.history: dict[str, list[float]] = {name: [] for name in ("iteration", *names)}

    @contextmanager
    def keeping_layout(self, stage: Stage | None = None) -> Iterator[None]:
        """An interrupt from the keyboard ends the fit, and what it has come to stays.

        Where a stage listens to the keyboard as well, what comes a second time, or before the first
        step, is raised.
        """
        try:
            yield
        except KeyboardInterrupt:
            if stage is not None and (stage.asked or not self.n_iter):
                raise
            logger.warning("Interrupted after %d iterations.", self.n_iter)
            self.end_early()

    def end_early(self) -> None:
        """Take down that the fit was interrupted."""
        self.reason = INTERRUPTED

    def state(self) -> Arrays:
        """All of this, for the file that a long fit is kept in; what was interrupted may go on."""
        reason = LIMIT if self.reason == INTERRUPTED else self.reason
        history = {f"history.{name}": np.array(own) for name, own in self.history.items()}
        return {
            "n_iter": np.array(self.n_iter),
            "reason": np.array([reason], dtype=object),
            **history,
        }

    def take(self, state: Arrays) -> None:
        """Put in its place what `state` returned."""
        self.n_iter, self.reason = int(state["n_iter"]), str(state["reason"][0])
        self.history = {name: state[f"history.{name}"].tolist() for name in self.history}

    def note(self, *numbers: float) -> None:
        """Take down numbers of this iteration, in the order of their names."""
        for own, number in zip(self.history.values(), (self.n_iter, *numbers), strict=True):
            own.append(number)

    def goes_on(self, watch: Watch, layout: Callable[[], np.ndarray], loss: float) -> bool:
        """Show the layout to those who look at it; whether all let the fit go on."""
        if watch.report is not None:
            watch.report(self.n_iter, loss)
        answers = [callback(self.n_iter, layout(), loss) for callback in watch.callbacks]
        if any(answers):
            self.reason = "callback"
        return not any(answers)

    def tell(self, model: Any) -> None:
        """Write an estimator's attributes."""
        model.n_iter_, model.stop_reason_, model.history_ = self.n_iter, self.reason, self.history

"""The descent of a layout under forces of all pairs, by an optimiser of torch's kind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from lowdim._checkpoint import Arrays
from lowdim.embedding._course import Course, Watch
from lowdim.embedding._pairs.forces import Forces
from lowdim.embedding._pairs.optimizers import inside
from lowdim.embedding._pairs.optimizing import PhasedSteps
from lowdim.embedding._pairs.settings import PairSettings, Phase


def new_course() -> Course:
    """What is taken down of a descent by an optimiser."""
    return Course("gradient_norm", "loss", "learning_rate", "momentum")


@dataclass
class PairDescent(PhasedSteps):
    """A layout on its way.

    Attributes
    ----------
    forces : Forces
    settings : PairSettings
    in_ball : bool
    points : Tensor of shape (N, d), float32
    watch : Watch
    course : Course
    """

    forces: Forces
    settings: PairSettings
    in_ball: bool
    points: torch.Tensor
    watch: Watch
    course: Course = field(default_factory=new_course)

    @property
    def layout(self) -> np.ndarray:
        """The layout as it is now, (N, d), float32; a copy."""
        return np.array(self.points.detach().numpy(), dtype=np.float32)

    def _arrays(self) -> Arrays:
        return {"layout": self.layout, **self.forces.state(), **self.optimizing.state()}

    def _take(self, arrays: Arrays) -> None:
        self.points.copy_(torch.from_numpy(arrays["layout"]))
        self.forces.take(arrays)

    def _optimizer(self, phase: Phase) -> Any:
        return self.settings.make_optimizer(self.points, phase, in_ball=self.in_ball)

    def _step(self, phase: Phase) -> bool:
        with np.errstate(over="ignore", invalid="ignore"):  # `_check` will tell
            gradient = self.forces.gradient(self.points.detach().numpy(), phase.weight)
        self.points.grad = torch.from_numpy(gradient.astype(np.float32))
        numbers = self.optimizing.step()
        if self.in_ball:
            with torch.no_grad():
                self.points.copy_(inside(self.points))
        self.course.n_iter += 1
        self._check()
        looked = self.course.n_iter % self.watch.every == 0
        return not looked or self._look(gradient, phase, numbers)

    def _look(self, gradient: np.ndarray, phase: Phase, numbers: tuple[float, float]) -> bool:
        """Take down how far the descent has come; whether to go on."""
        norm = float(np.linalg.norm(gradient))
        loss = self.forces.loss(self.layout) if self.watch.asks else float("nan")
        self.course.note(norm, loss, *numbers)
        if not self.course.goes_on(self.watch, lambda: self.layout, loss):
            return False
        if phase.last and np.sqrt(len(gradient)) * norm <= self.settings.tol:
            self.course.reason = "gradient"
            return False
        return True

    def _check(self) -> None:
        if not bool(torch.isfinite(self.points).all()):
            raise ValueError(
                f"The layout is no longer finite after {self.course.n_iter} iterations: lr is too "
                "large; pass a smaller one, or lr='auto'."
            )

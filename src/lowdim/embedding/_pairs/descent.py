"""The descent of a layout under forces of all pairs, by an optimiser of torch's kind."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from lowdim.embedding._course import Course, Watch
from lowdim.embedding._pairs.forces import Forces
from lowdim.embedding._pairs.optimizers import inside
from lowdim.embedding._pairs.settings import PairSettings, Phase


def new_course() -> Course:
    """What is taken down of a descent by an optimiser."""
    return Course("gradient_norm", "loss", "learning_rate", "momentum")


@dataclass
class PairDescent:
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

    def run(self) -> None:
        """Go through the phases; an interrupt from the keyboard ends them and keeps the layout."""
        with self.course.keeping_layout():
            for phase in self.settings.phases:
                if not self._run_phase(phase):
                    break

    def _run_phase(self, phase: Phase) -> bool:
        """Whether to go on after the phase."""
        optimizer = self.settings.make_optimizer(self.points, phase, in_ball=self.in_ball)
        scheduler = None
        if phase.last and self.settings.scheduler is not None:
            scheduler = self.settings.scheduler(optimizer, phase.n_iter)
        for _ in range(phase.n_iter):
            with np.errstate(over="ignore", invalid="ignore"):  # `_check` will tell
                gradient = self.forces.gradient(self.points.detach().numpy(), phase.weight)
            self.points.grad = torch.from_numpy(gradient.astype(np.float32))
            optimizer.step()
            rate = optimizer.param_groups[0]
            numbers = float(rate["lr"]), float(rate.get("momentum", np.nan))
            if scheduler is not None:
                scheduler.step()
            if self.in_ball:
                with torch.no_grad():
                    self.points.copy_(inside(self.points))
            self.course.n_iter += 1
            self._check()
            looked = self.course.n_iter % self.watch.every == 0
            if looked and not self._look(gradient, phase, numbers):
                return False
        return True

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

"""The descent of a layout under forces of all pairs, by an optimiser of torch's kind."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from lowdim._progress import Report
from lowdim.embedding._pairs.forces import Forces
from lowdim.embedding._pairs.optimizers import inside
from lowdim.embedding._pairs.settings import PairSettings, Phase

logger = logging.getLogger("lowdim")

HISTORY = ("iteration", "gradient_norm", "loss", "learning_rate", "momentum")


@dataclass
class PairDescent:
    """A layout on its way.

    Attributes
    ----------
    forces : Forces
    settings : PairSettings
    in_ball : bool
    report : Report or None
    points : Tensor of shape (N, d), float32
    n_iter : int
    reason : str
        "limit", "gradient", "callback" or "interrupted".
    history : dict of lists
    """

    forces: Forces
    settings: PairSettings
    in_ball: bool
    points: torch.Tensor
    report: Report | None = None
    n_iter: int = 0
    reason: str = "limit"
    history: dict[str, list[float]] = field(default_factory=lambda: {key: [] for key in HISTORY})

    @property
    def layout(self) -> np.ndarray:
        """The layout as it is now, (N, d), float32; a copy."""
        return np.array(self.points.detach().numpy(), dtype=np.float32)

    def run(self) -> None:
        """Go through the phases; an interrupt from the keyboard ends them and keeps the layout."""
        try:
            for phase in self.settings.phases:
                if not self._run_phase(phase):
                    break
        except KeyboardInterrupt:
            logger.warning("Interrupted after %d iterations.", self.n_iter)
            self.reason = "interrupted"

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
            self.n_iter += 1
            self._check()
            looked = self.n_iter % self.settings.every == 0
            if looked and not self._look(gradient, phase, numbers):
                return False
        return True

    def _look(self, gradient: np.ndarray, phase: Phase, numbers: tuple[float, float]) -> bool:
        """Take down how far the descent has come; whether to go on."""
        settings = self.settings
        norm = float(np.linalg.norm(gradient))
        asked = bool(settings.callbacks) or self.report is not None
        loss = self.forces.loss(self.layout) if asked else float("nan")
        values: tuple[Any, ...] = (self.n_iter, norm, loss, *numbers)
        for own, value in zip(self.history.values(), values, strict=True):
            own.append(value)
        if self.report is not None:
            self.report(self.n_iter, loss)
        answers = [callback(self.n_iter, self.layout, loss) for callback in settings.callbacks]
        if any(answers):
            self.reason = "callback"
            return False
        if phase.last and np.sqrt(len(gradient)) * norm <= settings.tol:
            self.reason = "gradient"
            return False
        return True

    def _check(self) -> None:
        if not bool(torch.isfinite(self.points).all()):
            raise ValueError(
                f"The layout is no longer finite after {self.n_iter} iterations: lr is too large; "
                "pass a smaller one, or lr='auto'."
            )

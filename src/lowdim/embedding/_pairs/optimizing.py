"""Descents by optimisers of torch's, and how a file keeps these. Import on first use only."""

from __future__ import annotations

import json
import warnings
from abc import abstractmethod
from typing import Any

import numpy as np
import torch

from lowdim._checkpoint import Arrays
from lowdim._journal import Journal, Stage
from lowdim._storage import plain
from lowdim.embedding._kept import KeptSteps
from lowdim.embedding._pairs.settings import PairSettings, Phase

#: Names of arrays: numbers of groups of parameters; tensors and plain numbers of a parameter.
GROUPS, TENSOR, NUMBER = "optimizer", "optimizer.tensor", "optimizer.number"


class PhasedSteps(KeptSteps):
    """A descent through phases, in each of which an optimiser begins anew.

    Attributes
    ----------
    settings : PairSettings
    optimizing : Optimizing
        Of the phase.
    """

    settings: PairSettings
    optimizing: Optimizing

    @abstractmethod
    def _optimizer(self, phase: Phase) -> Any:
        """A new optimiser for a phase."""

    @abstractmethod
    def _step(self, phase: Phase) -> bool:
        """Move what is optimised, and take that down now and then; whether to go on."""

    def run(self, journal: Journal | None = None) -> None:
        """Go through the phases, from where the journal has them.

        An interrupt from the keyboard ends them, and what they have come to stays.
        """
        stage = self.taken_up(journal)
        first, goes_on = 0, self.goes_on
        with self.course.keeping_layout(stage):
            for phase in self.settings.phases:
                n_done = min(max(self.course.n_iter - first, 0), phase.n_iter)
                first += phase.n_iter
                if goes_on and n_done < phase.n_iter:
                    goes_on = self._run_phase(phase, n_done, stage)
            stage.close(self.state)

    def _run_phase(self, phase: Phase, n_done: int, stage: Stage) -> bool:
        """Whether to go on after the phase, of which so many iterations are done."""
        self.optimizing = Optimizing(self._optimizer(phase), phase, self.settings)
        if n_done and stage.kept is not None:
            self.optimizing.take(stage.kept, n_done)
        left = range(n_done, phase.n_iter)
        return all(self._step(phase) and self.stepped(stage) for _ in left)


class Optimizing:
    """An optimiser within a phase, and the scheduler of its rates.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
    phase : Phase
    settings : PairSettings
    """

    def __init__(self, optimizer: Any, phase: Phase, settings: PairSettings) -> None:
        self.optimizer, self._scheduler = optimizer, None
        if phase.last and settings.scheduler is not None:
            self._scheduler = settings.scheduler(optimizer, phase.n_iter)

    def step(self) -> tuple[float, float]:
        """Move the parameters; learning rate and momentum by which they were moved."""
        self.optimizer.step()
        group = self.optimizer.param_groups[0]
        numbers = float(group["lr"]), float(group.get("momentum", np.nan))
        if self._scheduler is not None:
            self._scheduler.step()
        return numbers

    def state(self) -> Arrays:
        """What the next step depends on, beside the parameters.

        Raises
        ------
        TypeError
            The optimiser knows what a file cannot hold.
        """
        whole = self.optimizer.state_dict()
        groups = [_without_parameters(group) for group in whole["param_groups"]]
        arrays: Arrays = {GROUPS: np.array([json.dumps(groups)], dtype=object)}
        for number, known in whole["state"].items():
            for name, value in known.items():
                if isinstance(value, torch.Tensor):
                    arrays[f"{TENSOR}.{number}.{name}"] = value.detach().cpu().numpy().copy()
                elif isinstance(value, (bool, int, float)):
                    arrays[f"{NUMBER}.{number}.{name}"] = np.array(value)
                elif value is not None:
                    raise TypeError(
                        f"{type(self.optimizer).__name__} keeps {name!r}, a "
                        f"{type(value).__name__}, which a checkpoint cannot hold; fit without one."
                    )
        return arrays

    def take(self, arrays: Arrays, n_done: int) -> None:
        """Bring an optimiser that has made no step to where one was after so many."""
        if self._scheduler is not None:
            with warnings.catch_warnings():  # of a scheduler that steps without its optimiser
                warnings.simplefilter("ignore", UserWarning)
                for _ in range(n_done):
                    self._scheduler.step()
        whole = self.optimizer.state_dict()
        for group, kept in zip(whole["param_groups"], json.loads(arrays[GROUPS][0]), strict=True):
            now = _without_parameters(group)
            group.update({name: value for name, value in kept.items() if now[name] != value})
        known: dict[int, dict[str, Any]] = {}
        for key, array in arrays.items():
            for kind in (TENSOR, NUMBER):
                if key.startswith(f"{kind}."):
                    number, _, name = key.removeprefix(f"{kind}.").partition(".")
                    value = torch.from_numpy(array.copy()) if kind == TENSOR else array.item()
                    known.setdefault(int(number), {})[name] = value
        self.optimizer.load_state_dict({**whole, "state": known})


def _without_parameters(group: dict[str, Any]) -> dict[str, Any]:
    """Numbers of a group of parameters, as JSON holds them."""
    return {name: plain(value) for name, value in group.items() if name != "params"}

"""Length scales and nuggets that are learned: for every factor, those of highest evidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from torch import Tensor

from lowdim.factorization._processes import Process, batches

if TYPE_CHECKING:
    from lowdim.factorization._state import State

Label = TypeVar("Label")


@dataclass(frozen=True)
class Candidates:
    """Processes on a grid of length scales and nuggets.

    Attributes
    ----------
    make : callable
        From the number of a length scale to its process.
    n_scales : int
    nuggets : sequence of float
    keep : bool
        Whether all processes fit into memory.
    """

    make: Callable[[int], Process]
    n_scales: int
    nuggets: Sequence[float]
    keep: bool
    _built: dict[int, Process] = field(default_factory=dict)
    _kept: dict[tuple[int, float], Process] = field(default_factory=dict)

    def best(self, state: State, design: Tensor) -> list[Process]:
        """For every spatial factor: first the length scale, at its nugget, then the nugget."""
        T = len(state.processes)
        evidence = _evidences(state, design)
        by_nugget = _classes([process.nugget for process in state.processes])
        scales = np.empty((self.n_scales, T))
        for i in range(self.n_scales):
            process = self._process(i)
            for nugget, own in by_nugget.items():
                scales[i, own] = evidence(process.with_nugget(nugget), own)
        by_scale = _classes(scales.argmax(0).tolist())
        built = {i: self._process(i) for i in by_scale}
        found: dict[int, Process] = {}
        for i, own in by_scale.items():
            values = [evidence(built[i].with_nugget(nugget), own) for nugget in self.nuggets]
            for j, best in zip(own, np.argmax(values, axis=0), strict=True):
                found[j] = self._shared(i, self.nuggets[best], built[i])
        return [found[j] for j in range(T)]

    def best_of_all(self, state: State, design: Tensor) -> Process:
        """The process of highest evidence for all spatial factors together."""
        every = list(range(len(state.processes)))
        evidence = _evidences(state, design)

        def total(process: Process) -> float:
            return sum(evidence(process, every))

        nugget = state.processes[0].nugget
        values = [total(self._process(i).with_nugget(nugget)) for i in range(self.n_scales)]
        i = max(range(self.n_scales), key=values.__getitem__)
        process = self._process(i)
        nugget = max(self.nuggets, key=lambda n: total(process.with_nugget(n)))
        return self._shared(i, nugget, process)

    def _process(self, i: int) -> Process:
        if i in self._built:
            return self._built[i]
        process = self.make(i)
        if self.keep:
            self._built[i] = process
        return process

    def _shared(self, i: int, nugget: float, process: Process) -> Process:
        """One object for factors that have the same."""
        if (i, nugget) not in self._kept:
            self._kept[i, nugget] = process.with_nugget(nugget)
        return self._kept[i, nugget]


def _classes(labels: Sequence[Label]) -> dict[Label, list[int]]:
    """Which factors have each label."""
    classes: dict[Label, list[int]] = {}
    for j, label in enumerate(labels):
        classes.setdefault(label, []).append(j)
    return classes


def _evidences(state: State, design: Tensor) -> Callable[[Process, list[int]], list[float]]:
    """Of a process for factors, under their sites and trends."""
    offsets = state.trend @ design.T

    def evidence(process: Process, factors: list[int]) -> list[float]:
        found: list[float] = []
        for own in batches(process, factors):
            l2 = state.l2[own]
            l1 = state.l1[own] - l2 * offsets[own]
            found += process.given(l2).posterior(l1).evidence.tolist()
        return found

    return evidence

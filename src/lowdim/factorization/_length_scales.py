"""Length scales and nuggets that are learned: for every factor, those of highest evidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torch import Tensor

from lowdim.factorization._processes import Process

if TYPE_CHECKING:
    from lowdim.factorization._state import State


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
        scales = [(-float("inf"), 0)] * T
        for i in range(self.n_scales):
            process = self._process(i)
            for j in range(T):
                own = process.with_nugget(state.processes[j].nugget)
                scales[j] = max(scales[j], (evidence(own, j), -i))
        found: list[tuple[int, float]] = []
        built = {-i: self._process(-i) for _, i in scales}
        for j in range(T):
            i = -scales[j][1]
            values = [
                (evidence(built[i].with_nugget(nugget), j), nugget) for nugget in self.nuggets
            ]
            found.append((i, max(values)[1]))
        return [self._shared(i, nugget, built[i]) for i, nugget in found]

    def best_of_all(self, state: State, design: Tensor) -> Process:
        """The process of highest evidence for all spatial factors together."""
        T = len(state.processes)
        evidence = _evidences(state, design)

        def total(process: Process) -> float:
            return sum(evidence(process, j) for j in range(T))

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


def _evidences(state: State, design: Tensor) -> Callable[[Process, int], float]:
    """Of a process for a factor, under its sites and trend."""
    offsets = state.trend @ design.T

    def evidence(process: Process, j: int) -> float:
        l1 = state.l1[j] - state.l2[j] * offsets[j]
        return float(process.given(state.l2[j]).posterior(l1).evidence)

    return evidence

"""The descent of PaCMAP: from pairs and a first layout to the layout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from lowdim.affinities import Pairs
from lowdim.embedding._course import Course, Watch
from lowdim.embedding._crew import PARTS, Crew, part_bounds
from lowdim.embedding._pacmap.step import (
    adam,
    inverse_sums,
    partners,
    plane_gradient,
    space_gradient,
)

#: A near pair at squared distance r^2 costs ``1 - 10 / (11 + r^2)``, a further one ``1 / (2 +
#: r^2)``, a mid-near one ``1 - 10000 / (10001 + r^2)``: what is divided, and what by.
SCALES = np.array([-10.0, 1.0, -10_000.0])
OFFSETS = np.array([11.0, 2.0, 10_001.0], np.float32)
LEVELS = np.array([1.0, 0.0, 1.0])
#: Weight of mid-near pairs when the first phase begins, and when it ends.
MID_NEAR = 1000.0, 3.0


def weights_of(lengths: Sequence[int]) -> Iterator[tuple[float, float, float]]:
    """Weights of near, further and mid-near pairs in every iteration of the three phases."""
    first, last = MID_NEAR
    for t in range(lengths[0]):
        yield 2.0, 1.0, first + (last - first) * t / lengths[0]
    for _ in range(lengths[1]):
        yield 3.0, 1.0, last
    for _ in range(lengths[2]):
        yield 1.0, 1.0, 0.0


class Descent:
    """Adam on PaCMAP's loss.

    The loss is a weighted sum over near, mid-near and further pairs of ``d / (10 + d)``, ``d /
    (10000 + d)`` and ``1 / (1 + d)``, ``d = 1 + r^2`` (Wang, Huang, Rudin and Shaposhnik 2021).

    Parameters
    ----------
    pairs : Pairs
    start : (N, c)
        The first layout.
    rate : float
        Learning rate.
    crew : Crew
    """

    def __init__(self, pairs: Pairs, start: np.ndarray, *, rate: float, crew: Crew) -> None:
        self._partners = partners((pairs.near, pairs.further, pairs.mid_near))
        self._numbers = np.array(
            [kind.size for kind in (pairs.near, pairs.further, pairs.mid_near)], dtype=np.float64
        )
        self.layout = np.ascontiguousarray(start, dtype=np.float32).copy()
        self._moments = np.zeros_like(self.layout), np.zeros_like(self.layout)
        self._force = np.empty_like(self.layout)
        self._bounds = part_bounds(len(self.layout))
        self._rate, self._crew = rate, crew
        self.course = Course("loss")

    def gradient(self, weights: Sequence[float]) -> np.ndarray:
        """The gradient of the loss where the layout is now, (N, c), float32."""
        signed = (-2 * SCALES * weights).astype(np.float32)
        function = plane_gradient if self.layout.shape[1] == 2 else space_gradient
        arguments = self._partners, signed, OFFSETS, self._bounds, self._force
        self._crew.run(function, self.layout, *arguments)
        return self._force

    def loss(self, weights: Sequence[float]) -> float:
        """The loss where the layout is now."""
        sums = np.empty((PARTS, 3))
        self._crew.run(inverse_sums, self.layout, self._partners, OFFSETS, self._bounds, sums)
        by_kind = LEVELS * self._numbers + SCALES * sums.sum(0) / 2  # both points of each pair
        return float(by_kind @ np.asarray(weights))

    def run(self, lengths: Sequence[int], watch: Watch) -> Course:
        """Go through the phases; an interrupt from the keyboard ends them and keeps the layout."""
        course = self.course
        state = self.layout, *self._moments
        with course.keeping_layout():
            for weights in weights_of(lengths):
                force = self.gradient(weights)
                numbers = np.array([self._rate, course.n_iter + 1.0])
                self._crew.run(adam, state, force, numbers, self._bounds)
                course.n_iter += 1
                if course.n_iter % watch.every == 0 and not self._look(weights, watch):
                    break
        return course

    def _look(self, weights: Sequence[float], watch: Watch) -> bool:
        """Take down how far the descent has come; whether to go on."""
        loss = self.loss(weights) if watch.asks else float("nan")
        self.course.note(loss)
        return self.course.goes_on(watch, self.layout.copy, loss)

"""The course of PaCMAP's descent: weights of the kinds of pairs, and who looks at it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np

from lowdim.affinities import Pairs
from lowdim.embedding._course import Course, Watch

#: A near pair at squared distance r^2 costs ``1 - 10 / (11 + r^2)``, a further one ``1 / (2 +
#: r^2)``, a mid-near one ``1 - 10000 / (10001 + r^2)``: what is divided, and what by.
SCALES = np.array([-10.0, 1.0, -10_000.0])
OFFSETS = np.array([11.0, 2.0, 10_001.0], np.float32)
LEVELS = np.array([1.0, 0.0, 1.0])
#: Weight of mid-near pairs when the first phase begins, and when it ends.
MID_NEAR = 1000.0, 3.0
#: Decay of Adam's means of gradients and of their squares, and what keeps from dividing by zero.
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7


def weights_of(lengths: Sequence[int]) -> Iterator[tuple[float, float, float]]:
    """Weights of near, further and mid-near pairs in every iteration of the three phases."""
    first, last = MID_NEAR
    for t in range(lengths[0]):
        yield 2.0, 1.0, first + (last - first) * t / lengths[0]
    for _ in range(lengths[1]):
        yield 3.0, 1.0, last
    for _ in range(lengths[2]):
        yield 1.0, 1.0, 0.0


class PairSteps(ABC):
    """Adam on PaCMAP's loss.

    The loss is a weighted sum over near, mid-near and further pairs of ``d / (10 + d)``, ``d /
    (10000 + d)`` and ``1 / (1 + d)``, ``d = 1 + r^2`` (Wang, Huang, Rudin and Shaposhnik 2021).
    """

    def __init__(self, pairs: Pairs) -> None:
        self._numbers = np.array(
            [kind.size for kind in (pairs.near, pairs.further, pairs.mid_near)], dtype=np.float64
        )
        self.course = Course("loss")

    @property
    @abstractmethod
    def layout(self) -> np.ndarray:
        """The layout as it is now, (N, c), float32."""

    @abstractmethod
    def _inverse_sums(self) -> np.ndarray:
        """Sums over all partners of ``1 / (offset + r^2)`` by kind, (3,), float64."""

    @abstractmethod
    def _step(self, weights: Sequence[float], number: int) -> None:
        """Move the points; `number` steps there have been, this one among them."""

    def loss(self, weights: Sequence[float]) -> float:
        """The loss where the layout is now."""
        sums = self._inverse_sums()
        by_kind = LEVELS * self._numbers + SCALES * sums / 2  # both points of each pair
        return float(by_kind @ np.asarray(weights))

    def run(self, lengths: Sequence[int], watch: Watch) -> Course:
        """Go through the phases; an interrupt from the keyboard ends them and keeps the layout."""
        course = self.course
        with course.keeping_layout():
            for weights in weights_of(lengths):
                self._step(weights, course.n_iter + 1)
                course.n_iter += 1
                if course.n_iter % watch.every == 0 and not self._look(weights, watch):
                    break
        return course

    def _look(self, weights: Sequence[float], watch: Watch) -> bool:
        """Take down how far the descent has come; whether to go on."""
        loss = self.loss(weights) if watch.asks else float("nan")
        self.course.note(loss)
        return self.course.goes_on(watch, lambda: self.layout.copy(), loss)


def signed(weights: Sequence[float]) -> np.ndarray:
    """What the gradient of a kind is weighted with, (3,), float32."""
    return (-2 * SCALES * weights).astype(np.float32)


def adam_rate(rate: float, number: int) -> float:
    """The learning rate of a step, for means that began at zero (Kingma and Ba 2015)."""
    return float(rate * np.sqrt(1 - BETA_2**number) / (1 - BETA_1**number))

"""The course of a descent along edges: how far steps go, and who looks at it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from lowdim.embedding._course import Course, Watch

#: Steps are shorter than those of one pair at a time by this factor, since all rows move at once.
DAMPING = 0.125
#: Random points by which the loss of every row is estimated.
LOSS_SAMPLES = 16
#: Added to squared distances, which then have a logarithm.
TINY = 1e-12


@dataclass(frozen=True)
class Schedule:
    """How points move.

    Attributes
    ----------
    n_epochs : int
    learning_rate : float
        Of the first epoch; it falls to zero in a straight line.
    n_negatives : int
        Random points for every edge that fires.
    """

    n_epochs: int
    learning_rate: float
    n_negatives: int

    def step(self, number: int) -> np.float32:
        """Length of a step in an epoch, for a force of one."""
        return np.float32(DAMPING * self.learning_rate * (1.0 - number / self.n_epochs))


class EdgeSteps(ABC):
    """A layout that goes through the epochs of a schedule.

    With rates ``r_ij`` of edges and ``r_i = sum_j r_ij`` the force on row i is on average minus the
    gradient, by its own place, of ``-2 sum_j r_ij log v_ij - n_negatives strength r_i mean_k log(1
    - v_ik)`` (McInnes, Healy and Melville 2018, UMAP, section 3.2; Tang and others 2016,
    Visualizing large-scale and high-dimensional data). All rows move at once.
    """

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self.course = Course("loss")

    @property
    @abstractmethod
    def layout(self) -> np.ndarray:
        """The layout as it is now, (N, c), float32."""

    @abstractmethod
    def _losses(self) -> tuple[float, float, float]:
        """Sums of ``-r_ij log v_ij``, of ``-r_i strength mean_k log(1 - v_ik)``, and of rates.

        The second by a few random points k.
        """

    @abstractmethod
    def _step(self, number: int) -> None:
        """Move the points, in the epoch of this number."""

    def run(self, watch: Watch) -> Course:
        """Go through the epochs; an interrupt from the keyboard ends them and keeps the layout."""
        course = self.course
        with course.keeping_layout():
            for number in range(self._schedule.n_epochs):
                self._step(number)
                course.n_iter += 1
                if course.n_iter % watch.every == 0 and not self._look(watch):
                    break
        return course

    def loss(self) -> float:
        """Mean over rows of the loss whose gradient moves them, estimated with a few random points.

        What is said of `EdgeSteps`, with ``r_i`` brought to a mean of one.
        """
        pulled, pushed, total = self._losses()
        return float((2.0 * pulled + self._schedule.n_negatives * pushed) / max(total, 1.0))

    def _look(self, watch: Watch) -> bool:
        """Take down how far the descent has come; whether to go on."""
        loss = self.loss() if watch.asks else float("nan")
        self.course.note(loss)
        return self.course.goes_on(watch, lambda: self.layout.copy(), loss)


def means_of_neighbours(weights: sp.csr_matrix, reference: np.ndarray) -> np.ndarray:
    """Where new rows begin, (m, c), float32: at the mean of their neighbours' places.

    Parameters
    ----------
    weights : CSR, (m, N)
    reference : (N, c)
    """
    totals = np.maximum(np.asarray(weights.sum(1), dtype=np.float64), 1e-30)
    return np.asarray(weights @ reference.astype(np.float64) / totals, dtype=np.float32)

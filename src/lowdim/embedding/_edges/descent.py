"""Layouts by edges and negative samples: UMAP's and LargeVis's descent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy.sparse as sp

from lowdim.embedding._course import Course, Watch
from lowdim.embedding._crew import PARTS, Crew, part_bounds
from lowdim.embedding._edges.similarity import Similarity
from lowdim.embedding._edges.steps import RATE_BITS, epoch, fill_pool

#: Steps are shorter than those of one pair at a time by this factor, since all rows move at once.
DAMPING = 0.125
#: How often an edge may fire in an epoch.
MOST_FIRES = 64.0
#: Random points by which the loss of every row is estimated.
LOSS_SAMPLES = 16
#: Added to squared distances in the loss.
_TINY = 1e-12


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


class Density(Protocol):
    """Moves points by what a layout's density should be."""

    def __call__(self, number: int, step: np.float32, Y: np.ndarray, moved: np.ndarray) -> None: ...


class EdgeDescent:
    """Stochastic gradient descent on attraction along edges and repulsion from random points.

    With rates ``r_ij`` of edges and ``r_i = sum_j r_ij`` the force on row i is on average minus the
    gradient, by its own place, of ``-2 sum_j r_ij log v_ij - n_negatives strength r_i mean_k log(1
    - v_ik)`` (McInnes, Healy and Melville 2018, UMAP, section 3.2; Tang and others 2016,
    Visualizing large-scale and high-dimensional data). All rows move at once.

    Parameters
    ----------
    rates : CSR, (N, N)
        Symmetric; how often each edge fires in an epoch, on average.
    start : (N, c)
        The first layout.
    similarity : Similarity
    schedule : Schedule
    crew : Crew
    rng : Generator
    density : Density, optional
        What else moves points.
    """

    def __init__(
        self,
        rates: sp.csr_matrix,
        start: np.ndarray,
        similarity: Similarity,
        schedule: Schedule,
        *,
        crew: Crew,
        rng: np.random.Generator,
        density: Density | None = None,
    ) -> None:
        n = len(start)
        self._similarity, self._schedule, self._crew = similarity, schedule, crew
        self._density = density
        self._layouts = np.array(start, dtype=np.float32), np.empty(start.shape, np.float32)
        self._edges = edges_of(rates, schedule.n_epochs)
        self._order = rng.permutation(n)
        self._seed, self._keys = int(rng.integers(2**32)), np.arange(n)
        self._pool = empty_pool(self._edges, start.shape[1], n, schedule.n_negatives)
        self._curve = similarity.curve(pulls=2.0)
        self.course = Course("loss")

    @property
    def layout(self) -> np.ndarray:
        """The layout as it is now, (N, c), float32."""
        return self._layouts[0]

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

        What is said of `EdgeDescent`, with ``r_i`` brought to a mean of one.
        """
        Y, v = self.layout.astype(np.float64), self._similarity
        indptr, indices, units = self._edges
        rates = units.astype(np.float64)
        heads = np.repeat(np.arange(len(Y)), np.diff(indptr))
        pulled = rates @ v.attraction_loss(((Y[heads] - Y[indices]) ** 2).sum(1))
        totals = np.bincount(heads, rates, minlength=len(Y))
        first, pushed = Y[self._order], 0.0
        for shift in range(1, LOSS_SAMPLES + 1):
            others = Y[np.roll(self._order, shift)]
            losses = v.repulsion_loss(((first - others) ** 2).sum(1) + _TINY)
            pushed += totals[self._order] @ losses / LOSS_SAMPLES
        n_negatives = self._schedule.n_negatives
        return float((2.0 * pulled + n_negatives * pushed) / max(totals.sum(), 1.0))

    def _step(self, number: int) -> None:
        Y, moved = self._layouts
        step, negatives = self._schedule.step(number), self._schedule.n_negatives
        bounds = part_bounds(len(Y))
        self._crew.run(fill_pool, PARTS, Y, self._order, self._pool)
        arguments = Y, moved, Y, self._pool, self._edges, self._curve, negatives
        self._crew.run(epoch, number, step, *arguments, self._keys, self._seed, bounds)
        if self._density is not None:
            self._density(number, step, Y, moved)
        self._layouts = moved, Y

    def _look(self, watch: Watch) -> bool:
        """Take down how far the descent has come; whether to go on."""
        loss = self.loss() if watch.asks else float("nan")
        self.course.note(loss)
        return self.course.goes_on(watch, self.layout.copy, loss)


def place_new(
    weights: sp.csr_matrix,
    reference: np.ndarray,
    similarity: Similarity,
    schedule: Schedule,
    *,
    crew: Crew,
) -> np.ndarray:
    """Where new rows belong in a layout that stays as it is, (m, c), float32.

    They begin at the mean of their neighbours' places. Random numbers of a row go by its
    neighbours, so that no row depends on others.

    Parameters
    ----------
    weights : CSR, (m, N)
        How much each new row belongs to rows of the layout.
    reference : (N, c), float32
    similarity : Similarity
    schedule : Schedule
    crew : Crew
    """
    n, c = reference.shape
    totals = np.maximum(np.asarray(weights.sum(1), dtype=np.float64), 1e-30)
    Y = np.asarray(weights @ reference.astype(np.float64) / totals, dtype=np.float32)
    edges = edges_of(weights, schedule.n_epochs)
    pool = empty_pool(edges, c, n, schedule.n_negatives)
    crew.run(fill_pool, PARTS, reference, np.random.default_rng(0).permutation(n), pool)
    keys = np.zeros(len(Y), np.int64)
    some = np.diff(edges[0]) > 0
    keys[some] = edges[1][edges[0][:-1][some]]
    moved, bounds, curve = np.empty_like(Y), part_bounds(len(Y)), similarity.curve(pulls=1.0)
    for number in range(schedule.n_epochs):
        arguments = Y, moved, reference, pool, edges, curve, schedule.n_negatives, keys, 0, bounds
        crew.run(epoch, number, schedule.step(number), *arguments)
        Y, moved = moved, Y
    return Y


Edges = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Of CSR: indptr, indices, and rates in units of 2^-RATE_BITS."""


def edges_of(rates: sp.csr_matrix, n_epochs: int) -> Edges:
    """Edges with the rates at which they fire, but for those that would not in so many epochs.

    None fires more than `MOST_FIRES` times in one.
    """
    kept = sp.csr_matrix(rates, dtype=np.float32, copy=True)
    np.minimum(kept.data, np.float32(MOST_FIRES), out=kept.data)
    kept.data[kept.data * np.float32(n_epochs) < 1] = 0
    kept.eliminate_zeros()
    units = np.rint(kept.data.astype(np.float64) * 2**RATE_BITS).astype(np.uint32)
    return kept.indptr.astype(np.int64), kept.indices.astype(np.int32), units


def empty_pool(edges: Edges, c: int, n: int, n_negatives: int) -> np.ndarray:
    """Room for n points and the longest stretch of random ones, (c, m), float32."""
    indptr, _, units = edges
    most = np.concatenate([[0], np.cumsum(-(-units.astype(np.int64) // 2**RATE_BITS))])
    longest = int(np.diff(most[indptr]).max(initial=0))
    return np.empty((c, n + n_negatives * longest + 1), np.float32)

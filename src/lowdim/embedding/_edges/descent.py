"""Layouts by edges and negative samples: UMAP's and LargeVis's descent, compiled."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import scipy.sparse as sp

from lowdim.embedding._crew import PARTS, Crew, part_bounds
from lowdim.embedding._edges.course import (
    LOSS_SAMPLES,
    TINY,
    EdgeSteps,
    Schedule,
    means_of_neighbours,
)
from lowdim.embedding._edges.rates import edges_of, keys_of, pool_size
from lowdim.embedding._edges.similarity import Similarity
from lowdim.embedding._edges.steps import epoch, fill_pool


class Density(Protocol):
    """Moves points by what a layout's density should be."""

    def __call__(self, number: int, step: np.float32, Y: np.ndarray, moved: np.ndarray) -> None: ...


class EdgeDescent(EdgeSteps):
    """Stochastic gradient descent on attraction along edges and repulsion from random points.

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
        super().__init__(schedule)
        n, c = start.shape
        self._similarity, self._crew, self._density = similarity, crew, density
        self._layouts = np.array(start, dtype=np.float32), np.empty(start.shape, np.float32)
        self._edges = edges_of(rates, schedule.n_epochs)
        self._order = rng.permutation(n)
        self._seed, self._keys = int(rng.integers(2**32)), np.arange(n)
        self._pool = np.empty((c, pool_size(self._edges, n, schedule.n_negatives)), np.float32)
        self._curve = similarity.curve(pulls=2.0)

    @property
    def layout(self) -> np.ndarray:
        """The layout as it is now, (N, c), float32."""
        return self._layouts[0]

    def _losses(self) -> tuple[float, float, float]:
        Y, v = self.layout.astype(np.float64), self._similarity
        indptr, indices, units = self._edges
        rates = units.astype(np.float64)
        heads = np.repeat(np.arange(len(Y)), np.diff(indptr))
        pulled = rates @ v.attraction_loss(((Y[heads] - Y[indices]) ** 2).sum(1))
        totals = np.bincount(heads, rates, minlength=len(Y))
        first, pushed = Y[self._order], 0.0
        for shift in range(1, LOSS_SAMPLES + 1):
            others = Y[np.roll(self._order, shift)]
            losses = v.repulsion_loss(((first - others) ** 2).sum(1) + TINY)
            pushed += totals[self._order] @ losses / LOSS_SAMPLES
        return pulled, pushed, totals.sum()

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
    Y, edges = means_of_neighbours(weights, reference), edges_of(weights, schedule.n_epochs)
    pool = np.empty((c, pool_size(edges, n, schedule.n_negatives)), np.float32)
    crew.run(fill_pool, PARTS, reference, np.random.default_rng(0).permutation(n), pool)
    keys, curve = keys_of(edges), similarity.curve(pulls=1.0)
    moved, bounds = np.empty_like(Y), part_bounds(len(Y))
    for number in range(schedule.n_epochs):
        arguments = Y, moved, reference, pool, edges, curve, schedule.n_negatives, keys, 0, bounds
        crew.run(epoch, number, schedule.step(number), *arguments)
        Y, moved = moved, Y
    return Y

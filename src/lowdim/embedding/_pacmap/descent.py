"""The descent of PaCMAP, compiled: from pairs and a first layout to the layout."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lowdim.affinities import Pairs
from lowdim.embedding._crew import PARTS, Crew, part_bounds
from lowdim.embedding._pacmap.course import OFFSETS, PairSteps, adam_rate, signed
from lowdim.embedding._pacmap.partners import partners
from lowdim.embedding._pacmap.step import adam, inverse_sums, plane_gradient, space_gradient


class Descent(PairSteps):
    """Adam on PaCMAP's loss.

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
        super().__init__(pairs)
        self._partners = partners((pairs.near, pairs.further, pairs.mid_near))
        self._Y = np.ascontiguousarray(start, dtype=np.float32).copy()
        self._moments = np.zeros_like(self._Y), np.zeros_like(self._Y)
        self._force = np.empty_like(self._Y)
        self._bounds = part_bounds(len(self._Y))
        self._rate, self._crew = rate, crew

    @property
    def layout(self) -> np.ndarray:
        """The layout as it is now, (N, c), float32."""
        return self._Y

    def gradient(self, weights: Sequence[float]) -> np.ndarray:
        """The gradient of the loss where the layout is now, (N, c), float32."""
        function = plane_gradient if self._Y.shape[1] == 2 else space_gradient
        arguments = self._partners, signed(weights), OFFSETS, self._bounds, self._force
        self._crew.run(function, self._Y, *arguments)
        return self._force

    def _inverse_sums(self) -> np.ndarray:
        sums = np.empty((PARTS, 3))
        self._crew.run(inverse_sums, self._Y, self._partners, OFFSETS, self._bounds, sums)
        return np.asarray(sums.sum(0))

    def _step(self, weights: Sequence[float], number: int) -> None:
        state, force = (self._Y, *self._moments), self.gradient(weights)
        self._crew.run(adam, state, force, adam_rate(self._rate, number), self._bounds)

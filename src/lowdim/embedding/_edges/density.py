"""Layouts whose density tells of the rows': densMAP's part of the loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from lowdim.embedding._crew import Crew, part_bounds
from lowdim.embedding._edges.density_steps import radii, spread_out
from lowdim.embedding._edges.radii import FLOOR, standardized
from lowdim.embedding._edges.similarity import LONGEST, Similarity


@dataclass
class DensityForce:
    """Moves points so that their local radii go with those of the rows.

    Takes ``strength * w * corr(R, log(radius))`` from the loss, w the sum of rates of all edges,
    with ``radius_i = sum_j v_ij d_ij^2 / sum_j v_ij`` over the edges of row i and their lengths in
    the layout, and with a little added to the variance of the radii (Narayan, Berger and Cho 2021).

    Parameters
    ----------
    radii : (N,)
        R, logarithms.
    rates : CSR, (N, N)
        Symmetric.
    similarity : Similarity
    strength : float
    shift : float
        What is added to the variance.
    first : int
        Epoch from which on it acts.
    crew : Crew
    """

    radii: np.ndarray
    rates: sp.csr_matrix
    similarity: Similarity
    strength: float
    shift: float
    first: int
    crew: Crew

    def __post_init__(self) -> None:
        self._wanted = standardized(self.radii)
        self._edges = self.rates.indptr.astype(np.int64), self.rates.indices.astype(np.int32)
        self._sums = np.empty((len(self.radii), 2), np.float32)
        self._numbers = np.float32(self.similarity.a), np.float32(self.similarity.b)
        self._weight = self.strength * float(self.rates.sum(dtype=np.float64))

    def __call__(self, number: int, step: np.float32, Y: np.ndarray, moved: np.ndarray) -> None:
        """Move the points, if the epoch is one of those in which it acts."""
        if number < self.first:
            return
        bounds = part_bounds(len(Y))
        _, slopes = self.correlation(Y)
        slopes = (self._weight * slopes).astype(np.float32)
        ends = np.float32(FLOOR), np.float32(LONGEST), bounds
        arguments = Y, moved, self._edges, *self._numbers, self._sums, slopes, *ends
        self.crew.run(spread_out, step, *arguments)

    def correlation(self, Y: np.ndarray) -> tuple[float, np.ndarray]:
        """Of radii in a layout with those wanted, and how it grows with each logarithm, (N,)."""
        self.crew.run(radii, Y, self._edges, *self._numbers, self._sums, part_bounds(len(Y)))
        totals, moments = self._sums.T.astype(np.float64)
        now = np.log(FLOOR + moments / np.maximum(totals, 1e-30))
        centred = now - now.mean()
        n, sigma = len(Y), np.sqrt(centred.var() + self.shift)
        covariance = float(self._wanted @ centred) / n
        slopes = (self._wanted / sigma - centred * covariance / sigma**3) / n
        return covariance / sigma, slopes

"""The loss of a layout over all pairs of its points, and its gradient, by compiled sums.

With costs ``c_ij = -log k_ij`` the loss is ``w sum P_ij c_ij + V``, where V is the logarithm of
what normalises the kernel: ``log sum_ij k_ij``, the mean of ``log sum_j k_ij`` over rows, or ``-2
mean f`` with f such that ``Q_ij = exp(f_i + f_j - c_ij)`` has rows that sum to 1/N. In each case
the gradient is ``sum_ij (w P_ij - Q_ij) grad c_ij``; in the last one since f maximises ``2 mean f -
sum Q`` (Van Assel, Vayer, Flamary and Courty 2023, SNEkhorn).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import scipy.sparse as sp

from lowdim._checkpoint import Arrays
from lowdim.embedding._crew import Crew, part_bounds

if TYPE_CHECKING:
    from lowdim.embedding.output_affinities import OutputAffinity

#: Share of stored affinities from which they are gone through as a dense matrix.
DENSE = 0.3
#: Most points whose affinities may be dense.
DENSE_POINTS = 20_000
#: Sums of rows may be off by so much in a step, and steps towards that, of the first and the
#: others.
TOL, FIRST, STEPS = 1e-3, 200, 5


class Forces(Protocol):
    """A loss of layouts."""

    def gradient(self, Y: np.ndarray, weight: float) -> np.ndarray:
        """The gradient, (N, d), with the attraction under a weight."""

    def loss(self, Y: np.ndarray) -> float:
        """The loss, under a weight of one."""

    def potentials(self, Y: np.ndarray) -> np.ndarray | None:
        """f, (N,), where rows and columns are scaled."""

    def state(self) -> Arrays:
        """What the next call depends on beside the points."""

    def take(self, state: Arrays) -> None:
        """Put in its place what `state` returned."""


class PairForces:
    """Forces of a kernel that compiled sums know.

    Parameters
    ----------
    P : CSR, (N, N), float32
        Symmetric; sums to one.
    affinity : OutputAffinity
    crew : Crew
    """

    def __init__(self, P: sp.csr_matrix, affinity: OutputAffinity, crew: Crew) -> None:
        kernel = affinity.kernel()
        if kernel is None:
            raise TypeError(f"{affinity!r} has no compiled kernel.")
        self.n = P.shape[0]
        self._kernel = kernel.kind, np.float32(kernel.parameter)
        self._normalization, self._in_ball = affinity.normalization, affinity.in_ball
        self._crew, self._bounds = crew, part_bounds(self.n)
        dense = P.nnz > DENSE * self.n**2 and self.n <= DENSE_POINTS
        self._dense = P.toarray() if dense else np.empty((0, 0), np.float32)
        self._graph = P.indptr.astype(np.int64), P.indices.astype(np.int32), P.data
        p = P.data[P.data > 0].astype(np.float64)
        self._entropy = float(np.sum(p * np.log(p)))
        self._f: np.ndarray | None = None

    def gradient(self, Y: np.ndarray, weight: float) -> np.ndarray:
        """The gradient, (N, d), float64."""
        points = self._points(Y)
        pull, push = self._attraction(points), self._repulsion(points, Y)
        force = weight * pull - push
        lifts = points[1][:, None]
        gradient = 4.0 * lifts * force[:, :-1]
        if self._in_ball:  # lifts change with the place
            gradient += 2.0 * np.sqrt(2.0) * lifts * Y * force[:, -1:]
        return np.asarray(gradient)

    def loss(self, Y: np.ndarray) -> float:
        """The loss, ``KL(P || Q)`` where rows of P sum to 1/N or all pairs are normalised."""
        from lowdim.embedding._pairs.sums import total_cost

        points, costs = self._points(Y), np.empty(self.n)
        self._crew.run(total_cost, points, self._bounds, self._kernel, self._graph, costs)
        return self._entropy + float(costs.sum()) + self._normalizer(points)

    def potentials(self, Y: np.ndarray) -> np.ndarray | None:
        """F of the layout, where rows and columns are scaled."""
        return self._scaled(self._points(Y), FIRST) if self._normalization == "sinkhorn" else None

    def state(self) -> Arrays:
        """The scaling that the next one begins with."""
        return {} if self._f is None else {"scaling": self._f}

    def take(self, state: Arrays) -> None:
        """Put it in its place."""
        self._f = state.get("scaling")

    def _normalizer(self, points: tuple[np.ndarray, np.ndarray]) -> float:
        """V, up to log N where rows are normalised one by one."""
        if self._normalization == "sinkhorn":
            return -2.0 * float(self._scaled(points, FIRST).mean())
        rows = self._log_sums(points, np.zeros(self.n))
        if self._normalization == "rows":
            return float(rows.mean()) + np.log(self.n)
        return float(np.logaddexp.reduce(rows))

    def _points(self, Y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return points_of(Y, in_ball=self._in_ball)

    def _attraction(self, points: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        from lowdim.embedding._pairs.sums import GIVEN, attract, repel

        force = np.empty((self.n, len(points[0]) + 1))
        if self._dense.size:
            empty, total = np.empty(0, np.float32), np.empty(self.n)
            arguments = self._kernel, GIVEN, empty, self._dense, force, total
            self._crew.run(repel, points, self._bounds, *arguments)
        else:
            self._crew.run(attract, points, self._bounds, self._kernel, self._graph, force)
        return force

    def _repulsion(self, points: tuple[np.ndarray, np.ndarray], Y: np.ndarray) -> np.ndarray:
        """Sums weighted with Q."""
        from lowdim.embedding._pairs.sums import GAUSSIAN, PRODUCT, SUM, repel

        mode, h = PRODUCT, np.zeros(self.n)
        if self._normalization == "rows":
            mode, h = SUM, -self._log_sums(points, h) - np.log(2.0 * self.n)
        elif self._normalization == "sinkhorn":
            h = self._scaled(points, STEPS)
        h = (h if self._kernel[0] == GAUSSIAN else np.exp(h)).astype(np.float32)
        force, total = np.empty((self.n, len(points[0]) + 1)), np.empty(self.n)
        given = np.empty((0, 0), np.float32)
        self._crew.run(repel, points, self._bounds, self._kernel, mode, h, given, force, total)
        if self._normalization == "all":
            force /= max(float(total.sum()), 1e-300)
        return force

    def _scaled(self, points: tuple[np.ndarray, np.ndarray], steps: int) -> np.ndarray:
        """f, from that of the last call on."""
        if self._f is None:
            self._f, steps = np.full(self.n, -np.log(self.n)), FIRST
        for _ in range(steps):
            off = -np.log(self.n) - self._log_sums(points, self._f) - self._f
            self._f = self._f + 0.5 * off
            if np.abs(off).max() <= TOL:
                break
        return self._f

    def _log_sums(self, points: tuple[np.ndarray, np.ndarray], f: np.ndarray) -> np.ndarray:
        from lowdim.embedding._pairs.sums import log_sums

        out = np.empty(self.n)
        self._crew.run(log_sums, points, self._bounds, self._kernel, f, out)
        return out


def points_of(Y: Any, *, in_ball: bool) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates, (d, N), and lifts, (N,), float32."""
    axes = np.ascontiguousarray(np.asarray(Y).T, dtype=np.float32)
    if not in_ball:
        return axes, np.ones(axes.shape[1], np.float32)
    room = 1.0 - np.square(np.asarray(Y, np.float64)).sum(1)
    return axes, (np.sqrt(2.0) / room).astype(np.float32)

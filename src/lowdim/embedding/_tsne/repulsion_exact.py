"""Repulsion of all pairs of points, pair by pair, compiled. Import on first use only."""

from __future__ import annotations

import numpy as np

from lowdim._compile import compiled_fast
from lowdim.embedding._crew import Crew, part_bounds
from lowdim.embedding._float32 import exponential, logarithm
from lowdim.embedding._kept import Stateless


def kernel_for(dof: float) -> np.float32 | None:
    """The a that sums are compiled for: None is one, for which they need no power."""
    return None if dof == 1.0 else np.float32(dof)


class ExactRepulsion(Stateless):
    """Repulsion in two or three dimensions, in a time that grows with the square of N.

    Parameters
    ----------
    dof : float
        a of the weight ``w(r) = (1 + r^2 / a)^-a``; the force is ``(1 + r^2 / a)^-(a + 1) r``.
    crew : Crew
    """

    def __init__(self, dof: float, crew: Crew) -> None:
        self._dof = dof
        self._crew = crew

    def __call__(self, Y: np.ndarray, extent: np.ndarray, force: np.ndarray) -> float:
        """Write the force on every point, (N, d); return the sum of the weights of all pairs.

        Every pair counts twice. The extent is not looked at.
        """
        axes, weight = np.ascontiguousarray(Y.T), np.empty(len(Y), np.float32)
        repel = _repel_plane if Y.shape[1] == 2 else _repel_space
        self._crew.run(repel, axes, part_bounds(len(Y)), kernel_for(self._dof), weight, force)
        return float(weight.sum(dtype=np.float64)) - len(Y)


@compiled_fast
def _repel_plane(first, last, axes, bounds, dof, weight, force):
    """Forces on some points, coordinates (2, N), and their sums of weights, their own too."""
    one = np.float32(1)
    inverse = one if dof is None else one / dof
    xs, ys = axes[0], axes[1]
    for i in range(bounds[first], bounds[last]):
        x, y = xs[i], ys[i]
        sx, sy, total = np.float32(0), np.float32(0), np.float32(0)
        for j in range(len(xs)):
            dx, dy = x - xs[j], y - ys[j]
            u = one / (one + inverse * (dx * dx + dy * dy))
            w = u if dof is None else exponential(dof * logarithm(u))
            total += w
            w *= u
            sx += w * dx
            sy += w * dy
        force[i, 0], force[i, 1], weight[i] = sx, sy, total


@compiled_fast
def _repel_space(first, last, axes, bounds, dof, weight, force):
    """The same in three dimensions."""
    one = np.float32(1)
    inverse = one if dof is None else one / dof
    xs, ys, zs = axes[0], axes[1], axes[2]
    for i in range(bounds[first], bounds[last]):
        x, y, z = xs[i], ys[i], zs[i]
        sx, sy, sz, total = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
        for j in range(len(xs)):
            dx, dy, dz = x - xs[j], y - ys[j], z - zs[j]
            u = one / (one + inverse * (dx * dx + dy * dy + dz * dz))
            w = u if dof is None else exponential(dof * logarithm(u))
            total += w
            w *= u
            sx += w * dx
            sy += w * dy
            sz += w * dz
        force[i, 0], force[i, 1], force[i, 2], weight[i] = sx, sy, sz, total

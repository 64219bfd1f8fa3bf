"""Repulsion of all pairs of points, pair by pair, compiled. Import on first use only."""

from __future__ import annotations

import numpy as np

from lowdim._compile import compiled_fast
from lowdim.embedding._crew import Crew, part_bounds


class ExactRepulsion:
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
        arguments = axes, part_bounds(len(Y)), weight, force
        if self._dof != 1.0:
            self._crew.run(_repel_dof, *arguments, self._dof)
        elif Y.shape[1] == 2:
            self._crew.run(_repel_plane, *arguments)
        else:
            self._crew.run(_repel_space, *arguments)
        return float(weight.sum(dtype=np.float64)) - len(Y)


@compiled_fast
def _repel_plane(first, last, axes, bounds, weight, force):
    """Forces on some points, coordinates (2, N), and their sums of weights, their own too."""
    one = np.float32(1)
    xs, ys = axes[0], axes[1]
    for i in range(bounds[first], bounds[last]):
        x, y = xs[i], ys[i]
        sx, sy, total = np.float32(0), np.float32(0), np.float32(0)
        for j in range(len(xs)):
            dx, dy = x - xs[j], y - ys[j]
            w = one / (one + dx * dx + dy * dy)
            total += w
            w *= w
            sx += w * dx
            sy += w * dy
        force[i, 0], force[i, 1], weight[i] = sx, sy, total


@compiled_fast
def _repel_space(first, last, axes, bounds, weight, force):
    """The same in three dimensions."""
    one = np.float32(1)
    xs, ys, zs = axes[0], axes[1], axes[2]
    for i in range(bounds[first], bounds[last]):
        x, y, z = xs[i], ys[i], zs[i]
        sx, sy, sz, total = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
        for j in range(len(xs)):
            dx, dy, dz = x - xs[j], y - ys[j], z - zs[j]
            w = one / (one + dx * dx + dy * dy + dz * dz)
            total += w
            w *= w
            sx += w * dx
            sy += w * dy
            sz += w * dz
        force[i, 0], force[i, 1], force[i, 2], weight[i] = sx, sy, sz, total


@compiled_fast
def _repel_dof(first, last, axes, bounds, weight, force, dof):
    """The same in any number of dimensions, for any degrees of freedom; slow."""
    d = len(axes)
    for i in range(bounds[first], bounds[last]):
        total = 0.0
        sums = np.zeros(d)
        for j in range(axes.shape[1]):
            square = 0.0
            for a in range(d):
                square += (axes[a, i] - axes[a, j]) ** 2
            inverse = 1.0 / (1.0 + square / dof)
            w = inverse**dof
            total += w
            for a in range(d):
                sums[a] += w * inverse * (axes[a, i] - axes[a, j])
        force[i] = sums
        weight[i] = total

"""Repulsion of random points, by which every point's sum of weights is estimated, compiled.

Import on first use only: numba is slow to load.
"""

from __future__ import annotations

import math

import numpy as np

from lowdim._compile import compiled_exact, compiled_fast
from lowdim.embedding._crew import PARTS, Crew, part_bounds
from lowdim.embedding._edge_steps import drawn, fill_pool


class SampledRepulsion:
    """Repulsion in two or three dimensions under weights that are normalised point by point.

    With ``q_ij = w_ij / (N z_i)``, ``w_ij = 1 / (1 + r_ij^2)`` and ``z_i = sum_k w_ik``, it is N / 4
    times what ``mean_i log z_i`` has as its gradient: ``sum_k (1 / z_i + 1 / z_k) w_ik^2 (y_i -
    y_k) / 2``. Each of the sums is over as many random points as are wanted, a stretch of all points
    in a random order; those of z are others than those of the force.

    Parameters
    ----------
    n_negatives : int
        Random points for each point; all others where there are fewer.
    crew : Crew
    rng : Generator
    """

    def __init__(self, n_negatives: int, crew: Crew, rng: np.random.Generator) -> None:
        self._n_negatives, self._crew = n_negatives, crew
        self._rng, self._seed = rng, int(rng.integers(2**32))
        self._order = np.zeros(0, np.int64)
        self._calls = 0

    def __call__(self, Y: np.ndarray, extent: np.ndarray, force: np.ndarray) -> float:
        """Write the force on every point, (N, d); return what to divide it by.

        That is N times the geometric mean of z, so that `KL(P || Q)` follows as for t-SNE. The
        extent is not looked at.
        """
        n, d = Y.shape
        if len(self._order) != n:
            self._order = self._rng.permutation(n)
        m = min(self._n_negatives, n)
        pool, inverse = np.empty((d + 1, n + m), np.float32), np.empty(n, np.float32)
        logs, bounds = np.empty(PARTS), part_bounds(n)
        self._crew.run(fill_pool, PARTS, Y, self._order, pool[:d])
        number = 2 * self._calls
        self._crew.run(_sum_weights, number, m, Y, pool, self._seed, bounds, inverse, logs)
        self._crew.run(fill_pool, PARTS, inverse[:, None], self._order, pool[d:])
        total = n * math.exp(logs.sum() / n)
        scale = np.float32(0.5 * (n - 1) / max(m - m / n, 1) * total / n)
        arguments = number + 1, m, Y, pool, inverse, scale, self._seed, bounds, force
        self._crew.run(_repel, *arguments)
        self._calls += 1
        return total


@compiled_fast
def _stretch_weights(y, pool, low, m):
    """Sum of the weights of a point and a stretch of others."""
    d, total, one = len(y), np.float32(0), np.float32(1)
    if d == 2:
        xs, ys = pool[0, low : low + m], pool[1, low : low + m]
        for q in range(m):
            dx, dy = y[0] - xs[q], y[1] - ys[q]
            total += one / (one + dx * dx + dy * dy)
    else:
        xs, ys, zs = pool[0, low : low + m], pool[1, low : low + m], pool[2, low : low + m]
        for q in range(m):
            dx, dy, dz = y[0] - xs[q], y[1] - ys[q], y[2] - zs[q]
            total += one / (one + dx * dx + dy * dy + dz * dz)
    return total


@compiled_exact
def _sum_weights(first, last, number, m, Y, pool, seed, bounds, inverse, logs):
    """Write one over the estimated sum of weights of each point, and the parts' sums of its log."""
    n = len(Y)
    for p in range(first, last):
        logs[p] = 0.0
        for i in range(bounds[p], bounds[p + 1]):
            low = drawn(i, number, seed, n)
            total = np.float64(_stretch_weights(Y[i], pool, low, m)) - m / n  # itself, at times
            z = max(total, 1e-6) * (n - 1) / max(m - m / n, 1.0)
            inverse[i] = 1.0 / z
            logs[p] += math.log(z)


@compiled_fast
def _repel(first, last, number, m, Y, pool, inverse, scale, seed, bounds, force):
    """Write the forces on the points of some parts; the last row of the pool is one over z."""
    n, d = Y.shape
    one = np.float32(1)
    for i in range(bounds[first], bounds[last]):
        low = drawn(i, number, seed, n)
        own, others = inverse[i], pool[d, low : low + m]
        x, y = Y[i, 0], Y[i, 1]
        xs, ys = pool[0, low : low + m], pool[1, low : low + m]
        sx, sy, sz = np.float32(0), np.float32(0), np.float32(0)
        if d == 2:
            for q in range(m):
                dx, dy = x - xs[q], y - ys[q]
                w = one / (one + dx * dx + dy * dy)
                w *= w * (own + others[q])
                sx += w * dx
                sy += w * dy
        else:
            z, zs = Y[i, 2], pool[2, low : low + m]
            for q in range(m):
                dx, dy, dz = x - xs[q], y - ys[q], z - zs[q]
                w = one / (one + dx * dx + dy * dy + dz * dz)
                w *= w * (own + others[q])
                sx += w * dx
                sy += w * dy
                sz += w * dz
            force[i, 2] = scale * sz
        force[i, 0], force[i, 1] = scale * sx, scale * sy

"""Repulsion of random points, by which every point's sum of weights is estimated, compiled.

Import on first use only: numba is slow to load.
"""

from __future__ import annotations

import math

import numpy as np

from lowdim._checkpoint import Arrays
from lowdim._compile import compiled_exact, compiled_fast
from lowdim.embedding._crew import PARTS, Crew, part_bounds
from lowdim.embedding._edges.steps import drawn, fill_pool

#: The least sum of weights.
LEAST = np.float32(1e-6)


class SampledRepulsion:
    """Repulsion in two or three dimensions by the logarithm of a sum over random points.

    ``mean_i log s_i`` with ``s_i = sum_k w_ik`` over m random points, ``w_ik = 1 / (1 + r_ik^2)``,
    has on average the gradient ``-2 / N`` times ``sum_k w_ik^2 (1 / (w_ik + s'_i) + 1 / (w_ik +
    s'_k)) (y_i - y_k)`` over m points drawn anew, s' being sums over m - 1: a point k is one of m
    for i, and i one of m for k. Random points are a stretch of all points in a random order.

    Parameters
    ----------
    n_negatives : int
        m, at least 2.
    crew : Crew
    rng : Generator
    """

    def __init__(self, n_negatives: int, crew: Crew, rng: np.random.Generator) -> None:
        self._m, self._crew = n_negatives, crew
        self._rng, self._seed = rng, int(rng.integers(2**32))
        self._order, self._rank = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self._calls = 0

    def state(self) -> Arrays:
        """The random order of the points, and how many sums were taken."""
        return {"places": self._order.copy(), "calls": np.array(self._calls)}

    def take(self, state: Arrays) -> None:
        """Put in its place what `state` returned."""
        self._calls, self._order = int(state["calls"]), state["places"].copy()
        self._rank = np.argsort(self._order)

    def __call__(self, Y: np.ndarray, extent: np.ndarray, force: np.ndarray) -> float:
        """Write the force on every point, (N, d); return what to divide it by.

        That is N (N - 1) / m times the geometric mean of s, so that ``KL(P || Q)``, ``q_ij = w_ij m
        / (N (N - 1) s_i)``, follows as for t-SNE. The extent is not looked at.
        """
        n, d = Y.shape
        m, number, seed, bounds = self._m, 2 * self._calls, self._seed, part_bounds(n)
        if len(self._order) != n:
            self._order = self._rng.permutation(n)
            self._rank = np.argsort(self._order)
        pool, sums, logs = (
            np.empty((d + 1, n + m), np.float32),
            np.empty(n, np.float32),
            np.empty(PARTS),
        )
        self._crew.run(fill_pool, PARTS, Y, self._order, pool[:d])
        self._crew.run(_sum_weights, number, m - 1, Y, pool, self._rank, seed, bounds, sums, logs)
        self._crew.run(fill_pool, PARTS, sums[:, None], self._order, pool[d:])
        total = n * (n - 1) / (m - 1) * math.exp(logs.sum() / n)
        scale = np.float32(0.5 * total / n)
        self._crew.run(_repel, number + 1, m, Y, pool, sums, scale, seed, bounds, force)
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
def _sum_weights(first, last, number, m, Y, pool, rank, seed, bounds, sums, logs):
    """Write the sum of weights of each point and m others, and the parts' sums of its logarithm.

    A point is not among its own others, wherever it stands in the order.
    """
    n = len(Y)
    for p in range(first, last):
        logs[p] = 0.0
        for i in range(bounds[p], bounds[p + 1]):
            low = drawn(i, number, seed, n)
            itself = (low + m - 1 - rank[i]) // n - (low - 1 - rank[i]) // n
            total = _stretch_weights(Y[i], pool, low, m) - np.float32(itself)
            sums[i] = max(total, LEAST)
            logs[p] += math.log(np.float64(sums[i]))


@compiled_fast
def _repel(first, last, number, m, Y, pool, sums, scale, seed, bounds, force):
    """Write the forces on the points of some parts; the last row of the pool has the sums."""
    n, d = Y.shape
    one = np.float32(1)
    for i in range(bounds[first], bounds[last]):
        low = drawn(i, number, seed, n)
        own, others = sums[i], pool[d, low : low + m]
        x, y = Y[i, 0], Y[i, 1]
        xs, ys = pool[0, low : low + m], pool[1, low : low + m]
        sx, sy, sz = np.float32(0), np.float32(0), np.float32(0)
        if d == 2:
            for q in range(m):
                dx, dy = x - xs[q], y - ys[q]
                w = one / (one + dx * dx + dy * dy)
                w *= w / (w + own) + w / (w + others[q])
                sx += w * dx
                sy += w * dy
        else:
            z, zs = Y[i, 2], pool[2, low : low + m]
            for q in range(m):
                dx, dy, dz = x - xs[q], y - ys[q], z - zs[q]
                w = one / (one + dx * dx + dy * dy + dz * dz)
                w *= w / (w + own) + w / (w + others[q])
                sx += w * dx
                sy += w * dy
                sz += w * dz
            force[i, 2] = scale * sz
        force[i, 0], force[i, 1] = scale * sx, scale * sy

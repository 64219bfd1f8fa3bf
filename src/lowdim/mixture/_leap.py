"""The arithmetic of SQUAREM, compiled. Import on first use only: numba is slow to load."""

from __future__ import annotations

import math

from lowdim._compile import compiled_fast


@compiled_fast
def leap(first, second, third):
    """Write theta - 2 alpha r + alpha^2 v of every row into `first`; see `extrapolate`."""
    n_restarts, n = first.shape
    for i in range(n_restarts):
        steps, turns = 0.0, 0.0
        for j in range(n):
            r = second[i, j] - first[i, j]
            v = third[i, j] - second[i, j] - r
            steps += r * r
            turns += v * v
        length = math.sqrt(steps) / max(math.sqrt(turns), 1e-300)
        alpha = -min(max(length, 1.0), 1e3)
        for j in range(n):
            r = second[i, j] - first[i, j]
            v = third[i, j] - second[i, j] - r
            first[i, j] += alpha * (alpha * v - 2.0 * r)

"""Sums of similarities over all points, compiled. Import on first use only."""

from __future__ import annotations

import numpy as np

from lowdim._compile import compiled_fast

#: Points whose weights are summed in one go.
CHUNK = 512


@compiled_fast
def total_weights(asked, axes, dof):
    """Sums of ``(1 + r^2 / a)^-a`` from some points to all others, (m,).

    Parameters
    ----------
    asked : (m,), int64
        Numbers of the points.
    axes : (d, N), float32
        Coordinates.
    dof : float32
        a.
    """
    d, n = axes.shape
    one, inverse = np.float32(1), np.float32(1) / dof
    squares = np.empty(CHUNK, np.float32)
    totals = np.empty(len(asked))
    for i in range(len(asked)):
        total = -1.0  # the point itself
        for start in range(0, n, CHUNK):
            m = min(CHUNK, n - start)
            squares[:] = 0
            for a in range(d):
                x, own = axes[a, asked[i]], axes[a, start : start + m]
                for j in range(m):
                    squares[j] += (x - own[j]) ** 2
            part = np.float32(0)
            if dof == one:
                for j in range(m):
                    part += one / (one + squares[j])
            else:
                for j in range(m):
                    part += (one + squares[j] * inverse) ** -dof
            total += float(part)
        totals[i] = max(total, 0.0)
    return totals

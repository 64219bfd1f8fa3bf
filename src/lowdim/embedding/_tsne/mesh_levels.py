"""A mesh and a coarser one: restriction of points and prolongation of forces, compiled.

What is at a node of the fine mesh has cubic B-spline weights at four nodes along each axis of the
coarse one, the same ones in both directions; so forces stay equal and opposite. Import on first use
only: numba is slow to load.
"""

from __future__ import annotations

import numpy as np

from lowdim._compile import compiled_fast
from lowdim.embedding._tsne.mesh_points import weights


@compiled_fast
def phases(ratio):
    """Weights of a fine node at four coarse ones, by its place between them, (ratio, 4)."""
    made = np.empty((ratio, 4), np.float32)
    for k in range(ratio):
        made[k] = weights(np.float32(k / ratio))
    return made


@compiled_fast
def restrict(first, last, n_parts, fine, wide, table, coarse):
    """Points at the nodes of the fine mesh, at those of the coarse mesh.

    Parameters
    ----------
    fine : (Lx, at least Ly), float32
    wide : int
        Ly.
    table : (ratio, 4), float32
        See `phases`.
    coarse : (Mx, at least My), float32
        Overwritten; node k of the fine mesh reaches nodes k // ratio to k // ratio + 3.
    """
    ratio, n = len(table), len(fine)
    row = np.empty(wide, np.float32)
    for m in range(len(coarse) * first // n_parts, len(coarse) * last // n_parts):
        row[:] = np.float32(0)
        for k in range(max(0, (m - 3) * ratio), min(n, (m + 1) * ratio)):
            own, a = fine[k], table[k % ratio, m - k // ratio]
            for c in range(wide):
                row[c] += a * own[c]
        out = coarse[m]
        out[:] = np.float32(0)
        for c in range(wide):
            for s in range(4):
                out[c // ratio + s] += table[c % ratio, s] * row[c]


@compiled_fast
def prolong(first, last, n_parts, coarse, table, wide, fine):
    """Add forces at the nodes of the coarse mesh to those of the fine mesh.

    Parameters
    ----------
    coarse : (d, Mx, at least My), float32
    table : (ratio, 4), float32
    wide : int
        Ly.
    fine : (d, Lx, at least Ly), float32
    """
    ratio, n = len(table), fine.shape[1]
    low, high = n * first // n_parts, n * last // n_parts
    if low == high:
        return
    begin = low // ratio
    rows = np.empty(((high - 1) // ratio + 4 - begin, wide), np.float32)
    for a in range(len(fine)):
        for m in range(len(rows)):
            own = coarse[a, begin + m]
            for c in range(wide):
                k, t = c // ratio, table[c % ratio]
                rows[m, c] = (
                    t[0] * own[k] + t[1] * own[k + 1] + t[2] * own[k + 2] + t[3] * own[k + 3]
                )
        for k in range(low, high):
            m, t, out = k // ratio - begin, table[k % ratio], fine[a, k]
            p, q, r, s = rows[m], rows[m + 1], rows[m + 2], rows[m + 3]
            for c in range(wide):
                out[c] += t[0] * p[c] + t[1] * q[c] + t[2] * r[c] + t[3] * s[c]

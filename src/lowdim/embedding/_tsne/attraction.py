"""Attraction of neighbours: sums over the affinities P that are stored, compiled.

Points are renumbered so that neighbours in the layout are neighbours in memory. Every part sums the
forces on its own points alone, so nothing depends on how parts are shared out to threads. That a
pair is stored for both of its points costs less than to write to the other point's force. What
costs most is to bring pairs from memory, so that affinities are kept in 16 bits.
Import on first use only: numba is slow to load.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from lowdim._compile import compiled_exact, compiled_fast
from lowdim.embedding._crew import PARTS, Crew, part_bounds

#: The largest affinity of a row, in units of that row.
MOST_STEPS = 2**16 - 1


class Pairs(NamedTuple):
    """Affinities of points in some order.

    Attributes
    ----------
    indptr : (N + 1,), int64
        Where the pairs of a point begin.
    indices : (n,), uint32
        The other point; without a sign there is no check for places counted from the end.
    steps : (n,), uint16
        p_ij in units of its row.
    unit : (N,), float32
        The largest affinity of a row, over `MOST_STEPS`.
    bounds : (PARTS + 1,), int64
    longest : int
        Most pairs of a point.
    """

    indptr: np.ndarray
    indices: np.ndarray
    steps: np.ndarray
    unit: np.ndarray
    bounds: np.ndarray
    longest: int


def arrange(P: sp.csr_matrix, order: np.ndarray, crew: Crew, pairs: Pairs | None = None) -> Pairs:
    """The pairs of a symmetric CSR matrix, (N, N), with row ``order[i]`` as point i.

    Pairs of the same matrix in another order are overwritten if given.
    """
    n = P.shape[0]
    rank = np.empty(n, np.uint32)
    rank[order] = np.arange(n, dtype=np.uint32)
    lengths = np.diff(P.indptr)[order]
    if pairs is None:
        m = len(P.indices)
        stored = np.zeros(n + 1, np.int64), np.empty(m, np.uint32), np.empty(m, np.uint16)
        unit = np.empty(n, np.float32)
        pairs = Pairs(*stored, unit, part_bounds(n), int(lengths.max(initial=0)))
    np.cumsum(lengths, out=pairs.indptr[1:])
    crew.run(_fill, P.indptr, P.indices, P.data, order, rank, pairs)
    return pairs


@compiled_exact
def _fill(first, last, indptr, indices, data, order, rank, pairs):
    for i in range(pairs.bounds[first], pairs.bounds[last]):
        start, stop = indptr[order[i]], indptr[order[i] + 1]
        columns, values = indices[start:stop], data[start:stop]
        start, stop = pairs.indptr[i], pairs.indptr[i + 1]
        others, steps = pairs.indices[start:stop], pairs.steps[start:stop]
        largest = np.float32(1e-30)  # so that nothing overflows in rows of zeros
        for e in range(len(values)):
            largest = max(largest, values[e])
        times = np.float32(MOST_STEPS) / largest
        pairs.unit[i] = np.float32(1) / times
        for e in range(len(columns)):
            others[e] = rank[columns[e]]
            steps[e] = np.uint16(values[e] * times + np.float32(0.5))


def attract(Y: np.ndarray, pairs: Pairs, dof: float, force: np.ndarray, crew: Crew) -> None:
    """Write ``sum_j p_ij (y_i - y_j) / (1 + r_ij^2 / a)`` for every point.

    Parameters
    ----------
    Y : (N, 2) or (N, 3), float32
    pairs : Pairs
    dof : float
        a.
    force : same shape, float32
    crew : Crew
    """
    inverse = np.float32(1 / dof)
    if Y.shape[1] == 2:
        crew.run(_attract_plane, Y, Y.view(np.uint64).ravel(), pairs, inverse, force)
    else:
        crew.run(_attract_space, Y, pairs, inverse, force)


@compiled_fast
def _attract_plane(first, last, Y, places, pairs, inverse, force):
    """Forces on the points of some parts; `places` has both coordinates of a point as one number.

    They are brought side by side first, by one read for each point, and the sums are then made
    several at once.
    """
    one = np.float32(1)
    gathered = np.empty(pairs.longest, np.uint64)
    near = gathered.view(np.float32)
    for i in range(pairs.bounds[first], pairs.bounds[last]):
        start, end = pairs.indptr[i], pairs.indptr[i + 1]
        x, y = Y[i, 0], Y[i, 1]
        sx, sy = np.float32(0), np.float32(0)
        # Slices begin at 0: places in them need no check for those counted from the end.
        others, steps = pairs.indices[start:end], pairs.steps[start:end]
        for e in range(len(others)):
            gathered[e] = places[others[e]]
        for e in range(len(others)):
            dx, dy = x - near[2 * e], y - near[2 * e + 1]
            w = np.float32(steps[e]) / (one + inverse * (dx * dx + dy * dy))
            sx += w * dx
            sy += w * dy
        force[i, 0], force[i, 1] = sx * pairs.unit[i], sy * pairs.unit[i]


@compiled_fast
def _attract_space(first, last, Y, pairs, inverse, force):
    """The same in three dimensions."""
    one = np.float32(1)
    for i in range(pairs.bounds[first], pairs.bounds[last]):
        start, end = pairs.indptr[i], pairs.indptr[i + 1]
        x, y, z = Y[i, 0], Y[i, 1], Y[i, 2]
        sx, sy, sz = np.float32(0), np.float32(0), np.float32(0)
        others, steps = pairs.indices[start:end], pairs.steps[start:end]
        for e in range(len(others)):
            j = others[e]
            dx, dy, dz = x - Y[j, 0], y - Y[j, 1], z - Y[j, 2]
            w = np.float32(steps[e]) / (one + inverse * (dx * dx + dy * dy + dz * dz))
            sx += w * dx
            sy += w * dy
            sz += w * dz
        unit = pairs.unit[i]
        force[i, 0], force[i, 1], force[i, 2] = sx * unit, sy * unit, sz * unit


@compiled_exact
def log_weights(first, last, Y, pairs, dof, total):
    """Write ``-sum p_ij log w_ij`` over all i and j of each part, (PARTS,), float64."""
    d = Y.shape[1]
    for p in range(first, last):
        own = 0.0
        for i in range(pairs.bounds[p], pairs.bounds[p + 1]):
            row = 0.0
            for e in range(pairs.indptr[i], pairs.indptr[i + 1]):
                square = 0.0
                for a in range(d):
                    square += (Y[i, a] - Y[pairs.indices[e], a]) ** 2
                row += pairs.steps[e] * math.log1p(square / dof)
            own += row * pairs.unit[i]
        total[p] = dof * own


def cross_entropy(Y: np.ndarray, pairs: Pairs, dof: float, crew: Crew) -> float:
    """``-sum_ij p_ij log w_ij`` of a layout, ``w = (1 + r^2 / a)^-a``."""
    total = np.empty(PARTS)
    crew.run(log_weights, Y, pairs, dof, total)
    return float(total.sum())

"""Attraction of neighbours: sums over the affinities P that are stored, compiled.

Points are renumbered so that neighbours in the layout are neighbours in memory. A pair within a
part is stored once, and one between parts once for each of its points; so every part sums the
forces on its own points alone, and nothing depends on how parts are shared out to threads.
Import on first use only: numba is slow to load.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from lowdim._compile import compiled_exact, compiled_fast
from lowdim.embedding._crew import PARTS, Crew, part_bounds


class Pairs(NamedTuple):
    """Affinities of points in some order.

    Attributes
    ----------
    indptr : (N + 1,), int64
        Where the pairs of a point begin.
    middle : (N,), int64
        Where those end whose other point is in the same part, which are stored once.
    indices : (n,), uint32
        The other point; without a sign there is no check for places counted from the end.
    data : (n,), float32
        p_ij.
    bounds : (PARTS + 1,), int64
    """

    indptr: np.ndarray
    middle: np.ndarray
    indices: np.ndarray
    data: np.ndarray
    bounds: np.ndarray


def arrange(P: sp.csr_matrix, order: np.ndarray, crew: Crew) -> Pairs:
    """The pairs of a symmetric CSR matrix, (N, N), with row ``order[i]`` as point i."""
    n = P.shape[0]
    rank = np.empty(n, np.int32)
    rank[order] = np.arange(n, dtype=np.int32)
    bounds = part_bounds(n)
    indptr, within = np.zeros(n + 1, np.int64), np.empty(n, np.int64)
    crew.run(_count, P.indptr, P.indices, rank, bounds, within, indptr[1:])
    np.cumsum(indptr, out=indptr)
    middle = indptr[:-1] + within
    indices, data = np.empty(indptr[-1], np.uint32), np.empty(indptr[-1], np.float32)
    crew.run(_fill, P.indptr, P.indices, P.data, rank, bounds, indptr, middle, indices, data)
    return Pairs(indptr, middle, indices, data, bounds)


@compiled_exact
def _count(first, last, indptr, indices, rank, bounds, within, total):
    n = len(rank)
    for row in range(n * first // PARTS, n * last // PARTS):
        i = rank[row]
        p = np.searchsorted(bounds, i, side="right")
        low, high = bounds[p - 1], bounds[p]
        columns = indices[indptr[row] : indptr[row + 1]]
        inside, outside = 0, 0
        for e in range(len(columns)):
            j = rank[columns[e]]
            beyond = (j < low) | (j >= high)
            outside += beyond
            inside += (not beyond) & (j > i)
        within[i], total[i] = inside, inside + outside


@compiled_exact
def _fill(first, last, indptr, indices, data, rank, bounds, start, middle, to_indices, to_data):
    """Rows in the order in which they lie in memory: to wait for reads takes longer than to write.

    What is not kept is written over by the next, so that there are no jumps to guess.
    """
    n = len(rank)
    longest = 0
    for row in range(n):
        longest = max(longest, indptr[row + 1] - indptr[row])
    own, others = np.empty(longest + 1, np.int64), np.empty(longest + 1, np.int64)
    for row in range(n * first // PARTS, n * last // PARTS):
        i = rank[row]
        p = np.searchsorted(bounds, i, side="right")
        low, high, begin = bounds[p - 1], bounds[p], indptr[row]
        columns = indices[begin : indptr[row + 1]]
        inside, outside = 0, 0
        for e in range(len(columns)):
            j = rank[columns[e]]
            beyond = (j < low) | (j >= high)
            own[inside], others[outside] = e, e
            outside += beyond
            inside += (not beyond) & (j > i)
        for k in range(inside):
            to_indices[start[i] + k] = rank[columns[own[k]]]
            to_data[start[i] + k] = data[begin + own[k]]
        for k in range(outside):
            to_indices[middle[i] + k] = rank[columns[others[k]]]
            to_data[middle[i] + k] = data[begin + others[k]]


@compiled_fast
def attract_plane(first, last, Y, pairs, inverse, force):
    """Write ``sum_j p_ij (y_i - y_j) / (1 + r_ij^2 / a)`` for the points of some parts.

    Parameters
    ----------
    Y : (N, 2), float32
    pairs : Pairs
    inverse : float32
        1 / a.
    force : (N, 2), float32
    """
    one = np.float32(1)
    for p in range(first, last):
        force[pairs.bounds[p] : pairs.bounds[p + 1]] = 0
        for i in range(pairs.bounds[p], pairs.bounds[p + 1]):
            start, middle, end = pairs.indptr[i], pairs.middle[i], pairs.indptr[i + 1]
            x, y = Y[i, 0], Y[i, 1]
            sx, sy = np.float32(0), np.float32(0)
            # Slices begin at 0: places in them need no check for those counted from the end.
            others, weights = pairs.indices[start:middle], pairs.data[start:middle]
            for e in range(len(others)):
                j = others[e]
                dx, dy = x - Y[j, 0], y - Y[j, 1]
                w = weights[e] / (one + inverse * (dx * dx + dy * dy))
                dx *= w
                dy *= w
                sx += dx
                sy += dy
                force[j, 0] -= dx
                force[j, 1] -= dy
            others, weights = pairs.indices[middle:end], pairs.data[middle:end]
            for e in range(len(others)):
                dx, dy = x - Y[others[e], 0], y - Y[others[e], 1]
                w = weights[e] / (one + inverse * (dx * dx + dy * dy))
                sx += w * dx
                sy += w * dy
            force[i, 0] += sx
            force[i, 1] += sy


@compiled_fast
def attract_space(first, last, Y, pairs, inverse, force):
    """The same in three dimensions."""
    one = np.float32(1)
    for p in range(first, last):
        force[pairs.bounds[p] : pairs.bounds[p + 1]] = 0
        for i in range(pairs.bounds[p], pairs.bounds[p + 1]):
            start, end = pairs.indptr[i], pairs.indptr[i + 1]
            x, y, z = Y[i, 0], Y[i, 1], Y[i, 2]
            sx, sy, sz = np.float32(0), np.float32(0), np.float32(0)
            inside = pairs.middle[i] - start
            others, weights = pairs.indices[start:end], pairs.data[start:end]
            for e in range(len(others)):
                j = others[e]
                dx, dy, dz = x - Y[j, 0], y - Y[j, 1], z - Y[j, 2]
                w = weights[e] / (one + inverse * (dx * dx + dy * dy + dz * dz))
                dx *= w
                dy *= w
                dz *= w
                sx += dx
                sy += dy
                sz += dz
                if e < inside:
                    force[j, 0] -= dx
                    force[j, 1] -= dy
                    force[j, 2] -= dz
            force[i, 0] += sx
            force[i, 1] += sy
            force[i, 2] += sz


@compiled_exact
def log_weights(first, last, Y, pairs, dof, total):
    """Write ``-sum p_ij log w_ij`` over all i and j of each part, (PARTS,), float64."""
    d = Y.shape[1]
    for p in range(first, last):
        own = 0.0
        for i in range(pairs.bounds[p], pairs.bounds[p + 1]):
            for e in range(pairs.indptr[i], pairs.indptr[i + 1]):
                square = 0.0
                for a in range(d):
                    square += (Y[i, a] - Y[pairs.indices[e], a]) ** 2
                times = 2.0 if e < pairs.middle[i] else 1.0
                own += times * pairs.data[e] * math.log1p(square / dof)
        total[p] = dof * own


def cross_entropy(Y: np.ndarray, pairs: Pairs, dof: float, crew: Crew) -> float:
    """``-sum_ij p_ij log w_ij`` of a layout, ``w = (1 + r^2 / a)^-a``."""
    total = np.empty(PARTS)
    crew.run(log_weights, Y, pairs, dof, total)
    return float(total.sum())

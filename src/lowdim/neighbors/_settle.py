"""From candidates to neighbours, compiled. Import on first use only: numba is slow to load.

Candidates were chosen by distances that rounding may have moved, such as ``|x|^2 - 2 x'y + |y|^2``.
Here their distances are computed again from differences, and where one that was passed over could
have been nearer, all points are looked at.
"""

from __future__ import annotations

import math

import numpy as np

from lowdim._compile import compiled, compiled_fast
from lowdim.neighbors._select import distance_of, keep_least, key_of, write_nearest

#: What rounding may do to a distance: the precision of float32 times the columns and this.
ROUNDINGS = 16
EPS = float(np.finfo(np.float32).eps)


@compiled_fast
def _squared(x, y):
    total = 0.0
    for a in range(len(x)):
        gap = np.float64(x[a]) - np.float64(y[a])
        total += gap * gap
    return total


@compiled_fast
def _absolute(x, y):
    total = 0.0
    for a in range(len(x)):
        total += abs(np.float64(x[a]) - np.float64(y[a]))
    return total


@compiled
def _gap(x, y, manhattan):
    return _absolute(x, y) if manhattan else _squared(x, y)


@compiled
def _undecided(reach, lower, norm, roundings, manhattan):
    """Whether a point whose rounded distance was `lower` may be nearer than `reach`."""
    if manhattan:
        return reach >= lower * (1.0 - roundings)
    # Only a point that is within reach matters, which cannot be longer than this.
    other = math.sqrt(norm) + math.sqrt(reach)
    return reach >= lower - roundings * (norm + other * other)


@compiled
def settle_dense(points, queries, own, k, kept, manhattan, certain, state, indices, distances):
    """Write the k nearest points of each query, nearest first.

    Parameters
    ----------
    points, queries : (N, D) and (n, D), float32
    own : (n,)
        A point that is passed over; -1 for none.
    k, kept : int
        `kept` are the candidates of each row, of which the nearest are chosen.
    manhattan : bool
        Compare absolute rather than squared differences.
    certain : bool
        Look at all points where candidates may be the wrong ones.
    state : (keys, counts, limits)
        As `absorb` leaves it.
    indices, distances : (n, k)
        Overwritten; distances are squared or absolute.
    """
    keys, counts, limits = state
    roundings = (points.shape[1] + ROUNDINGS) * EPS
    for i in range(len(queries)):
        mine, dropped = keys[i], limits[i] < np.inf or counts[i] > kept
        count = keep_least(mine, counts[i], kept)
        lower = np.float64(distance_of(mine[kept - 1])) if dropped else np.inf
        for j in range(count):
            index = np.int64(mine[j] & np.uint64(0xFFFFFFFF))
            mine[j] = key_of(_gap(queries[i], points[index], manhattan), index)
        mine[:count].sort()
        if certain and dropped:
            reach, norm = np.float64(distance_of(mine[k - 1])), _norm(queries[i])
            if _undecided(reach, lower, norm, roundings, manhattan):
                _look_at_all(points, queries[i], own[i], k, manhattan, mine)
        write_nearest(mine, indices[i], distances[i])


@compiled_fast
def _norm(x):
    total = 0.0
    for a in range(len(x)):
        total += x[a] * x[a]
    return total


@compiled
def _look_at_all(points, query, own, k, manhattan, keys):
    count, limit = 0, np.uint64(0xFFFFFFFFFFFFFFFF)
    for j in range(len(points)):
        key = key_of(_gap(query, points[j], manhattan), j)
        if key < limit and j != own:
            keys[count] = key
            count += 1
            if count == len(keys):
                count = keep_least(keys, count, k)
                limit = keys[k - 1]
    keep_least(keys, count, k)
    keys[:k].sort()


@compiled
def settle_sparse(points, queries, own, k, kept, manhattan, state, indices, distances):
    """The same for CSR points and queries, ``(indptr, indices, data, n_columns)``."""
    keys, counts, limits = state
    roundings = (points[3] + ROUNDINGS) * EPS
    for i in range(len(own)):
        mine, dropped = keys[i], limits[i] < np.inf or counts[i] > kept
        count = keep_least(mine, counts[i], kept)
        lower = np.float64(distance_of(mine[kept - 1])) if dropped else np.inf
        for j in range(count):
            index = np.int64(mine[j] & np.uint64(0xFFFFFFFF))
            mine[j] = key_of(_sparse_gap(queries, i, points, index, manhattan), index)
        mine[:count].sort()
        if dropped:
            reach, norm = np.float64(distance_of(mine[k - 1])), _sparse_norm(queries, i, manhattan)
            # Manhattan distances are sums of differences here, so they round as squares do.
            wrong = roundings * norm if manhattan else 0.0
            if _undecided(reach, lower - wrong, norm, roundings, manhattan):
                _look_at_all_sparse(points, queries, i, own[i], k, manhattan, mine)
        write_nearest(mine, indices[i], distances[i])


@compiled
def _sparse_norm(rows, i, manhattan):
    total = 0.0
    for position in range(rows[0][i], rows[0][i + 1]):
        value = np.float64(rows[2][position])
        total += abs(value) if manhattan else value * value
    return total


@compiled
def _sparse_gap(first, i, second, j, manhattan):
    """The distance of row i of one matrix to row j of another; columns ascend in both."""
    a, a_end = first[0][i], first[0][i + 1]
    b, b_end = second[0][j], second[0][j + 1]
    total = 0.0
    while a < a_end or b < b_end:
        left = first[1][a] if a < a_end else first[3]
        right = second[1][b] if b < b_end else second[3]
        gap = 0.0
        if left <= right:
            gap += first[2][a]
            a += 1
        if right <= left:
            gap -= second[2][b]
            b += 1
        total += abs(gap) if manhattan else gap * gap
    return total


@compiled
def _look_at_all_sparse(points, queries, i, own, k, manhattan, keys):
    count, limit = 0, np.uint64(0xFFFFFFFFFFFFFFFF)
    for j in range(len(points[0]) - 1):
        key = key_of(_sparse_gap(queries, i, points, j, manhattan), j)
        if key < limit and j != own:
            keys[count] = key
            count += 1
            if count == len(keys):
                count = keep_least(keys, count, k)
                limit = keys[k - 1]
    keep_least(keys, count, k)
    keys[:k].sort()

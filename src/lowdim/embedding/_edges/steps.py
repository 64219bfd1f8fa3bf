"""Epochs of attraction along edges and repulsion from random points, compiled.

Similarities are ``v(r) = 1 / (1 + a r^2b)``. An edge attracts by the gradient of ``-log v``, a
random point repels by that of ``-log(1 - v)``. The random points of a row are a stretch of all
points in a fixed random order; where it begins is drawn anew for every row and epoch. So they lie
in memory as they are read, and forces are worked out in vectors, for many rows at once. Rows move
from one copy of the layout to another: nothing depends on their order, or on threads. Import on
first use only: numba is slow to load.
"""

from __future__ import annotations

import numpy as np

from lowdim._compile import compiled_exact, compiled_fast, inlined
from lowdim.embedding._edges.rates import RATE_BITS

#: Pairs whose forces are worked out together.
BLOCK = 1024
#: Added to a squared distance, so that it has a logarithm.
_TINY = np.float32(1e-12)
#: Coefficients of ``log2(1 + m) / m`` and ``2^f`` on [0, 1], to 2e-6 and 3e-6 of the value.
_LOG = tuple(
    np.float32(c)
    for c in (1.44255502, -0.71830415, 0.45836201, -0.27970722, 0.12359678, -0.02650453)
)
_EXP = tuple(np.float32(c) for c in (1.00000259, 0.69300384, 0.24144275, 0.05201146, 0.01353417))
_MANTISSA, _ONE = np.int32(0x7FFFFF), np.int32(0x3F800000)
_WORD = np.uint64(0xFFFFFFFF)


@inlined
def _power(x, b):
    """``x^b`` of a positive number to 1e-5, in a form that fits vectors."""
    bits = np.float32(x).view(np.int32)
    exponent = np.float32(np.int32(bits >> 23) - np.int32(127))
    m = np.int32((bits & _MANTISSA) | _ONE).view(np.float32) - np.float32(1)
    p = _LOG[3] + m * (_LOG[4] + m * _LOG[5])
    p = _LOG[0] + m * (_LOG[1] + m * (_LOG[2] + m * p))
    y = min(max(b * (exponent + p * m), np.float32(-120)), np.float32(120))
    whole = np.floor(y)
    f = y - whole
    p = _EXP[0] + f * (_EXP[1] + f * (_EXP[2] + f * (_EXP[3] + f * _EXP[4])))
    return np.int32(np.int32(np.int32(whole) + np.int32(127)) << 23).view(np.float32) * p


@inlined
def _mixed(x):
    """A 32-bit number that looks random, of another."""
    x = (x ^ (x >> np.uint64(16))) * np.uint64(0x7FEB352D) & _WORD
    x = (x ^ (x >> np.uint64(15))) * np.uint64(0x846CA68B) & _WORD
    return x ^ (x >> np.uint64(16))


@inlined
def drawn(key, epoch, seed, n):
    """A number below n for a key and an epoch."""
    x = _mixed((np.uint64(epoch) * np.uint64(0x9E3779B9) + np.uint64(seed)) & _WORD)
    x = _mixed((np.uint64(key) * np.uint64(0x85EBCA6B) + x) & _WORD)
    return np.int64((x * np.uint64(n)) >> np.uint64(32))


@compiled_exact
def fill_pool(first, last, n_parts, Y, order, pool):
    """Write points in an order that repeats, coordinates apart: (c, m) of (N, c)."""
    c, m = pool.shape
    for q in range(m * first // n_parts, m * last // n_parts):
        j = order[q % len(order)]
        for a in range(c):
            pool[a, q] = Y[j, a]


@compiled_exact
def forces(gaps, n, curve, attracts, factors):
    """Turn n gaps between points, (c, n), into the forces of these pairs.

    Every number is rounded in the same way, wherever it stands.
    """
    a, b, strength, softness, most = curve[0], curve[1], curve[2], curve[3], curve[4]
    one, factors = np.float32(1), factors[:n]
    for q in range(n):
        factors[q] = _TINY
    for k in range(len(gaps)):
        gap = gaps[k, :n]
        for q in range(n):
            factors[q] += gap[q] * gap[q]
    if attracts:
        for q in range(n):
            power = a * _power(factors[q], b)
            factors[q] = -(b + b) * power / (factors[q] * (one + power))
    else:
        for q in range(n):
            power = a * _power(factors[q], b)
            factors[q] = strength * (b + b) / ((softness + factors[q]) * (one + power))
    for k in range(len(gaps)):
        gap = gaps[k, :n]
        for q in range(n):
            gap[q] = min(most, max(-most, factors[q] * gap[q]))


@compiled_exact
def _gather(start, high, number, Y, reference, pool, edges, n_negatives, keys, seed, room):
    """Write gaps of the rows from a first one until the room is full; return the next row.

    An edge of rate r fires ``floor((number + 1) r + u) - floor(number r + u)`` times; u spreads the
    edges of a row over epochs.
    """
    indptr, indices, rates = edges
    near, hits, far, ends = room
    i, p, s = start, 0, 0
    while i < high and p < BLOCK and s < BLOCK and i - start < BLOCK:
        total = 0
        for e in range(indptr[i], indptr[i + 1]):
            rate, j = np.int64(rates[e]), indices[e]
            before = number * rate + ((e - indptr[i]) * 0x9E3779 & 0xFFFFFF)
            fires = ((before + rate) >> RATE_BITS) - (before >> RATE_BITS)
            for a in range(len(near)):
                near[a, p] = Y[i, a] - reference[j, a]
            hits[p] = fires
            p += fires > 0
            total += fires
        m = total * n_negatives
        low = drawn(keys[i], number, seed, len(reference))
        for a in range(len(far)):
            own, others, gap = Y[i, a], pool[a, low : low + m], far[a, s : s + m]
            for q in range(m):
                gap[q] = own - others[q]
        s += m
        ends[i - start, 0], ends[i - start, 1] = p, s
        i += 1
    return i


@compiled_fast
def _sum_up(start, stop, step, pulls, Y, moved, room):
    """Move the rows from start to stop by the sums of their forces."""
    near, hits, far, ends = room
    p, s = 0, 0
    for k in range(stop - start):
        for a in range(len(near)):
            pull, push = np.float32(0), np.float32(0)
            for q in range(p, ends[k, 0]):
                pull += hits[q] * near[a, q]
            force = far[a, s : ends[k, 1]]
            for q in range(len(force)):
                push += force[q]
            moved[start + k, a] = Y[start + k, a] + step * (pulls * pull + push)
        p, s = ends[k, 0], ends[k, 1]


@compiled_exact
def epoch(
    first, last, number, step, Y, moved, reference, pool, edges, curve, n_negatives, keys, seed,
    bounds,
):  # fmt: skip
    """Move the rows of some parts once.

    Parameters
    ----------
    number : int
        Of the epoch.
    step : float32
    Y, moved : (m, c), float32
        Where the rows are, and where to write the places they go to.
    reference : (N, c), float32
        The points that attract and repel; in a fit these are the rows.
    pool : (c, n), float32
        The same, see `fill_pool`; n is at least N plus the longest stretch of random points.
    edges : (indptr, indices, rates)
        CSR, (m, N): how often edges fire per epoch, in units of ``2^-RATE_BITS``.
    curve : (6,), float32
        a, b, weight of repulsion, what is added to squared distances in it, the longest force of a
        pair along an axis, and weight of attraction.
    n_negatives : int
        Random points for every edge that fires.
    keys : (m,), int64
        What the random numbers of each row go by.
    seed : int
    bounds : (PARTS + 1,), int64
    """
    c, indptr, degree = Y.shape[1], edges[0], 0
    for i in range(bounds[first], bounds[last]):
        degree = max(degree, indptr[i + 1] - indptr[i])
    many, stretch = BLOCK + degree + 1, BLOCK + pool.shape[1] - len(reference)
    near, far = np.empty((c, many), np.float32), np.empty((c, stretch), np.float32)
    factors = np.empty(max(many, stretch), np.float32)
    room = near, np.empty(many, np.float32), far, np.empty((BLOCK, 2), np.int64)
    for part in range(first, last):
        i = bounds[part]
        while i < bounds[part + 1]:
            start = i
            stop = bounds[part + 1]
            i = _gather(
                start, stop, number, Y, reference, pool, edges, n_negatives, keys, seed, room
            )
            forces(near, room[3][i - start - 1, 0], curve, True, factors)
            forces(far, room[3][i - start - 1, 1], curve, False, factors)
            _sum_up(start, i, step, curve[5], Y, moved, room)

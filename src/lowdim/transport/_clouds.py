"""Transport between clouds of points, compiled. Import on first use only: numba is slow to load."""

from __future__ import annotations

import math

import numpy as np

from lowdim._compile import compiled, compiled_exact, compiled_fast
from lowdim.transport._entropic import entropic_cost
from lowdim.transport._exact import least_cost


@compiled
def exact_costs(pairs, offsets, points, weights, power, out):
    """Write the least transport cost of every pair of clouds, (n,).

    Parameters
    ----------
    pairs : (n, 2)
    offsets : (S + 1,)
        Where the points of a cloud begin.
    points : (D, N)
    weights : (N,)
        Masses, none zero.
    power : int
        Of the distance of two points, which is what mass costs: 1 or 2.
    out : (n,)
    """
    for p in range(len(pairs)):
        i, j = pairs[p]
        a, b = slice(offsets[i], offsets[i + 1]), slice(offsets[j], offsets[j + 1])
        out[p] = least_cost(between(points[:, a], points[:, b], power), weights[a], weights[b])


@compiled
def entropic_costs(pairs, offsets, points, weights, power, penalties, out, found):
    """Write the entropic cost of every pair of clouds, and whether it was found, (n,).

    Parameters
    ----------
    penalties : (n,)
        See `lowdim.transport._entropic.entropic_cost`; those below zero are overwritten.
    """
    for p in range(len(pairs)):
        i, j = pairs[p]
        a, b = slice(offsets[i], offsets[i + 1]), slice(offsets[j], offsets[j + 1])
        cost = between(points[:, a], points[:, b], power)
        out[p], found[p], penalties[p] = entropic_cost(cost, weights[a], weights[b], penalties[p])


@compiled_fast
def between(first, second, power):
    """What mass costs between all points, (n, m), of clouds (D, n) and (D, m)."""
    D, n = first.shape
    cost = np.zeros((n, second.shape[1]))
    for i in range(n):
        row = cost[i]
        for axis in range(D):
            own, others = first[axis, i], second[axis]
            for j in range(len(row)):
                row[j] += (own - others[j]) ** 2
        if power == 1:
            for j in range(len(row)):
                row[j] = math.sqrt(row[j])
    return cost


@compiled_exact
def line_costs(pairs, offsets, points, weights, power, out):
    """Write the transport cost of every pair of clouds on a line, whose points ascend, (n,).

    The best plan keeps the order (Peyré and Cuturi 2019, Computational Optimal Transport, section
    2.6).
    """
    for p in range(len(pairs)):
        a, b = offsets[pairs[p, 0]], offsets[pairs[p, 1]]
        end, other_end = offsets[pairs[p, 0] + 1], offsets[pairs[p, 1] + 1]
        left, wanted, total = weights[a], weights[b], 0.0
        while True:
            mass, apart = min(left, wanted), abs(points[a] - points[b])
            total += mass * (apart if power == 1 else apart * apart)
            left -= mass
            wanted -= mass
            if left == 0.0:
                a += 1
                if a == end:
                    break
                left = weights[a]
            if wanted == 0.0:
                b += 1
                if b == other_end:
                    break
                wanted = weights[b]
        out[p] = total

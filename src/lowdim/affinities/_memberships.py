"""Bandwidths of fuzzy memberships, compiled. Import on first use only: numba is slow to load."""

from __future__ import annotations

import math

import numpy as np

from lowdim._compile import compiled, compiled_fast

#: The sum of memberships may be off by so much.
TOL = 1e-7
#: Steps of Newton's method or bisection, at most.
STEPS = 200
#: Bandwidths are at least this share of the mean distance of the row, or of all rows.
LEAST = 1e-3


@compiled
def smooth(distances, connectivity, total, overall, memberships, nearest, bandwidths):
    """Write ``exp(-max(0, d_ij - r_i) / s_i)``, r_i and s_i, such that each row sums to total.

    Parameters
    ----------
    distances : (n, k), float32
        The least first.
    connectivity : float
        So many neighbours, other than copies, are at most r_i away.
    total : float
        Of the memberships of a row.
    overall : float
        Mean of all distances, the row itself counted as a neighbour.
    memberships : (n, k), float32
    nearest, bandwidths : (n,)
        Overwritten.
    """
    k = distances.shape[1]
    excess = np.empty(k)
    for i in range(len(distances)):
        row = distances[i]
        r = _radius(row, connectivity)
        mean, scale = 0.0, 0.0
        for j in range(k):
            mean += row[j]
            excess[j] = max(np.float64(row[j]) - r, 0.0)
            scale = max(scale, excess[j])
        mean /= k + 1
        s = _solve(excess, total, scale) if scale > 0.0 else 0.0
        s = max(s, LEAST * (mean if r > 0.0 else overall))
        for j in range(k):
            memberships[i, j] = math.exp(-excess[j] / s) if excess[j] > 0.0 else 1.0
        nearest[i], bandwidths[i] = r, s


@compiled
def _radius(row, connectivity):
    """The distance of so many neighbours that are no copies, between two of them if need be."""
    k, first = len(row), 0
    while first < k and row[first] <= 0.0:
        first += 1
    if first == k:
        return 0.0
    whole = math.floor(connectivity)
    part = connectivity - whole
    if k - first < connectivity:
        return np.float64(row[k - 1])
    if whole == 0:
        return part * row[first]
    low = np.float64(row[first + whole - 1])
    if part > 0.0 and first + whole < k:
        return low + part * (row[first + whole] - low)
    return low


@compiled
def _solve(excess, total, scale):
    """The bandwidth at which memberships sum to total, by steps on its logarithm."""
    low, high, x = -60.0, 60.0, 0.0
    for _ in range(STEPS):
        s = scale * math.exp(x)
        value, slope = _sums(excess, s)
        if abs(value - total) <= TOL:
            break
        if value > total:
            high = x
        else:
            low = x
        step = x - (value - total) / slope if slope > 0.0 else low
        x = step if low < step < high else 0.5 * (low + high)
    return scale * math.exp(x)


@compiled_fast
def _sums(excess, s):
    """Sum of memberships, and how it grows with the logarithm of the bandwidth."""
    value, slope = 0.0, 0.0
    for j in range(len(excess)):
        ratio = excess[j] / s
        own = math.exp(-ratio)
        value += own
        slope += own * ratio
    return value, slope

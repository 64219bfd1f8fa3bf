"""Radii of points in a layout, and forces that change them, compiled. Import on first use only."""

from __future__ import annotations

import numpy as np

from lowdim._compile import compiled_exact
from lowdim.embedding._edges.steps import _TINY, _power


@compiled_exact
def radii(first, last, Y, edges, a, b, sums, bounds):
    """Write ``sum_j v_ij`` and ``sum_j v_ij r_ij^2`` over the neighbours of the rows of some parts.

    Parameters
    ----------
    Y : (N, c), float32
    edges : (indptr, indices)
    a, b : float32
    sums : (N, 2), float32
    bounds : (PARTS + 1,), int64
    """
    indptr, indices = edges
    for i in range(bounds[first], bounds[last]):
        total, moment = np.float32(0), np.float32(0)
        for e in range(indptr[i], indptr[i + 1]):
            square = _TINY
            for k in range(Y.shape[1]):
                gap = Y[i, k] - Y[indices[e], k]
                square += gap * gap
            v = np.float32(1) / (np.float32(1) + a * _power(square, b))
            total += v
            moment += v * square
        sums[i, 0], sums[i, 1] = total, moment


@compiled_exact
def spread_out(first, last, step, Y, moved, edges, a, b, sums, slopes, floor, most, bounds):
    """Move the rows of some parts up a function of ``log(floor + radius_i)`` of all rows.

    A radius is ``m / p``, with ``p = sum_j v_ij`` and ``m = sum_j v_ij r_ij^2``. By a squared
    distance s its logarithm grows by ``(v + s v') / p - m v' / p^2`` over ``floor + m / p``, where
    ``v' = -a b s^(b - 1) v^2``.

    Parameters
    ----------
    step : float32
    Y, moved : (N, c), float32
        The layout, and what it is changed to.
    edges : (indptr, indices)
        Symmetric.
    a, b, floor, most : float32
        The last is the longest force of a pair along an axis.
    sums : (N, 2), float32
        As `radii` writes them.
    slopes : (N,), float32
        Of the function, by the logarithm of every radius.
    bounds : (PARTS + 1,), int64
    """
    indptr, indices = edges
    one, two = np.float32(1), np.float32(2)
    for i in range(bounds[first], bounds[last]):
        for e in range(indptr[i], indptr[i + 1]):
            j = indices[e]
            s = _TINY
            for k in range(Y.shape[1]):
                gap = Y[i, k] - Y[j, k]
                s += gap * gap
            power = a * _power(s, b)
            v = one / (one + power)
            svp = -b * power * v * v  # s v'
            slope = np.float32(0)
            for end in range(2):
                row = i if end == 0 else j
                p, m = sums[row, 0], sums[row, 1]
                slope += slopes[row] * (v + svp - m * svp / (s * p)) / (p * (floor + m / p))
            for k in range(Y.shape[1]):
                force = two * slope * (Y[i, k] - Y[j, k])
                moved[i, k] += step * min(most, max(-most, force))

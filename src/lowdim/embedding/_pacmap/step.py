"""Forces and steps of PaCMAP, compiled. Import on first use only: numba is slow to load.

Every pair is stored with both of its points, so that a point's force is summed in one place and no
part writes to another's points.
"""

from __future__ import annotations

import numpy as np

from lowdim._compile import compiled_exact, compiled_fast
from lowdim.embedding._pacmap.course import BETA_1, BETA_2, EPSILON


@compiled_fast
def plane_gradient(first, last, Y, pairs, weights, offsets, bounds, out):
    """Write the gradient of some parts' points in the plane.

    Parameters
    ----------
    Y : (N, 2), float32
    pairs : Partners
    weights, offsets : (3,), float32
        The gradient is ``sum over partners of weight (y_i - y_j) / (offset + r_ij^2)^2``, with the
        weight and the offset of their kind; a last weight of zero leaves out its kind.
    bounds : (PARTS + 1,), int64
    out : (N, 2), float32
    """
    n_kinds = 3 if weights[2] != 0 else 2
    w0, w1, w2 = weights[0], weights[1], weights[2]
    o0, o1, o2 = offsets[0], offsets[1], offsets[2]
    gaps = np.empty((2, pairs.most), np.float32)
    for i in range(bounds[first], bounds[last]):
        start = pairs.ends[i, 0]
        m = np.int32(pairs.ends[i, n_kinds] - start)
        near, further = np.int32(pairs.ends[i, 1] - start), np.int32(pairs.ends[i, 2] - start)
        x, y = Y[i, 0], Y[i, 1]
        for t in range(m):
            j = pairs.indices[start + t]
            gaps[0, t] = x - Y[j, 0]
            gaps[1, t] = y - Y[j, 1]
        sx, sy = np.float32(0), np.float32(0)
        for t in range(m):
            dx, dy = gaps[0, t], gaps[1, t]
            weight = w0 if t < near else (w1 if t < further else w2)
            offset = o0 if t < near else (o1 if t < further else o2)
            inverse = np.float32(1) / (offset + dx * dx + dy * dy)
            w = weight * inverse * inverse
            sx += w * dx
            sy += w * dy
        out[i, 0], out[i, 1] = sx, sy


@compiled_fast
def space_gradient(first, last, Y, pairs, weights, offsets, bounds, out):
    """The same in any number of dimensions, c."""
    n_kinds = 3 if weights[2] != 0 else 2
    w0, w1, w2 = weights[0], weights[1], weights[2]
    o0, o1, o2 = offsets[0], offsets[1], offsets[2]
    d = Y.shape[1]
    gaps, squares = np.empty((d, pairs.most), np.float32), np.empty(pairs.most, np.float32)
    for i in range(bounds[first], bounds[last]):
        start = pairs.ends[i, 0]
        m = np.int32(pairs.ends[i, n_kinds] - start)
        near, further = np.int32(pairs.ends[i, 1] - start), np.int32(pairs.ends[i, 2] - start)
        for t in range(m):
            j = pairs.indices[start + t]
            for a in range(d):
                gaps[a, t] = Y[j, a]
        squares[:m] = 0
        for a in range(d):
            y, row = Y[i, a], gaps[a]
            for t in range(m):
                gap = y - row[t]
                row[t] = gap
                squares[t] += gap * gap
        for t in range(m):
            weight = w0 if t < near else (w1 if t < further else w2)
            offset = o0 if t < near else (o1 if t < further else o2)
            inverse = np.float32(1) / (offset + squares[t])
            squares[t] = weight * inverse * inverse
        for a in range(d):
            row, total = gaps[a], np.float32(0)
            for t in range(m):
                total += squares[t] * row[t]
            out[i, a] = total


@compiled_exact
def adam(first, last, state, force, rate, bounds):
    """Move the points of some parts (Kingma and Ba 2015).

    Parameters
    ----------
    state : (layout, mean, mean of squares), each (N, c), float32
        Overwritten.
    force : (N, c), float32
    rate : float64
        As of `adam_rate`.
    """
    Y, M, V = state
    step, epsilon = np.float32(rate), np.float32(EPSILON)
    one = np.float32(1)
    b1, b2 = np.float32(BETA_1), np.float32(BETA_2)
    for i in range(bounds[first], bounds[last]):
        for a in range(Y.shape[1]):
            g = force[i, a]
            m = b1 * M[i, a] + (one - b1) * g
            v = b2 * V[i, a] + (one - b2) * g * g
            M[i, a], V[i, a] = m, v
            Y[i, a] -= step * m / (np.sqrt(v) + epsilon)


@compiled_exact
def inverse_sums(first, last, Y, pairs, offsets, bounds, out):
    """Write ``sum 1 / (offset + r^2)`` over all partners, by part and kind, (PARTS, 3), float64."""
    for p in range(first, last):
        out[p] = 0
        for i in range(bounds[p], bounds[p + 1]):
            for k in range(3):
                for e in range(pairs.ends[i, k], pairs.ends[i, k + 1]):
                    square = 0.0
                    for a in range(Y.shape[1]):
                        square += (Y[i, a] - Y[pairs.indices[e], a]) ** 2
                    out[p, k] += 1 / (offsets[k] + square)

"""Forces and steps of PaCMAP, compiled. Import on first use only: numba is slow to load.

Every pair is stored with both of its points, so that a point's force is summed in one place and no
part writes to another's points.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from lowdim._compile import compiled_exact, compiled_fast

#: Decay of the means of gradients and of their squares, and what keeps from dividing by zero.
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7


class Partners(NamedTuple):
    """Partners of every point: near ones, then further ones, then mid-near ones.

    Attributes
    ----------
    ends : (N, 4), int64
        Where those of a point begin, and where each kind ends.
    indices : (n,), uint32
    most : int
        Partners of the point that has most.
    """

    ends: np.ndarray
    indices: np.ndarray
    most: int


def partners(kinds: tuple[np.ndarray, ...]) -> Partners:
    """Those that each row has chosen, (N, k) of each kind, and those that have chosen it."""
    n = len(kinds[0])
    both = [_both(chosen) for chosen in kinds]
    counts = np.stack([np.diff(kind.indptr) for kind in both], axis=1).astype(np.int64)
    total = np.concatenate([[0], np.cumsum(counts.ravel())])
    ends = np.column_stack([total[:-1].reshape(n, -1), total[len(kinds) :: len(kinds)]])
    indices = np.empty(total[-1], np.uint32)
    for k, kind in enumerate(both):
        shift = np.repeat(ends[:, k] - kind.indptr[:-1], counts[:, k])
        indices[np.arange(len(kind.indices)) + shift] = kind.indices
    return Partners(ends, indices, int(counts.sum(1).max()))


def _both(chosen: np.ndarray) -> sp.csr_matrix:
    """Pairs of one kind with both of their points; one that was chosen by both is there twice."""
    n, k = chosen.shape
    starts = np.arange(n + 1, dtype=np.int64) * k
    by = sp.csr_matrix((np.ones(n * k, np.int8), chosen.ravel(), starts), shape=(n, n)).tocsc()
    indices = np.empty(2 * n * k, np.int32)
    indptr = starts + by.indptr
    indices[indptr[:-1, None] + np.arange(k)] = chosen
    indices[np.arange(n * k) + np.repeat(starts[1:], np.diff(by.indptr))] = by.indices
    return sp.csr_matrix((np.empty(2 * n * k, np.int8), indices, indptr), shape=(n, n))


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
def adam(first, last, state, force, numbers, bounds):
    """Move the points of some parts (Kingma and Ba 2015).

    Parameters
    ----------
    state : (layout, mean, mean of squares), each (N, c), float32
        Overwritten.
    force : (N, c), float32
    numbers : (2,), float64
        Learning rate, and how many steps there have been, this one among them.
    """
    Y, M, V = state
    rate = numbers[0] * math.sqrt(1 - BETA_2 ** numbers[1]) / (1 - BETA_1 ** numbers[1])
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

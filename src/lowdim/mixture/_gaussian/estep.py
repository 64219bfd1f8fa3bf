"""The E-step of full covariances, fused into one compiled pass over the rows.

A row's distance to a component is a sum of squares, so a part of the sum bounds the score from
above. Components whose bound lies so far below the best score that their share vanishes in
float64 are left there, which changes no result by more than rounding. Import this module on first
use only: numba is slow to load.
"""

from __future__ import annotations

import numpy as np

from lowdim._compile import compiled_fast, inlined
from lowdim.data.dense import CHUNK, add_products
from lowdim.mixture._subspace.shares import hard_shares, highest, soft_shares

#: A share below e^-40 of the largest cannot change a sum in float64.
HOPELESS = 40.0


@compiled_fast
def accumulate(x, order, weights, leading, rest, shifts, constants, soft, beta):
    """Statistics of the rows of x, (n, D), under one mixture of K components.

    Parameters
    ----------
    x : (n, D)
    order : (D,)
        The order in which columns are taken, those that tell components apart first; means,
        factors and results are in this order.
    weights : (n,)
    leading : (K, m, m)
        The first m rows and columns of each upper triangular factor: ``y = x @ factor - shift``
        is white, and its first m numbers depend on the first m columns only.
    rest : (K, D, D - m)
        The other columns of the factors.
    shifts : (K, D)
    constants : (K,)
        A row's score is ``constant - ||y||^2 / 2``.

    Returns
    -------
    counts : (K,)
        Sums of the weighted responsibilities.
    sums : (K, D)
    second : (K, D, D)
        sum r x x'.
    objective : float
    """
    n, n_columns = x.shape
    n_components, m = leading.shape[:2]
    counts, sums = np.zeros(n_components), np.zeros((n_components, n_columns))
    second = np.zeros((n_components, n_columns, n_columns))
    objective = 0.0
    rows, heads = np.empty((CHUNK, n_columns)), np.empty((CHUNK, m))
    shares, work = np.empty((n_components, CHUNK)), np.empty((2, CHUNK))
    scaled, room = np.empty((CHUNK, n_columns)), np.empty((2, CHUNK * n_columns))
    for start in range(0, n, CHUNK):
        size = min(CHUNK, n - start)
        weight = weights[start : start + size]
        for i in range(size):
            for a in range(n_columns):
                rows[i, a] = x[start + i, order[a]]
            for a in range(m):
                heads[i, a] = rows[i, a]
        bounds(heads[:size], leading, shifts, constants, shares, room[0])
        if m < n_columns:
            finish(rows[:size], rest, shifts, shares, beta, room)
        highest(shares, size, work[0])
        if soft:
            objective += soft_shares(shares, size, weight, beta, work)
        else:
            objective += hard_shares(shares, size, weight, work)
        for k in range(n_components):
            for i in range(size):
                shares[k, i] *= work[1, i]
                counts[k] += shares[k, i]
            add_products(rows, shares[k], size, scaled, sums[k], second[k])
    return counts, sums, second, objective


@inlined
def bounds(heads, leading, shifts, constants, scores, room):
    """Scores from the leading numbers of y alone: bounds from above, exact if these are all."""
    size, m = heads.shape
    y = room[: size * m].reshape(size, m)
    for k in range(len(constants)):
        np.dot(heads, leading[k], y)
        for i in range(size):
            total = 0.0
            for a in range(m):
                z = y[i, a] - shifts[k, a]
                total += z * z
            scores[k, i] = constants[k] - 0.5 * total


@inlined
def finish(rows, rest, shifts, scores, beta, room):
    """Turn bounds into scores wherever they may matter; the others stay bounds.

    First for the component of each row's highest bound, which gives a score to compare with.
    """
    size, n_components = len(rows), len(scores)
    owner, index = np.zeros(size, np.int64), np.empty(size, np.int64)
    best = np.empty(size)
    for k in range(1, n_components):
        for i in range(size):
            if scores[k, i] > scores[owner[i], i]:
                owner[i] = k
    for first in (True, False):
        for k in range(n_components):
            m = 0
            for i in range(size):
                own = owner[i] == k
                if own if first else not (own or beta * (scores[k, i] - best[i]) < -HOPELESS):
                    index[m] = i
                    m += 1
            subtract_rest(rows, index[:m], rest[k], shifts[k], scores[k], room)
            if first:
                for j in range(m):
                    best[index[j]] = scores[k, index[j]]


@inlined
def subtract_rest(rows, index, rest, shift, scores, room):
    """Subtract from the scores of some rows what the other numbers of y add to the distance."""
    n, (n_columns, width) = len(index), rest.shape
    if n == 0:
        return
    own = rows
    if n < len(rows):
        own = room[0, : n * n_columns].reshape(n, n_columns)
        for j in range(n):
            for a in range(n_columns):
                own[j, a] = rows[index[j], a]
    y = room[1, : n * width].reshape(n, width)
    np.dot(own, rest, y)
    lead = n_columns - width
    for j in range(n):
        total = 0.0
        for a in range(width):
            z = y[j, a] - shift[lead + a]
            total += z * z
        scores[index[j]] -= 0.5 * total

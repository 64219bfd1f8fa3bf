"""The E-step and its statistics in few columns, fused into one compiled pass over the rows.

Rows are taken in chunks that stay in the processor's first cache, laid out columns first, so
that every inner loop runs over consecutive rows and becomes vector instructions. All sums are in
float64. Import this module on first use only: numba is slow to load.
"""

from __future__ import annotations

import numpy as np

from lowdim._compile import compiled_fast
from lowdim.data.dense import CHUNK, LOOP_COLUMNS, PADDING, add_moments, add_products
from lowdim.mixture._subspace.shares import hard_shares, highest, soft_shares


@compiled_fast
def accumulate(x, outside, weights, means, bases, dims, constant, precision, gain, soft, beta):
    """Statistics of the rows of x, (n, D), under R mixtures of K components.

    The score of a row is ``constant - precision / 2 s + sum_j gain_j z_j^2`` with
    ``s = ||x - mu||^2 + outside`` (see `DenseBlock` for what is outside).

    Returns
    -------
    counts, squares : (R, K)
        Sums of the weighted responsibilities, and of their squares.
    sums : (R, K, D)
    energy : (R, K)
        sum r (||x||^2 + outside).
    second : (R, K, D, D)
        sum r x x'.
    objective : (R,)
    """
    n, n_columns = x.shape
    n_restarts, n_components = constant.shape
    counts = np.zeros((n_restarts, n_components))
    squares = np.zeros((n_restarts, n_components))
    sums = np.zeros((n_restarts, n_components, n_columns))
    second = np.zeros((n_restarts, n_components, n_columns, n_columns))
    energy = np.zeros((n_restarts, n_components))
    objective = np.zeros(n_restarts)
    columns = np.empty((n_columns, CHUNK + PADDING))
    scratch = np.empty((n_columns + 2, CHUNK + PADDING))
    scaled = np.empty((CHUNK, n_columns))
    shares = np.empty((n_components, CHUNK))
    work = np.empty((bases.shape[2] + 2, CHUNK))
    for start in range(0, n, CHUNK):
        size = min(CHUNK, n - start)
        for i in range(size):
            for a in range(n_columns):
                columns[a, i] = x[start + i, a]
        weight, off = weights[start : start + size], outside[start : start + size]
        for r in range(n_restarts):
            for k in range(n_components):
                d = dims[r, k]
                squared_norms(columns, off, size, means[r, k], bases[r, k], gain[r, k], d, work)
                distance, explained = work[0], work[1]
                for i in range(size):
                    shares[k, i] = (
                        constant[r, k] - 0.5 * precision[r, k] * distance[i] + explained[i]
                    )
            highest(shares, size, work[0])
            if soft:
                objective[r] += soft_shares(shares, size, weight, beta, work)
            else:
                objective[r] += hard_shares(shares, size, weight, work)
            for k in range(n_components):
                for i in range(size):
                    shares[k, i] *= work[1, i]
                if n_columns > LOOP_COLUMNS:
                    rows = x[start : start + size]
                    add_products(rows, shares[k], size, scaled, sums[r, k], second[r, k])
                else:
                    add_moments(columns, shares[k], size, scratch, sums[r, k], second[r, k])
                for i in range(size):
                    counts[r, k] += shares[k, i]
                    squares[r, k] += shares[k, i] * shares[k, i]
                    energy[r, k] += shares[k, i] * off[i]
    for r in range(n_restarts):
        for k in range(n_components):
            for a in range(n_columns):
                energy[r, k] += second[r, k, a, a]
                for b in range(a):
                    second[r, k, b, a] = second[r, k, a, b]
    return counts, squares, sums, energy, second, objective


@compiled_fast
def squared_norms(columns, outside, size, mean, basis, gain, d, work):
    """Write ``||x - mu||^2 + outside`` into work[0] and ``sum_j gain_j z_j^2`` into work[1]."""
    distance, explained = work[0], work[1]
    for i in range(size):
        distance[i] = outside[i]
        explained[i] = 0.0
    for j in range(d):
        for i in range(size):
            work[2 + j, i] = 0.0
    for a in range(len(mean)):
        column, centre = columns[a], mean[a]
        for i in range(size):
            distance[i] += (column[i] - centre) * (column[i] - centre)
        for j in range(d):
            v, z = basis[j, a], work[2 + j]
            for i in range(size):
                z[i] += v * (column[i] - centre)
    for j in range(d):
        g, z = gain[j], work[2 + j]
        for i in range(size):
            explained[i] += g * z[i] * z[i]

"""Products of stored CSR rows with a few dense directions, compiled; nothing is copied.

Import on first use only: numba is slow to load.
"""

from __future__ import annotations

import numpy as np

from lowdim._compile import compiled_fast
from lowdim.data.lanes import add_multiples, add_multiples_and_sums, write_products, zeros

#: Rows whose sums are in the type of the data before they are added to those in float64.
SUMMED_ROWS = 1024
#: Rows that are worked on at a time: what they store stays in the second cache.
CHUNK = 256


@compiled_fast
def project(indptr, indices, data, directions, out):
    """Write ``rows @ directions`` into out, (n, W), for directions (D, W) of `lanes.table`."""
    n = len(indptr) - 1
    for start in range(0, n, CHUNK):
        rows = np.arange(start, min(start + CHUNK, n))
        write_products(indptr, indices, data, rows, directions, out[start : start + len(rows)])


@compiled_fast
def accumulate(indptr, indices, data, coefficients, out):
    """Add ``rows.T @ coefficients`` to out, (D, w), for coefficients (n, w)."""
    width = coefficients.shape[1]
    for i in range(len(indptr) - 1):
        for position in range(indptr[i], indptr[i + 1]):
            value, column = data[position], indices[position]
            for j in range(width):
                out[column, j] += value * coefficients[i, j]


@compiled_fast
def moments_along(indptr, indices, data, which, weight, directions, shift, mean, scale, out):
    """Write ``sum_i r_i [1, z_i] (x_i - mean)' / scale``, with ``z_i = directions' x_i - shift``.

    Sums over so many rows that they stay in cache, first all products, then all additions: a
    table of directions and one of sums would drive each other out.

    Parameters
    ----------
    which, weight : (m,)
        The rows, and the r of each.
    directions : (D, W)
        As `lanes.table` has them, of which the first w count.
    shift : (W,)
        As the type of the data.
    mean, scale : (D,), float
    out : (1 + w, D)
    """
    (n_columns, width), n = directions.shape, len(out) - 1
    roomy = n < width  # then the vectors have room for the rows' sum as well
    z, along = zeros(CHUNK, width, data), zeros(n_columns, width, data).ravel()
    table, moments = along.reshape(n_columns, width), np.zeros(along.size)
    some, sums = np.zeros(n_columns, data.dtype), np.zeros(n_columns)
    total = np.zeros(1 + n)
    for first in range(0, len(which), CHUNK):
        rows, r = which[first : first + CHUNK], weight[first : first + CHUNK]
        write_products(indptr, indices, data, rows, directions, z)
        for q in range(len(rows)):
            total[0] += r[q]
            for j in range(n):
                z[q, j] = (z[q, j] - shift[j]) * data.dtype.type(r[q])
                total[1 + j] += z[q, j]
            if roomy:
                z[q, n] = r[q]
        if roomy:
            add_multiples(indptr, indices, data, rows, z, table)
        else:
            add_multiples_and_sums(indptr, indices, data, rows, z, r, table, some)
        if (first + CHUNK) % SUMMED_ROWS == 0 or first + CHUNK >= len(which):
            move(along, moments)
            move(some, sums)
    for a in range(n_columns):
        own = moments[a * width : (a + 1) * width]
        out[0, a] = ((own[n] if roomy else sums[a]) - total[0] * mean[a]) / scale
        for j in range(1, n + 1):
            out[j, a] = (own[j - 1] - total[j] * mean[a]) / scale


@compiled_fast
def move(some, sums):
    """Add some sums to others, and begin them anew."""
    for i in range(len(some)):
        sums[i] += some[i]
        some[i] = 0.0


@compiled_fast
def squared_norms(indptr, indices, data, mean, out):
    """Write ``||x_i - mean||^2`` into out, (n,)."""
    around = 0.0
    for centre in mean:
        around += centre * centre
    for i in range(len(out)):
        total = around
        for position in range(indptr[i], indptr[i + 1]):
            value = float(data[position])
            total += value * (value - 2.0 * mean[np.uint64(indices[position])])
        out[i] = max(total, 0.0)


@compiled_fast
def squared_deviations(indptr, indices, data, weight, mean, stored):
    """``sum_i r_i (x_ij - mean_j)^2`` over what is stored; add its weights to stored, (D,)."""
    total = 0.0
    for i in range(len(weight)):
        for position in range(indptr[i], indptr[i + 1]):
            column = indices[position]
            deviation = data[position] - mean[column]
            total += weight[i] * deviation * deviation
            stored[column] += weight[i]
    return total

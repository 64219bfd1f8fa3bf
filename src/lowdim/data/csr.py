"""Products of stored CSR rows with a few dense directions, compiled; nothing is copied.

Import on first use only: numba is slow to load.
"""

from __future__ import annotations

import numpy as np

from lowdim._compile import compiled_fast

#: Rows whose sums are in the type of the data before they are added to those in float64.
SUMMED_ROWS = 1024


@compiled_fast
def project(indptr, indices, data, directions, out):
    """Write ``rows @ directions`` into out, (n, w).

    Directions are laid out (D, w): one stored value meets w numbers that lie side by side. It is
    fastest where w is a multiple of 8.
    """
    for i in range(len(indptr) - 1):
        row = out[i]
        for j in range(len(row)):
            row[j] = 0.0
        add_along(indptr[i], indptr[i + 1], indices, data, directions, row)


@compiled_fast
def add_along(start, stop, indices, data, directions, out):
    """Add the product of one row, stored from start to stop, with the directions to out, (w,).

    Four values at a time, so that what is summed up is fetched and put back a fourth as often.
    Places are unsigned: signed ones are each checked for being counted from the end.
    """
    p = start
    while p + 4 <= stop:
        a, b = directions[np.uint64(indices[p])], directions[np.uint64(indices[p + 1])]
        c, d = directions[np.uint64(indices[p + 2])], directions[np.uint64(indices[p + 3])]
        u, v, w, x = data[p], data[p + 1], data[p + 2], data[p + 3]
        for j in range(len(out)):
            out[j] += u * a[j] + v * b[j] + w * c[j] + x * d[j]
        p += 4
    while p < stop:
        value, direction = data[p], directions[np.uint64(indices[p])]
        for j in range(len(out)):
            out[j] += value * direction[j]
        p += 1


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
def moments_along(indptr, indices, data, which, weight, directions, shift, sums, out, total):
    """Sums ``r_i [1, z_i] x_i'`` of the rows in `which`, with ``z_i = directions' x_i - shift``.

    Parameters
    ----------
    which, weight : (m,)
        The rows, and the r of each.
    directions : (D, w)
        As the type of the data.
    shift : (w,)
        As the type of the data.
    sums, out : (D,), (D, w)
        ``sum_i r_i x_i`` and ``sum_i r_i x_i z_i'`` are added to these.
    total : (1 + w,)
        ``sum_i r_i [1, z_i]`` is added to it.
    """
    width = directions.shape[1]
    z = np.empty(width, data.dtype)
    some, some_out = np.zeros(len(sums), data.dtype), np.zeros(out.shape, data.dtype)
    for first in range(0, len(which), SUMMED_ROWS):
        for q in range(first, min(first + SUMMED_ROWS, len(which))):
            i, r = which[q], data.dtype.type(weight[q])
            for j in range(width):
                z[j] = -shift[j]
            add_along(indptr[i], indptr[i + 1], indices, data, directions, z)
            total[0] += weight[q]
            for j in range(width):
                z[j] *= r
                total[1 + j] += z[j]
            for p in range(indptr[i], indptr[i + 1]):
                value, column = data[p], np.uint64(indices[p])
                row = some_out[column]
                some[column] += value * r
                for j in range(width):
                    row[j] += value * z[j]
        for a in range(len(sums)):
            sums[a] += some[a]
            some[a] = 0.0
            for j in range(width):
                out[a, j] += some_out[a, j]
                some_out[a, j] = 0.0


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

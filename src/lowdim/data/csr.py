"""Products of stored CSR rows with a few dense directions, compiled; nothing is copied.

Import on first use only: numba is slow to load.
"""

from __future__ import annotations

from lowdim._compile import compiled_fast


@compiled_fast
def project(indptr, indices, data, start, stop, directions, out):
    """Write ``rows @ directions`` of rows `start` to `stop` into out, (n, w).

    Directions are laid out (D, w): one stored value meets w numbers that lie side by side.
    """
    width = directions.shape[1]
    for i in range(start, stop):
        for j in range(width):
            out[i, j] = 0.0
        for position in range(indptr[i], indptr[i + 1]):
            value, column = data[position], indices[position]
            for j in range(width):
                out[i, j] += value * directions[column, j]


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
def moments_along(indptr, indices, data, weight, directions, shift, z, out, total):
    """Add ``sum_i r_i [1, z_i] x_i'`` to out, (D, 1 + w), with ``z_i = directions' x_i - shift``.

    The sums of ``r_i [1, z_i]`` are added to total, (1 + w,); z, (1 + w,), is working space.
    Rows without weight are skipped.
    """
    width = directions.shape[1]
    for i in range(len(weight)):
        r = weight[i]
        if r == 0.0:
            continue
        z[0] = 1.0
        for j in range(width):
            z[1 + j] = -shift[j]
        for position in range(indptr[i], indptr[i + 1]):
            value, column = data[position], indices[position]
            for j in range(width):
                z[1 + j] += value * directions[column, j]
        for j in range(width + 1):
            z[j] *= r
            total[j] += z[j]
        for position in range(indptr[i], indptr[i + 1]):
            value, column = data[position], indices[position]
            for j in range(width + 1):
                out[column, j] += value * z[j]


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
            total += value * (value - 2.0 * mean[indices[position]])
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

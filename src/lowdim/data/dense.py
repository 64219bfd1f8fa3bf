"""Sums over dense rows, compiled: each row is fetched from memory once.

Import on first use only: numba is slow to load.
"""

from __future__ import annotations

import numpy as np

from lowdim.math.small import compiled_fast

#: Numbers per chunk of rows, so that it stays in the processor's second cache; but as many rows
#: as make the products of each component with its own rows worth while.
CHUNK_VALUES, FEWEST_ROWS, ROWS_PER_COMPONENT, MOST_ROWS = 2**16, 32, 16, 256


def chunk_rows(n_columns: int, n_components: int) -> int:
    """Rows per chunk for `add_along`."""
    enough = max(FEWEST_ROWS, ROWS_PER_COMPONENT * n_components)
    return min(max(CHUNK_VALUES // n_columns, enough), MOST_ROWS)


@compiled_fast
def moments(rows, weights, pilot, total):
    """Add sums w (x - pilot) to total, (D,); return sum w ||x - pilot||^2."""
    energy = 0.0
    for i in range(len(rows)):
        row, weight, square = rows[i], weights[i], 0.0
        for a in range(len(pilot)):
            centred = row[a] - pilot[a]
            total[a] += weight * centred
            square += centred * centred
        energy += weight * square
    return energy


@compiled_fast
def standardize(rows, mean, scale, out, norms):
    """Write (rows - mean) / scale into out, and squared lengths of these rows into norms.

    Returns the largest absolute value, nan if there is one.
    """
    largest = 0.0
    for i in range(len(rows)):
        row, standard, top, square = rows[i], out[i], 0.0, 0.0
        for a in range(len(mean)):
            value = (row[a] - mean[a]) / scale
            standard[a] = value
            square += value * value
            top = max(top, abs(value))
        norms[i] = square
        largest = max(largest, top)
    return largest


@compiled_fast
def moments_along(x, weights, sketches, chunk, least):
    """Sums r [1, W x] x' of every component, (C, 1 + w, D), float64.

    Parameters
    ----------
    x : (n, D)
    weights : (C, n)
        r; rows of at most `least` are skipped.
    sketches : (C, D, w)
        W', as the type of x.
    chunk : int
        Rows taken at a time.
    """
    n_components, n = weights.shape
    _, n_columns, width = sketches.shape
    out = np.zeros((n_components, 1 + width, n_columns))
    rows = np.empty(chunk, np.int64)
    spare, numbers = np.empty((chunk, n_columns), x.dtype), buffer(chunk, width, n_columns, x)
    for start in range(0, n, chunk):
        block = x[start : start + chunk]
        for c in range(n_components):
            share = weights[c, start : start + chunk]
            m = 0
            for i in range(len(block)):
                if not share[i] <= least:  # nan counts
                    rows[m] = i
                    m += 1
            add_along(block, rows[:m], share, sketches[c], spare, numbers, out[c])
    return out


@compiled_fast
def buffer(chunk, width, n_columns, like):
    """Room for the intermediate results of `add_along`."""
    return np.empty(chunk * (1 + 2 * width) + (1 + width) * n_columns, like.dtype)


@compiled_fast
def add_along(block, rows, share, sketch, spare, numbers, out):
    """Add sum r [1, W x] x' over some rows of a chunk to out, (1 + w, D)."""
    m, (n_columns, width) = len(rows), sketch.shape
    if m == 0:
        return
    own = block
    if m < len(block):
        own = spare[:m]
        for i in range(m):
            own[i] = block[rows[i]]
    first, second = m * width, m * (1 + 2 * width)
    along = numbers[:first].reshape(m, width)
    coefficients = numbers[first:second].reshape(1 + width, m)
    sums = numbers[second : second + (1 + width) * n_columns].reshape(1 + width, n_columns)
    np.dot(own, sketch, along)
    for i in range(m):
        r = share[rows[i]]
        coefficients[0, i] = r
        for j in range(width):
            coefficients[1 + j, i] = r * along[i, j]
    np.dot(coefficients, own, sums)
    for j in range(1 + width):
        for a in range(n_columns):
            out[j, a] += sums[j, a]

"""Sums over dense rows, compiled: each row is fetched from memory once.

Import on first use only: numba is slow to load.
"""

from __future__ import annotations

import math

import numpy as np

from lowdim._compile import compiled_fast

#: Numbers per chunk of rows, so that it stays in the processor's second cache; but as many rows
#: as make the products of each component with its own rows worth while.
CHUNK_VALUES, FEWEST_ROWS, ROWS_PER_COMPONENT, MOST_ROWS = 2**16, 32, 16, 256


#: In few columns: rows per chunk, which then stays in the first cache; padding, lest columns that
#: lie a power of two apart compete for the same cache lines; and up to how many columns loops make
#: the second moments faster than matrix products do.
CHUNK, PADDING, LOOP_COLUMNS = 256, 8, 16


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

    Returns the largest absolute value.
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
            for a in range(n_columns):
                own[i, a] = block[rows[i], a]
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


@compiled_fast
def moments_of(x, coefficients):
    """Sums c x, (C, D), and c x x', (C, D, D), of every row of coefficients, float64."""
    n, n_columns = x.shape
    sums = np.zeros((len(coefficients), n_columns))
    out = np.zeros((len(coefficients), n_columns, n_columns))
    columns = np.empty((n_columns, CHUNK + PADDING))
    scratch = np.empty((n_columns + 2, CHUNK + PADDING))
    scaled = np.empty((CHUNK, n_columns))
    for start in range(0, n, CHUNK):
        size = min(CHUNK, n - start)
        rows = x[start : start + size]
        for i in range(size):
            for a in range(n_columns):
                columns[a, i] = rows[i, a]
        for c in range(len(coefficients)):
            share = coefficients[c, start : start + size]
            if n_columns > LOOP_COLUMNS:
                add_products(rows, share, size, scaled, sums[c], out[c])
            else:
                add_moments(columns, share, size, scratch, sums[c], out[c])
    for c in range(len(coefficients)):
        for a in range(n_columns):
            for b in range(a):
                out[c, b, a] = out[c, a, b]
    return sums, out


@compiled_fast
def add_moments(columns, share, size, scratch, sums, second):
    """Add sum r x, and the lower triangle of sum r x x'; rows without a share are skipped."""
    own, weight, weighted = scratch[: len(columns)], scratch[-2], scratch[-1]
    m = 0
    for i in range(size):
        if share[i] != 0.0:
            weight[m] = share[i]
            m += 1
    if m > 0.75 * size:  # gathering would not pay
        own, weight, m = columns, share, size
    else:
        for a in range(len(columns)):
            m = 0
            for i in range(size):
                if share[i] != 0.0:
                    own[a, m] = columns[a, i]
                    m += 1
    for a in range(len(columns)):
        total = 0.0
        for i in range(m):
            weighted[i] = weight[i] * own[a, i]
            total += weighted[i]
        sums[a] += total
        b = 0
        while b + 3 <= a:  # four columns at a time reuse what is loaded
            c0, c1, c2, c3 = own[b], own[b + 1], own[b + 2], own[b + 3]
            s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
            for i in range(m):
                s0 += weighted[i] * c0[i]
                s1 += weighted[i] * c1[i]
                s2 += weighted[i] * c2[i]
                s3 += weighted[i] * c3[i]
            second[a, b] += s0
            second[a, b + 1] += s1
            second[a, b + 2] += s2
            second[a, b + 3] += s3
            b += 4
        while b <= a:
            c0, s0 = own[b], 0.0
            for i in range(m):
                s0 += weighted[i] * c0[i]
            second[a, b] += s0
            b += 1


@compiled_fast
def add_products(x, share, size, scaled, sums, second):
    """The same from the rows of x, by a matrix product."""
    m = 0
    for i in range(size):
        if share[i] != 0.0:
            root = math.sqrt(share[i])
            for a in range(x.shape[1]):
                scaled[m, a] = root * x[i, a]
                sums[a] += root * scaled[m, a]
            m += 1
    own = scaled[:m]
    second += np.dot(own.T, own)

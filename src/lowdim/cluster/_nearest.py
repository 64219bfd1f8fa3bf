"""The E-step of k-means, compiled: each row is fetched from memory once.

Import on first use only: numba is slow to load.
"""

from __future__ import annotations

import numpy as np

from lowdim._compile import compiled_fast

#: Rows per chunk, and per chunk of matrix products, which are slow with few rows.
CHUNK, MANY = 256, 1024


@compiled_fast
def nearest_dense(rows, norms, weights, directions, offsets, n_components, labels):
    """Assign dense rows to centroids, and sum them up.

    Parameters
    ----------
    rows : (n, D)
    norms, weights : (n,)
        Squared lengths, and weights, of the rows.
    directions : (R K, D), as the type of the rows
        -2 mu.
    offsets : (R K,), as the type of the rows
        ``||mu||^2``.
    n_components : int
        K.
    labels : (R, n), int32
        Where the nearest centroids are written to.

    Returns
    -------
    counts : (R, K)
    sums : (R, K, D)
    objective : (R,)
        Minus the summed squared distances.
    """
    n, n_columns = rows.shape
    width, n_restarts = len(directions), len(labels)
    counts = np.zeros((n_restarts, n_components))
    sums = np.zeros((n_restarts, n_components, n_columns))
    objective = np.zeros(n_restarts)
    products = np.empty((width, MANY), rows.dtype)
    best, where = np.empty(MANY, rows.dtype), np.empty(MANY, np.int64)
    for start in range(0, n, MANY):
        size = min(MANY, n - start)
        if size < MANY:
            products = np.empty((width, size), rows.dtype)
        np.dot(directions, rows[start : start + size].T, products)
        for r in range(n_restarts):
            for k in range(n_components):
                own, offset = products[r * n_components + k], offsets[r * n_components + k]
                for i in range(size):
                    value = own[i] + offset
                    closer = k == 0 or value < best[i]
                    best[i] = value if closer else best[i]
                    where[i] = k if closer else where[i]
            total = 0.0
            for i in range(size):
                total += weights[start + i] * max(best[i] + norms[start + i], 0.0)
                labels[r, start + i] = where[i]
            objective[r] -= total
            for i in range(size):
                weight, k = weights[start + i], where[i]
                counts[r, k] += weight
                for a in range(n_columns):
                    sums[r, k, a] += weight * rows[start + i, a]
    return counts, sums, objective


@compiled_fast
def nearest_few(rows, columns, first, last, weights, centres, n_components, labels):
    """The same for rows `first` to `last` of few columns; loops are then faster than products.

    ``columns``, (D, n), float64, are the rows laid out columns first; ``centres``, (R K, D), the
    mu.
    """
    n_columns, n_restarts = len(columns), len(labels)
    counts = np.zeros((n_restarts, n_components))
    sums = np.zeros((n_restarts, n_components, n_columns))
    objective = np.zeros(n_restarts)
    distance, best, where = np.empty(CHUNK), np.empty(CHUNK), np.empty(CHUNK)
    for start in range(first, last, CHUNK):
        size = min(CHUNK, last - start)
        for r in range(n_restarts):
            for k in range(n_components):
                squared_distances(columns, start, size, centres[r * n_components + k], distance)
                for i in range(size):
                    closer = k == 0 or distance[i] < best[i]
                    best[i] = distance[i] if closer else best[i]
                    where[i] = k if closer else where[i]
            total = 0.0
            for i in range(size):
                weight, k = weights[start + i], int(where[i])
                total += weight * best[i]
                labels[r, start + i] = k
                counts[r, k] += weight
                for a in range(n_columns):
                    sums[r, k, a] += weight * rows[start + i, a]
            objective[r] -= total
    return counts, sums, objective


@compiled_fast
def squared_distances(columns, start, size, centre, out):
    """Write the squared distances of a chunk of rows to a point into out."""
    n_columns = len(columns)
    for i in range(size):
        out[i] = 0.0
    a = 0
    while a + 4 <= n_columns:  # four at a time, so that the sums are fetched less often
        x0, c0 = columns[a, start : start + size], centre[a]
        x1, c1 = columns[a + 1, start : start + size], centre[a + 1]
        x2, c2 = columns[a + 2, start : start + size], centre[a + 2]
        x3, c3 = columns[a + 3, start : start + size], centre[a + 3]
        for i in range(size):
            out[i] += (x0[i] - c0) * (x0[i] - c0) + (x1[i] - c1) * (x1[i] - c1)
            out[i] += (x2[i] - c2) * (x2[i] - c2) + (x3[i] - c3) * (x3[i] - c3)
        a += 4
    while a < n_columns:
        x0, c0 = columns[a, start : start + size], centre[a]
        for i in range(size):
            out[i] += (x0[i] - c0) * (x0[i] - c0)
        a += 1


@compiled_fast
def nearest_sparse(stored, norms, weights, directions, offsets, n_components, labels):
    """The same for CSR rows, ``stored = (indptr, indices, data)``; sums are of what is stored.

    Directions are laid out (D, R K): one stored value meets numbers that lie side by side.
    """
    indptr, indices, data = stored
    n, (n_columns, width) = len(norms), directions.shape
    n_restarts = len(labels)
    counts = np.zeros((n_restarts, n_components))
    sums = np.zeros((n_restarts, n_components, n_columns))
    objective = np.zeros(n_restarts)
    own = np.empty(width, directions.dtype)
    for i in range(n):
        weight = weights[i]
        for j in range(width):
            own[j] = 0.0
        position, end = indptr[i], indptr[i + 1]
        while position + 4 <= end:  # four at a time, so that the sums are fetched less often
            v0, d0 = data[position], directions[indices[position]]
            v1, d1 = data[position + 1], directions[indices[position + 1]]
            v2, d2 = data[position + 2], directions[indices[position + 2]]
            v3, d3 = data[position + 3], directions[indices[position + 3]]
            for j in range(width):
                own[j] += v0 * d0[j] + v1 * d1[j] + v2 * d2[j] + v3 * d3[j]
            position += 4
        while position < end:
            value, direction = data[position], directions[indices[position]]
            for j in range(width):
                own[j] += value * direction[j]
            position += 1
        for r in range(n_restarts):
            best, k = nearest(own, offsets, r * n_components, n_components)
            labels[r, i] = k
            counts[r, k] += weight
            objective[r] -= weight * max(best + norms[i], 0.0)
            total = sums[r, k]
            for position in range(indptr[i], indptr[i + 1]):
                total[indices[position]] += weight * data[position]
    return counts, sums, objective


@compiled_fast
def nearest(products, offsets, first, n_components):
    """The least of products + offsets among `n_components` from `first` on, and where it is."""
    best, where = products[first] + offsets[first], 0
    for k in range(1, n_components):
        value = products[first + k] + offsets[first + k]
        if value < best:
            best, where = value, k
    return best, where

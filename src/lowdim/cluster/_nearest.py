"""The E-step of k-means, compiled: rows whose centroid cannot have changed are passed over.

Import on first use only: numba is slow to load.
"""

from __future__ import annotations

import math

import numpy as np

from lowdim._compile import compiled_fast

#: Up to so many columns loops over rows are faster than matrix products.
FEW_COLUMNS = 16
#: Rows that are looked at together: in loops, and in products, which are slow with few rows.
LOOPED, MULTIPLIED = 256, 1024


@compiled_fast
def reassign_dense(rows, norms, weights, of_centroids, moved, rival, state, counts, sums):
    """Bring labels and bounds of dense rows up to date.

    Parameters
    ----------
    rows : (n, D)
    norms, weights : (n,)
        Squared lengths, and weights, of the rows.
    of_centroids : (centroids (K, D), float, float)
        The centroids as the type of the rows; the largest of their squared lengths; and what
        rounding may do to a squared distance, as a share of the squared lengths.
    moved, rival : (K,)
        How far each centroid has moved, and the farthest that any other has.
    state : labels (n,), upper (n,), lower (n,)
        Labels, -1 for rows that have none, and bounds; overwritten.
    counts : (K,)
    sums : (K, D)
        Where changes of sum w and of sum w x are added.

    Returns
    -------
    changed : int
        Number of rows that had another label.
    squares : float
        Summed squared distances of the rows that were looked at.
    """
    labels, upper, lower = state
    centroids, reach, slack = of_centroids
    n, n_columns = rows.shape
    few = n_columns <= FEW_COLUMNS
    room = LOOPED if few else MULTIPLIED
    index = np.empty(room, np.int64)
    gathered = np.empty(room * n_columns, rows.dtype)
    products = np.empty(len(centroids) * room, rows.dtype)
    directions = centroids * rows.dtype.type(-2)
    offsets = np.empty(len(centroids), rows.dtype)
    for k in range(len(centroids)):
        offsets[k] = 0.0 if few else squared_distance(centroids[k], centroids[k] * 0)
    best, second = np.empty(room, rows.dtype), np.empty(room, rows.dtype)
    where = np.empty(room, rows.dtype)
    changed, squares, i = 0, 0.0, 0
    while i < n:
        m = 0
        while i < n and m < room:
            k = labels[i]
            upper[i] += moved[k]
            lower[i] -= rival[k]
            if not upper[i] < lower[i]:
                if k >= 0:
                    square = squared_distance(rows[i], centroids[k])
                    upper[i] = math.sqrt(square + slack * (norms[i] + reach))
                if not upper[i] < lower[i]:
                    index[m] = i
                    m += 1
            i += 1
        if m == 0:
            break
        own = products[: len(centroids) * m].reshape(len(centroids), m)
        if few:
            columns = gathered[: m * n_columns].reshape(n_columns, m)
            for j in range(m):
                for a in range(n_columns):
                    columns[a, j] = rows[index[j], a]
            for k in range(len(centroids)):
                squared_distances(columns, centroids[k], own[k])
        elif index[m - 1] - index[0] == m - 1:
            np.dot(directions, rows[index[0] : index[0] + m].T, own)
        else:
            chosen = gathered[: m * n_columns].reshape(m, n_columns)
            for j in range(m):
                for a in range(n_columns):
                    chosen[j, a] = rows[index[j], a]
            np.dot(directions, chosen.T, own)
        two_least(own, offsets, best, second, where)
        for j in range(m):
            row, k = index[j], int(where[j])
            shift = 0.0 if few else norms[row]
            error = slack * (norms[row] + reach)
            square = max(best[j] + shift, 0.0)
            squares += weights[row] * square
            upper[row] = math.sqrt(square + error)
            lower[row] = math.sqrt(max(second[j] + shift - error, 0.0))
            before = labels[row]
            if k != before:
                labels[row] = k
                weight = weights[row]
                counts[k] += weight
                for a in range(n_columns):
                    sums[k, a] += weight * rows[row, a]
                if before >= 0:
                    changed += 1
                    counts[before] -= weight
                    for a in range(n_columns):
                        sums[before, a] -= weight * rows[row, a]
    return changed, squares


@compiled_fast
def squared_distance(x, y):
    total = 0.0
    for a in range(len(x)):
        total += (x[a] - y[a]) * (x[a] - y[a])
    return total


@compiled_fast
def two_least(products, offsets, best, second, where):
    """The least and the second least of every column of products + offsets, and where."""
    n_components, m = products.shape
    for j in range(m):
        best[j] = second[j] = np.inf
        where[j] = 0
    for k in range(n_components):
        own, offset = products[k], offsets[k]
        for j in range(m):
            value = own[j] + offset
            closer = value < best[j]
            other = best[j] if closer else value
            best[j] = value if closer else best[j]
            where[j] = k if closer else where[j]
            second[j] = other if other < second[j] else second[j]


@compiled_fast
def squared_distances(columns, centre, out):
    """Squared distances to a point of rows that are laid out columns first, (D, m)."""
    n_columns, m = columns.shape
    for i in range(m):
        out[i] = 0.0
    a = 0
    while a + 4 <= n_columns:  # four at a time, so that the sums are fetched less often
        x0, c0 = columns[a], centre[a]
        x1, c1 = columns[a + 1], centre[a + 1]
        x2, c2 = columns[a + 2], centre[a + 2]
        x3, c3 = columns[a + 3], centre[a + 3]
        for i in range(m):
            out[i] += (x0[i] - c0) * (x0[i] - c0) + (x1[i] - c1) * (x1[i] - c1)
            out[i] += (x2[i] - c2) * (x2[i] - c2) + (x3[i] - c3) * (x3[i] - c3)
        a += 4
    while a < n_columns:
        x0, c0 = columns[a], centre[a]
        for i in range(m):
            out[i] += (x0[i] - c0) * (x0[i] - c0)
        a += 1


@compiled_fast
def reassign_sparse(stored, norms, weights, of_centroids, moved, rival, state, counts, sums):
    """The same for CSR rows, ``stored = (indptr, indices, data)``; sums are of what is stored.

    ``of_centroids`` has the directions -2 mu, (D, K), so that one stored value meets numbers that
    lie side by side, and what is to be added to the products, before what rounding may do.
    """
    labels, upper, lower = state
    indptr, indices, data = stored
    directions, offsets, reach, slack = of_centroids
    n_components = len(offsets)
    own = np.empty(n_components, directions.dtype)
    changed, squares = 0, 0.0
    for i in range(len(norms)):
        before = labels[i]
        upper[i] += moved[before]
        lower[i] -= rival[before]
        if upper[i] < lower[i]:
            continue
        for j in range(n_components):
            own[j] = 0.0
        position, end = indptr[i], indptr[i + 1]
        while position + 4 <= end:  # four at a time, so that the sums are fetched less often
            v0, d0 = data[position], directions[indices[position]]
            v1, d1 = data[position + 1], directions[indices[position + 1]]
            v2, d2 = data[position + 2], directions[indices[position + 2]]
            v3, d3 = data[position + 3], directions[indices[position + 3]]
            for j in range(n_components):
                own[j] += v0 * d0[j] + v1 * d1[j] + v2 * d2[j] + v3 * d3[j]
            position += 4
        while position < end:
            value, direction = data[position], directions[indices[position]]
            for j in range(n_components):
                own[j] += value * direction[j]
            position += 1
        best, second, k = np.inf, np.inf, 0
        for j in range(n_components):
            value = own[j] + offsets[j]
            if value < best:
                best, second, k = value, best, j
            elif value < second:
                second = value
        weight, error = weights[i], slack * (norms[i] + reach)
        square = max(best + norms[i], 0.0)
        squares += weight * square
        upper[i] = math.sqrt(square + error)
        lower[i] = math.sqrt(max(second + norms[i] - error, 0.0))
        if k != before:
            labels[i] = k
            counts[k] += weight
            for position in range(indptr[i], end):
                sums[k, indices[position]] += weight * data[position]
            if before >= 0:
                changed += 1
                counts[before] -= weight
                for position in range(indptr[i], end):
                    sums[before, indices[position]] -= weight * data[position]
    return changed, squares

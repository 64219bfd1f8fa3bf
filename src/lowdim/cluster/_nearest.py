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
#: What rounding may do to a squared distance: the machine's precision times the columns and this.
ROUNDINGS = 16


@compiled_fast
def reassign_dense(rows, norms, weights, before, means, state):
    """Bring labels, bounds and sums of dense rows up to date.

    Parameters
    ----------
    rows : (n, D)
    norms, weights : (n,)
        Squared lengths, and weights, of the rows.
    before, means : (R, K, D)
        The centroids that the state was made for, and those that it is to be made for.
    state : State
        Overwritten.
    """
    n_restarts, n_components, n_columns = means.shape
    n, few = len(rows), n_columns <= FEW_COLUMNS
    slack = (n_columns + ROUNDINGS) * np.finfo(rows.dtype).eps
    room = LOOPED if few else MULTIPLIED
    index, gathered = np.empty(room, np.int64), np.empty(room * n_columns, rows.dtype)
    products = np.empty(n_components * room, rows.dtype)
    best, second = np.empty(room, rows.dtype), np.empty(room, rows.dtype)
    where, offsets = np.empty(room, rows.dtype), np.zeros(n_components, rows.dtype)
    centroids = np.empty((n_components, n_columns), rows.dtype)
    directions = np.empty((n_components, n_columns), rows.dtype)
    moved, rival = np.empty(n_components), np.empty(n_components)
    for r in range(n_restarts):
        labels, upper, lower = state.labels[r], state.upper[r], state.lower[r]
        counts, sums, changes, squares = state.counts[r], state.sums[r], state.changes[r], 0.0
        if changes >= n:
            labels[:], upper[:], counts[:], sums[:], changes = -1, np.inf, 0.0, 0.0, 0
        travel(before[r], means[r], moved, rival)
        reach = 0.0
        for k in range(n_components):
            length = 0.0
            for a in range(n_columns):
                centroids[k, a], directions[k, a] = means[r, k, a], -2 * means[r, k, a]
                length += means[r, k, a] * means[r, k, a]
            reach = max(reach, length)
            offsets[k] = 0.0 if few else length
        i = 0
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
                    index[m] = i
                    m += not upper[i] < lower[i]
                i += 1
            if m == 0:
                break
            own = products[: n_components * m].reshape(n_components, m)
            if few:
                columns = gathered[: m * n_columns].reshape(n_columns, m)
                for j in range(m):
                    for a in range(n_columns):
                        columns[a, j] = rows[index[j], a]
                for k in range(n_components):
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
                square, weight, last = max(best[j] + shift, 0.0), weights[row], labels[row]
                squares += weight * square
                upper[row] = math.sqrt(square + error)
                lower[row] = math.sqrt(max(second[j] + shift - error, 0.0))
                if k != last:
                    labels[row] = k
                    counts[k] += weight
                    for a in range(n_columns):
                        sums[k, a] += weight * rows[row, a]
                    if last >= 0:
                        changes += 1
                        counts[last] -= weight
                        for a in range(n_columns):
                            sums[last, a] -= weight * rows[row, a]
        state.changes[r], state.squares[r] = changes, squares


@compiled_fast
def reassign_sparse(stored, norms, weights, before, means, state):
    """The same for CSR rows, ``stored = (indptr, indices, data, mean, scale)``."""
    indptr, indices, data, mean, scale = stored
    n_restarts, n_components, n_columns = means.shape
    slack = 2 * (n_columns + ROUNDINGS) * np.finfo(data.dtype).eps
    # Laid out (D, K), so that one stored value meets numbers that lie side by side.
    directions = np.empty((n_columns, n_components), data.dtype)
    own, offsets = np.empty(n_components, data.dtype), np.empty(n_components)
    moved, rival = np.empty(n_components), np.empty(n_components)
    remote = 0.0
    for a in range(n_columns):
        remote += (mean[a] / scale) * (mean[a] / scale)
    for r in range(n_restarts):
        labels, upper, lower = state.labels[r], state.upper[r], state.lower[r]
        counts, sums, changes, squares = state.counts[r], state.sums[r], state.changes[r], 0.0
        if changes >= len(norms):
            labels[:], upper[:], counts[:], sums[:], changes = -1, np.inf, 0.0, 0.0, 0
        travel(before[r], means[r], moved, rival)
        reach = 0.0
        for k in range(n_components):
            length, along = 0.0, 0.0
            for a in range(n_columns):
                directions[a, k] = -2 * means[r, k, a] / scale
                length += means[r, k, a] * means[r, k, a]
                along += means[r, k, a] * mean[a] / scale
            reach = max(reach, length + remote)
            offsets[k] = length + 2 * along  # the rows are centred by what their products lack
        for i in range(len(norms)):
            last = labels[i]
            upper[i] += moved[last]
            lower[i] -= rival[last]
            if upper[i] < lower[i]:
                continue
            for k in range(n_components):
                own[k] = 0.0
            position, end = indptr[i], indptr[i + 1]
            while position + 4 <= end:  # four at a time, so that the sums are fetched less often
                v0, d0 = data[position], directions[indices[position]]
                v1, d1 = data[position + 1], directions[indices[position + 1]]
                v2, d2 = data[position + 2], directions[indices[position + 2]]
                v3, d3 = data[position + 3], directions[indices[position + 3]]
                for k in range(n_components):
                    own[k] += v0 * d0[k] + v1 * d1[k] + v2 * d2[k] + v3 * d3[k]
                position += 4
            while position < end:
                value, direction = data[position], directions[indices[position]]
                for k in range(n_components):
                    own[k] += value * direction[k]
                position += 1
            best, second, where = np.inf, np.inf, 0
            for k in range(n_components):
                value = own[k] + offsets[k]
                if value < best:
                    best, second, where = value, best, k
                elif value < second:
                    second = value
            error, weight = slack * (norms[i] + reach), weights[i]
            square = max(best + norms[i], 0.0)
            squares += weight * square
            upper[i] = math.sqrt(square + error)
            lower[i] = math.sqrt(max(second + norms[i] - error, 0.0))
            if where != last:
                labels[i] = where
                counts[where] += weight
                for position in range(indptr[i], end):
                    sums[where, indices[position]] += weight * data[position]
                if last >= 0:
                    changes += 1
                    counts[last] -= weight
                    for position in range(indptr[i], end):
                        sums[last, indices[position]] -= weight * data[position]
        state.changes[r], state.squares[r] = changes, squares


@compiled_fast
def travel(before, means, moved, rival):
    """How far each centroid has moved, and the farthest that any other has."""
    first, second, farthest = 0.0, 0.0, 0
    for k in range(len(means)):
        moved[k] = math.sqrt(squared_distance(means[k], before[k]))
        if not moved[k] <= first:
            first, second, farthest = moved[k], first, k
        else:
            second = max(second, moved[k])
    for k in range(len(means)):
        rival[k] = second if k == farthest else first


@compiled_fast
def squared_distance(x, y):
    """``||x - y||^2``."""
    total = 0.0
    for a in range(len(x)):
        total += (x[a] - y[a]) * (x[a] - y[a])
    return total


@compiled_fast
def squared_distances(columns, centre, out):
    """The same for rows that are laid out columns first, (D, m), written to out."""
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
def two_least(products, offsets, best, second, where):
    """The least and second least of every column of products + offsets, and where the least is."""
    n_components, m = products.shape
    for j in range(m):
        best[j], second[j], where[j] = products[0, j] + offsets[0], np.inf, 0
    for k in range(1, n_components):
        own, offset, here = products[k], offsets[k], where.dtype.type(k)
        for j in range(m):
            value, least, place = own[j] + offset, best[j], where[j]
            other = least if value < least else value
            best[j] = value if value < least else least
            where[j] = here if value < least else place
            second[j] = other if other < second[j] else second[j]

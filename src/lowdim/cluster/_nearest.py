"""The E-step of k-means, compiled: rows whose centroid cannot have changed are passed over.

Import on first use only: numba is slow to load.
"""

from __future__ import annotations

import math

import numpy as np

from lowdim._compile import compiled_fast, inlined

#: Rows that are multiplied with the centroids together.
TOGETHER = 256
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
    slack = (n_columns + ROUNDINGS) * np.finfo(rows.dtype).eps
    index, room = np.empty(TOGETHER, np.int64), np.empty(TOGETHER * n_columns, rows.dtype)
    products, offsets = np.empty(n_components * TOGETHER, rows.dtype), np.empty(n_components)
    best, second = np.empty(TOGETHER, rows.dtype), np.empty(TOGETHER, rows.dtype)
    where = np.empty(TOGETHER, rows.dtype)
    directions = np.empty((n_components, n_columns), rows.dtype)
    for r in range(n_restarts):
        centroids, counts, sums = means[r], state.counts[r], state.sums[r]
        labels, upper, lower = state.labels[r], state.upper[r], state.lower[r]
        travelled, rival = state.travelled[r], state.rival[r]
        changes, squares = state.changes[r : r + 1], state.squares[r : r + 1]
        bounds = labels, upper, lower, travelled, rival
        travel(before[r], centroids, travelled, rival)
        begin(labels, upper, counts, sums, changes, squares)
        reach = 0.0
        for k in range(n_components):
            offsets[k] = 0.0
            for a in range(n_columns):
                directions[k, a] = -2 * centroids[k, a]
                offsets[k] += centroids[k, a] * centroids[k, a]
            reach = max(reach, offsets[k])
        i = 0
        while i < len(rows):
            i, m = undecided(i, bounds, index)
            m = still_undecided(rows, centroids, bounds, index, m)
            if m == 0:
                continue
            own = products[: n_components * m].reshape(n_components, m)
            np.dot(directions, taken(rows, index, m, room).T, own)
            two_least(own, offsets, best, second, where)
            for j in range(m):
                row, k, last = index[j], int(where[j]), labels[index[j]]
                error = slack * (norms[row] + reach)
                other = second[j] + norms[row] - error
                if second[j] - best[j] <= 2 * error:  # too near each other to tell by products
                    k, other = nearest_two(rows[row], centroids)
                lower[row] = math.sqrt(max(other, 0.0)) + rival[k]
                if k == last:
                    continue
                square, weight = squared_distance(rows[row], centroids[k]), weights[row]
                upper[row] = math.sqrt(square) - travelled[k]
                labels[row] = k
                counts[k] += weight
                for a in range(n_columns):
                    sums[k, a] += weight * rows[row, a]
                if last < 0:
                    squares[0] += weight * square
                    continue
                changes[0] += 1
                counts[last] -= weight
                for a in range(n_columns):
                    sums[last, a] -= weight * rows[row, a]


@inlined
def undecided(first, bounds, index):
    """Collect rows from `first` on whose bounds overlap; where it ends, and how many there are."""
    labels, upper, lower, travelled, rival = bounds
    i, m = first, 0
    while i < len(labels) and m < len(index):
        k = labels[i]
        if not upper[i] + travelled[k] < lower[i] - rival[k]:
            index[m] = i
            m += 1
        i += 1
    return i, m


@inlined
def still_undecided(rows, centroids, bounds, index, m):
    """Those of the m rows whose bounds overlap also with the exact distance to their centroid."""
    labels, upper, lower, travelled, rival = bounds
    left = 0
    for j in range(m):
        i, k = index[j], labels[index[j]]
        if k >= 0:
            upper[i] = math.sqrt(squared_distance(rows[i], centroids[k])) - travelled[k]
        index[left] = i
        left += not upper[i] + travelled[k] < lower[i] - rival[k]
    return left


@inlined
def taken(rows, index, m, room):
    """The m rows at index, (m, D); a view if they lie side by side."""
    if index[m - 1] - index[0] == m - 1:
        return rows[index[0] : index[0] + m]
    n_columns = rows.shape[1]
    chosen = room[: m * n_columns].reshape(m, n_columns)
    for j in range(m):
        for a in range(n_columns):
            chosen[j, a] = rows[index[j], a]
    return chosen


@compiled_fast
def reassign_sparse(stored, norms, weights, before, means, state):
    """The same for CSR rows, ``stored = (indptr, indices, data, mean, scale)``."""
    indptr, indices, data, mean, scale = stored
    n_restarts, n_components, n_columns = means.shape
    slack = 2 * (n_columns + ROUNDINGS) * np.finfo(data.dtype).eps
    # Laid out (D, K), so that one stored value meets numbers that lie side by side.
    directions = np.empty((n_columns, n_components), data.dtype)
    own, offsets = np.empty(n_components, data.dtype), np.empty(n_components)
    remote = 0.0
    for a in range(n_columns):
        remote += (mean[a] / scale) * (mean[a] / scale)
    for r in range(n_restarts):
        labels, upper, lower = state.labels[r], state.upper[r], state.lower[r]
        travelled, rival = state.travelled[r], state.rival[r]
        counts, sums = state.counts[r], state.sums[r]
        changes, squares = state.changes[r : r + 1], state.squares[r : r + 1]
        travel(before[r], means[r], travelled, rival)
        begin(labels, upper, counts, sums, changes, squares)
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
            if upper[i] + travelled[last] < lower[i] - rival[last]:
                continue
            begins, ends = indptr[i], indptr[i + 1]
            multiply(indices[begins:ends], data[begins:ends], directions, own)
            best, second, where = np.inf, np.inf, 0
            for k in range(n_components):
                value = own[k] + offsets[k]
                if value < best:
                    best, second, where = value, best, k
                elif value < second:
                    second = value
            error, weight = slack * (norms[i] + reach), weights[i]
            square = max(best + norms[i], 0.0)
            upper[i] = math.sqrt(square + error) - travelled[where]
            lower[i] = math.sqrt(max(second + norms[i] - error, 0.0)) + rival[where]
            if where == last:
                continue
            labels[i] = where
            counts[where] += weight
            for position in range(begins, ends):
                sums[where, indices[position]] += weight * data[position]
            if last < 0:
                squares[0] += weight * square
                continue
            changes[0] += 1
            counts[last] -= weight
            for position in range(begins, ends):
                sums[last, indices[position]] -= weight * data[position]


@compiled_fast
def multiply(indices, data, directions, out):
    """Write what is stored of a row times the directions, (D, K), into out, (K,)."""
    for k in range(len(out)):
        out[k] = 0.0
    position = 0
    while position + 4 <= len(data):  # four at a time, so that the sums are fetched less often
        v0, d0 = data[position], directions[indices[position]]
        v1, d1 = data[position + 1], directions[indices[position + 1]]
        v2, d2 = data[position + 2], directions[indices[position + 2]]
        v3, d3 = data[position + 3], directions[indices[position + 3]]
        for k in range(len(out)):
            out[k] += v0 * d0[k] + v1 * d1[k] + v2 * d2[k] + v3 * d3[k]
        position += 4
    while position < len(data):
        value, direction = data[position], directions[indices[position]]
        for k in range(len(out)):
            out[k] += value * direction[k]
        position += 1


@compiled_fast
def begin(labels, upper, counts, sums, changes, squares):
    """Forget sums that have changed as often as there are rows, and the labels with them."""
    squares[0] = 0.0
    if changes[0] >= len(labels):
        labels[:], upper[:], counts[:], sums[:], changes[0] = -1, np.inf, 0.0, 0.0, 0


@compiled_fast
def travel(before, means, travelled, rival):
    """Add how far each centroid has moved, and the farthest that any other has."""
    first, second, farthest = 0.0, 0.0, 0
    for k in range(len(means)):
        moved = math.sqrt(squared_distance(means[k], before[k]))
        travelled[k] += moved
        if not moved <= first:
            first, second, farthest = moved, first, k
        else:
            second = max(second, moved)
    for k in range(len(means)):
        rival[k] += second if k == farthest else first


@compiled_fast
def squared_distance(x, y):
    """``||x - y||^2``."""
    total = 0.0
    for a in range(len(x)):
        total += (x[a] - y[a]) * (x[a] - y[a])
    return total


@inlined
def nearest_two(row, centroids):
    """Which centroid is nearest to a row, and the squared distance to the second nearest."""
    best, second, where = np.inf, np.inf, 0
    for k in range(len(centroids)):
        value = squared_distance(row, centroids[k])
        if value < best:
            best, second, where = value, best, k
        elif value < second:
            second = value
    return where, second


@inlined
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

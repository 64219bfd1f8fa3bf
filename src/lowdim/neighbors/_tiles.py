"""Distances of some queries to a stretch of points, compiled where they are no matrix product.

Import on first use only: numba is slow to load.
"""

from __future__ import annotations

import numpy as np

from lowdim._compile import compiled_fast


@compiled_fast
def absolute_gaps(columns, queries, start, stop, out):
    """Write Manhattan distances of queries to some points into out, (n, stop - start).

    Parameters
    ----------
    columns : (D, N)
        Points, laid out by columns.
    queries : (n, D)
    start, stop : int
        The first of the points and the end.
    out
    """
    width, n_columns = stop - start, columns.shape[0]
    for i in range(len(queries)):
        row = out[i, :width]
        row[:] = 0.0
        for a in range(n_columns):
            value, column = queries[i, a], columns[a, start:stop]
            for j in range(width):
                row[j] += abs(value - column[j])


@compiled_fast
def sparse_gaps(points, directions, manhattan, start, stop, out):
    """The same for CSR points, less the length of the query, into out, (stop - start, w).

    Queries are laid out (D, w): a stored value meets w numbers that lie side by side. Squared
    distances lose the squared length of the query, Manhattan distances the sum of absolute values.
    """
    indptr, indices, data = points[0], points[1], points[2]
    width = directions.shape[1]
    for i in range(start, stop):
        row = out[i - start]
        row[:] = 0.0
        for position in range(indptr[i], indptr[i + 1]):
            value, direction = data[position], directions[indices[position]]
            if manhattan:
                for j in range(width):
                    row[j] += abs(value - direction[j]) - abs(direction[j])
            else:
                doubled = np.float32(2) * value
                square = value * value
                for j in range(width):
                    row[j] += square - doubled * direction[j]

"""Lloyd's algorithm for the starts, compiled. Import on first use only: numba is slow to load."""

from __future__ import annotations

import numpy as np

from lowdim._compile import compiled_fast

#: Rows per chunk.
CHUNK = 256


@compiled_fast
def lloyd(columns, centres, max_iter, tol):
    """Labels (n,) and inertia of the rows, laid out columns first (D, n), from centres (K, D).

    It stops when a round lowers the inertia by less than the share `tol` of it. Centres, which
    are overwritten, stay where they are when they lose their last row.
    """
    n_columns, n = columns.shape
    n_clusters = len(centres)
    labels = np.zeros(n, np.int64)
    nearest, distance = np.empty(CHUNK), np.empty(CHUNK)
    inertia = np.inf
    for iteration in range(max_iter + 1):
        sums, sizes = np.zeros(centres.shape), np.zeros(n_clusters)
        previous, inertia = inertia, 0.0
        for start in range(0, n, CHUNK):
            size = min(CHUNK, n - start)
            own = labels[start : start + size]
            for k in range(n_clusters):
                for i in range(size):
                    distance[i] = 0.0
                for a in range(n_columns):
                    column, centre = columns[a, start : start + size], centres[k, a]
                    for i in range(size):
                        distance[i] += (column[i] - centre) * (column[i] - centre)
                for i in range(size):
                    closer = k == 0 or distance[i] < nearest[i]
                    nearest[i] = distance[i] if closer else nearest[i]
                    own[i] = k if closer else own[i]
            for i in range(size):
                inertia += nearest[i]
                sizes[own[i]] += 1.0
            for a in range(n_columns):
                column = columns[a, start : start + size]
                for i in range(size):
                    sums[own[i], a] += column[i]
        if iteration == max_iter or not inertia <= previous * (1 - tol):
            break
        for k in range(n_clusters):
            if sizes[k] > 0:
                for a in range(n_columns):
                    centres[k, a] = sums[k, a] / sizes[k]
    return labels, inertia

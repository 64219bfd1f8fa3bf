"""The mean of two sparse matrices, compiled. Import on first use only: numba is slow to load."""

from __future__ import annotations

from lowdim._compile import compiled_exact


@compiled_exact
def count(first, last, one, other, counts):
    """Write how many columns some rows have in either of two CSR matrices.

    Parameters
    ----------
    one, other : (indptr, indices), columns sorted
    counts : (n,)
    """
    for i in range(first, last):
        columns = one[1][one[0][i] : one[0][i + 1]]
        others = other[1][other[0][i] : other[0][i + 1]]
        a, b, both = 0, 0, 0
        while a < len(columns) and b < len(others):
            s, t = columns[a], others[b]
            a += s <= t
            b += t <= s
            both += s == t
        counts[i] = len(columns) + len(others) - both


@compiled_exact
def mean(first, last, one, other, indptr, indices, data):
    """Write columns and means of some rows of two CSR matrices.

    Parameters
    ----------
    one, other : (indptr, indices, data), columns sorted
    indptr, indices, data : ndarray
        Of the mean; the last two are overwritten.
    """
    half = data.dtype.type(0.5)
    for i in range(first, last):
        begin, end = one[0][i], one[0][i + 1]
        columns, values = one[1][begin:end], one[2][begin:end]
        begin, end = other[0][i], other[0][i + 1]
        others, weights = other[1][begin:end], other[2][begin:end]
        to_indices, to_data = indices[indptr[i] : indptr[i + 1]], data[indptr[i] : indptr[i + 1]]
        a, b = 0, 0
        for k in range(len(to_indices)):
            if b == len(others) or (a < len(columns) and columns[a] < others[b]):
                to_indices[k], to_data[k] = columns[a], values[a] * half
                a += 1
            elif a == len(columns) or others[b] < columns[a]:
                to_indices[k], to_data[k] = others[b], weights[b] * half
                b += 1
            else:
                to_indices[k], to_data[k] = columns[a], (values[a] + weights[b]) * half
                a += 1
                b += 1

"""Leading eigenpairs of symmetric matrices of moderate order, compiled.

Reduction to tridiagonal form, bisection for all wanted eigenvalues side by side, inverse iteration
(Golub and Van Loan, Matrix Computations, sections 8.3 and 8.4). At orders around 50 this takes a
fraction of the time of a call of LAPACK. Import on first use only: numba is slow to load.
"""

from __future__ import annotations

import math

import numpy as np

from lowdim._compile import compiled_fast

#: Halvings of the interval that holds all eigenvalues; inverse iteration does the rest.
HALVINGS = 40
#: Rounds of inverse iteration.
ROUNDS = 3
#: Largest residual of a pair, relative to the matrix, that counts as found.
RESIDUAL = 1e-12
#: Below it, or above its inverse, squares of a matrix's entries might not be numbers.
SMALLEST = 1e-100
#: Squared norms below it are zero: their inverses would not be numbers.
UNDERFLOW = 1e-280


@compiled_fast
def leading_pairs(matrices, q):
    """The q largest eigenvalues (C, q), descending, and eigenvectors (C, q, n) as rows.

    `matrices`, (C, n, n), are overwritten.

    Returns
    -------
    values, vectors
    found : (C,), bool
        Where these are right to rounding; elsewhere something slower must be used.
    """
    n_matrices, n, _ = matrices.shape
    values, vectors = np.empty((n_matrices, q)), np.empty((n_matrices, q, n))
    found = np.empty(n_matrices, np.bool_)
    diagonal, off, beta = np.empty(n), np.zeros(n), np.empty(n)
    for c in range(n_matrices):
        a = matrices[c]
        reduce(a, diagonal, off, beta)
        size = largest(diagonal, off)
        found[c] = SMALLEST < size < 1 / SMALLEST
        if not found[c]:
            continue
        bisect(diagonal, off, size, values[c])
        worst = 0.0
        for j in range(q):
            worst = max(worst, inverse_iteration(diagonal, off, size, values[c], vectors[c], j))
        found[c] = worst <= RESIDUAL * n * size
        for k in range(n - 3, -1, -1):
            v = a[k, k + 1 :]
            for j in range(q):
                z = vectors[c, j, k + 1 :]
                along = 0.0
                for i in range(len(v)):
                    along += v[i] * z[i]
                along *= beta[k]
                for i in range(len(v)):
                    z[i] -= along * v[i]
    return values, vectors, found


@compiled_fast
def reduce(a, diagonal, off, beta):
    """Make a tridiagonal by Householder reflections I - beta v v', and leave every v in its row."""
    n = len(a)
    p = np.empty(n)
    for k in range(n - 2):
        v = a[k, k + 1 :]
        m = len(v)
        norm = 0.0
        for i in range(m):
            norm += v[i] * v[i]
        norm = math.sqrt(norm) if norm > UNDERFLOW else 0.0
        diagonal[k] = a[k, k]
        off[k] = -norm if v[0] > 0.0 else norm
        v[0] -= off[k]
        beta[k] = 0.0 if norm == 0.0 else -1.0 / (off[k] * v[0])
        along = 0.0
        for i in range(m):
            row, total = a[k + 1 + i, k + 1 :], 0.0
            for j in range(m):
                total += row[j] * v[j]
            p[i] = beta[k] * total
            along += p[i] * v[i]
        along *= 0.5 * beta[k]
        for i in range(m):
            p[i] -= along * v[i]
        for i in range(m):
            row, first, second = a[k + 1 + i, k + 1 :], v[i], p[i]
            for j in range(m):
                row[j] -= first * p[j] + second * v[j]
    diagonal[n - 2], diagonal[n - 1] = a[n - 2, n - 2], a[n - 1, n - 1]
    off[n - 2] = a[n - 2, n - 1]


@compiled_fast
def largest(diagonal, off):
    """A bound of all eigenvalues' absolute values (Gershgorin)."""
    bound, before = 0.0, 0.0
    for i in range(len(diagonal)):
        after = abs(off[i]) if i < len(diagonal) - 1 else 0.0
        bound = max(bound, abs(diagonal[i]) + before + after)
        before = after
    return bound


@compiled_fast
def bisect(diagonal, off, size, values):
    """Write the largest eigenvalues, within size 2^-HALVINGS, into values, descending."""
    q, tiny = len(values), 1e-32 * size
    low, high = np.full(q, -size), np.full(q, size)
    middle, pivot, above = np.empty(q), np.empty(q), np.empty(q)
    for _ in range(HALVINGS):
        for j in range(q):
            middle[j] = 0.5 * (low[j] + high[j])
            pivot[j], above[j] = 1.0, 0.0
        square = 0.0
        for i in range(len(diagonal)):  # how many eigenvalues lie above: signs of the pivots
            entry = diagonal[i]
            for j in range(q):
                value = entry - middle[j] - square / pivot[j]
                pivot[j] = value if abs(value) > tiny else -tiny
                above[j] += 1.0 if pivot[j] > 0.0 else 0.0
            square = off[i] * off[i]
        for j in range(q):
            more = above[j] > j
            low[j] = middle[j] if more else low[j]
            high[j] = high[j] if more else middle[j]
    for j in range(q):
        values[j] = 0.5 * (low[j] + high[j])


@compiled_fast
def inverse_iteration(diagonal, off, size, values, vectors, j):
    """Write the j-th eigenvector of the tridiagonal matrix; return the norm of its residual.

    It is kept orthogonal to those before it, so that equal eigenvalues get different vectors. The
    eigenvalue becomes its Rayleigh quotient.
    """
    n, shift, z = len(diagonal), values[j], vectors[j]
    upper, second, third = np.empty(n), np.zeros(n), np.zeros(n)
    factor, swapped = np.empty(n), np.empty(n, np.bool_)
    first, next_ = diagonal[0] - shift, off[0]
    for i in range(n - 1):  # LU with partial pivoting
        below = off[i]
        after = off[i + 1] if i + 2 < n else 0.0
        swapped[i] = abs(below) > abs(first)
        if swapped[i]:
            factor[i] = first / below
            upper[i], second[i], third[i] = below, diagonal[i + 1] - shift, after
            first = next_ - factor[i] * second[i]
            next_ = -factor[i] * after
        else:
            first = first if abs(first) > 1e-18 * size else 1e-18 * size
            factor[i] = below / first
            upper[i], second[i] = first, next_
            first = diagonal[i + 1] - shift - factor[i] * next_
            next_ = after
    upper[n - 1] = first if abs(first) > 1e-18 * size else 1e-18 * size
    state = np.uint32(j + 1)
    for i in range(n):  # some vector that is unlike any eigenvector
        state = np.uint32(state * np.uint32(1664525) + np.uint32(1013904223))
        z[i] = 0.5 + state / 4294967296.0
    for _ in range(ROUNDS):
        for i in range(n - 1):
            if swapped[i]:
                z[i], z[i + 1] = z[i + 1], z[i]
            z[i + 1] -= factor[i] * z[i]
        z[n - 1] /= upper[n - 1]
        z[n - 2] = (z[n - 2] - second[n - 2] * z[n - 1]) / upper[n - 2]
        for i in range(n - 3, -1, -1):
            z[i] = (z[i] - second[i] * z[i + 1] - third[i] * z[i + 2]) / upper[i]
        normalise(vectors, j)
    total, residual = 0.0, 0.0
    for i in range(n):
        factor[i] = diagonal[i] * z[i]
        factor[i] += off[i - 1] * z[i - 1] if i > 0 else 0.0
        factor[i] += off[i] * z[i + 1] if i + 1 < n else 0.0
        total += z[i] * factor[i]
    for i in range(n):
        residual += (factor[i] - total * z[i]) ** 2
    values[j] = total
    return math.sqrt(residual)


@compiled_fast
def normalise(vectors, j):
    """Make row j a unit vector orthogonal to the rows before it."""
    z, n = vectors[j], vectors.shape[1]
    top = 0.0
    for i in range(n):
        top = max(top, abs(z[i]))
    for i in range(n):
        z[i] /= top  # else squares might overflow
    for _ in range(2):
        for b in range(j):
            other, along = vectors[b], 0.0
            for i in range(n):
                along += other[i] * z[i]
            for i in range(n):
                z[i] -= along * other[i]
        square = 0.0
        for i in range(n):
            square += z[i] * z[i]
        scale = 1.0 / math.sqrt(square)
        for i in range(n):
            z[i] *= scale

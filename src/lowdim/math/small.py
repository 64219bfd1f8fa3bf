"""Linear algebra on small matrices, compiled: where a library's cost per call would decide.

Import on first use only: numba is slow to load.
"""

from __future__ import annotations

import math

import numpy as np

from lowdim._compile import compiled, compiled_fast


@compiled
def jacobi(matrices):
    """Eigenvalues (C, n), descending, and eigenvectors as rows (C, n, n) of small symmetric ones.

    Cyclic Jacobi rotations, for orders at which calling LAPACK takes longer; `matrices`,
    (C, n, n), are overwritten.
    """
    n_matrices, n, _ = matrices.shape
    values, vectors = np.empty((n_matrices, n)), np.zeros((n_matrices, n, n))
    for c in range(n_matrices):
        a, v = matrices[c], vectors[c]
        size = 0.0
        for i in range(n):
            v[i, i] = 1.0
            for j in range(n):
                size += a[i, j] * a[i, j]
        for _ in range(30):
            off = 0.0
            for i in range(n):
                for j in range(i):
                    off += a[i, j] * a[i, j]
            if off <= 1e-32 * size:
                break
            for i in range(n):
                for j in range(i):
                    if a[i, j] != 0.0:
                        rotate(a, v, i, j)
        for i in range(n):  # selection sort, largest first
            largest = i
            for j in range(i + 1, n):
                if a[j, j] > a[largest, largest]:
                    largest = j
            a[i, i], a[largest, largest] = a[largest, largest], a[i, i]
            values[c, i] = a[i, i]
            for j in range(n):
                v[i, j], v[largest, j] = v[largest, j], v[i, j]
    return values, vectors


@compiled
def rotate(a, v, i, j):
    """One Jacobi rotation that makes a_ij zero (Golub and Van Loan, section 8.5)."""
    tau = (a[j, j] - a[i, i]) / (2.0 * a[i, j])
    sign = 1.0 if tau >= 0.0 else -1.0
    t = sign / (abs(tau) + math.sqrt(1.0 + tau * tau))
    cosine = 1.0 / math.sqrt(1.0 + t * t)
    sine = t * cosine
    for m in range(len(a)):
        left, right = a[m, i], a[m, j]
        a[m, i], a[m, j] = cosine * left - sine * right, sine * left + cosine * right
    for m in range(len(a)):
        left, right = a[i, m], a[j, m]
        a[i, m], a[j, m] = cosine * left - sine * right, sine * left + cosine * right
        left, right = v[i, m], v[j, m]
        v[i, m], v[j, m] = cosine * left - sine * right, sine * left + cosine * right
    a[i, j] = a[j, i] = 0.0


@compiled
def orthonormalise(rows, spare):
    """`gram_schmidt` of every component's rows, (R, K, q, D)."""
    for r in range(rows.shape[0]):
        for k in range(rows.shape[1]):
            gram_schmidt(rows[r, k], spare[r, k])


@compiled
def gram_schmidt(rows, spare):
    """Make rows, (w, D), orthonormal in place, each within the span of those up to it.

    A row within the span of those above it gives way to one of the orthonormal ``spare`` ones, or
    becomes zero where these are used up.
    """
    width, n_columns = rows.shape
    n_tried = 0  # a spare row that was in the span once stays in it
    for j in range(width):
        while True:
            before = dot(rows, j, j)
            for _ in range(2):
                for i in range(j):
                    share = dot(rows, i, j)
                    for a in range(n_columns):
                        rows[j, a] -= share * rows[i, a]
            after = dot(rows, j, j)
            if after > 1e-16 * before or n_tried == len(spare):
                break
            for a in range(n_columns):
                rows[j, a] = spare[n_tried, a]
            n_tried += 1
        scale = 1.0 / math.sqrt(after) if after > 1e-16 * before else 0.0
        for a in range(n_columns):
            rows[j, a] *= scale


@compiled_fast
def dot(rows, i, j):
    """x_i . x_j."""
    total = 0.0
    for a in range(rows.shape[1]):
        total += rows[i, a] * rows[j, a]
    return total

"""The M-step's eigenpairs within a sketch, compiled: small products, many of them.

Import this module on first use only: numba is slow to load.
"""

from __future__ import annotations

import math

import numpy as np

from lowdim._compile import compiled
from lowdim.math.linalg import FEW
from lowdim.math.small import dot, gram_schmidt, jacobi

#: Rows whose triangular factor falls below this are made orthonormal one by one.
DEPENDENT = 1e-6


@compiled
def rayleigh_ritz(sketch, counts, means, second, values, turned):
    """Leading eigenpairs of S within the span of every component's sketch, and its next sketch.

    The next sketch holds the axes and the residuals of ``S V'``: where S says to look next.

    Parameters
    ----------
    sketch : (C, w, D)
        W, orthonormal rows, w <= 2 q.
    counts : (C,)
    means : (C, D)
    second : (C, w, D)
        sum r (W x) x'.
    values : (C, q)
        Overwritten with the q largest eigenvalues, descending; nan where something is not finite.
    turned : (C, w, D)
        Overwritten with the next sketch; its first q rows are the eigenvectors.
    """
    n_components, width, n_columns = sketch.shape
    products, spare = np.empty((width, n_columns)), np.empty((width, n_columns))
    for c in range(n_components):
        own, following, n = sketch[c], turned[c], max(counts[c], 1e-300)
        for j in range(width):
            along = 0.0
            for a in range(n_columns):
                along += own[j, a] * means[c, a]
            for a in range(n_columns):
                products[j, a] = second[c, j, a] / n - along * means[c, a]  # W S
        gram = np.dot(products, own.T)
        if not finite(gram):
            fill(values[c : c + 1], np.nan)
            fill(following, np.nan)
            continue
        rotation = eigenvectors(gram, values[c])
        axes, images = np.dot(rotation, own), np.dot(rotation, products)
        inside = np.dot(np.dot(images, axes.T), axes)
        stack(axes, images, inside, following)
        if not cholesky_qr(following, spare):
            stack(axes, images, inside, following)
            gram_schmidt(following, own)


# Loops, since numba takes long to compile expressions of arrays.


@compiled
def finite(matrix):
    """Whether all entries are."""
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            if not np.isfinite(matrix[i, j]):
                return False
    return True


@compiled
def fill(matrix, value):
    """Write the value everywhere."""
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            matrix[i, j] = value


@compiled
def stack(axes, images, inside, out):
    """Write the axes, then the residuals of their images, into the rows of out."""
    q = len(axes)
    for j in range(len(out)):
        for a in range(out.shape[1]):
            out[j, a] = axes[j, a] if j < q else images[j - q, a] - inside[j - q, a]


@compiled
def eigenvectors(matrix, values):
    """The leading eigenvalues, descending, into values; as many eigenvectors, as rows."""
    n, q = len(matrix), len(values)
    rows = np.empty((q, n))
    if n <= FEW:
        every, vectors = jacobi(matrix.copy().reshape(1, n, n))
        for j in range(q):
            values[j] = every[0, j]
            for i in range(n):
                rows[j, i] = vectors[0, j, i]
        return rows
    ascending, columns = np.linalg.eigh(matrix)
    for j in range(q):
        values[j] = ascending[n - 1 - j]
        for i in range(n):
            rows[j, i] = columns[i, n - 1 - j]
    return rows


@compiled
def cholesky_qr(rows, spare):
    """Make rows, (w, D), orthonormal in place by two rounds of Cholesky QR.

    Each row stays within the span of those up to it. False if they are nearly dependent, in
    which case they are spoilt.
    """
    width, n_columns = rows.shape
    for j in range(width):
        length = math.sqrt(dot(rows, j, j))
        if not length > 0.0:
            return False
        for a in range(n_columns):
            rows[j, a] /= length
    for _ in range(2):
        lower = np.dot(rows, rows.T)
        for j in range(width):
            for i in range(j + 1):
                total = lower[j, i]
                for m in range(i):
                    total -= lower[j, m] * lower[i, m]
                if i < j:
                    lower[j, i] = total / lower[i, i]
                elif total > DEPENDENT**2:
                    lower[j, j] = math.sqrt(total)
                else:
                    return False
        inverse = np.zeros((width, width))
        for i in range(width):
            inverse[i, i] = 1.0 / lower[i, i]
            for j in range(i + 1, width):
                total = 0.0
                for m in range(i, j):
                    total += lower[j, m] * inverse[m, i]
                inverse[j, i] = -total / lower[j, j]
        np.dot(inverse, rows, spare)
        for j in range(width):
            for a in range(n_columns):
                rows[j, a] = spare[j, a]
    return True

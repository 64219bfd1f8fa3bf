"""The M-step's eigenpairs within a sketch, compiled: small products, many of them.

Import this module on first use only: numba is slow to load.
"""

from __future__ import annotations

import math

import numpy as np

from lowdim.math.linalg import FEW
from lowdim.math.small import compiled, jacobi

#: Rows whose triangular factor falls below this are made orthonormal one by one.
DEPENDENT = 1e-6


@compiled
def rayleigh_ritz(sketch, counts, means, second, values, turned):
    """Leading eigenpairs of S within the span of every component's sketch, and its next sketch.

    The next sketch holds the axes and the residuals of ``S V'``: where S says to look next.

    Parameters
    ----------
    sketch : (C, w, D)
        W, orthonormal rows.
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
    q = values.shape[1]
    products, spare = np.empty((width, n_columns)), np.empty((width, n_columns))
    for c in range(n_components):
        own, n = sketch[c], max(counts[c], 1e-300)
        for j in range(width):
            along = 0.0
            for a in range(n_columns):
                along += own[j, a] * means[c, a]
            for a in range(n_columns):
                products[j, a] = second[c, j, a] / n - along * means[c, a]  # W S
        gram = np.dot(products, own.T)
        if not np.isfinite(gram).all():
            values[c] = np.nan
            turned[c] = np.nan
            continue
        rotation = eigenvectors(gram, values[c])
        axes, images = np.dot(rotation, own), np.dot(rotation, products)
        residuals = images - np.dot(np.dot(images, axes.T), axes)
        for j in range(width):
            turned[c, j] = axes[j] if j < q else residuals[j - q]
        if not cholesky_qr(turned[c], spare):
            for j in range(width):
                turned[c, j] = axes[j] if j < q else residuals[j - q]
            gram_schmidt(turned[c], own)


@compiled
def eigenvectors(matrix, values):
    """The leading eigenvalues, descending, into values; as many eigenvectors, as rows."""
    n, q = len(matrix), len(values)
    if n <= FEW:
        every, vectors = jacobi(np.expand_dims(matrix, 0).copy())
        values[:] = every[0, :q]
        return vectors[0, :q].copy()
    ascending, columns = np.linalg.eigh(matrix)
    rows = np.empty((q, n))
    for j in range(q):
        values[j] = ascending[n - 1 - j]
        rows[j] = columns[:, n - 1 - j]
    return rows


@compiled
def cholesky_qr(rows, spare):
    """Make rows, (w, D), orthonormal in place by two rounds of Cholesky QR.

    Each row stays within the span of those up to it. False if they are nearly dependent, in
    which case they are spoilt.
    """
    width = len(rows)
    for j in range(width):
        length = math.sqrt((rows[j] * rows[j]).sum())
        if not length > 0.0:
            return False
        rows[j] /= length
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
        rows[:] = spare
    return True


@compiled
def gram_schmidt(rows, spare):
    """The same row by row; a row within the span of those above gives way to a spare one.

    The spare rows are orthonormal and as many.
    """
    for j in range(len(rows)):
        n_tried = 0
        while True:
            before = (rows[j] * rows[j]).sum()
            for _ in range(2):
                for i in range(j):
                    rows[j] -= (rows[i] * rows[j]).sum() * rows[i]
            after = (rows[j] * rows[j]).sum()
            if after > 1e-16 * before or n_tried == len(spare):
                break
            rows[j] = spare[n_tried]
            n_tried += 1
        rows[j] /= math.sqrt(after)

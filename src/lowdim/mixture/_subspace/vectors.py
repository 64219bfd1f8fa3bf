"""Parameters as unconstrained vectors and back, for extrapolation, compiled.

A vector holds log weights (K), means (K, D), log noise (K) and loadings
V diag(lambda - sigma^2)^(1/2), (K, m, D). Import on first use only: numba is slow to load.
"""

from __future__ import annotations

import math

import numpy as np

from lowdim._compile import compiled
from lowdim.mixture._subspace.parameters import TINY_WEIGHT


@compiled
def pack(weights, means, noise, bases, latent, dims, n_loadings):
    """Vectors (R, K + K D + K + K m D); loadings beyond the dimension are zero."""
    n_restarts, n_components, n_columns = means.shape
    first = n_components * (1 + n_columns)
    second = first + n_components
    out = np.zeros((n_restarts, second + n_components * n_loadings * n_columns))
    for r in range(n_restarts):
        vector = out[r]
        for k in range(n_components):
            variance = noise[r, k]
            vector[k] = math.log(max(weights[r, k], TINY_WEIGHT))
            vector[first + k] = 0.0 if variance == np.inf else math.log(variance)
            for a in range(n_columns):
                vector[n_components + k * n_columns + a] = means[r, k, a]
            for j in range(min(dims[r, k], n_loadings)):
                excess = latent[r, k, j] - variance
                scale = math.sqrt(0.0 if excess < 0.0 else excess)
                start = second + (k * n_loadings + j) * n_columns
                for a in range(n_columns):
                    vector[start + a] = scale * bases[r, k, j, a]
    return out


@compiled
def unpack(vectors, squares, rotation, learned, noise, dims, bases, floor):
    """Parameters of vectors, given eigenpairs of the loadings' Gram matrices.

    Parameters
    ----------
    vectors : (R, n)
    squares, rotation : (R, K, m), (R, K, m, m)
        Eigenvalues, descending, and eigenvectors as rows.
    learned : (K,), bool
        Whether the noise is the vector's, rather than that of ``noise``.
    noise, dims, bases : (R, K), (R, K), (R, K, q, D)
        Rows that carry nothing keep the direction that they have in ``bases``.

    Returns
    -------
    weights, noise : (R, K)
    latent : (R, K, q)
    axes : (R, K, q, D)
        Not of unit length.
    """
    n_restarts, n_components, q, n_columns = bases.shape
    n_loadings = squares.shape[2]
    first = n_components * (1 + n_columns)
    second = first + n_components
    weights, variances = np.empty(noise.shape), noise.copy()
    latent, axes = np.empty((n_restarts, n_components, q)), bases.copy()
    for r in range(n_restarts):
        vector = vectors[r]
        top, total = vector[:n_components].max(), 0.0
        for k in range(n_components):
            weights[r, k] = math.exp(vector[k] - top)
            total += weights[r, k]
        for k in range(n_components):
            weights[r, k] /= total
            if learned[k]:
                variances[r, k] = max(math.exp(vector[first + k]), floor)
            rows = vector[second + k * n_loadings * n_columns :]
            for j in range(q):
                square = max(squares[r, k, j], 0.0) if j < n_loadings else 0.0
                latent[r, k, j] = max(variances[r, k] + square, floor)
            for j in range(min(dims[r, k], n_loadings)):
                for a in range(n_columns):
                    axes[r, k, j, a] = 0.0
                    for i in range(n_loadings):
                        axes[r, k, j, a] += rotation[r, k, j, i] * rows[i * n_columns + a]
    return weights, variances, latent, axes

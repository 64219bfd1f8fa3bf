"""The small sums of the M-step, and of extrapolation, compiled: a few numbers per component.

NumPy's or torch's cost per call, not arithmetic, would decide how fast small models fit. Import
on first use only: numba is slow to load.
"""

from __future__ import annotations

import math

import numpy as np

from lowdim._compile import compiled
from lowdim.math.small import jacobi


@compiled
def spectrum(counts, sums, energy, second, q, n_columns, floor):
    """The whole of the M-step but for the choice of dimensions, where `jacobi` is best.

    Returns
    -------
    means : (R, K, D)
    values, vectors : (R, K, q), (R, K, q, D)
        Leading eigenpairs of every component's covariance, values at least the floor.
    residual, noise, cost : (R, K, q + 1)
        See `noise_and_cost`.
    """
    means, trace, covariance = covariances(counts, sums, energy, second)
    n_restarts, n_components, d = sums.shape
    every, axes = jacobi(covariance.reshape(n_restarts * n_components, d, d))
    values = np.empty((n_restarts, n_components, q))
    vectors = np.empty((n_restarts, n_components, q, d))
    for r in range(n_restarts):
        for k in range(n_components):
            c = r * n_components + k
            for j in range(q):
                value = every[c, j]
                values[r, k, j] = floor if value < floor else value  # nan stays nan
                for a in range(d):
                    vectors[r, k, j, a] = axes[c, j, a]
    return means, values, vectors, noise_and_cost(counts, trace, values, n_columns, floor)


@compiled
def covariances(counts, sums, energy, second):
    """Mean mu (R, K, D), tr S (R, K) and S (R, K, D, D) of every component's rows."""
    n_restarts, n_components, n_columns = sums.shape
    means = np.empty(sums.shape)
    trace = np.empty(counts.shape)
    covariance = np.empty(second.shape)
    for r in range(n_restarts):
        for k in range(n_components):
            n = max(counts[r, k], 1e-300)
            total = energy[r, k] / n
            for a in range(n_columns):
                means[r, k, a] = sums[r, k, a] / n
                total -= means[r, k, a] * means[r, k, a]
            trace[r, k] = max(total, 0.0)
            for a in range(n_columns):
                for b in range(n_columns):
                    covariance[r, k, a, b] = (
                        second[r, k, a, b] / n - means[r, k, a] * means[r, k, b]
                    )
    return means, trace, covariance


@compiled
def noise_and_cost(counts, trace, values, n_columns, floor):
    """What dimensions d = 0, ..., q would mean for every component.

    Returns
    -------
    residual : (R, K, q + 1)
        Variance outside the leading d axes.
    noise : (R, K, q + 1)
        sigma^2; at d = D the smallest eigenvalue.
    cost : (R, K, q + 1)
        Minus the maximal expected log-likelihood, up to a constant.
    """
    n_restarts, n_components, q = values.shape
    residual = np.empty((n_restarts, n_components, q + 1))
    noise = np.empty((n_restarts, n_components, q + 1))
    cost = np.empty((n_restarts, n_components, q + 1))
    for r in range(n_restarts):
        for k in range(n_components):
            inside, log_inside = 0.0, 0.0
            for d in range(q + 1):
                if d > 0:
                    inside += values[r, k, d - 1]
                    log_inside += math.log(values[r, k, d - 1])
                left = n_columns - d
                residual[r, k, d] = max(trace[r, k] - inside, 0.0)
                if left > 0:
                    noise[r, k, d] = max(residual[r, k, d] / left, floor)
                else:
                    noise[r, k, d] = values[r, k, q - 1]
                log_det = log_inside + left * math.log(noise[r, k, d])
                # The expected squares: as many as columns, unless the floor holds the noise up.
                squares = d + (residual[r, k, d] / noise[r, k, d] if left > 0 else 0.0)
                cost[r, k, d] = counts[r, k] * (log_det + squares) / 2
    return residual, noise, cost


@compiled
def too_few(counts, squares, dims, rows_per_weight):
    """Whether a component owns too few rows for its dimension, (R, K).

    The effective number of rows is counts^2 / squares.
    """
    out = np.empty(counts.shape, np.bool_)
    for r in range(counts.shape[0]):
        for k in range(counts.shape[1]):
            n, d = counts[r, k], dims[r, k]
            out[r, k] = n * n < (d + 2) * squares[r, k] or n * rows_per_weight < d + 1
    return out


@compiled
def cost_given_noise(counts, residual, values, noise, n_columns):
    """`cost` of `noise_and_cost` with every component's sigma^2 held, (R, K, q + 1)."""
    n_restarts, n_components, q = values.shape
    cost = np.empty((n_restarts, n_components, q + 1))
    for r in range(n_restarts):
        for k in range(n_components):
            held, inside = noise[r, k], 0.0
            for d in range(q + 1):
                if d > 0:
                    latent = max(values[r, k, d - 1], held)
                    inside += math.log(latent) + values[r, k, d - 1] / latent
                off = (n_columns - d) * math.log(held) + residual[r, k, d] / held
                cost[r, k, d] = counts[r, k] * (inside + off) / 2
    return cost

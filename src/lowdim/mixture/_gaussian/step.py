"""An EM step of few rows under full covariances, compiled whole: calls would cost more than sums.

Import on first use only: numba is slow to load.
"""

from __future__ import annotations

import math

import numpy as np

from lowdim._compile import compiled, inlined
from lowdim.mixture._gaussian.estep import accumulate

#: The logarithm of a weight is that of at least this.
TINY = 1e-300
LOG_2_PI = math.log(2 * math.pi)


@compiled
def step(x, row_weights, weights, means, covariances, soft, beta, reg, width):
    """The E-step of all restarts and the M-step that follows.

    Parameters
    ----------
    x : (n, D)
    row_weights : (n,)
    weights : (R, K)
    means : (R, K, D)
    covariances : (R, K, D, D)
    soft : bool
    beta : float
    reg : float
        Added to every variance.
    width : int
        In so many columns scores are bounded first; see `estep.accumulate`.

    Returns
    -------
    objective : (R,)
        Summed; where it is not finite, what follows is of no rows.
    counts : (R, K)
    means : (R, K, D)
    covariances : (R, K, D, D)
    """
    n_restarts, n_components, n_columns = means.shape
    objective, counts = np.empty(n_restarts), np.zeros(weights.shape)
    new_means, new_covariances = np.zeros(means.shape), np.zeros(covariances.shape)
    factors = np.empty((n_components, n_columns, n_columns))
    shifts, constants = np.empty((n_components, n_columns)), np.empty(n_components)
    for r in range(n_restarts):
        order = telling(weights[r], means[r], covariances[r])
        for k in range(n_components):
            constants[k] = math.log(max(weights[r, k], TINY))
            constants[k] -= 0.5 * n_columns * LOG_2_PI
            constants[k] += whiten(means[r, k], covariances[r, k], order, factors[k], shifts[k])
        leading = factors[:, :width, :width].copy()
        rest = factors[:, :, width:].copy()
        own, sums, second, objective[r] = accumulate(
            x, order, row_weights, leading, rest, shifts, constants, soft, beta
        )
        for k in range(n_components):
            sound = math.isfinite(objective[r])
            counts[r, k] = own[k] if sound else 0.0
            total = max(counts[r, k], TINY)
            mean, covariance = new_means[r, k], new_covariances[r, k]
            if sound:
                for a in range(n_columns):
                    mean[order[a]] = sums[k, a] / total
                for a in range(n_columns):
                    for b in range(n_columns):
                        product = mean[order[a]] * mean[order[b]]
                        covariance[order[a], order[b]] = second[k, a, b] / total - product
            for a in range(n_columns):
                covariance[a, a] += reg
    return objective, counts, new_means, new_covariances


@inlined
def telling(weights, means, covariances):
    """Columns by how well they tell components apart: variance of the means, within."""
    n_components, n_columns = means.shape
    ratio = np.empty(n_columns)
    for a in range(n_columns):
        centre, between, within = 0.0, 0.0, 0.0
        for k in range(n_components):
            centre += weights[k] * means[k, a]
            within += weights[k] * covariances[k, a, a]
        for k in range(n_components):
            between += weights[k] * (means[k, a] - centre) ** 2
        ratio[a] = -between / max(within, TINY)
    order = np.arange(n_columns)
    for a in range(1, n_columns):  # insertion: `argsort` takes a second to compile
        b = a
        while b > 0 and ratio[order[b - 1]] > ratio[a]:
            order[b] = order[b - 1]
            b -= 1
        order[b] = a
    return order


@inlined
def whiten(mean, covariance, order, factor, shift):
    """Write the factor, (D, D), and the shift, (D,), with which ``x @ factor - shift`` is white.

    Columns are in the given order, and the factor is upper triangular. Returns minus half the
    log-determinant; all are nan where the covariance is not positive definite.
    """
    n = len(order)
    lower = np.zeros((n, n))
    log_root = 0.0
    for a in range(n):
        for b in range(a + 1):
            total = covariance[order[a], order[b]]
            for c in range(b):
                total -= lower[a, c] * lower[b, c]
            if a > b:
                lower[a, b] = total / lower[b, b]
            elif total > 0.0:
                lower[a, a] = math.sqrt(total)
                log_root += math.log(lower[a, a])
            else:
                lower[a, a] = math.nan
                log_root = math.nan
    # The inverse, transposed: column a of the factor is row a of it.
    for a in range(n):
        for b in range(n):
            factor[b, a] = 0.0
        factor[a, a] = 1.0 / lower[a, a]
        for b in range(a):
            total = 0.0
            for c in range(b, a):
                total += lower[a, c] * factor[b, c]
            factor[b, a] = -total / lower[a, a]
        shift[a] = 0.0
        for b in range(a + 1):
            shift[a] += factor[b, a] * mean[order[b]]
    return -log_root

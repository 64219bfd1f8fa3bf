"""From scores to responsibilities, compiled for a chunk of rows that stays in cache.

Import this module on first use only: numba is slow to load.
"""

from __future__ import annotations

import math

import numpy as np

from lowdim._compile import compiled_fast
from lowdim.mixture._subspace.parameters import TINY_WEIGHT

#: Shares smaller than this (e^-37) cannot change a sum of shares in float64; they become zero.
LOG_NEGLIGIBLE = -37.0
#: e^r = sum r^j / j!, highest power first; 2^-n; for `exponential`.
TAYLOR = tuple(1 / math.factorial(j) for j in range(13, -1, -1))
POWERS = 2.0 ** -np.arange(56)
LOG_2 = math.log(2)
LOG_2_PI = math.log(2 * math.pi)


@compiled_fast
def score_terms(weights, latent, noise, dims, n_columns):
    """What turns squared distances into ``log weight + log p(x)`` (see `density`).

    Returns
    -------
    constant, precision : (R, K)
        Everything that does not depend on the row; 1 / sigma^2.
    gain : (R, K, q)
        (1 / sigma^2 - 1 / lambda_j) / 2, zero beyond the dimension.
    """
    constant, precision = np.empty(noise.shape), np.empty(noise.shape)
    gain = np.zeros(latent.shape)
    for r in range(noise.shape[0]):
        for k in range(noise.shape[1]):
            precision[r, k] = 1.0 / noise[r, k]
            log_det = (n_columns - dims[r, k]) * math.log(noise[r, k])
            for j in range(dims[r, k]):
                log_det += math.log(latent[r, k, j])
                gain[r, k, j] = 0.5 * (precision[r, k] - 1.0 / latent[r, k, j])
            constant[r, k] = math.log(max(weights[r, k], TINY_WEIGHT))
            constant[r, k] -= 0.5 * (log_det + n_columns * LOG_2_PI)
    return constant, precision, gain


@compiled_fast
def soft_shares(shares, size, weight, beta, work):
    """Scores to unnormalised responsibilities, and what to multiply by into work[1].

    Returns the sum of log sum exp(beta score) / beta.
    """
    top, total = work[0], work[1]
    for i in range(size):
        total[i] = 0.0
    for k in range(len(shares)):
        row = shares[k]
        for i in range(size):
            relative = beta * (row[i] - top[i])
            share = exponential(relative if relative >= LOG_NEGLIGIBLE else LOG_NEGLIGIBLE)
            if relative < LOG_NEGLIGIBLE:
                share = 0.0
            row[i] = relative if relative != relative else share  # nan stays nan
            total[i] += row[i]
    objective = 0.0
    for i in range(size):
        objective += weight[i] * (top[i] + math.log(total[i]) / beta)
        total[i] = weight[i] / total[i]
    return objective


@compiled_fast
def exponential(x):
    """e^x for LOG_NEGLIGIBLE <= x <= 0: 2^-n times the Taylor series of a |r| <= log(2) / 2.

    Unlike the library's, it becomes vector instructions; within 1e-14 of it, relatively.
    """
    n = int(0.5 - x / LOG_2)
    r = x + n * LOG_2
    series = TAYLOR[0]
    for term in TAYLOR[1:]:
        series = series * r + term
    return series * POWERS[n]


@compiled_fast
def hard_shares(shares, size, weight, work):
    """The same for each row to its highest score, ties sharing it.

    Returns the sum of the highest scores.
    """
    top, ties = work[0], work[1]
    for i in range(size):
        ties[i] = 0.0
    for k in range(len(shares)):
        for i in range(size):
            shares[k, i] = 1.0 if shares[k, i] == top[i] else 0.0
            ties[i] += shares[k, i]
    objective = 0.0
    for i in range(size):
        objective += weight[i] * top[i]
        ties[i] = weight[i] / ties[i]
    return objective


@compiled_fast
def highest(scores, size, top):
    """The largest score of every row; nan if it has one."""
    for i in range(size):
        top[i] = scores[0, i]
    for k in range(1, len(scores)):
        for i in range(size):
            score = scores[k, i]
            if score > top[i] or score != score:
                top[i] = score

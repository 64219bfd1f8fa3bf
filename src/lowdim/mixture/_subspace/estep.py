"""The E-step and its statistics in few columns, fused into one compiled pass over the rows.

Rows are taken in chunks that stay in the processor's first cache, laid out columns first, so
that every inner loop runs over consecutive rows and becomes vector instructions. All sums are in
float64. Import this module on first use only: numba is slow to load.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from lowdim.mixture._subspace.parameters import TINY_WEIGHT

#: Rows per chunk.
CHUNK = 256
#: Rows of padding, lest columns that lie a power of two apart compete for the same cache lines.
PADDING = 8
#: Up to so many columns, loops make the second moments faster than matrix products do.
LOOP_COLUMNS = 16
#: Shares smaller than this (e^-37) cannot change a sum of shares in float64; they become zero.
LOG_NEGLIGIBLE = -37.0
#: e^r = sum r^j / j!, highest power first; 2^-n; for `exponential`.
TAYLOR = tuple(1 / math.factorial(j) for j in range(13, -1, -1))
POWERS = 2.0 ** -np.arange(56)
LOG_2 = math.log(2)
LOG_2_PI = math.log(2 * math.pi)
#: Rearranging sums is allowed; treating nan and inf as impossible is not.
FAST = {"reassoc", "contract", "arcp", "nsz"}

compiled = numba.njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")


@compiled
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


@compiled
def accumulate(x, weights, means, bases, dims, constant, precision, gain, soft, beta):
    """Statistics of the rows of x, (n, D), under R mixtures of K components.

    The score of a row is ``constant - precision / 2 ||x - mu||^2 + sum_j gain_j z_j^2``.

    Returns
    -------
    counts, squares : (R, K)
        Sums of the weighted responsibilities, and of their squares.
    sums : (R, K, D)
    energy : (R, K)
        sum r ||x||^2.
    second : (R, K, D, D)
        sum r x x'.
    objective : (R,)
    """
    n, n_columns = x.shape
    n_restarts, n_components = constant.shape
    counts = np.zeros((n_restarts, n_components))
    squares = np.zeros((n_restarts, n_components))
    sums = np.zeros((n_restarts, n_components, n_columns))
    second = np.zeros((n_restarts, n_components, n_columns, n_columns))
    energy = np.zeros((n_restarts, n_components))
    objective = np.zeros(n_restarts)
    columns = np.empty((n_columns, CHUNK + PADDING))
    scratch = np.empty((n_columns + 2, CHUNK + PADDING))
    scaled = np.empty((CHUNK, n_columns))
    shares = np.empty((n_components, CHUNK))
    work = np.empty((bases.shape[2] + 2, CHUNK))
    for start in range(0, n, CHUNK):
        size = min(CHUNK, n - start)
        for i in range(size):
            for a in range(n_columns):
                columns[a, i] = x[start + i, a]
        weight = weights[start : start + size]
        for r in range(n_restarts):
            for k in range(n_components):
                d = dims[r, k]
                squared_norms(columns, size, means[r, k], bases[r, k], gain[r, k], d, work)
                distance, explained = work[0], work[1]
                for i in range(size):
                    shares[k, i] = (
                        constant[r, k] - 0.5 * precision[r, k] * distance[i] + explained[i]
                    )
            highest(shares, size, work[0])
            if soft:
                objective[r] += soft_shares(shares, size, weight, beta, work)
            else:
                objective[r] += hard_shares(shares, size, weight, work)
            for k in range(n_components):
                for i in range(size):
                    shares[k, i] *= work[1, i]
                if n_columns > LOOP_COLUMNS:
                    rows = x[start : start + size]
                    add_products(rows, shares[k], size, scaled, sums[r, k], second[r, k])
                else:
                    add_moments(columns, shares[k], size, scratch, sums[r, k], second[r, k])
                for i in range(size):
                    counts[r, k] += shares[k, i]
                    squares[r, k] += shares[k, i] * shares[k, i]
    for r in range(n_restarts):
        for k in range(n_components):
            for a in range(n_columns):
                energy[r, k] += second[r, k, a, a]
                for b in range(a):
                    second[r, k, b, a] = second[r, k, a, b]
    return counts, squares, sums, energy, second, objective


@compiled
def squared_norms(columns, size, mean, basis, gain, d, work):
    """Write ``||x - mu||^2`` into work[0] and ``sum_j gain_j z_j^2`` into work[1]."""
    distance, explained = work[0], work[1]
    for i in range(size):
        distance[i] = 0.0
        explained[i] = 0.0
    for j in range(d):
        for i in range(size):
            work[2 + j, i] = 0.0
    for a in range(len(mean)):
        column, centre = columns[a], mean[a]
        for i in range(size):
            distance[i] += (column[i] - centre) * (column[i] - centre)
        for j in range(d):
            v, z = basis[j, a], work[2 + j]
            for i in range(size):
                z[i] += v * (column[i] - centre)
    for j in range(d):
        g, z = gain[j], work[2 + j]
        for i in range(size):
            explained[i] += g * z[i] * z[i]


@compiled
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


@compiled
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


@compiled
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


@compiled
def highest(scores, size, top):
    """The largest score of every row; nan if it has one."""
    for i in range(size):
        top[i] = scores[0, i]
    for k in range(1, len(scores)):
        for i in range(size):
            score = scores[k, i]
            if score > top[i] or score != score:
                top[i] = score


@compiled
def add_moments(columns, share, size, scratch, sums, second):
    """Add sum r x, and the lower triangle of sum r x x'; rows without a share are skipped."""
    own, weight, weighted = scratch[: len(columns)], scratch[-2], scratch[-1]
    m = 0
    for i in range(size):
        if share[i] != 0.0:
            weight[m] = share[i]
            m += 1
    if m > 0.75 * size:  # gathering would not pay
        own, weight, m = columns, share, size
    else:
        for a in range(len(columns)):
            m = 0
            for i in range(size):
                if share[i] != 0.0:
                    own[a, m] = columns[a, i]
                    m += 1
    for a in range(len(columns)):
        total = 0.0
        for i in range(m):
            weighted[i] = weight[i] * own[a, i]
            total += weighted[i]
        sums[a] += total
        b = 0
        while b + 3 <= a:  # four columns at a time reuse what is loaded
            c0, c1, c2, c3 = own[b], own[b + 1], own[b + 2], own[b + 3]
            s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
            for i in range(m):
                s0 += weighted[i] * c0[i]
                s1 += weighted[i] * c1[i]
                s2 += weighted[i] * c2[i]
                s3 += weighted[i] * c3[i]
            second[a, b] += s0
            second[a, b + 1] += s1
            second[a, b + 2] += s2
            second[a, b + 3] += s3
            b += 4
        while b <= a:
            c0, s0 = own[b], 0.0
            for i in range(m):
                s0 += weighted[i] * c0[i]
            second[a, b] += s0
            b += 1


@compiled
def add_products(x, share, size, scaled, sums, second):
    """The same from the rows of x, by a matrix product."""
    m = 0
    for i in range(size):
        if share[i] != 0.0:
            root = math.sqrt(share[i])
            for a in range(x.shape[1]):
                scaled[m, a] = root * x[i, a]
                sums[a] += root * scaled[m, a]
            m += 1
    own = scaled[:m]
    second += np.dot(own.T, own)

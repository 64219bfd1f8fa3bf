"""Bandwidths that give each row the same perplexity, compiled.

Import on first use only: numba is slow to load.
"""

from __future__ import annotations

import math

import numpy as np

from lowdim._compile import compiled, compiled_fast

#: The entropy may be off by so much.
TOL = 1e-8
#: Steps of Newton's method or bisection, at most.
STEPS = 200
#: Precisions reach so far from that of the row's own scale, up and down, as logarithms.
REACH = 80.0


@compiled
def calibrate(squares, log_perplexity, weights, precisions):
    """Write p_ij = exp(-b_i d_ij^2) / sum, with the entropy that was asked for, and b_i.

    Newton's method on the logarithm of the precision, in which the entropy is nearly linear; a
    step that leaves the bracket is replaced by its middle. Where more neighbours than the
    perplexity are at the least distance, no precision gives it: these then share the row evenly.

    Parameters
    ----------
    squares : (n, k), float32
        Squared distances, the least first.
    log_perplexity : float
        Below log k.
    weights : (n, k), float32
    precisions : (n,), float64
        Overwritten.
    """
    k = squares.shape[1]
    excess, share = np.empty(k), np.empty(k)
    for i in range(len(squares)):
        scale = 0.0
        for j in range(k):
            excess[j] = np.float64(squares[i, j]) - np.float64(squares[i, 0])
            scale += excess[j]
        scale /= k
        if not scale > 0.0:  # all at the same distance
            weights[i, :] = 1.0 / k
            precisions[i] = 0.0
            continue
        for j in range(k):
            excess[j] /= scale
        b = _solve(excess, log_perplexity, share)
        total = _shares(excess, b, share)
        for j in range(k):
            weights[i, j] = share[j] / total
        precisions[i] = b / scale


@compiled
def _solve(excess, log_perplexity, share):
    """The precision at which the entropy of a row is log_perplexity."""
    low, high, x = -REACH, REACH, 0.0
    for _ in range(STEPS):
        b = math.exp(x)
        total = _shares(excess, b, share)
        mean, square = _moments(excess, share, total)
        error = math.log(total) + b * mean - log_perplexity
        if abs(error) <= TOL:
            break
        if error > 0.0:
            low = x
        else:
            high = x
        slope = b * b * max(square - mean * mean, 0.0)  # of minus the entropy
        step = x + error / slope if slope > 0.0 else high
        x = step if low < step < high else 0.5 * (low + high)
    return math.exp(x)


@compiled_fast
def _shares(excess, b, share):
    total = 0.0
    for j in range(len(excess)):
        share[j] = math.exp(-b * excess[j])
        total += share[j]
    return total


@compiled_fast
def _moments(excess, share, total):
    mean, square = 0.0, 0.0
    for j in range(len(excess)):
        mean += share[j] * excess[j]
        square += share[j] * excess[j] * excess[j]
    return mean / total, square / total

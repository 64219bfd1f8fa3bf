"""Distances between covariances, compiled. Import on first use only: numba is slow to load."""

from __future__ import annotations

import math

import numpy as np

from lowdim._compile import compiled_fast
from lowdim.math.spectrum import eigenvalues

#: Squared distances that are a smaller share of the traces are found without cancellation.
CLOSE = 1e-6


@compiled_fast
def bures(first, second, product, square, values):
    """``tr A + tr B - 2 tr (A^1/2 B A^1/2)^1/2`` of ``A = first first'``, ``B = second second'``.

    The last trace is the sum of the singular values of ``first' second`` (Bhatia, Jain and Lim
    2019, On the Bures-Wasserstein distance between positive definite matrices).

    Parameters
    ----------
    first, second : (n, n)
        Lower triangular.
    product, square : (n, n)
    values : (n,)
        Written over.
    """
    n = len(first)
    traces = 0.0
    for i in range(n):
        for j in range(n):
            product[i, j], square[i, j] = 0.0, 0.0
        for j in range(i + 1):
            traces += first[i, j] * first[i, j] + second[i, j] * second[i, j]
    for i in range(n):
        row = product[i]
        for k in range(i, n):
            factor, other = first[k, i], second[k]
            for j in range(k + 1):
                row[j] += factor * other[j]
    for i in range(n):
        row = product[i]
        for k in range(n):
            factor, sums = row[k], square[k]
            for j in range(n):
                sums[j] += factor * row[j]
    eigenvalues(square, values)
    total = 0.0
    for i in range(n):
        total += math.sqrt(max(values[i], 0.0))
    distance = traces - 2.0 * total
    if distance > CLOSE * traces:
        return distance
    return _residual(first, second, product)


@compiled_fast
def _residual(first, second, product):
    """The same as the squared norm of ``first U - second`` with the orthogonal U that is best."""
    left, _, right = np.linalg.svd(product)
    turned = first @ (left @ right)
    total = 0.0
    for i in range(len(first)):
        for j in range(len(first)):
            total += (turned[i, j] - second[i, j]) ** 2
    return total


@compiled_fast
def bures_matrix(first, second, out):
    """Write the distances of all pairs, (Ka, Kb), of factors, (Ka, n, n) and (Kb, n, n)."""
    n = first.shape[1]
    product, square, values = np.empty((n, n)), np.empty((n, n)), np.empty(n)
    for a in range(len(first)):
        for b in range(len(second)):
            out[a, b] = bures(first[a], second[b], product, square, values)

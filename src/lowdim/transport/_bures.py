"""Distances between covariances, compiled. Import on first use only: numba is slow to load."""

from __future__ import annotations

import math

import numpy as np

from lowdim._compile import compiled_fast, inlined
from lowdim.math.spectrum import eigenvalues

#: Squared distances that are a smaller share of the traces are found without cancellation.
CLOSE = 1e-6
#: So are those that would be known less well than to this share, as roots of small eigenvalues are.
KNOWN = 1e-11
#: Rounds of Jacobi rotations at most; it takes five or six.
SWEEPS = 30
#: Cosines of the angle between two rows that count as zero.
ORTHOGONAL = 1e-15
#: Squares of singular values that are a smaller share of the largest are zero.
NOTHING = 1e-30
#: Relative rounding.
EPSILON = 2.3e-16


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
    if n == 2:
        _product(first, second, product)
        _polar_of_two(product, square)
        return _moved(first, second, square)
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
    total, largest, off = 0.0, 0.0, 0.0
    for i in range(n):
        largest = max(largest, values[i])
    for i in range(n):
        root = math.sqrt(abs(values[i]))
        if values[i] > 0.0:
            total += root
        if root * root > NOTHING * largest:
            off += min(root, EPSILON * largest / root)
    distance = traces - 2.0 * total
    if distance > CLOSE * traces and off <= KNOWN * distance:
        return distance
    # The same as the squared norm of first U - second with the orthogonal U that is best.
    left, _, right = np.linalg.svd(product)
    for i in range(n):
        for j in range(n):
            square[i, j] = 0.0
            for k in range(n):
                square[i, j] += left[i, k] * right[k, j]
    return _moved(first, second, square)


@compiled_fast
def _moved(first, second, rotation):
    """Squared norm of ``first rotation - second``."""
    n, total = len(first), 0.0
    for i in range(n):
        for j in range(n):
            entry = -second[i, j]
            for k in range(n):
                entry += first[i, k] * rotation[k, j]
            total += entry * entry
    return total


@compiled_fast
def _product(first, second, out):
    """Write ``first' second``."""
    n = len(first)
    for i in range(n):
        for j in range(n):
            entry = 0.0
            for k in range(n):
                entry += first[k, i] * second[k, j]
            out[i, j] = entry


@compiled_fast
def best_rotation(first, second, rotation, rows, turns):
    """Write U, (n, n), with which ``first U`` comes nearest to ``second``; it is orthogonal.

    It is the polar factor of ``first' second``, zero in directions of which that has nothing.

    Parameters
    ----------
    first, second : (n, n)
        Factors ``A = first first'``, ``B = second second'``, triangular or not.
    rotation, rows, turns : (n, n)
        Written over.
    """
    n = len(first)
    _product(first, second, rows)
    if n == 2:
        _polar_of_two(rows, rotation)
        return
    # One-sided Jacobi (Golub and Van Loan, Matrix Computations, section 8.6): the rows become
    # orthogonal, and `turns` are the rotations that made them so.
    for i in range(n):
        for j in range(n):
            turns[i, j] = 1.0 if i == j else 0.0
    for _ in range(SWEEPS):
        done = True
        for i in range(n):
            for j in range(i):
                done = _make_orthogonal(rows, turns, i, j) and done
        if done:
            break
    largest = 0.0
    for i in range(n):
        largest = max(largest, _dot(rows, i, i))
    for i in range(n):
        square = _dot(rows, i, i)
        scale = 1.0 / math.sqrt(square) if square > NOTHING * largest else 0.0
        for j in range(n):
            rows[i, j] *= scale
    _product(turns, rows, rotation)


@compiled_fast
def _polar_of_two(matrix, rotation):
    """Write the polar factor of a 2 x 2 matrix: the better of a rotation and a reflection."""
    a, b, c, d = matrix[0, 0], matrix[0, 1], matrix[1, 0], matrix[1, 1]
    turn = math.sqrt((a + d) ** 2 + (b - c) ** 2)
    flip = math.sqrt((a - d) ** 2 + (b + c) ** 2)
    if turn == 0.0 and flip == 0.0:
        rotation[0, 0], rotation[0, 1], rotation[1, 0], rotation[1, 1] = 1.0, 0.0, 0.0, 1.0
    elif turn >= flip:
        cosine, sine = (a + d) / turn, (b - c) / turn
        rotation[0, 0], rotation[0, 1], rotation[1, 0], rotation[1, 1] = cosine, sine, -sine, cosine
    else:
        cosine, sine = (a - d) / flip, (b + c) / flip
        rotation[0, 0], rotation[0, 1], rotation[1, 0], rotation[1, 1] = cosine, sine, sine, -cosine


@compiled_fast
def _make_orthogonal(rows, turns, i, j):
    """Turn two rows into orthogonal ones; whether they were."""
    first, second, between = _dot(rows, i, i), _dot(rows, j, j), _dot(rows, i, j)
    if between * between <= ORTHOGONAL * ORTHOGONAL * first * second or between == 0.0:
        return True
    tau = (second - first) / (2.0 * between)
    tangent = math.copysign(1.0, tau) / (abs(tau) + math.sqrt(1.0 + tau * tau))
    cosine = 1.0 / math.sqrt(1.0 + tangent * tangent)
    sine = tangent * cosine
    for k in range(rows.shape[1]):
        one, two = rows[i, k], rows[j, k]
        rows[i, k], rows[j, k] = cosine * one - sine * two, sine * one + cosine * two
        one, two = turns[i, k], turns[j, k]
        turns[i, k], turns[j, k] = cosine * one - sine * two, sine * one + cosine * two
    return False


@compiled_fast
def _dot(rows, i, j):
    total = 0.0
    for k in range(rows.shape[1]):
        total += rows[i, k] * rows[j, k]
    return total


@inlined
def bures_matrix(first, second, out):
    """Write the distances of all pairs, (Ka, Kb), of factors, (Ka, n, n) and (Kb, n, n)."""
    n = first.shape[1]
    if n == 2:
        matrix_of_two(first, second, out)
        return
    product, square, values = np.empty((n, n)), np.empty((n, n)), np.empty(n)
    for a in range(len(first)):
        for b in range(len(second)):
            out[a, b] = bures(first[a], second[b], product, square, values)


@compiled_fast
def matrix_of_two(first, second, out):
    """The same in two dimensions, where the sum of the singular values has a closed form."""
    product, rotation = np.empty((2, 2)), np.empty((2, 2))
    for i in range(len(first)):
        p, q, r = first[i, 0, 0], first[i, 1, 0], first[i, 1, 1]
        own = p * p + q * q + r * r
        for j in range(len(second)):
            x, y, z = second[j, 0, 0], second[j, 1, 0], second[j, 1, 1]
            a, b, c, d = p * x + q * y, q * z, r * y, r * z
            turn, flip = (a + d) ** 2 + (b - c) ** 2, (a - d) ** 2 + (b + c) ** 2
            traces = own + x * x + y * y + z * z
            out[i, j] = traces - 2.0 * math.sqrt(max(turn, flip))
            if out[i, j] <= CLOSE * traces:
                _product(first[i], second[j], product)
                _polar_of_two(product, rotation)
                out[i, j] = _moved(first[i], second[j], rotation)

"""All eigenvalues of symmetric matrices of moderate order, compiled.

Reduction to tridiagonal form and implicit QL steps (Golub and Van Loan, Matrix Computations,
section 8.3). Import on first use only: numba is slow to load.
"""

from __future__ import annotations

import math

import numpy as np

from lowdim._compile import compiled_fast, inlined
from lowdim.math.tridiagonal import reduce

#: Entries beside the diagonal that are a smaller share of it are zero.
NEGLIGIBLE = 2.3e-16
#: Steps for every row at most; it takes about two, unless there is a nan.
STEPS = 50


@compiled_fast
def eigenvalues(a, diagonal):
    """Write the eigenvalues of a symmetric matrix, (n, n), which is overwritten, unordered."""
    n = len(a)
    if n == 1:
        diagonal[0] = a[0, 0]
        return
    off = np.zeros(n)
    if n == 2:
        diagonal[0], diagonal[1], off[0] = a[0, 0], a[1, 1], a[0, 1]
    else:
        reduce(a, diagonal, off, np.empty(n))
    for first in range(n):
        for _ in range(STEPS):
            last = _end_of_block(diagonal, off, first)
            if last == first:
                break
            _ql_step(diagonal, off, first, last)


@compiled_fast
def _end_of_block(diagonal, off, first):
    """The last row that is coupled to the first one."""
    last = first
    while last < len(diagonal) - 1:
        if abs(off[last]) <= NEGLIGIBLE * (abs(diagonal[last]) + abs(diagonal[last + 1])):
            break
        last += 1
    return last


@inlined
def _ql_step(diagonal, off, first, last):
    """One implicit QL step with Wilkinson's shift on the block from first to last."""
    half = (diagonal[first + 1] - diagonal[first]) / (2.0 * off[first])
    root = math.sqrt(half * half + 1.0)
    bulge = diagonal[last] - diagonal[first] + off[first] / (half + math.copysign(root, half))
    sine, cosine, shift = 1.0, 1.0, 0.0
    for i in range(last - 1, first - 1, -1):
        above, beside = sine * off[i], cosine * off[i]
        length = math.sqrt(above * above + bulge * bulge)
        off[i + 1] = length
        if length == 0.0:  # the block falls apart
            diagonal[i + 1] -= shift
            off[last] = 0.0
            return
        sine, cosine = above / length, bulge / length
        bulge = diagonal[i + 1] - shift
        length = (diagonal[i] - bulge) * sine + 2.0 * cosine * beside
        shift = sine * length
        diagonal[i + 1] = bulge + shift
        bulge = cosine * length - beside
    diagonal[first] -= shift
    off[first] = bulge
    off[last] = 0.0

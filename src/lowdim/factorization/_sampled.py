"""Sums over the counts that are not zero, compiled: rates are needed nowhere else.

Products of factors (n, L) and loadings (J, L), sampled where CSR rows (indptr, indices, data) have
entries. Import on first use only: numba is slow to load.
"""

from __future__ import annotations

import numpy as np

from lowdim._compile import compiled_fast
from lowdim.factorization._counts import TINY
from lowdim.mixture._counts.special import log


@compiled_fast
def weighted_logs(rows, sizes, factors, loadings, out):
    """Add ``sum_i y_ij log(s_i rate_ij)`` to out, (J,)."""
    indptr, indices, data = rows
    for i in range(len(factors)):
        for p in range(indptr[i], indptr[i + 1]):
            j, rate = np.uint64(indices[p]), 0.0
            for k in range(factors.shape[1]):
                rate += factors[i, k] * loadings[j, k]
            out[j] += data[p] * log(sizes[i] * rate + TINY)


@compiled_fast
def loading_shares(rows, factors, loadings, out):
    """Add ``sum_i f_il y_ij / rate_ij`` to out, (J, L)."""
    indptr, indices, data = rows
    for i in range(len(factors)):
        for p in range(indptr[i], indptr[i + 1]):
            j, rate = np.uint64(indices[p]), 0.0
            for k in range(factors.shape[1]):
                rate += factors[i, k] * loadings[j, k]
            ratio = data[p] / (rate + TINY)
            for k in range(factors.shape[1]):
                out[j, k] += ratio * factors[i, k]


@compiled_fast
def factor_shares(rows, factors, loadings, out):
    """Write ``f_il sum_j w_jl y_ij / rate_ij`` to out, (n, L)."""
    indptr, indices, data = rows
    for i in range(len(factors)):
        for k in range(factors.shape[1]):
            out[i, k] = 0.0
        for p in range(indptr[i], indptr[i + 1]):
            j, rate = np.uint64(indices[p]), 0.0
            for k in range(factors.shape[1]):
                rate += factors[i, k] * loadings[j, k]
            ratio = data[p] / (rate + TINY)
            for k in range(factors.shape[1]):
                out[i, k] += ratio * loadings[j, k]
        for k in range(factors.shape[1]):
            out[i, k] *= factors[i, k]

"""The E-step and its statistics of CSR rows in many columns, compiled.

Scores are made for a chunk of rows at a time. The sums of a component go over its rows among all of
them, so that its sketch and its sums stay in the processor's caches meanwhile. Import this module
on first use only: numba is slow to load.
"""

from __future__ import annotations

import numpy as np

from lowdim._compile import compiled_fast
from lowdim.data.blocks import NEGLIGIBLE
from lowdim.data.csr import moments_along, project
from lowdim.mixture._subspace.shares import hard_shares, highest, soft_shares
from lowdim.mixture._subspace.sketched import count, score

#: Rows whose scores are made at a time.
CHUNK = 256


@compiled_fast
def accumulate(
    indptr,
    indices,
    data,
    norms,
    weights,
    directions,
    offsets,
    precision,
    owner,
    centre,
    gain,
    sketches,
    shifts,
    soft,
    beta,
):
    """Statistics of n stored rows x under R mixtures of K components.

    The parameters are those of `sketched.accumulate`, in the units of the stored rows, which are
    not centred: what the columns' means add to products is in offset, centre and shift.

    Parameters
    ----------
    indptr, indices, data
        The rows.
    norms, weights : (n,)
        Squared lengths of the standardised rows, and the rows' weights.
    directions : (D, RK + S)
        As the type of the data.
    offsets, precision : (R, K)
    owner, centre, gain : (S,)
    sketches, shifts : (RK, D, w), (RK, w)
        ``z = W x - shift``; as the type of the data.

    Returns
    -------
    counts, squares, energy : (R, K)
        Sums of the weighted responsibilities r, of r^2, and of r times the squared length.
    sums, moments, totals : (RK, D), (RK, D, w), (RK, 1 + w)
        sum r x, sum r x z' and sum r [1, z].
    objective : (R,)
    """
    n, n_columns = len(norms), len(directions)
    n_restarts, n_components = offsets.shape
    n_all, width = n_restarts * n_components, sketches.shape[2]
    counts = np.zeros((3, n_restarts, n_components))
    objective = np.zeros(n_restarts)
    products = np.empty((CHUNK, directions.shape[1]), data.dtype)
    shares, work = np.empty((n_all, CHUNK)), np.empty((2, CHUNK))
    # The rows of every component, and its shares of them.
    which, own = np.empty((n_all, n + 1), np.int64), np.empty((n_all, n + 1))
    filled = np.zeros(n_all, np.int64)
    for start in range(0, n, CHUNK):
        size = min(CHUNK, n - start)
        norm, weight = norms[start : start + size], weights[start : start + size]
        project(indptr[start : start + size + 1], indices, data, directions, products)
        score(products, size, norm, offsets, precision, owner, centre, gain, shares)
        for r in range(n_restarts):
            mine = shares[r * n_components : (r + 1) * n_components]
            highest(mine, size, work[0])
            if soft:
                objective[r] += soft_shares(mine, size, weight, beta, work)
            else:
                objective[r] += hard_shares(mine, size, weight, work)
            for k in range(n_components):
                count(mine[k, :size], work[1], norm, weight, counts[:, r, k])
                c = r * n_components + k
                at = filled[c]
                for i in range(size):
                    which[c, at], own[c, at] = start + i, mine[k, i]
                    at += not mine[k, i] <= NEGLIGIBLE * weight[i]  # nan counts
                filled[c] = at
    sums, moments = np.zeros((n_all, n_columns)), np.zeros((n_all, n_columns, width))
    totals = np.zeros((n_all, 1 + width))
    for c in range(n_all):
        rows, share = which[c, : filled[c]], own[c, : filled[c]]
        moments_along(
            *(indptr, indices, data, rows, share, sketches[c], shifts[c]),
            *(sums[c], moments[c], totals[c]),
        )
    return counts[0], counts[1], counts[2], sums, moments, totals, objective

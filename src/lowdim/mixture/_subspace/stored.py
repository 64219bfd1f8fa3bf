"""The E-step and its statistics of CSR rows in many columns, compiled in two steps.

First `share`: scores and responsibilities of some rows, and which component has a share of which.
Then `sum_up`: the sums of some components over their rows among all of the block, so that a sketch
and its sums stay in the processor's caches meanwhile. Threads take turns at either; the result does
not depend on how many there are. Import this module on first use only: numba is slow to load.
"""

from __future__ import annotations

import numpy as np

from lowdim._compile import compiled_fast
from lowdim.data.blocks import NEGLIGIBLE
from lowdim.data.csr import CHUNK, moments_along, project
from lowdim.data.lanes import turn, zeros
from lowdim.mixture._subspace.shares import hard_shares, highest, soft_shares
from lowdim.mixture._subspace.sketched import count, score


@compiled_fast
def share(
    indptr,
    indices,
    data,
    norms,
    weights,
    start,
    stop,
    directions,
    offsets,
    precision,
    owner,
    centre,
    gain,
    soft,
    beta,
    which,
    own,
    filled,
):
    """Responsibilities of rows start to stop among n stored ones under R mixtures of K components.

    The parameters are those of `sketched.accumulate`, in the units of the stored rows, which are
    not centred: what the columns' means add to products is in offset and centre.

    Parameters
    ----------
    indptr, indices, data
        The rows.
    norms, weights : (n,)
        Squared lengths of the standardised rows, and the rows' weights.
    directions : (D, W)
        RK + S columns, as `lanes.table` has them.
    offsets, precision : (R, K)
    owner, centre, gain : (S,)
    which, own : (RK, n), integer and float
        From start on, the rows of every component and its shares of them are written to these.
    filled : (RK,)
        How many rows of every component: written.

    Returns
    -------
    counts, squares, energy : (R, K)
        Sums of the weighted responsibilities r, of r^2, and of r times the squared length.
    objective : (R,)
    """
    n_restarts, n_components = offsets.shape
    counts = np.zeros((3, n_restarts, n_components))
    objective = np.zeros(n_restarts)
    width = directions.shape[1]
    products, turned = zeros(CHUNK, width, data), zeros(width, CHUNK, data)
    shares, work = np.empty((n_restarts * n_components, CHUNK)), np.empty((2, CHUNK))
    filled[:] = 0
    for first in range(start, stop, CHUNK):
        size = min(CHUNK, stop - first)
        norm, weight = norms[first : first + size], weights[first : first + size]
        project(indptr[first : first + size + 1], indices, data, directions, products)
        turn(products, size, turned)
        score(turned, size, norm, offsets, precision, owner, centre, gain, shares)
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
                at = start + filled[c]
                for i in range(size):
                    which[c, at], own[c, at] = first + i, mine[k, i]
                    at += not mine[k, i] <= NEGLIGIBLE * weight[i]  # nan counts
                filled[c] = at - start
    return counts[0], counts[1], counts[2], objective


@compiled_fast
def close_up(which, own, starts, filled):
    """Move every component's rows together from where parts wrote them; how many, (RK,)."""
    lengths = np.zeros(len(which), np.int64)
    for c in range(len(which)):
        for part in range(len(starts)):
            for at in range(starts[part], starts[part] + filled[part, c]):
                which[c, lengths[c]], own[c, lengths[c]] = which[c, at], own[c, at]
                lengths[c] += 1
    return lengths


@compiled_fast
def sum_up(indptr, indices, data, which, own, pieces, sketches, shifts, mean, scale, out):
    """Write sums r [1, z] (x - mean)' / scale with ``z = W x - shift``, for every piece.

    Parameters
    ----------
    pieces : (m, 3)
        A component, and the first and the last of its rows in `which` that are meant.
    sketches, shifts : (RK, D, W), (RK, W)
        As `lanes.table` has them; as the type of the data.
    out : (m, 1 + w, D)
    """
    for i in range(len(pieces)):
        c, first, last = pieces[i]
        rows, r = which[c, first:last], own[c, first:last]
        given = rows, r, sketches[c], shifts[c], mean, scale, out[i]
        moments_along(indptr, indices, data, *given)

"""The E-step and its statistics in many columns, fused into one compiled pass over the rows.

Rows are taken in chunks that stay in the processor's second cache from their scores to their last
sum, so that each is fetched from memory once. Sums over chunks are in float64. Import this module
on first use only: numba is slow to load.
"""

from __future__ import annotations

import numpy as np

from lowdim._compile import compiled_fast
from lowdim.data.blocks import NEGLIGIBLE
from lowdim.data.dense import add_along, buffer
from lowdim.data.lanes import LINE, turn
from lowdim.mixture._subspace.shares import hard_shares, highest, soft_shares

#: From this share of all pairs of rows and components on, one product with all sketches is faster
#: than one per component with the rows that it owns.
CROWDED = 0.5


@compiled_fast
def accumulate(
    x,
    norms,
    weights,
    directions,
    offsets,
    precision,
    owner,
    centre,
    gain,
    sketches,
    stacked,
    chunk,
    soft,
    beta,
):
    """Statistics of the rows of x, (n, D), under R mixtures of K components.

    The score of a row is ``offset - precision / 2 ||x||^2 + precision mu.x + sum_j gain_j z_j^2``
    with ``z_j = v_j.x - centre_j``.

    Parameters
    ----------
    x : (n, D)
    norms, weights : (n,)
        ||x||^2 and the rows' weights.
    directions : (D, RK + S)
        Every component's ``precision mu``, then all axes, as the type of x.
    offsets, precision : (R, K)
    owner, centre, gain : (S,)
        Of every axis: its component's place, v.mu, (1 / sigma^2 - 1 / lambda) / 2.
    sketches : (RK, D, w)
        W', as the type of x.
    stacked : (R, D, Kw)
        The same, side by side.
    chunk : int
        Rows taken at a time.

    Returns
    -------
    counts, squares, energy : (R, K)
        Sums of the weighted responsibilities r, of r^2, and of r ||x||^2.
    moments : (RK, 1 + w, D)
        sum r [1, W x] x'.
    objective : (R,)
    """
    n, n_columns = x.shape
    n_restarts, n_components = offsets.shape
    width = sketches.shape[2]
    sums = np.zeros((3, n_restarts, n_components))
    moments = np.zeros((n_restarts * n_components, 1 + width, n_columns))
    objective = np.zeros(n_restarts)
    n_most = chunk + -chunk % (LINE // x.itemsize)
    products = np.zeros((n_most, directions.shape[1]), x.dtype)
    turned = np.empty((directions.shape[1], n_most), x.dtype)
    shared = buffer(chunk, n_components * (1 + width), n_columns, x)
    shares = np.empty((n_restarts * n_components, chunk))
    work = np.empty((2, chunk))
    rows = np.empty(chunk, np.int64)
    spare, numbers = np.empty((chunk, n_columns), x.dtype), buffer(chunk, width, n_columns, x)
    for start in range(0, n, chunk):
        size = min(chunk, n - start)
        block, norm = x[start : start + size], norms[start : start + size]
        weight = weights[start : start + size]
        np.dot(block, directions, products[:size])
        turn(products, size, turned)
        score(turned, size, norm, offsets, precision, owner, centre, gain, shares)
        for r in range(n_restarts):
            mine = shares[r * n_components : (r + 1) * n_components]
            highest(mine, size, work[0])
            if soft:
                objective[r] += soft_shares(mine, size, weight, beta, work)
            else:
                objective[r] += hard_shares(mine, size, weight, work)
            own = moments[r * n_components : (r + 1) * n_components]
            owned = 0
            for k in range(n_components):
                owned += count(mine[k, :size], work[1], norm, weight, sums[:, r, k])
            if owned > CROWDED * n_components * size:
                add_along_all(block, mine, stacked[r], shared, own)
                continue
            for k in range(n_components):
                m = select(mine[k, :size], weight, rows)
                sketch = sketches[r * n_components + k]
                add_along(block, rows[:m], mine[k], sketch, spare, numbers, own[k])
    return sums[0], sums[1], sums[2], moments, objective


@compiled_fast
def count(shares, scale, norm, weight, sums):
    """Scale the shares of a component; add sums of r, r^2 and r ||x||^2; how many matter."""
    owned, total, squares, energy = 0, 0.0, 0.0, 0.0
    for i in range(len(shares)):
        share = shares[i] * scale[i]
        shares[i] = share
        total += share
        squares += share * share
        energy += share * norm[i]
        owned += not share <= NEGLIGIBLE * weight[i]  # nan counts
    sums[0] += total
    sums[1] += squares
    sums[2] += energy
    return owned


@compiled_fast
def select(shares, weight, rows):
    """Write which shares matter into rows; how many do."""
    m = 0
    for i in range(len(shares)):
        if not shares[i] <= NEGLIGIBLE * weight[i]:
            rows[m] = i
            m += 1
    return m


@compiled_fast
def add_along_all(block, shares, stacked, numbers, out):
    """Add sum r [1, W x] x' of all components over all rows of a chunk to out, (K, 1 + w, D)."""
    m, n_components = len(block), len(shares)
    n_columns, n = stacked.shape
    height = n // n_components + 1
    along = numbers[: m * n].reshape(m, n)
    coefficients = numbers[m * n : m * (2 * n + n_components)].reshape(n + n_components, m)
    start = m * (2 * n + n_components)
    sums = numbers[start : start + len(coefficients) * n_columns].reshape(-1, n_columns)
    np.dot(block, stacked, along)
    for k in range(n_components):
        first = k * (height - 1)
        for i in range(m):
            coefficients[k * height, i] = shares[k, i]
            for j in range(1, height):
                coefficients[k * height + j, i] = shares[k, i] * along[i, first + j - 1]
    np.dot(coefficients, block, sums)
    for k in range(n_components):
        for j in range(height):
            for a in range(n_columns):
                out[k, j, a] += sums[k * height + j, a]


@compiled_fast
def score(products, size, norm, offsets, precision, owner, centre, gain, shares):
    """Write every component's scores of the rows, (RK, size), into shares.

    Products are those of `accumulate`, columns first, (RK + S, n).
    """
    n, constants, halves = offsets.size, offsets.ravel(), 0.5 * precision.ravel()
    for c in range(n):
        own, along = shares[c], products[c]
        for i in range(size):
            own[i] = constants[c] - halves[c] * norm[i] + along[i]
    for j in range(len(owner)):
        own, along = shares[owner[j]], products[n + j]
        for i in range(size):
            z = along[i] - centre[j]
            own[i] += gain[j] * z * z

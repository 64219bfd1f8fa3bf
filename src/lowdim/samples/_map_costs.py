"""Transport between samples under a map, and what it says of the map, compiled.

Import on first use only: numba is slow to load.
"""

from __future__ import annotations

import math

import numpy as np

from lowdim._compile import compiled_exact
from lowdim.transport._bures import best_rotation, bures_matrix
from lowdim.transport._exact import near_tree, optimize
from lowdim.transport._mixtures import bounds, settle
from lowdim.transport._tree import keep, kept


@compiled_exact
def component_costs(means, roots, factors, mean_power):
    """Costs of all pairs of components, (M, M), with factors, (M, r, r), or none, (0, r, r)."""
    costs, between = bounds(means, means, roots, roots, factors, factors, mean_power)
    if len(factors) > 0:
        bures_matrix(factors, factors, costs)
        costs += between
    for a in range(len(means)):
        costs[a, a] = 0.0
        for b in range(a):
            costs[b, a] = costs[a, b]
    return costs


@compiled_exact
def shared_costs(pairs, numbers, fresh, offsets, weights, rows, costs, trees, out):
    """Write the transport cost of every pair, (n,), of samples that share components."""
    for p in range(len(pairs)):
        i, j = pairs[p]
        a, b, c, d = offsets[i], offsets[i + 1], offsets[j], offsets[j + 1]
        cost, plan = np.empty((b - a, d - c)), np.empty((b - a, d - c))
        for k in range(a, b):
            for l in range(c, d):  # noqa: E741
                cost[k - a, l - c] = costs[rows[k], rows[l]]
        if fresh[p]:
            keep(near_tree(cost, weights[a:b], weights[c:d]), trees, numbers[p])
        out[p] = optimize(cost, kept(trees, numbers[p], b - a + d - c + 1), plan)


@compiled_exact
def own_costs(
    pairs, numbers, fresh, offsets, weights, means, roots, factors, mean_power, trees, out
):
    """Write the transport cost of every pair, (n,), of samples with components of their own."""
    full = len(factors) > 0
    for p in range(len(pairs)):
        i, j = pairs[p]
        a, b, c, d = offsets[i], offsets[i + 1], offsets[j], offsets[j + 1]
        factors_a, factors_b = factors[a:b] if full else factors, factors[c:d] if full else factors
        cost, between = bounds(
            means[a:b], means[c:d], roots[a:b], roots[c:d], factors_a, factors_b, mean_power
        )
        if fresh[p]:
            keep(near_tree(cost, weights[a:b], weights[c:d]), trees, numbers[p])
        tree = kept(trees, numbers[p], b - a + d - c + 1)
        out[p] = settle(cost, between, factors_a, factors_b, tree)


@compiled_exact
def flows(pairs, numbers, slopes, offsets, rows, trees, out):
    """Add the slope of every pair times what its plan moves between components, (M, M)."""
    for p in range(len(pairs)):
        i, j = pairs[p]
        n, m = offsets[i + 1] - offsets[i], offsets[j + 1] - offsets[j]
        if slopes[p] == 0.0:
            continue
        for v in range(n + m):
            other = trees.parent[numbers[p], v]
            if other < n + m:
                k, l = (v, other - n) if v < n else (other, v - n)  # noqa: E741
                moved = slopes[p] * trees.flow[numbers[p], v]
                out[rows[offsets[i] + k], rows[offsets[j] + l]] += moved


@compiled_exact
def shared_gradient(moved, means, roots, factors, mean_power, of_means, of_traces, of_factors):
    """Add the gradient of ``sum moved * cost`` over all pairs of components; see `pull`."""
    for a in range(len(moved)):
        for b in range(len(moved)):
            if a != b and moved[a, b] != 0.0:
                pull(
                    a, b, moved[a, b], means, roots, factors, mean_power,
                    of_means, of_traces, of_factors,
                )  # fmt: skip


@compiled_exact
def own_gradient(
    pairs, numbers, slopes, offsets, means, roots, factors, mean_power, trees,
    of_means, of_traces, of_factors,
):  # fmt: skip
    """Add the gradient of ``sum slope * cost`` over pairs of samples; see `pull`."""
    for p in range(len(pairs)):
        if slopes[p] == 0.0:
            continue
        i, j = pairs[p]
        n, m = offsets[i + 1] - offsets[i], offsets[j + 1] - offsets[j]
        for v in range(n + m):
            other = trees.parent[numbers[p], v]
            moved = slopes[p] * trees.flow[numbers[p], v]
            if other < n + m and moved != 0.0:
                k, l = (v, other - n) if v < n else (other, v - n)  # noqa: E741
                pull(
                    offsets[i] + k, offsets[j] + l, moved, means, roots, factors, mean_power,
                    of_means, of_traces, of_factors,
                )  # fmt: skip


@compiled_exact
def pull(a, b, mass, means, roots, factors, mean_power, of_means, of_traces, of_factors):
    """Add the gradient of mass times the cost of two components.

    With factors ``A = L L'``, ``B = M M'`` and the orthogonal U for which L U is nearest to M, the
    Bures distance is ``tr A + tr B - 2 tr U' L' M``. The gradient by W of ``A = W C W'`` is
    ``2 (I - M U' L^-1) W C``; what belongs to I and what to ``L^-1`` is summed here.

    Parameters
    ----------
    of_means : (M, r)
    of_traces : (M,)
        Masses.
    of_factors : (M, r, r) or (M, r)
        Masses times ``M U'``; for diagonal covariances times the diagonal of M.
    """
    d = means.shape[1]
    apart = 0.0
    for axis in range(d):
        apart += (means[a, axis] - means[b, axis]) ** 2
    scale = 2.0 * mass
    if mean_power == 1:
        scale = mass / math.sqrt(apart) if apart > 0.0 else 0.0
    for axis in range(d):
        step = scale * (means[a, axis] - means[b, axis])
        of_means[a, axis] += step
        of_means[b, axis] -= step
    of_traces[a] += mass
    of_traces[b] += mass
    if len(factors) == 0:
        for axis in range(roots.shape[1]):
            of_factors[a, axis, 0] += mass * roots[b, axis]
            of_factors[b, axis, 0] += mass * roots[a, axis]
        return
    U, spare, turns = np.empty((d, d)), np.empty((d, d)), np.empty((d, d))
    best_rotation(factors[a], factors[b], U, spare, turns)
    for i in range(d):
        for j in range(d):
            left, right = 0.0, 0.0
            for k in range(d):
                left += factors[b, i, k] * U[j, k]
                right += factors[a, i, k] * U[k, j]
            of_factors[a, i, j] += mass * left
            of_factors[b, i, j] += mass * right

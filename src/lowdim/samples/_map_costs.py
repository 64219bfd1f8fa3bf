"""Transport between samples under a map, and what it says of the map, compiled.

Import on first use only: numba is slow to load.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lowdim._compile import compiled, compiled_exact, inlined
from lowdim.transport import _clouds, _component_costs
from lowdim.transport._bures import best_rotation
from lowdim.transport._mixtures import bounds, settle
from lowdim.transport._tree import keep, keep_plan, kept, near_tree

between_points, between_components = _clouds.between, _component_costs.between


class Geometry(NamedTuple):
    """Components of all samples under a map; n in all, M different ones.

    Attributes
    ----------
    offsets : (S + 1,)
        Those of sample s are ``offsets[s]:offsets[s + 1]``.
    weights : (n,)
    rows : (n,)
        Of the table.
    table : (M, M) or (0, 0)
        Costs, where samples share components.
    points : (r, n) or (r, 0)
        Where components are points.
    means : (M, r)
    roots : (M, r) or (M, 0)
    factors : (M, r, r) or (0, r, r)
        As of `lowdim.transport._mixtures.pair_costs`.
    power : int
        Of the distance of means.
    """

    offsets: np.ndarray
    weights: np.ndarray
    rows: np.ndarray
    table: np.ndarray
    points: np.ndarray
    means: np.ndarray
    roots: np.ndarray
    factors: np.ndarray
    power: int


@compiled
def pair_costs(pairs, numbers, fresh, geometry, trees, out):
    """Write the transport cost of every pair of samples, (n,).

    Parameters
    ----------
    pairs : (n, 2)
    numbers : (n,)
        Of the pairs' trees, which are kept, or after these of their plans alone; -1 where there is
        no room for either.
    fresh : (n,)
        Whether a tree that is kept is yet to be planted; the others are in any case.
    geometry : Geometry
    trees : Tree
        See `lowdim.transport._tree.room_for_trees`.
    out : (n,)
    """
    offsets, weights, factors = geometry.offsets, geometry.weights, geometry.factors
    known = len(geometry.table) > 0 or geometry.points.shape[1] > 0
    for p in range(len(pairs)):
        a, b = offsets[pairs[p, 0]], offsets[pairs[p, 0] + 1]
        c, d = offsets[pairs[p, 1]], offsets[pairs[p, 1] + 1]
        if known:
            cost = known_costs(a, b, c, d, geometry)
            between, first, second = cost, factors[:0], factors[:0]
        else:
            means, roots, power = geometry.means, geometry.roots, geometry.power
            first, second = factors[a:b], factors[c:d]
            cost, between = bounds(
                means[a:b], means[c:d], roots[a:b], roots[c:d], first, second, power
            )
        masses = weights[a:b], weights[c:d]
        out[p] = _planned(cost, between, first, second, masses, numbers[p], fresh[p], trees)


@compiled
def given_costs(pairs, costs, numbers, fresh, offsets, weights, trees, out):
    """As `pair_costs` where it is known what components cost, (n, most, most)."""
    none = np.empty((0, 1, 1))
    for p in range(len(pairs)):
        a, b = offsets[pairs[p, 0]], offsets[pairs[p, 0] + 1]
        c, d = offsets[pairs[p, 1]], offsets[pairs[p, 1] + 1]
        cost = costs[p, : b - a, : d - c].copy()
        masses = weights[a:b], weights[c:d]
        out[p] = _planned(cost, cost, none, none, masses, numbers[p], fresh[p], trees)


@inlined
def _planned(cost, between, first, second, masses, number, fresh, trees):
    """The cost of the best plan, which begins from a tree that is kept and is kept there."""
    nodes, n_trees = cost.shape[0] + cost.shape[1] + 1, len(trees.size)
    is_kept = 0 <= number < n_trees
    if is_kept and not fresh:
        tree = kept(trees, number, nodes)
    else:
        tree = near_tree(cost, masses[0], masses[1])
    total = settle(cost, between, first, second, tree)
    if is_kept and fresh:
        keep(tree, trees, number)
    elif number >= n_trees:
        keep_plan(tree, trees, number)
    return total


@inlined
def known_costs(a, b, c, d, geometry):
    """Costs of the components a to b with c to d, of a table or of points."""
    if len(geometry.table) > 0:
        cost = np.empty((b - a, d - c))
        for k in range(a, b):
            for j in range(c, d):
                cost[k - a, j - c] = geometry.table[geometry.rows[k], geometry.rows[j]]
        return cost
    return between_points(geometry.points[:, a:b], geometry.points[:, c:d], geometry.power)


@inlined
def all_costs(a, b, c, d, geometry):
    """The same of any components."""
    if len(geometry.table) > 0 or geometry.points.shape[1] > 0:
        return known_costs(a, b, c, d, geometry)
    means, roots, factors = geometry.means, geometry.roots, geometry.factors
    full = len(factors) > 0
    return between_components(
        (means[a:b], roots[a:b], factors[a:b] if full else factors),
        (means[c:d], roots[c:d], factors[c:d] if full else factors),
        geometry.power,
    )


@compiled
def pair_gradients(pairs, numbers, slopes, geometry, trees, moved, sums):
    """Add the gradient of ``sum slope * cost`` over pairs of samples.

    Parameters
    ----------
    pairs, numbers, geometry, trees
        As of `pair_costs`, after it; no number is -1.
    slopes : (n,)
    moved : (M, M)
        If samples share components, slopes times mass are added here.
    sums : tuple
        If not, gradients are added here; see `pull`.
    """
    offsets = geometry.offsets
    for p in range(len(pairs)):
        if slopes[p] == 0.0:
            continue
        a, b = offsets[pairs[p, 0]], offsets[pairs[p, 0] + 1]
        c = offsets[pairs[p, 1]]
        n, m = b - a, offsets[pairs[p, 1] + 1] - c
        for v in range(n + m):
            other = trees.parent[numbers[p], v]
            if other < n + m:
                k, j = (v, other - n) if v < n else (other, v - n)
                mass = slopes[p] * trees.flow[numbers[p], v]
                add_flow(a + k, c + j, mass, geometry, moved, sums)


@compiled
def shared_gradients(moved, geometry, sums):
    """Add the gradient of ``sum moved * cost`` over all components that samples share."""
    for a in range(len(moved)):
        for b in range(len(moved)):
            if a != b and moved[a, b] != 0.0:
                pull(a, b, moved[a, b], geometry, sums)


@inlined
def add_flow(a, b, mass, geometry, moved, sums):
    """Add mass times slope that goes between two components to `moved`, or its gradient to `sums`.

    See `pair_gradients`.
    """
    if len(moved) > 0:
        moved[geometry.rows[a], geometry.rows[b]] += mass
    elif mass != 0.0:
        pull(a, b, mass, geometry, sums)


@compiled_exact
def pull(a, b, mass, geometry, sums):
    """Add the gradient of mass times the cost of two components.

    With factors ``A = L L'``, ``B = M M'`` and the orthogonal U for which L U is nearest to M, the
    Bures distance is ``tr A + tr B - 2 tr U' L' M``. Its gradient by W, where ``A = W C W'``, is
    ``2 (I - M U' L^-1) W C``; what belongs to I and what to ``L^-1`` is summed here.

    Parameters
    ----------
    sums : tuple
        For means, (M, r); for I, (M,); for the inverses of factors, (M, r, r), or of roots,
        (M, r, 1).
    """
    means, roots, factors = geometry.means, geometry.roots, geometry.factors
    of_means, of_traces, of_factors = sums
    d = means.shape[1]
    apart = 0.0
    for axis in range(d):
        apart += (means[a, axis] - means[b, axis]) ** 2
    scale = 2.0 * mass
    if geometry.power == 1:
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

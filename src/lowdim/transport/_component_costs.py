"""Transport between mixtures over the costs of all pairs of components, compiled.

For components that samples share, whose costs are found once, and for entropic plans, which move
mass between all of them. Import on first use only: numba is slow to load.
"""

from __future__ import annotations

import math

import numpy as np

from lowdim._compile import compiled, inlined
from lowdim.transport._bures import bures_matrix
from lowdim.transport._entropic import entropic_cost
from lowdim.transport._exact import least_cost


@compiled
def shared_costs(pairs, sizes, weights, numbers, table, out):
    """Write the least transport cost of every pair of mixtures, (n,).

    Parameters
    ----------
    pairs : (n, 2)
    sizes : (S,)
        Components of every mixture.
    weights : (S, K)
    numbers : (S, K)
        Rows of the table.
    table : (U, U)
        Costs of all different components.
    out : (n,)
    """
    for p in range(len(pairs)):
        i, j = pairs[p]
        cost = _looked_up(table, numbers[i, : sizes[i]], numbers[j, : sizes[j]])
        out[p] = least_cost(cost, weights[i, : sizes[i]], weights[j, : sizes[j]])


@compiled
def shared_entropic_costs(pairs, sizes, weights, numbers, table, penalties, out, found):
    """Write the entropic cost of every pair of mixtures, and whether it was found, (n,).

    Parameters
    ----------
    penalties : (n,)
        See `lowdim.transport._entropic.entropic_cost`; those below zero are overwritten.
    """
    for p in range(len(pairs)):
        i, j = pairs[p]
        cost = _looked_up(table, numbers[i, : sizes[i]], numbers[j, : sizes[j]])
        supply, demand = weights[i, : sizes[i]], weights[j, : sizes[j]]
        out[p], found[p], penalties[p] = entropic_cost(cost, supply, demand, penalties[p])


@compiled
def own_entropic_costs(pairs, sizes, weights, means, roots, factors, power, penalties, out, found):
    """The same for mixtures with components of their own; see `between` for these.

    Parameters
    ----------
    means, roots : (S, K, d)
    factors : (S, K, d, d) or (S, 0, d, d)
    """
    for p in range(len(pairs)):
        i, j = pairs[p]
        n, m = sizes[i], sizes[j]
        first = means[i, :n], roots[i, :n], factors[i, :n]
        second = means[j, :m], roots[j, :m], factors[j, :m]
        supply, demand = weights[i, :n], weights[j, :m]
        cost = between(first, second, power)
        out[p], found[p], penalties[p] = entropic_cost(cost, supply, demand, penalties[p])


@inlined
def _looked_up(table, rows, columns):
    cost = np.empty((len(rows), len(columns)))
    for a in range(len(rows)):
        for b in range(len(columns)):
            cost[a, b] = table[rows[a], columns[b]]
    return cost


@inlined
def between(first, second, power):
    """Costs ``|m_a - m_b|^power + B^2(A, B)`` of all pairs of components, (n, m).

    Parameters
    ----------
    first, second : tuple
        Means, (n, d); square roots of diagonal covariances, (n, d); lower triangular factors of
        full ones, (n, d, d), or none, (0, d, d), where covariances are diagonal.
    power : int
        1 or 2.
    """
    (means, roots, factors), (other_means, other_roots, other_factors) = first, second
    cost = np.zeros((len(means), len(other_means)))
    if len(factors) > 0:
        bures_matrix(factors, other_factors, cost)
    for a in range(cost.shape[0]):
        for b in range(cost.shape[1]):
            apart = 0.0
            for axis in range(means.shape[1]):
                apart += (means[a, axis] - other_means[b, axis]) ** 2
                if len(factors) == 0:
                    cost[a, b] += (roots[a, axis] - other_roots[b, axis]) ** 2
            cost[a, b] = (apart if power == 2 else math.sqrt(apart)) + max(cost[a, b], 0.0)
    return cost

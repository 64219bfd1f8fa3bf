"""Transport between mixtures of Gaussians, compiled. Import on first use only."""

from __future__ import annotations

import math

import numpy as np

from lowdim._compile import compiled_exact, inlined
from lowdim.transport._bures import bures, matrix_of_two
from lowdim.transport._exact import near_tree, optimize

#: Covariances of so few dimensions are as quickly compared as bounded.
CHEAP = 2


@compiled_exact
def pair_costs(pairs, sizes, weights, means, roots, factors, mean_power, out):
    """Write the transport cost of every pair of mixtures, (n,).

    The cost of a pair of components is ``|m_a - m_b|^mean_power + B^2(A, B)``.

    Parameters
    ----------
    pairs : (n, 2)
    sizes : (S,)
        Components of every mixture.
    weights : (S, K)
    means : (S, K, d)
    roots : (S, K, d)
        Square roots of the eigenvalues, ascending, or of the diagonal.
    factors : (S, K, d, d) or (S, 0, d, d)
        Lower triangular factors of the covariances; none where these are diagonal.
    mean_power : int
        1 or 2.
    out : (n,)
    """
    for p in range(len(pairs)):
        i, j = pairs[p]
        n, m = sizes[i], sizes[j]
        cost, between = bounds(
            means[i, :n], means[j, :m], roots[i, :n], roots[j, :m], factors[i, :n], factors[j, :m],
            mean_power,
        )  # fmt: skip
        tree = near_tree(cost, weights[i, :n], weights[j, :m])
        out[p] = settle(cost, between, factors[i, :n], factors[j, :m], tree)


@inlined
def bounds(m_a, m_b, roots_a, roots_b, factors_a, factors_b, mean_power):
    """What components cost at least, and what their means cost, both (n, m).

    The cost of two covariances is at least what it would be if they had the same eigenvectors,
    which is cheap. If they are diagonal, or few numbers, it is right.
    """
    n, m, d, axes = len(m_a), len(m_b), m_a.shape[1], roots_a.shape[1]
    cost, between = np.zeros((n, m)), np.empty((n, m))
    exact = len(factors_a) > 0 and d == CHEAP
    if exact:
        matrix_of_two(factors_a, factors_b, cost)
    for a in range(n):
        for b in range(m):
            apart, bound = 0.0, 0.0
            for axis in range(d):
                apart += (m_a[a, axis] - m_b[b, axis]) ** 2
            if not exact:
                for axis in range(axes):
                    bound += (roots_a[a, axis] - roots_b[b, axis]) ** 2
            between[a, b] = apart if mean_power == 2 else math.sqrt(apart)
            cost[a, b] += between[a, b] + bound
    return cost, between


@inlined
def settle(cost, between, factors_a, factors_b, tree):
    """Bring the tree of a pair to its best plan, and return the cost.

    A plan that is optimal for bounds, with the right cost where it moves mass, is optimal: so the
    distance of a pair of covariances is found only once a plan wants it. Costs are mended in place.
    """
    n, m = cost.shape
    plan = np.empty((n, m))
    d = factors_a.shape[2]
    if len(factors_a) == 0 or d == CHEAP:
        return optimize(cost, tree, plan)
    known = np.zeros((n, m), np.bool_)
    product, square, values = np.empty((d, d)), np.empty((d, d)), np.empty(d)
    for v in range(n + m):  # a good tree's arcs are likely to be wanted
        other = tree.parent[v]
        if other < n + m:
            a, b = (v, other - n) if v < n else (other, v - n)
            own = bures(factors_a[a], factors_b[b], product, square, values)
            cost[a, b], known[a, b] = max(between[a, b] + own, cost[a, b]), True
    while True:
        total = optimize(cost, tree, plan)
        risen = False
        for a in range(n):
            for b in range(m):
                if plan[a, b] > 0.0 and not known[a, b]:
                    own = bures(factors_a[a], factors_b[b], product, square, values)
                    right = max(between[a, b] + own, cost[a, b])
                    risen = risen or right > cost[a, b]
                    cost[a, b], known[a, b] = right, True
        if not risen:
            return total

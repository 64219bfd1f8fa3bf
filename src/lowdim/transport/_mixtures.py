"""Transport between mixtures of Gaussians, compiled. Import on first use only."""

from __future__ import annotations

import math

import numpy as np

from lowdim._compile import compiled_exact
from lowdim.transport._bures import bures
from lowdim.transport._exact import first_tree, optimize


@compiled_exact
def pair_costs(pairs, sizes, weights, means, roots, factors, mean_power, out):
    """Write the transport cost of every pair of mixtures, (n,).

    The cost of a pair of components is ``|m_a - m_b|^mean_power + B^2(A, B)``. It is at least what
    it would be if A and B had the same eigenvectors, which is cheap. A plan that is optimal for
    these bounds, with the right cost where it moves mass, is optimal: so the distance of a pair of
    covariances is found only once a plan wants it.

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
    d = means.shape[2]
    product, square, values = np.empty((d, d)), np.empty((d, d)), np.empty(d)
    for p in range(len(pairs)):
        i, j = pairs[p]
        n, m = sizes[i], sizes[j]
        cost, between = np.empty((n, m)), np.empty((n, m))
        plan, known = np.empty((n, m)), np.full((n, m), factors.shape[1] == 0)
        for a in range(n):
            for b in range(m):
                apart, bound = 0.0, 0.0
                for axis in range(d):
                    apart += (means[i, a, axis] - means[j, b, axis]) ** 2
                    bound += (roots[i, a, axis] - roots[j, b, axis]) ** 2
                between[a, b] = apart if mean_power == 2 else math.sqrt(apart)
                cost[a, b] = between[a, b] + bound
        tree = first_tree(weights[i, :n], weights[j, :m])
        while True:
            out[p] = optimize(cost, tree, plan)
            risen = False
            for a in range(n):
                for b in range(m):
                    if plan[a, b] > 0.0 and not known[a, b]:
                        own = bures(factors[i, a], factors[j, b], product, square, values)
                        right = max(between[a, b] + own, cost[a, b])
                        risen = risen or right > cost[a, b]
                        cost[a, b], known[a, b] = right, True
            if not risen:
                break

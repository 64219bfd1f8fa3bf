"""Entropic transport between samples under a map, and its gradient, compiled.

Import on first use only: numba is slow to load.
"""

from __future__ import annotations

import numpy as np

from lowdim._compile import compiled, compiled_exact
from lowdim.samples._map_costs import add_flow, all_costs
from lowdim.transport._dual import column_graph, solve_graph
from lowdim.transport._entropic import OFF, ROUNDS, entropic_cost, sinkhorn


@compiled
def entropic_costs(pairs, strength, geometry, out, found):
    """Write the cost of every pair's entropic plan, and whether it was found, (n,).

    Parameters
    ----------
    pairs : (n, 2)
    strength : float
        Of the penalty, relative to the mean cost of a pair.
    geometry : Geometry
    out, found : (n,)
    """
    offsets, weights = geometry.offsets, geometry.weights
    for p in range(len(pairs)):
        a, b = offsets[pairs[p, 0]], offsets[pairs[p, 0] + 1]
        c, d = offsets[pairs[p, 1]], offsets[pairs[p, 1] + 1]
        cost = all_costs(a, b, c, d, geometry)
        out[p], found[p], _ = entropic_cost(cost, weights[a:b], weights[c:d], -strength)


@compiled
def entropic_gradients(pairs, slopes, strength, geometry, moved, sums):
    """Add the gradient of ``sum slope * cost``; see `lowdim.samples._map_costs.pair_gradients`."""
    offsets, weights = geometry.offsets, geometry.weights
    for p in range(len(pairs)):
        if slopes[p] == 0.0:
            continue
        a, b = offsets[pairs[p, 0]], offsets[pairs[p, 0] + 1]
        c, d = offsets[pairs[p, 1]], offsets[pairs[p, 1] + 1]
        cost = all_costs(a, b, c, d, geometry)
        by_costs = entropic_slopes(cost, weights[a:b], weights[c:d], strength)
        for k in range(b - a):
            for j in range(d - c):
                add_flow(a + k, c + j, slopes[p] * by_costs[k, j], geometry, moved, sums)


@compiled_exact
def entropic_slopes(cost, supply, demand, strength):
    """Slopes of ``<P, C>`` by C, (n, m), where P has the penalty ``strength * mean cost``.

    The plan changes as well: with the penalty e, ``P = exp((f_i + g_j - C_ij) / e)`` and its sums
    are held, so ``dP = -P (dc - a_i - b_j)`` for ``c = C / e`` and the a and b that leave sums as
    they are. The adjoint needs one set of linear equations: u and v that make
    ``P (C - u_i - v_j)`` sum to zero in all rows and columns.
    """
    n, m = cost.shape
    slopes = np.empty((n, m))  # the plan at first
    penalty = strength * cost.mean()
    sinkhorn(cost, supply, demand, penalty, slopes, ROUNDS, OFF)
    u, v = _explained(cost, slopes)
    spread = 0.0
    for i in range(n):
        for j in range(m):
            rest = slopes[i, j] * (cost[i, j] - u[i] - v[j])
            slopes[i, j] -= rest / penalty
            spread += rest * cost[i, j]
    slopes += spread * strength / (penalty * penalty * n * m)  # as the mean of the costs grows
    return slopes


@compiled_exact
def _explained(cost, plan):
    """The u, (n,), and v, (m,), for which ``u_i + v_j`` is nearest to the cost, by mass."""
    n, m = cost.shape
    masses, u, v, graph = np.zeros(n), np.zeros(n), np.zeros(m), np.empty((m, m))
    for i in range(n):
        for j in range(m):
            masses[i] += plan[i, j]
            u[i] += plan[i, j] * cost[i, j]
        for j in range(m):
            v[j] += plan[i, j] * (cost[i, j] - u[i] / masses[i])
    column_graph(plan, masses, graph)
    solve_graph(graph, v)
    for i in range(n):
        for j in range(m):
            u[i] -= plan[i, j] * v[j]
        u[i] /= masses[i]
    return u, v

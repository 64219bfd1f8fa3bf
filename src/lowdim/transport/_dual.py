"""Newton's steps on the dual of entropic transport, compiled. Import on first use only.

Where groups of points hardly exchange mass, Sinkhorn's steps hardly move. Newton's do: the second
derivatives are the Laplacian of a graph over the columns, whose weights, however small, are sums of
positive numbers, and so is everything that elimination makes of them (Grassmann, Taksar and Heyman
1985, Regenerative analysis and steady state distributions for Markov chains).
"""

from __future__ import annotations

import math

import numpy as np

from lowdim._compile import compiled_exact, compiled_fast, inlined

#: Steps at most, and how far potentials go in one, in units of the penalty.
STEPS, REACH = 60, 8.0
#: Halves of a step that are tried.
HALVES = 30
#: The dual objective, relative to its terms, is known so well.
ROUNDING = 1e-14


@inlined
def newton(cost, supply, demand, penalty, rows, columns, plan, steps, off):
    """Bring potentials and plan to the right masses; whether no more than `off` is wrong.

    Rows are right whatever the columns; see `lowdim.transport._entropic.sinkhorn`.
    """
    m = len(demand)
    sums, ahead, best = np.empty(m), np.empty(m), np.empty(m)
    graph, step = np.empty((m, m)), np.empty(m)
    value, wrong = _evaluate(cost, supply, demand, penalty, rows, columns, plan, sums)
    for _ in range(min(steps, STEPS)):
        if wrong <= off:
            return True
        column_graph(plan, supply, graph)
        for j in range(m):
            step[j] = penalty * (demand[j] - sums[j])
        solve_graph(graph, step)
        longest = 1e-300
        for j in range(m):
            best[j], longest = columns[j], max(longest, abs(step[j]))
        scale = min(1.0, REACH * penalty / longest)
        taken = False
        for _ in range(HALVES):
            for j in range(m):
                ahead[j] = best[j] + scale * step[j]
            value_ahead, wrong_ahead = _evaluate(
                cost, supply, demand, penalty, rows, ahead, plan, sums
            )
            if value_ahead >= value - ROUNDING * abs(value) or wrong_ahead < wrong:
                for j in range(m):
                    columns[j] = ahead[j]
                value, wrong, taken = value_ahead, wrong_ahead, True
                break
            scale *= 0.5
        if not taken:
            break
    value, wrong = _evaluate(cost, supply, demand, penalty, rows, columns, plan, sums)
    return wrong <= off


@compiled_exact
def _evaluate(cost, supply, demand, penalty, rows, columns, plan, sums):
    """Write row potentials, plan and column sums; the dual objective, and mass that is wrong."""
    n, m = cost.shape
    value, wrong = 0.0, 0.0
    sums[:] = 0.0
    for i in range(n):
        top = -np.inf
        for j in range(m):
            plan[i, j] = (columns[j] - cost[i, j]) / penalty
            top = max(top, plan[i, j])
        total = 0.0
        for j in range(m):
            plan[i, j] = math.exp(plan[i, j] - top)
            total += plan[i, j]
        rows[i] = penalty * (math.log(supply[i] / total) - top)
        value += supply[i] * rows[i]
        for j in range(m):
            plan[i, j] *= supply[i] / total
            sums[j] += plan[i, j]
    for j in range(m):
        value += demand[j] * columns[j]
        wrong += abs(sums[j] - demand[j])
    return value, wrong


@compiled_fast
def column_graph(plan, supply, graph):
    """Write weights between columns, ``sum_i P_ij P_ik / supply_i``, below the diagonal."""
    graph[:] = 0.0
    for i in range(len(supply)):
        row = plan[i]
        for j in range(len(row)):
            weight, own = row[j] / supply[i], graph[j]
            for k in range(j):
                own[k] += weight * row[k]


@compiled_fast
def solve_graph(graph, values):
    """Solve for potentials on a graph, of which the first is 0; both are overwritten."""
    m = len(values)
    for j in range(m - 1, 0, -1):
        own, degree = graph[j], 0.0
        for k in range(j):
            degree += own[k]
        graph[j, j] = max(degree, 1e-300)
        for k in range(j):
            share = own[k] / graph[j, j]
            values[k] += share * values[j]
            other = graph[k]
            for l in range(k):  # noqa: E741
                other[l] += share * own[l]
    values[0] = 0.0
    for j in range(1, m):
        total = values[j]
        for k in range(j):
            total += graph[j, k] * values[k]
        values[j] = total / graph[j, j]

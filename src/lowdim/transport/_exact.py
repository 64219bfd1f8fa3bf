"""Optimal transport between discrete measures, compiled: the primal network simplex.

The tree is kept strongly feasible, so that no step can cycle (Ahuja, Magnanti and Orlin 1993,
Network Flows, chapter 11). When costs change, the last tree is still feasible, and a plan is mended
in few steps. Import on first use only: numba is slow to load.
"""

from __future__ import annotations

import numpy as np

from lowdim._compile import compiled_exact, compiled_finite, inlined
from lowdim.transport._tree import Tree, first_tree, near_tree, rehang

__all__ = ["Tree", "first_tree", "least_cost", "near_tree", "optimize"]

#: Reduced costs above it, relative to the largest cost, count as not negative.
TOLERANCE = 1e-14
#: Rows that are looked through for the arc of the next step.
ROWS = 2
#: Steps for every arc at most: what goes on for longer goes on about rounding.
STEPS = 20


@inlined
def least_cost(cost, supply, demand):
    """What the best plan costs."""
    return optimize(cost, near_tree(cost, supply, demand), np.empty(cost.shape))


@compiled_exact
def optimize(cost, tree, plan):
    """Pivot until no cost can be saved, write the plan, (n, m), and return its cost."""
    n, m = cost.shape
    largest = _price(cost, tree)
    limit = -TOLERANCE * max(largest, 1e-300)
    rows, columns = tree.potential[:n], tree.potential[n : n + m]
    i, waiting, steps = 0, n, STEPS * n * m + n + m
    while waiting > 0 and steps > 0:
        least, best = limit, -1
        for _ in range(min(ROWS, waiting)):
            reduced = _least(cost[i], columns) + rows[i]
            if reduced < least:
                least, best = reduced, i
            i = i + 1 if i + 1 < n else 0
        waiting -= ROWS
        if best >= 0:
            _pivot(tree, n, best, n + _where_least(cost[best], columns), least)
            waiting = n
            steps -= 1
    return _write(cost, tree, plan)


@inlined
def _price(cost, tree):
    """Potentials with which every arc of the tree costs nothing; the largest cost."""
    n, m = cost.shape
    root, largest = n + m, 0.0
    for i in range(n):
        for j in range(m):
            largest = max(largest, abs(cost[i, j]))
    tree.potential[root] = 0.0
    v = tree.after[root]
    while v != root:
        other = tree.parent[v]
        if other == root:
            tree.potential[v] = 0.0
        elif v < n:
            tree.potential[v] = tree.potential[other] - cost[v, other - n]
        else:
            tree.potential[v] = tree.potential[other] + cost[other, v - n]
        v = tree.after[v]
    return largest


@compiled_finite
def _least(row, potential):
    """The least of costs less potentials, in vectors of the processor."""
    least = row[0] - potential[0]
    for j in range(1, len(row)):
        least = min(least, row[j] - potential[j])
    return least


@inlined
def _where_least(row, potential):
    best, least = 0, row[0] - potential[0]
    for j in range(1, len(row)):
        value = row[j] - potential[j]
        if value < least:
            best, least = j, value
    return best


@inlined
def _pivot(tree, n, row, column, reduced):
    """Bring the arc from a row to a column into the tree in place of the one that blocks first."""
    parent, flow, size = tree.parent, tree.flow, tree.size
    # Mass goes around the cycle: against the arcs of rows above the row, and of columns above the
    # column. Of several arcs that block the last along the cycle leaves, which keeps the tree
    # strong.
    a, b = row, column
    most_row, out_row, most_column, out_column = np.inf, -1, np.inf, -1
    while a != b:
        if size[a] < size[b]:
            if a < n and flow[a] < most_row:
                most_row, out_row = flow[a], a
            a = parent[a]
        else:
            if b >= n and flow[b] <= most_column:
                most_column, out_column = flow[b], b
            b = parent[b]
    from_row = most_row < most_column
    amount, out = (most_row, out_row) if from_row else (most_column, out_column)
    if amount > 0.0:
        _push(tree, n, row, a, amount)
        _push(tree, n, column, a, -amount)
    inner, outer = (row, column) if from_row else (column, row)
    rehang(tree, inner, outer, out, amount)
    # Potentials of the part that moved make the new arc cost nothing.
    change = -reduced if from_row else reduced
    v = inner
    for _ in range(size[inner]):
        tree.potential[v] += change
        v = tree.after[v]


@inlined
def _push(tree, n, v, join, amount):
    """Send mass down to a node from an ancestor: less flows up from rows, more to columns."""
    while v != join:
        tree.flow[v] += -amount if v < n else amount
        v = tree.parent[v]


@inlined
def _write(cost, tree, plan):
    """Write the plan of a tree, (n, m), and return its cost."""
    n, m = cost.shape
    plan[:] = 0.0
    total = 0.0
    for v in range(n + m):
        other = tree.parent[v]
        if other < n + m:
            i, j = (v, other - n) if v < n else (other, v - n)
            plan[i, j] = tree.flow[v]
            total += tree.flow[v] * cost[i, j]
    return total

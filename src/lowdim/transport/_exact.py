"""Optimal transport between small discrete measures, compiled: the primal network simplex.

The basis is a spanning tree over rows, columns and a root, kept strongly feasible, so that no step
can cycle (Ahuja, Magnanti and Orlin 1993, Network Flows, chapter 11). When costs change, the last
tree is still feasible, and a plan is mended in few steps. Import on first use only: numba is slow
to load.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lowdim._compile import compiled, compiled_exact

#: Reduced costs above it, relative to the largest cost, count as not negative.
TOLERANCE = 1e-14


class Tree(NamedTuple):
    """A basis: rows are nodes 0 to n - 1, columns n to n + m - 1, the last node is the root.

    Attributes
    ----------
    parent, depth : (n + m + 1,)
    upward : (n + m + 1,)
        Whether the arc between a node and its parent leads to the parent: from rows always.
    flow : (n + m + 1,)
        On that arc.
    potential : (n + m + 1,)
    child, older, younger : (n + m + 1,)
        First child, and siblings; -1 is none.
    """

    parent: np.ndarray
    depth: np.ndarray
    upward: np.ndarray
    flow: np.ndarray
    potential: np.ndarray
    child: np.ndarray
    older: np.ndarray
    younger: np.ndarray


@compiled
def first_tree(supply, demand):
    """Everything flows through the root. Supplies and demands are positive, with equal sums."""
    n, m = len(supply), len(demand)
    size = n + m + 1
    root = size - 1
    tree = Tree(
        np.full(size, root, np.int64),
        np.ones(size, np.int64),
        np.zeros(size, np.bool_),
        np.zeros(size),
        np.zeros(size),
        np.full(size, -1, np.int64),
        np.full(size, -1, np.int64),
        np.full(size, -1, np.int64),
    )
    tree.parent[root], tree.depth[root] = -1, 0
    tree.upward[:n] = True
    tree.flow[:n], tree.flow[n:root] = supply, demand
    for v in range(root):
        _adopt(tree, root, v)
    return tree


@compiled_exact
def optimize(cost, tree, plan):
    """Pivot until no cost can be saved, write the plan, (n, m), and return its cost."""
    n, m = cost.shape
    _price(cost, tree)
    limit = -TOLERANCE * max(np.abs(cost).max(), 1e-300)
    block = max(int(np.sqrt(n * m)), 10)
    position, waiting = 0, n * m
    least, best = limit, -1
    while waiting > 0:
        for _ in range(min(block, waiting)):
            i, j = position // m, position % m
            reduced = cost[i, j] + tree.potential[i] - tree.potential[n + j]
            if reduced < least:
                least, best = reduced, position
            position = position + 1 if position + 1 < n * m else 0
            waiting -= 1
        if best >= 0:
            _pivot(tree, best // m, n + best % m, least)
            waiting = n * m
            least, best = limit, -1
    plan[:] = 0.0
    total = 0.0
    for v in range(n + m):
        other = tree.parent[v]
        if other < n + m:
            i, j = (v, other - n) if v < n else (other, v - n)
            plan[i, j] = tree.flow[v]
            total += tree.flow[v] * cost[i, j]
    return total


@compiled_exact
def _price(cost, tree):
    """Potentials with which every arc of the tree costs nothing."""
    n, m = cost.shape
    root = n + m
    # A way through the root costs more than any other.
    detour = (n + m) * (np.abs(cost).max() + 1.0)
    tree.potential[root] = 0.0
    v = _next(tree, root, root)
    while v >= 0:
        other = tree.parent[v]
        if v < n:
            own = 0.0 if other == root else cost[v, other - n]
            tree.potential[v] = tree.potential[other] - own
        else:
            own = detour if other == root else cost[other, v - n]
            tree.potential[v] = tree.potential[other] + own
        tree.depth[v] = tree.depth[other] + 1
        v = _next(tree, v, root)


@compiled
def _next(tree, v, top):
    """The node after v in a walk through the subtree of top, parents first; -1 at its end."""
    if tree.child[v] >= 0:
        return tree.child[v]
    while v != top:
        if tree.younger[v] >= 0:
            return tree.younger[v]
        v = tree.parent[v]
    return -1


@compiled
def _adopt(tree, parent, v):
    """Make v the first child of a node."""
    eldest = tree.child[parent]
    tree.parent[v], tree.older[v], tree.younger[v] = parent, -1, eldest
    if eldest >= 0:
        tree.older[eldest] = v
    tree.child[parent] = v


@compiled
def _leave(tree, v):
    """Take v from its parent's children."""
    before, after = tree.older[v], tree.younger[v]
    if before >= 0:
        tree.younger[before] = after
    else:
        tree.child[tree.parent[v]] = after
    if after >= 0:
        tree.older[after] = before


@compiled_exact
def _pivot(tree, row, column, reduced):
    """Bring the arc from a row to a column into the tree in place of the one that blocks first."""
    join, a, b = -1, row, column
    while a != b:
        if tree.depth[a] >= tree.depth[b]:
            a = tree.parent[a]
        else:
            b = tree.parent[b]
    join = a
    amount, out, from_row = np.inf, -1, True
    v = row
    while v != join:  # against the flow where arcs lead upward
        if tree.upward[v] and tree.flow[v] < amount:
            amount, out, from_row = tree.flow[v], v, True
        v = tree.parent[v]
    v = column
    while v != join:  # of several arcs the last along the cycle, which keeps the tree strong
        if not tree.upward[v] and tree.flow[v] <= amount:
            amount, out, from_row = tree.flow[v], v, False
        v = tree.parent[v]
    v = row
    while v != join:
        tree.flow[v] += -amount if tree.upward[v] else amount
        v = tree.parent[v]
    v = column
    while v != join:
        tree.flow[v] += amount if tree.upward[v] else -amount
        v = tree.parent[v]
    inner, outer = (row, column) if from_row else (column, row)
    _rehang(tree, inner, outer, out, amount, inner == row)
    # Potentials of the part that moved make the new arc cost nothing.
    change = -reduced if from_row else reduced
    v = inner
    while v >= 0:
        tree.potential[v] += change
        tree.depth[v] = tree.depth[tree.parent[v]] + 1
        v = _next(tree, v, inner)


@compiled
def _rehang(tree, inner, outer, out, amount, upward):
    """Turn the path from `inner` to `out` around and hang it below `outer`."""
    v, parent, flow = inner, outer, amount
    while True:
        above, own_flow, own_upward = tree.parent[v], tree.flow[v], tree.upward[v]
        _leave(tree, v)
        _adopt(tree, parent, v)
        tree.flow[v], tree.upward[v] = flow, upward
        if v == out:
            break
        v, parent, flow, upward = above, v, own_flow, not own_upward

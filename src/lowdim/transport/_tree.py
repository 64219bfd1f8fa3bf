"""Spanning trees that carry a transport plan, compiled. Import on first use only.

Nodes are rows 0 to n - 1, columns n to n + m - 1, and the root. Mass flows from rows to columns, so
an arc leads from a row to its parent, and to a column from its parent. The root hangs on by an arc
from a row that carries nothing. Nodes are threaded in preorder: a subtree is `size` nodes in a row
(Ahuja, Magnanti and Orlin 1993, Network Flows, chapter 11).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lowdim._compile import compiled, inlined

#: Flow to a column that is owed nothing but rounding; zero would let the simplex turn in circles.
TINY = 1e-300


class Tree(NamedTuple):
    """A basis, each part (n + m + 1,).

    Attributes
    ----------
    parent
        Of the root -1.
    flow
        On the arc between a node and its parent.
    potential
        With which every arc of the tree costs nothing.
    after, before
        Along the thread, which is a ring.
    last
        The last node of the subtree.
    size
        Nodes of the subtree.
    """

    parent: np.ndarray
    flow: np.ndarray
    potential: np.ndarray
    after: np.ndarray
    before: np.ndarray
    last: np.ndarray
    size: np.ndarray


def room_for_trees(count, size, n_plans=0):
    """Trees of at most so many nodes, to be filled by `keep`: a Tree of parts (count, size).

    After the trees there may be room for further plans, which are parents and flows alone: these
    two parts are then (max(count, n_plans), size).
    """
    n_plans = max(count, n_plans)
    return Tree(
        np.full((n_plans, size), -1, np.int32),
        np.zeros((n_plans, size)),
        np.zeros((count, size)),
        np.zeros((count, size), np.int32),
        np.zeros((count, size), np.int32),
        np.zeros((count, size), np.int32),
        np.zeros((count, size), np.int32),
    )


@inlined
def kept(trees, number, size):
    """One of these trees, of so many nodes, to be worked on in place."""
    return Tree(
        trees.parent[number, :size],
        trees.flow[number, :size],
        trees.potential[number, :size],
        trees.after[number, :size],
        trees.before[number, :size],
        trees.last[number, :size],
        trees.size[number, :size],
    )


@inlined
def keep_plan(tree, trees, number):
    """Put the plan of a tree in its place among these: parents and flows."""
    for v in range(len(tree.parent)):
        trees.parent[number, v], trees.flow[number, v] = tree.parent[v], tree.flow[v]


@inlined
def keep(tree, trees, number):
    """Put a tree in its place among these."""
    keep_plan(tree, trees, number)
    own = kept(trees, number, len(tree.parent))
    for v in range(len(tree.parent)):  # by array, numba would compile what words the error too
        own.potential[v], own.last[v] = tree.potential[v], tree.last[v]
        own.after[v], own.before[v] = tree.after[v], tree.before[v]
        own.size[v] = tree.size[v]


@compiled
def first_tree(supply, demand):
    """The tree of the northwest corner. Supplies and demands are positive, with equal sums."""
    tree, order = _bare_tree(len(supply) + len(demand) + 1)
    left, wanted = supply.copy(), demand.copy()
    i, j, hung = 0, 0, 0
    while hung < len(order) - 1:
        last_row, last_column = i == len(supply) - 1, j == len(demand) - 1
        if _ship(tree, left, wanted, i, j, last_row, last_column):
            order[hung] = i
            i += 1
        else:
            order[hung] = len(supply) + j
            j += 1
        hung += 1
    order[hung] = i
    _thread(tree, order)
    return tree


@compiled
def near_tree(cost, supply, demand):
    """A tree whose plan is not much dearer than the best one.

    Vogel's method on what costs exceed the least of their column by: the row goes next that would
    lose most if it got its second choice.
    """
    n, m = cost.shape
    tree, order = _bare_tree(n + m + 1)
    left, wanted = supply.copy(), demand.copy()
    least, is_open = np.empty(m), np.empty(m, np.bool_)
    for j in range(m):
        least[j], is_open[j] = cost[0, j], True
    for i in range(1, n):
        for j in range(m):
            least[j] = min(least[j], cost[i, j])
    choice, regret = np.empty(n, np.int32), np.empty(n)
    for i in range(n):
        choice[i], regret[i] = _choices(cost[i], least, is_open)
    rows, columns, hung = n, m, 0
    while columns > 0:
        i = int(np.argmax(regret))
        j = choice[i]
        if not is_open[j]:
            choice[i], regret[i] = _choices(cost[i], least, is_open)
            continue
        if _ship(tree, left, wanted, i, j, rows == 1, columns == 1):
            order[hung], regret[i] = i, -1.0
            rows -= 1
        else:
            order[hung], is_open[j] = n + j, False
            columns -= 1
        hung += 1
    order[hung] = np.argmax(regret)  # the only row that has not been hung below another node
    _thread(tree, order)
    return tree


@compiled
def _choices(row, least, is_open):
    """The cheapest open column, and by how much the next one is dearer."""
    first, second, best = np.inf, np.inf, 0
    for j in range(len(row)):
        if is_open[j]:
            excess = row[j] - least[j]
            if excess < first:
                first, second, best = excess, first, j
            elif excess < second:
                second = excess
    return best, second - first if second < np.inf else np.inf


@inlined
def _bare_tree(size):
    """A tree of loose nodes below the root, and room for the order in which they are hung."""
    tree = Tree(
        np.empty(size, np.int32),
        np.empty(size),
        np.empty(size),
        np.empty(size, np.int32),
        np.empty(size, np.int32),
        np.empty(size, np.int32),
        np.empty(size, np.int32),
    )
    for v in range(size):
        tree.parent[v], tree.flow[v], tree.potential[v] = size - 1, 0.0, 0.0
        tree.after[v], tree.before[v], tree.last[v], tree.size[v] = 0, 0, 0, 1
    tree.parent[size - 1] = -1
    return tree, np.empty(size - 1, np.int64)


@inlined
def _ship(tree, left, wanted, i, j, last_row, last_column):
    """Send what a row has or a column wants, and hang the one that is done below the other.

    Whether it is the row. An empty row may still wait to be hung: its arc carries nothing, but
    leads to the root, as a strongly feasible tree asks.
    """
    n = len(left)
    if not last_row and (last_column or left[i] < wanted[j]):
        tree.parent[i], tree.flow[i] = n + j, left[i]
        wanted[j] -= left[i]
        return True
    tree.parent[n + j], tree.flow[n + j] = i, max(wanted[j], TINY)
    left[i] = max(left[i] - wanted[j], 0.0)
    return False


@inlined
def _thread(tree, order):
    """Sizes and thread from parents; in the order every node comes before its parent."""
    root = len(order)
    for v in order:
        tree.size[tree.parent[v]] += tree.size[v]
    tree.after[root] = tree.before[root] = root
    for v in order[::-1]:
        _link(tree, v, tree.after[tree.parent[v]])
        _link(tree, tree.parent[v], v)
    walk, place = np.empty(root + 1, np.int64), np.empty(root + 1, np.int64)
    v = root
    for k in range(root + 1):
        walk[k], place[v] = v, k
        v = tree.after[v]
    for v in range(root + 1):
        tree.last[v] = walk[place[v] + tree.size[v] - 1]


@inlined
def _link(tree, v, following):
    tree.after[v], tree.before[following] = following, v


@inlined
def rehang(tree, inner, outer, out, flow):
    """Take a subtree off above `out`, turn it to stand on its node `inner`, hang it below `outer`.

    Parameters
    ----------
    flow : float
        On the arc between inner and outer.
    """
    whole = tree.size[out]
    _cut(tree, out, whole)
    # Along the path from inner to out, each node with what is below it but not below the one before
    # follows on that one.
    v, parent, own_flow = inner, outer, flow
    taken, tail = 0, -1
    end, before, beyond = -1, -1, -1
    while True:
        old_parent, old_flow, old_size = tree.parent[v], tree.flow[v], tree.size[v]
        old_end, old_before = tree.last[v], tree.before[v]
        if taken == 0:
            tail, beyond = old_end, tree.after[old_end]
        else:
            _link(tree, tail, v)
            if old_end == end:
                tail = before
            else:
                _link(tree, before, beyond)
                tail, beyond = old_end, tree.after[old_end]
        tree.parent[v], tree.flow[v], tree.size[v] = parent, own_flow, whole - taken
        if v == out:
            break
        parent, own_flow, taken, end, before = v, old_flow, old_size, old_end, old_before
        v = old_parent
    while v != outer:
        tree.last[v] = tail
        v = tree.parent[v]
    _insert(tree, inner, outer, tail, whole)


@inlined
def _cut(tree, out, whole):
    """Close the thread and the books of the ancestors over a subtree that leaves."""
    end, before = tree.last[out], tree.before[out]
    _link(tree, before, tree.after[end])
    v = tree.parent[out]
    while v >= 0:
        tree.size[v] -= whole
        if tree.last[v] == end:
            tree.last[v] = before
        v = tree.parent[v]


@inlined
def _insert(tree, inner, outer, tail, whole):
    """Open them for a subtree that becomes the first child of a node."""
    _link(tree, tail, tree.after[outer])
    _link(tree, outer, inner)
    leaf = tree.last[outer] == outer
    v = outer
    while v >= 0:
        tree.size[v] += whole
        if leaf and tree.last[v] == outer:
            tree.last[v] = tail
        v = tree.parent[v]

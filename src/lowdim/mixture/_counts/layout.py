"""Compiled preparation of counts: entries by descending count, and nodes of sums below a count.

Import on first use only: numba is slow to load.
"""

from __future__ import annotations

import numpy as np

from lowdim._compile import compiled

#: Counts up to which entries are sorted by counting.
COUNTING = 4096
#: Sums over m go over every m below this; above it, longer pieces are summed at `PIECE` nodes.
EVERY = 32
#: Nodes of a piece, and its greatest length.
PIECE, LONGEST_PIECE = 16, 4096


@compiled
def sort_columns(pointer, rows, counts):
    """Bring the entries of every column into descending order of their counts, stably."""
    width = 0
    for g in range(len(pointer) - 1):
        width = max(width, pointer[g + 1] - pointer[g])
    own_rows, own_counts = np.empty(width, rows.dtype), np.empty(width, counts.dtype)
    place = np.zeros(COUNTING + 2, np.int64)
    for g in range(len(pointer) - 1):
        start, stop = pointer[g], pointer[g + 1]
        n, top = stop - start, 0.0
        for e in range(start, stop):
            top = max(top, counts[e])
        own_rows[:n], own_counts[:n] = rows[start:stop], counts[start:stop]
        if top > COUNTING:
            order = np.argsort(-own_counts[:n], kind="mergesort")
            for e in range(n):
                rows[start + e], counts[start + e] = own_rows[order[e]], own_counts[order[e]]
            continue
        highest = int(top)
        place[: highest + 2] = 0
        for e in range(n):
            place[highest - int(own_counts[e]) + 1] += 1
        for c in range(highest + 1):
            place[c + 1] += place[c]
        for e in range(n):
            c = highest - int(own_counts[e])
            rows[start + place[c]], counts[start + place[c]] = own_rows[e], own_counts[e]
            place[c] += 1


@compiled
def tail_nodes(pointer, counts, shapes, weights, write, m, weight, rank, ends):
    """Nodes m of ``sum_i sum_{m < x_i} f(m)`` for smooth f, gene by gene.

    Parameters
    ----------
    pointer, counts
        Entries of each gene, by descending count.
    shapes : (PIECE,)
        Nodes of a piece of length 2, from -1 to 1.
    weights : (p, PIECE)
        Weights of the nodes of pieces of length EVERY, 2 EVERY, ...
    write : bool
        Otherwise nodes are only counted.
    m, weight, rank : (q,)
        The nodes, their weights, and how many entries have more counts than the node.
    ends : (D + 1,)
        Where the nodes of each gene end.
    """
    q = 0
    ends[0] = 0
    for g in range(len(pointer) - 1):
        a = 1.0  # m = 0 adds nothing to the sums that are asked for
        for e in range(pointer[g + 1] - 1, pointer[g] - 1, -1):
            b, above = counts[e], e - pointer[g] + 1
            while a < b:
                if a < EVERY or b - a < EVERY:
                    if write:
                        m[q], weight[q], rank[q] = a, 1.0, above
                    q, a = q + 1, a + 1.0
                    continue
                length, level = 1.0 * EVERY, 0
                while 2 * length <= min(a, b - a) and 2 * length <= LONGEST_PIECE:
                    length, level = 2 * length, level + 1
                if write:
                    for j in range(PIECE):
                        m[q + j] = a + 0.5 * (length - 1.0) * (1.0 + shapes[j])
                        weight[q + j], rank[q + j] = weights[level, j], above
                q, a = q + PIECE, a + length
        ends[g + 1] = q
    return q


@compiled
def list_active(shares, weights, least, pointer, component, kept):
    """The components of each row whose share is not below `least`; returns how many there are."""
    at = 0
    pointer[0] = 0
    for i in range(len(shares)):
        for k in range(shares.shape[1]):
            if shares[i, k] >= least and weights[i] > 0.0:
                component[at], kept[at] = k, shares[i, k] * weights[i]
                at += 1
        pointer[i + 1] = at
    return at

"""A k-d tree of points in space, and what its nodes say of their points, compiled.

Every node has half of the points of the node above it, along the axis where that is widest. So the
tree needs no links: node q of level l has the points from ``N q / 2^l`` to ``N (q + 1) / 2^l`` and
is number ``2^l + q``. Points that lie on each other need no rule of their own. Import on first use
only: numba is slow to load.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lowdim._compile import compiled_exact
from lowdim.embedding._crew import PARTS, Crew

#: Most points of a leaf.
LEAF = 64
#: The level whose nodes are as many as the parts that work is split into.
SHARED = PARTS.bit_length() - 1


class Nodes(NamedTuple):
    """A tree of N points, whose last level, `depth`, has the leaves.

    Attributes
    ----------
    points : (N, 4), float32
        Places in the order of the tree, and the bits of `numbers`.
    numbers : (N,), int32
        Which points these are.
    balls : (2^(depth + 1), 4), float32
        Mean place of a node's points, and a radius within which they all are.
    moments : (2^(depth + 1), 7), float32
        How many they are, and the sums of xx, yy, zz, xy, xz and yz about their mean.
    """

    points: np.ndarray
    numbers: np.ndarray
    balls: np.ndarray
    moments: np.ndarray


def depth_for(n: int) -> int:
    """Levels below the root of a tree of n points."""
    return max(0, math.ceil(math.log2(max(n, 1) / LEAF)))


def nodes_of(Y: np.ndarray, crew: Crew) -> Nodes:
    """The tree of points in space, (N, 3), float32."""
    n, depth = len(Y), depth_for(len(Y))
    points = np.empty((n, 4), np.float32)
    points[:, :3] = Y
    numbers = points.view(np.int32)[:, 3]
    numbers[:] = np.arange(n)
    balls, moments = (np.empty((2 << depth, m), np.float32) for m in (4, 7))
    nodes = Nodes(points, numbers, balls, moments)
    shared, words = min(depth, SHARED), points.view(np.uint64)
    for level in range(shared):
        crew.run(_divide, level, level + 1, points, words, n_parts=1 << level)
    crew.run(_divide, shared, depth, points, words, n_parts=1 << shared)
    crew.run(_sum_up, shared, depth, nodes, n_parts=1 << shared)
    for level in range(shared - 1, -1, -1):
        _join(level, 0, 1 << level, balls, moments)
    return nodes


@compiled_exact
def _divide(first, last, level, until, points, words):
    """Divide some nodes of a level, and those below them down to a level."""
    for own in range(level, until):
        for q in range(first << (own - level), last << (own - level)):
            start, end = len(points) * q >> own, len(points) * (q + 1) >> own
            middle = len(points) * (2 * q + 1) >> (own + 1)
            _select(points, words, start, end, middle, _widest(points, start, end))


@compiled_exact
def _widest(points, start, end):
    """The axis along which points have the largest range."""
    xl, yl, zl = points[start, 0], points[start, 1], points[start, 2]
    xh, yh, zh = xl, yl, zl
    for i in range(start, end):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        xl, xh = min(xl, x), max(xh, x)
        yl, yh = min(yl, y), max(yh, y)
        zl, zh = min(zl, z), max(zh, z)
    x, y, z = xh - xl, yh - yl, zh - zl
    return 0 if x >= y and x >= z else 1 if y >= z else 2


@compiled_exact
def _select(points, words, start, end, middle, axis):
    """Bring the points that are less along an axis before the middle one, as quicksort would."""
    low, high = start, end - 1
    while low < high:
        pivot = points[(low + high) >> 1, axis]
        i, j = low, high
        while i <= j:
            while points[i, axis] < pivot:
                i += 1
            while points[j, axis] > pivot:
                j -= 1
            if i <= j:
                words[i, 0], words[j, 0] = words[j, 0], words[i, 0]
                words[i, 1], words[j, 1] = words[j, 1], words[i, 1]
                i += 1
                j -= 1
        if middle <= j:
            high = j
        elif middle >= i:
            low = i
        else:
            return


@compiled_exact
def _sum_up(first, last, level, depth, nodes):
    """Write balls and moments of some nodes of a level, and of all below them."""
    points, _, balls, moments = nodes
    for q in range(first << (depth - level), last << (depth - level)):
        start, end = len(points) * q >> depth, len(points) * (q + 1) >> depth
        _leaf(points[start:end], balls[(1 << depth) + q], moments[(1 << depth) + q])
    for own in range(depth - 1, level - 1, -1):
        _join(own, first << (own - level), last << (own - level), balls, moments)


@compiled_exact
def _leaf(points, ball, moments):
    """The ball and the moments of points."""
    x, y, z, square = 0.0, 0.0, 0.0, 0.0
    for i in range(len(points)):
        x += points[i, 0]
        y += points[i, 1]
        z += points[i, 2]
    ball[0], ball[1], ball[2] = x / len(points), y / len(points), z / len(points)
    moments[:] = 0
    moments[0] = len(points)
    for i in range(len(points)):
        x, y, z = points[i, 0] - ball[0], points[i, 1] - ball[1], points[i, 2] - ball[2]
        _add(moments, 1, x, y, z)
        square = max(square, x * x + y * y + z * z)
    ball[3] = math.sqrt(square)


@compiled_exact
def _join(level, first, last, balls, moments):
    """Balls and moments of some nodes of a level from those of their halves."""
    for v in range((1 << level) + first, (1 << level) + last):
        total = moments[2 * v, 0] + moments[2 * v + 1, 0]
        share = moments[2 * v, 0] / total
        for a in range(3):
            balls[v, a] = share * balls[2 * v, a] + (1 - share) * balls[2 * v + 1, a]
        moments[v] = moments[2 * v] + moments[2 * v + 1]
        balls[v, 3] = 0
        for half in (2 * v, 2 * v + 1):
            x, y, z = (
                balls[half, 0] - balls[v, 0],
                balls[half, 1] - balls[v, 1],
                balls[half, 2] - balls[v, 2],
            )
            _add(moments[v], moments[half, 0], x, y, z)
            balls[v, 3] = max(balls[v, 3], balls[half, 3] + math.sqrt(x * x + y * y + z * z))


@compiled_exact
def _add(moments, weight, x, y, z):
    """Add the second moments of so many points at a place."""
    moments[1] += weight * x * x
    moments[2] += weight * y * y
    moments[3] += weight * z * z
    moments[4] += weight * x * y
    moments[5] += weight * x * z
    moments[6] += weight * y * z

"""Repulsion of all pairs of points in space by a tree, compiled.

A node that is far acts by the number of its points, their mean and their second moments, and leaves
that are near by their points (Barnes and Hut 1986). All points of a leaf share these lists (Barnes
1990): what they hold is brought side by side, and the sums over it are loops without a branch.
Import on first use only: numba is slow to load.
"""

from __future__ import annotations

import numpy as np

from lowdim._compile import compiled_exact, compiled_fast
from lowdim.embedding._crew import PARTS, Crew
from lowdim.embedding._float32 import exponential, logarithm
from lowdim.embedding._kept import Stateless
from lowdim.embedding._tsne.repulsion_exact import kernel_for
from lowdim.embedding._tsne.tree_nodes import nodes_of

#: Largest radius of a far node over its distance, ``sqrt(SOFTNESS a + d^2)``: forces change on the
#: scale of sqrt(a), however near.
ANGLE, SOFTNESS = 0.7, 0.5
#: Lists are filled up to a multiple of this, so that sums over them are in whole vectors.
STRIDE = 64
#: Where the points are that fill up a list: too far to have a force or a weight.
NOWHERE = np.float32(1e15)


class TreeRepulsion(Stateless):
    """Repulsion of points in space, in a time that grows as N log N.

    Parameters
    ----------
    dof : float
        a of the weight ``w(r) = (1 + r^2 / a)^-a``; the force is ``(1 + r^2 / a)^-(a + 1) r``.
    crew : Crew
    angle : float
        Largest radius of a far node over its distance; errors grow as its third power.
    """

    def __init__(self, dof: float, crew: Crew, *, angle: float = ANGLE) -> None:
        self._kernel, self._opening = kernel_for(dof), opening_for(dof, angle)
        self._crew = crew

    def __call__(self, Y: np.ndarray, extent: np.ndarray, force: np.ndarray) -> float:
        """Write the force on every point, (N, 3); return the sum of the weights of all pairs.

        Every pair counts twice. The extent is not looked at.
        """
        nodes = nodes_of(Y, self._crew)
        total = np.empty(len(nodes.balls) // 2)
        arguments = nodes, nodes.numbers, self._kernel, self._opening
        self._crew.run(_repel, PARTS, *arguments, force, total)
        return float(total.sum()) - len(Y)


def opening_for(dof: float, angle: float = ANGLE) -> tuple[np.float32, np.float32]:
    """Squares of the angle, and of what a distance is never taken to be less than.

    Of a force that falls as ``r^-(2 a + 1)`` the series leaves out a share that grows as ``(2 a +
    2) (2 a + 3) (2 a + 4)``, about the third power of ``a + 1.5``: steeper ones need a smaller
    angle.
    """
    return np.float32((angle * 2.5 / (dof + 1.5)) ** 2), np.float32(SOFTNESS * dof)


@compiled_exact
def _repel(first, last, n_parts, nodes, numbers, dof, opening, force, total):
    """Write the forces on the points of some leaves, and the sum of weights of each leaf."""
    n_leaves, n = len(total), len(numbers)
    far, near = np.empty(2 * n_leaves, np.int64), np.empty(n_leaves, np.int64)
    sums = np.empty(4, np.float32)
    for q in range(n_leaves * first // n_parts, n_leaves * last // n_parts):
        lists = opened(nodes, nodes.balls[n_leaves + q], opening, far, near)
        total[q] = 0
        for i in range(n * q // n_leaves, n * (q + 1) // n_leaves):
            total[q] += summed(nodes.points[i], lists, dof, sums)
            force[numbers[i]] = sums[:3]


@compiled_exact
def opened(nodes, ball, opening, far, near):
    """What acts on all points of a ball.

    Parameters
    ----------
    nodes : Nodes
    ball : (4,), float32
        Centre and radius.
    opening : (angle, softness), float32
        See `opening_for`.
    far : (2 * n_leaves,), int64
        Overwritten with nodes.
    near : (n_leaves,), int64
        Overwritten with leaves, the first of which is 0.

    Returns
    -------
    means : (10, n), float32
        Means and moments of the far nodes.
    points : (3, m), float32
        Places of the points of the near leaves.
    """
    balls, n_leaves = nodes.balls, len(near)
    angle, softness = opening
    x, y, z, radius = ball[0], ball[1], ball[2], ball[3]
    n_far, n_near = 0, 0
    v = 1
    while v:
        dx, dy, dz = x - balls[v, 0], y - balls[v, 1], z - balls[v, 2]
        apart = max(np.sqrt(dx * dx + dy * dy + dz * dz) - radius, np.float32(0))
        if balls[v, 3] * balls[v, 3] < angle * (softness + apart * apart):
            far[n_far] = v
            n_far += 1
        elif v >= n_leaves:
            near[n_near] = v - n_leaves
            n_near += 1
        else:
            v *= 2
            continue
        while v & 1:  # both halves of the node above are done
            v >>= 1
        v += v > 0
    return _means(nodes, far[:n_far]), _points(nodes.points, near[:n_near], n_leaves)


@compiled_exact
def _means(nodes, far):
    """Means and moments of nodes side by side; nodes of no points fill them up."""
    means = np.zeros((10, -(-len(far) // STRIDE) * STRIDE), np.float32)
    for e in range(len(far)):
        for a in range(3):
            means[a, e] = nodes.balls[far[e], a]
        for a in range(7):
            means[3 + a, e] = nodes.moments[far[e], a]
    return means


@compiled_exact
def _points(points, near, n_leaves):
    """Places of the points of leaves side by side."""
    n, m = len(points), 0
    for leaf in near:
        m += n * (leaf + 1) // n_leaves - n * leaf // n_leaves
    places = np.empty((3, -(-m // STRIDE) * STRIDE), np.float32)
    places[:, m:] = NOWHERE
    m = 0
    for leaf in near:
        for j in range(n * leaf // n_leaves, n * (leaf + 1) // n_leaves):
            for a in range(3):
                places[a, m] = points[j, a]
            m += 1
    return places


@compiled_exact
def summed(point, lists, dof, sums):
    """Write the force on a point, the first three of `sums`, and return the sum of weights."""
    means, points = lists
    sums[:] = 0
    _add_points(point, points, dof, sums)
    _add_means(point, means, dof, sums)
    return sums[3]


@compiled_fast
def _add_points(point, points, dof, sums):
    """Add the force of points on one, and their weights."""
    one = np.float32(1)
    inverse = one if dof is None else one / dof
    x, y, z = point[0], point[1], point[2]
    sx, sy, sz, total = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
    xs, ys, zs = points[0], points[1], points[2]
    for e in range(len(xs)):
        dx, dy, dz = x - xs[e], y - ys[e], z - zs[e]
        u = one / (one + inverse * (dx * dx + dy * dy + dz * dz))
        w = u if dof is None else exponential(dof * logarithm(u))
        total += w
        w *= u
        sx += w * dx
        sy += w * dy
        sz += w * dz
    sums[0] += sx
    sums[1] += sy
    sums[2] += sz
    sums[3] += total


@compiled_fast
def _add_means(point, means, dof, sums):
    """Add those of nodes, by Taylor's series about their means to the second moments.

    With ``u = 1 / (1 + s / a)``, s the squared distance, ``w = u^a`` and ``w u`` have the
    derivatives ``-w u`` and ``-c w u^2``, ``c = (a + 1) / a``; the next is ``k c w u^3``, ``k = (a
    + 2) / a``.
    """
    one, two = np.float32(1), np.float32(2)
    inverse = one if dof is None else one / dof
    c, k = one + inverse, one + two * inverse
    x, y, z = point[0], point[1], point[2]
    sx, sy, sz, total = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
    xs, ys, zs, counts = means[0], means[1], means[2], means[3]
    xx, yy, zz, xy, xz, yz = means[4], means[5], means[6], means[7], means[8], means[9]
    for e in range(len(xs)):
        dx, dy, dz = x - xs[e], y - ys[e], z - zs[e]
        u = one / (one + inverse * (dx * dx + dy * dy + dz * dz))
        w = u if dof is None else exponential(dof * logarithm(u))
        mx = xx[e] * dx + xy[e] * dy + xz[e] * dz
        my = xy[e] * dx + yy[e] * dy + yz[e] * dz
        mz = xz[e] * dx + yz[e] * dy + zz[e] * dz
        trace = xx[e] + yy[e] + zz[e]
        along = two * c * u * (mx * dx + my * dy + mz * dz)
        total += w * (counts[e] - u * (trace - along))
        w *= u
        straight = w * (counts[e] - u * (c * trace - k * along))
        across = two * c * w * u
        sx += straight * dx - across * mx
        sy += straight * dy - across * my
        sz += straight * dz - across * mz
    sums[0] += sx
    sums[1] += sy
    sums[2] += sz
    sums[3] += total

"""Repulsion of all pairs of points in space by a tree, compiled. Import on first use only.

Points of a leaf share two lists (Barnes 1990): leaves that are near, whose points are summed over,
and nodes that are far, which act by their number of points, their mean and their second moments. The
lists are brought side by side, and the sums over them are loops without a branch.
"""

from __future__ import annotations

import numpy as np

from lowdim._compile import compiled_exact, compiled_fast
from lowdim.embedding._crew import PARTS, Crew
from lowdim.embedding._float32 import exponential, logarithm
from lowdim.embedding._tsne.tree_nodes import nodes_of

#: Largest radius of a far node over its distance.
ANGLE = 0.7
#: Lists are filled up to a multiple of this, so that sums over them are in whole vectors.
STRIDE = 64
#: Where the points are that fill a list: so far off that they exert no force.
NOWHERE = np.float32(1e15)


class TreeRepulsion:
    """Repulsion in three dimensions, in a time that grows as N log N.

    A node is far from a leaf if its radius is less than `angle` times ``sqrt(a + d^2)``, with d the
    distance of its mean from the ball of the leaf: weights are smooth on the scale of sqrt(a).

    Parameters
    ----------
    dof : float
        a of the weight ``w(r) = (1 + r^2 / a)^-a``; the force is ``(1 + r^2 / a)^-(a + 1) r``.
    crew : Crew
    angle : float
        Errors grow with its third power.
    """

    def __init__(self, dof: float, crew: Crew, *, angle: float = ANGLE) -> None:
        self._dof = dof
        self._crew = crew
        self._angle = angle

    def __call__(self, Y: np.ndarray, extent: np.ndarray, force: np.ndarray) -> float:
        """Write the force on every point, (N, 3); return the sum of the weights of all pairs.

        Every pair counts twice. The extent is not looked at.
        """
        nodes = nodes_of(Y, self._crew)
        ids = nodes.points.view(np.int32)[:, 3]
        total = np.empty(len(nodes.balls) // 2)
        numbers = np.float32(self._dof), np.float32(self._angle)
        self._crew.run(_repel, PARTS, nodes, ids, *numbers, force, total)
        return float(total.sum()) - len(Y)


@compiled_exact
def _repel(first, last, n_parts, nodes, ids, dof, angle, force, total):
    """Write forces on the points of some leaves, and the sums of weights of each leaf."""
    n_leaves, n = len(total), len(ids)
    far, near = np.empty(len(nodes.balls), np.int64), np.empty(n_leaves, np.int64)
    room = np.zeros(4)
    for q in range(n_leaves * first // n_parts, n_leaves * last // n_parts):
        n_far, n_near = _lists(n_leaves + q, nodes.balls, dof, angle, far, near)
        means, points = _gathered(nodes, far[:n_far], near[:n_near], n_leaves)
        total[q] = 0
        for i in range(n * q // n_leaves, n * (q + 1) // n_leaves):
            room[:] = 0
            _from_means(nodes.points[i], means, dof, room)
            _from_points(nodes.points[i], points, dof, room)
            j = ids[i]
            force[j, 0], force[j, 1], force[j, 2] = room[0], room[1], room[2]
            total[q] += room[3]


@compiled_exact
def _lists(leaf, balls, dof, angle, far, near):
    """Write which nodes are far from a leaf and which leaves are near; return their numbers.

    What is near are leaves by their own number, without that of the nodes above.
    """
    n_leaves = len(near)
    x, y, z, radius = balls[leaf, 0], balls[leaf, 1], balls[leaf, 2], balls[leaf, 3]
    n_far, n_near = 0, 0
    v = 1
    while True:
        dx, dy, dz = x - balls[v, 0], y - balls[v, 1], z - balls[v, 2]
        apart = max(np.sqrt(dx * dx + dy * dy + dz * dz) - radius, np.float32(0))
        own = balls[v, 3]
        if own * own < angle * angle * (dof + apart * apart):
            far[n_far] = v
            n_far += 1
        elif v >= n_leaves:
            near[n_near] = v - n_leaves
            n_near += 1
        else:
            v *= 2
            continue
        v += 1
        while not v & 1:  # both halves are done: on to what comes after the node above
            v >>= 1
        if v == 1:
            return n_far, n_near


@compiled_exact
def _gathered(nodes, far, near, n_leaves):
    """What acts on a leaf: means and moments of nodes, (10, m), and places of points, (3, m)."""
    n = len(nodes.points)
    m = -(-len(far) // STRIDE) * STRIDE
    means = np.zeros((10, m), np.float32)
    for e in range(len(far)):
        v = far[e]
        for a in range(3):
            means[a, e] = nodes.balls[v, a]
        for a in range(7):
            means[3 + a, e] = nodes.moments[v, a]
    m = 0
    for leaf in near:
        m += n * (leaf + 1) // n_leaves - n * leaf // n_leaves
    points = np.empty((3, -(-m // STRIDE) * STRIDE), np.float32)
    points[:, m:] = NOWHERE
    m = 0
    for leaf in near:
        for j in range(n * leaf // n_leaves, n * (leaf + 1) // n_leaves):
            for a in range(3):
                points[a, m] = nodes.points[j, a]
            m += 1
    return means, points


@compiled_fast
def _from_points(point, points, dof, sums):
    """Add the force of points on one, and the sum of their weights."""
    one, inverse = np.float32(1), np.float32(1) / dof
    x, y, z = point[0], point[1], point[2]
    sx, sy, sz, total = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
    xs, ys, zs = points[0], points[1], points[2]
    for e in range(len(xs)):
        dx, dy, dz = x - xs[e], y - ys[e], z - zs[e]
        u = one / (one + inverse * (dx * dx + dy * dy + dz * dz))
        w = u if dof == one else exponential(dof * logarithm(u))
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
def _from_means(point, means, dof, sums):
    """The same of nodes, by the expansion of force and weight to the second moments.

    With ``u = 1 / (1 + r^2 / a)`` the weight is ``w = u^a``, its derivative by r^2 ``-w u``, and
    that of u ``-u^2 / a``.
    """
    one, two, inverse = np.float32(1), np.float32(2), np.float32(1) / dof
    c, k = (dof + one) * inverse, (dof + two) * inverse
    x, y, z = point[0], point[1], point[2]
    sx, sy, sz, total = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
    xs, ys, zs, counts = means[0], means[1], means[2], means[3]
    xx, yy, zz, xy, xz, yz = means[4], means[5], means[6], means[7], means[8], means[9]
    for e in range(len(xs)):
        dx, dy, dz = x - xs[e], y - ys[e], z - zs[e]
        u = one / (one + inverse * (dx * dx + dy * dy + dz * dz))
        w = u if dof == one else exponential(dof * logarithm(u))
        mx = xx[e] * dx + xy[e] * dy + xz[e] * dz
        my = xy[e] * dx + yy[e] * dy + yz[e] * dz
        mz = xz[e] * dx + yz[e] * dy + zz[e] * dz
        q = two * c * u * (mx * dx + my * dy + mz * dz)
        trace = xx[e] + yy[e] + zz[e]
        total += w * (counts[e] - u * (trace - q))
        w *= u
        along = w * (counts[e] - u * (c * trace - k * q))
        across = two * c * w * u
        sx += along * dx - across * mx
        sy += along * dy - across * my
        sz += along * dz - across * mz
    sums[0] += sx
    sums[1] += sy
    sums[2] += sz
    sums[3] += total

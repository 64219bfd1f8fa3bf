"""New points in a layout in space that stays as it is, compiled. Import on first use only."""

from __future__ import annotations

import numpy as np

from lowdim._compile import compiled_exact
from lowdim.embedding._crew import PARTS, Crew
from lowdim.embedding._tsne.placement import attraction, step
from lowdim.embedding._tsne.repulsion_exact import kernel_for
from lowdim.embedding._tsne.repulsion_tree import opened, opening_for, summed
from lowdim.embedding._tsne.tree_nodes import nodes_of

#: How far a new point may go before it is found anew which nodes are far from it.
REACH = np.float32(1.0)


def place_by_tree(
    Y: np.ndarray,
    affinities: tuple[np.ndarray, np.ndarray, np.ndarray],
    reference: np.ndarray,
    box: np.ndarray,
    rates: np.ndarray,
    *,
    crew: Crew,
) -> None:
    """Move new points, (m, 3), float64; all else is as of `place`."""
    nodes = nodes_of(reference, crew)
    dof = float(rates[4])
    kernels = kernel_for(dof), opening_for(dof)
    crew.run(_place, PARTS, Y, affinities, reference, nodes, *kernels, box, rates)


@compiled_exact
def _place(first, last, n_parts, Y, affinities, reference, nodes, dof, opening, box, rates):
    m, n_leaves = len(Y), len(nodes.balls) // 2
    far, near = np.empty(2 * n_leaves, np.int64), np.empty(n_leaves, np.int64)
    ball, sums = np.empty(4, np.float32), np.empty(4, np.float32)
    y, pull, push = np.empty(3), np.empty(3), np.empty(3)
    velocity, gains = np.empty(3), np.empty(3)
    for i in range(m * first // n_parts, m * last // n_parts):
        y[:], velocity[:], gains[:] = Y[i], 0.0, 1.0
        ball[:3], ball[3] = y, REACH
        lists = opened(nodes, ball, opening, far, near)
        for _ in range(int(rates[0])):
            if np.sum((y - ball[:3]) ** 2) > REACH * REACH:
                ball[:3] = y
                lists = opened(nodes, ball, opening, far, near)
            attraction(y, affinities, i, reference, rates[4], pull)
            total = summed(y.astype(np.float32), lists, dof, sums)
            push[:] = sums[:3] / max(total, np.float32(1e-30))
            step(y, (velocity, gains), (pull, push), rates, box)
        Y[i] = y

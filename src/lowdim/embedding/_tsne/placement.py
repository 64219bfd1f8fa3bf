"""New points in a layout that stays as it is, compiled. Import on first use only."""

from __future__ import annotations

import numpy as np

from lowdim._compile import compiled_exact, compiled_fast
from lowdim.embedding._tsne.mesh_points import weights
from lowdim.embedding._tsne.step import LEAST, LESS, MORE


@compiled_exact
def place(first, last, n_parts, Y, affinities, reference, mesh, box, rates):
    """Move each of some new points to where its divergence from the reference is least.

    The gradient of ``KL(p || q)``, ``q_j = w_j / sum w`` over all points of the reference, is twice
    ``sum_j (p_j - q_j) (y - y_j) / (1 + r_j^2 / a)``; the factor is left to the learning rate.

    Parameters
    ----------
    Y : (m, c), float64
        Where to begin; overwritten.
    affinities : (indptr, indices, data)
        p of every new point, CSR, (m, N).
    reference : (N, d), float32
    mesh : (field, origin, spacing)
        See `MeshRepulsion.surroundings`; with an empty field all points are summed over.
    box : (2, c), float64
        What the new points do not leave.
    rates : (5,), float64
        Iterations, weight of the attraction, learning rate, momentum, and a.
    """
    m, c = Y.shape
    d = reference.shape[1]
    field, origin, spacing = mesh
    dof = rates[4]
    y, pull, push = np.zeros(d), np.zeros(d), np.zeros(d)
    velocity, gains = np.zeros(c), np.ones(c)
    for i in range(m * first // n_parts, m * last // n_parts):
        y[:c], velocity[:], gains[:] = Y[i], 0.0, 1.0
        for _ in range(int(rates[0])):
            attraction(y, affinities, i, reference, dof, pull)
            if field.size:
                total = _from_mesh(y, field, origin, spacing, push)
            else:
                total = _from_all(y, reference, dof, push)
            push /= total
            step(y, (velocity, gains), (pull, push), rates, box)
        Y[i] = y[:c]


@compiled_exact
def step(y, state, forces, rates, box):
    """Move a point by its velocity, which it has with its gains, and keep it in the box."""
    velocity, gains = state
    pull, push = forces
    exaggeration, rate, momentum = rates[1], rates[2], rates[3]
    for a in range(len(velocity)):
        g = exaggeration * pull[a] - push[a]
        same = (velocity[a] > 0) == (g > 0)
        gains[a] = gains[a] * LESS + LEAST if same else gains[a] + MORE
        velocity[a] = momentum * velocity[a] - rate * gains[a] * g
        y[a] = min(max(y[a] + velocity[a], box[0, a]), box[1, a])


@compiled_exact
def attraction(y, affinities, i, reference, dof, pull):
    """Write the force of neighbours of new point i, at y."""
    indptr, indices, data = affinities
    pull[:] = 0.0
    for e in range(indptr[i], indptr[i + 1]):
        square = 0.0
        for a in range(len(y)):
            square += (y[a] - reference[indices[e], a]) ** 2
        w = data[e] / (1.0 + square / dof)
        for a in range(len(y)):
            pull[a] += w * (y[a] - reference[indices[e], a])


@compiled_exact
def _from_mesh(y, field, origin, spacing, push):
    """Write the force at a point, and return the sum of weights."""
    fx, fy = (y[0] - origin[0]) / spacing, (y[1] - origin[1]) / spacing
    k, m = int(fx), int(fy)
    along = weights(np.float32(fx - k))
    across = weights(np.float32(fy - m))
    push[:] = 0.0
    total = 0.0
    for s in range(4):
        for t in range(4):
            w = along[s] * across[t]
            push[0] += w * field[0, k - 1 + s, m - 1 + t]
            push[1] += w * field[1, k - 1 + s, m - 1 + t]
            total += w * field[2, k - 1 + s, m - 1 + t]
    return max(total, 1e-30)


@compiled_fast
def _from_all(y, reference, dof, push):
    """The same from all points one by one."""
    push[:] = 0.0
    total = 0.0
    for j in range(len(reference)):
        square = 0.0
        for a in range(len(y)):
            square += (y[a] - reference[j, a]) ** 2
        inverse = 1.0 / (1.0 + square / dof)
        w = inverse if dof == 1.0 else inverse**dof
        total += w
        for a in range(len(y)):
            push[a] += w * inverse * (y[a] - reference[j, a])
    return max(total, 1e-30)

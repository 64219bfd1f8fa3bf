"""New points in a layout that stays as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lowdim.embedding._crew import PARTS, Crew, part_bounds
from lowdim.embedding._tsne.placement import place
from lowdim.embedding._tsne.repulsion_mesh import MeshRepulsion

#: Points of the reference up to which all are summed over; the forces of more come from a mesh, or
#: in space from a tree.
MESH_POINTS, TREE_POINTS = 300, 2_000
#: How far beyond the reference new points may go, in units of the layout.
MARGIN = 5.0


@dataclass(frozen=True)
class Rates:
    """How new points move.

    Attributes
    ----------
    n_iter : int
    exaggeration, learning_rate, momentum : float
    dof : float
        a of the weight ``w(r) = (1 + r^2 / a)^-a``.
    """

    n_iter: int
    exaggeration: float
    learning_rate: float
    momentum: float
    dof: float


def place_new(affinities: Any, reference: np.ndarray, rates: Rates, *, crew: Crew) -> np.ndarray:
    """Where new points belong, (m, c), float32: none depends on the others.

    Parameters
    ----------
    affinities : CSR, (m, N)
        How much each new point belongs to those of the reference; rows sum to one.
    reference : (N, c), float32
    rates : Rates
    crew : Crew
    """
    n, c = reference.shape
    fixed = np.zeros((n, max(2, c)), np.float32)
    fixed[:, :c] = reference
    box = np.stack([reference.min(0) - MARGIN, reference.max(0) + MARGIN]).astype(np.float64)
    Y = np.asarray(affinities @ reference.astype(np.float64))
    numbers = (rates.n_iter, rates.exaggeration, rates.learning_rate, rates.momentum, rates.dof)
    arrays = affinities.indptr, affinities.indices, affinities.data
    settings = box, np.array(numbers, dtype=np.float64)
    if c == 3 and n > TREE_POINTS:
        from lowdim.embedding._tsne.placement_tree import place_by_tree

        place_by_tree(Y, arrays, fixed, *settings, crew=crew)
    else:
        crew.run(place, PARTS, Y, arrays, fixed, _field(fixed, c, rates.dof, crew), *settings)
    return Y.astype(np.float32)


def _field(
    fixed: np.ndarray, c: int, dof: float, crew: Crew
) -> tuple[np.ndarray, np.ndarray, float]:
    """What points do to others near them, on a mesh in the plane; an empty one if they are few."""
    if c == 3 or len(fixed) <= MESH_POINTS:
        return np.empty((3, 0, 0), np.float32), np.zeros(2, np.float32), 1.0
    bounds = part_bounds(len(fixed))
    parts = [fixed[bounds[p] : bounds[p + 1]] for p in range(PARTS)]
    extent = np.stack([np.stack([points.min(0), points.max(0)]) for points in parts])
    return MeshRepulsion(dof, crew).surroundings(fixed, extent, MARGIN)

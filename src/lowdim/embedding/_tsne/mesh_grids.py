"""Which meshes serve a layout: their nodes, and how forces are shared between them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import fft

from lowdim.embedding._tsne.mesh_spectra import STENCIL, Grid, Spectra, spectra

#: Fewest nodes along the longer axis of a layout.
FEWEST = 48
#: Most nodes along an axis; wider layouts have a wider spacing.
MOST = 4096
#: Nodes between a layout and its periodic image, over which splines forget each other.
APART = 12
#: Nodes that the forces of the fine mesh reach, where a coarse one has the rest, and its spacing.
REACH, RATIO = 48, 8
#: Two meshes are taken where the fine one has no more than this share of the nodes of a single one.
WORTH = 0.7


@dataclass(frozen=True)
class Level:
    """A mesh and the spectra of the forces on it."""

    grid: Grid
    spectra: Spectra


@dataclass(frozen=True)
class Levels:
    """A mesh for all forces; or one for those that are near, and a coarse one for the others."""

    fine: Level
    coarse: Level | None


def levels_for(grid: Grid, dof: float) -> Levels:
    """The meshes that take least time where the grid has the points."""
    nodes = _nodes(n + REACH + APART // 2 for n in grid.n_points)
    if np.prod(nodes) > WORTH * np.prod(grid.n_nodes):
        return Levels(Level(grid, spectra(grid, dof)), None)
    near = REACH * grid.spacing
    fine = Grid(grid.n_points, nodes, grid.spacing)
    points = tuple((n - 1) // RATIO + STENCIL for n in grid.n_points)
    coarse = Grid(points, _nodes(2 * n + APART for n in points), RATIO * grid.spacing)
    return Levels(
        Level(fine, spectra(fine, dof, near=near)),
        Level(coarse, spectra(coarse, dof, near=near, ratio=RATIO)),
    )


def _nodes(needed: Iterable[int]) -> tuple[int, ...]:
    """Even numbers of nodes along each axis that are quick to transform, the last as real ones."""
    halves = [-(-n // 2) for n in needed]
    last = len(halves) - 1
    return tuple(2 * fft.next_fast_len(n, real=axis == last) for axis, n in enumerate(halves))


def grid_for(span: np.ndarray, spacing: float) -> Grid:
    """The mesh for a layout so wide, (2,); few different ones, since each needs its spectra."""
    widest = float(span.max())
    if widest < (FEWEST - STENCIL) * spacing:
        widest = max(widest, 1e-30)
        spacing = 2.0 ** (math.ceil(8 * math.log2(widest / (FEWEST - STENCIL))) / 8)
    elif widest > (MOST - STENCIL) * spacing:
        spacing = 2.0 ** (math.ceil(16 * math.log2(widest / (MOST - STENCIL))) / 16)
    points = tuple(_points(float(own) / spacing + STENCIL) for own in span)
    return Grid(points, _nodes(2 * n + APART for n in points), spacing)


def _points(needed: float) -> int:
    """Nodes for points along an axis; few different numbers."""
    step = 8 if needed < 128 else 16 if needed < 256 else 32
    return step * math.ceil(needed / step)


def origin_of(low: np.ndarray, high: np.ndarray, grid: Grid) -> np.ndarray:
    """Where the first node is, (2,), float32, so that the layout is in the middle of the mesh."""
    reach = grid.spacing * (np.array(grid.n_points) - 1) / 2
    return ((low + high) / 2 - reach).astype(np.float32)

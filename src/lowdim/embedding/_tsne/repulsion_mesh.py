"""Repulsion of all pairs of points in the plane by a particle mesh.

Points are spread to the nodes of a mesh with cubic B-splines, the force between nodes is summed by
FFT, and forces are gathered with the same splines, so that momentum is conserved (Hockney and
Eastwood 1988, Computer Simulation Using Particles). The force itself is sampled, not a potential
that is differentiated: points that lie on each other do not push each other, and layouts of any
size lose nothing to cancellation.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import fft

from lowdim.embedding._crew import PARTS, Crew, part_bounds
from lowdim.embedding._kept import Stateless
from lowdim.embedding._tsne.mesh_grids import RATIO, Level, Levels, grid_for, levels_for, origin_of
from lowdim.embedding._tsne.mesh_levels import phases, prolong, restrict
from lowdim.embedding._tsne.mesh_points import convolve, gather, merge, spread
from lowdim.embedding._tsne.mesh_spectra import STENCIL, Grid, spectra

#: Spacing of the nodes at which forces in a layout are within a hundredth of the exact ones.
SPACING = 0.35


class MeshRepulsion(Stateless):
    """Repulsion of points in the plane, in a time that grows with their number.

    Parameters
    ----------
    dof : float
        a of the weight ``w(r) = (1 + r^2 / a)^-a``; the force is ``(1 + r^2 / a)^-(a + 1) r``.
    crew : Crew
    spacing : float
        Of the nodes, where the layout is neither small nor very wide; less for a below one, where
        the force changes faster.
    """

    def __init__(self, dof: float, crew: Crew, *, spacing: float = SPACING) -> None:
        self._dof = dof
        self._crew = crew
        self._spacing = spacing * min(1.0, math.sqrt(dof))
        self._grid: Grid | None = None
        self._levels: Levels

    def __call__(self, Y: np.ndarray, extent: np.ndarray, force: np.ndarray) -> float:
        """Write the force on every point, and return the sum of the weights of all pairs.

        Parameters
        ----------
        Y : (N, 2), float32
        extent : (PARTS, 2, 2), float32
            Least and largest coordinates, along both axes, of the points of each part.
        force : (N, 2), float32
            Overwritten with ``sum_j (1 + r^2 / a)^-(a + 1) (y_i - y_j)``.

        Returns
        -------
        ``sum_{i != j} w_ij``; every pair counts twice.
        """
        low, high = extent[:, 0].min(0), extent[:, 1].max(0)
        grid = grid_for(high - low, self._spacing)
        if grid != self._grid:
            self._grid, self._levels = grid, levels_for(grid, self._dof)
        levels = self._levels
        origin, fine = origin_of(low, high, grid), levels.fine
        density = self._density(Y, extent, origin, fine.grid)
        field, energy = self._field(density, fine)
        if levels.coarse is not None:
            energy += self._add_rest(density, levels.coarse, field)
        alone = np.empty(PARTS)
        self._crew.run(
            gather,
            *(Y, part_bounds(len(Y)), origin, np.float32(1 / grid.spacing)),
            *(field, fine.spectra.table, force, alone),
        )
        return energy - float(alone.sum())

    def surroundings(
        self, Y: np.ndarray, extent: np.ndarray, margin: float
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """What all points together do to others near them.

        Parameters
        ----------
        Y : (N, 2), float32
        extent : (PARTS, 2, 2), float32
        margin : float
            How far beyond the points.

        Returns
        -------
        field : (3, Lx, Ny), float32
            Forces along both axes, and weights, at the nodes; the first Lx and Ly of them.
        origin : (2,), float32
            Where the first node is.
        spacing : float
        """
        low, high = extent[:, 0].min(0) - margin, extent[:, 1].max(0) + margin
        grid = grid_for(high - low, self._spacing)
        own = Level(grid, spectra(grid, self._dof))
        origin = origin_of(low, high, grid)
        density = self._density(Y, extent, origin, grid)
        force, _ = self._field(density, own)
        spectrum = self._spectrum(density, grid)
        rows = np.arange(grid.n_nodes[0])
        spectrum *= own.spectra.weight[np.minimum(rows, grid.n_nodes[0] - rows)]
        weight = fft.irfft2(spectrum, s=grid.n_nodes)[None, : grid.n_points[0]]
        return np.concatenate([force, weight]), origin, grid.spacing

    def _density(
        self, Y: np.ndarray, extent: np.ndarray, origin: np.ndarray, grid: Grid
    ) -> np.ndarray:
        """Points at the nodes, (Lx, Ny), zero beyond the first Ly of the second axis."""
        inverse = np.float32(1 / grid.spacing)
        nodes = ((extent - origin) * inverse).astype(np.int64)
        boxes = np.stack([nodes[:, 0] - 1, nodes[:, 1] - nodes[:, 0] + STENCIL], axis=2)
        starts = np.concatenate([[0], np.cumsum(boxes[:, 0, 1] * boxes[:, 1, 1])])
        room = np.empty(starts[-1], np.float32)
        density = np.zeros((grid.n_points[0], grid.n_nodes[1]), np.float32)
        self._crew.run(spread, Y, part_bounds(len(Y)), origin, inverse, boxes, starts, room)
        self._crew.run(merge, PARTS, boxes, starts, room, density)
        return density

    def _spectrum(self, density: np.ndarray, grid: Grid) -> np.ndarray:
        """Of the density in free space, (Nx, Ny/2 + 1), complex64."""
        workers = self._crew.n_threads
        rows = fft.rfft(density, axis=1, workers=workers)
        return fft.fft(rows, n=grid.n_nodes[0], axis=0, workers=workers)

    def _field(self, density: np.ndarray, level: Level) -> tuple[np.ndarray, float]:
        """Forces at the nodes, (2, Lx, Ny), and the weight of all pairs on the mesh."""
        grid, own, workers = level.grid, level.spectra, self._crew.n_threads
        spectrum = self._spectrum(density, grid)
        both = np.empty((2, *spectrum.shape), np.complex64)
        energy = np.empty(len(spectrum))
        self._crew.run(convolve, PARTS, spectrum, own.along, own.across, own.energy, both, energy)
        both = fft.ifft(both, axis=1, workers=workers, overwrite_x=True)[:, : grid.n_points[0]]
        field = fft.irfft(both, n=grid.n_nodes[1], axis=2, workers=workers)
        return field, float(energy.sum())

    def _add_rest(self, density: np.ndarray, coarse: Level, field: np.ndarray) -> float:
        """Add the forces of the coarse mesh to the field; return its weight of all pairs."""
        grid, table, wide = coarse.grid, phases(RATIO), self._levels.fine.grid.n_points[1]
        own = np.zeros((grid.n_points[0], grid.n_nodes[1]), np.float32)
        self._crew.run(restrict, PARTS, density, wide, table, own)
        rest, energy = self._field(own, coarse)
        self._crew.run(prolong, PARTS, rest, table, wide, field)
        return energy

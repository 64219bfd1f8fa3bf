"""Repulsion by a mesh in torch, on any device: the scheme of `MeshRepulsion`, for GPUs.

Weights of points at nodes are added up as whole numbers, so that sums do not depend on the order in
which a GPU gets to them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lowdim.embedding._tsne.mesh_grids import RATIO, Level, grid_for, levels_for, origin_of
from lowdim.embedding._tsne.mesh_spectra import STENCIL, Grid
from lowdim.embedding._tsne.repulsion_mesh import SPACING

#: A weight of one as a whole number.
ONE = 2.0**36
#: How much wider than the points a mesh is, which serves them until they are measured again.
ROOM = 1.15


@dataclass(frozen=True)
class _Level:
    """Nodes and spectra on the device; the spectra are (Nx, Ny/2 + 1)."""

    grid: Grid
    forces: Tensor
    energy: Tensor

    @classmethod
    def of(cls, level: Level, device: torch.device) -> _Level:
        own = level.spectra
        rows = np.arange(level.grid.n_nodes[0])
        mirrored = np.minimum(rows, level.grid.n_nodes[0] - rows)
        sign = np.where(rows == mirrored, 1.0, -1.0).astype(np.float32)[:, None]
        forces = -1j * np.stack([sign * own.along[mirrored], own.across[mirrored]])
        return cls(
            level.grid,
            torch.as_tensor(forces.astype(np.complex64), device=device),
            torch.as_tensor(own.energy[mirrored], device=device),
        )

    def field(self, density: Tensor) -> tuple[Tensor, Tensor]:
        """Forces at the nodes of points, (2, Lx, Ly), and the weight of all pairs."""
        (nx, ny), (lx, ly) = self.grid.n_nodes, self.grid.n_points
        spectrum = torch.fft.fft(torch.fft.rfft(density, n=ny), n=nx, dim=0)
        power = spectrum.real.square() + spectrum.imag.square()
        energy = (power * self.energy).sum(dtype=torch.float64)
        rows = torch.fft.ifft(self.forces * spectrum, dim=1)[:, :lx]
        return torch.fft.irfft(rows, n=ny)[:, :, :ly], energy


class TorchMesh:
    """Repulsion of points in the plane.

    Parameters
    ----------
    dof : float
        a of the weight ``w(r) = (1 + r^2 / a)^-a``.
    device : torch.device
    spacing : float
    """

    def __init__(self, dof: float, device: torch.device, *, spacing: float = SPACING) -> None:
        self._dof, self._device = dof, device
        self._spacing = spacing * min(1.0, dof**0.5)
        self._grid: Grid | None = None

    def measure(self, Y: Tensor, *, room: float = ROOM) -> None:
        """Lay the mesh around the points; the only step that waits for the device."""
        ends = torch.stack([Y.amin(0), Y.amax(0)]).cpu().numpy().astype(np.float64)
        self._lay(ends, room)

    def state(self) -> dict[str, np.ndarray]:
        """Where the mesh lies."""
        return {"ends": self._ends}

    def take(self, state: dict[str, np.ndarray]) -> None:
        """Lay the mesh where it lay; the inverse of `state`."""
        self._lay(state["ends"], ROOM)

    def _lay(self, ends: np.ndarray, room: float) -> None:
        """Lay the mesh around a box between two corners, `ends`, (2, 2)."""
        self._ends = ends
        grid = grid_for(room * (ends[1] - ends[0]), self._spacing)
        if grid != self._grid:
            self._grid, levels = grid, levels_for(grid, self._dof)
            self._fine = _Level.of(levels.fine, self._device)
            most = np.array(self._fine.grid.n_points) - STENCIL
            self._most = torch.as_tensor(most, device=self._device)
            self._table = torch.as_tensor(levels.fine.spectra.table, device=self._device)
            self._coarse: _Level | None = None
            if levels.coarse is not None:
                self._coarse = _Level.of(levels.coarse, self._device)
                pairs = zip(grid.n_points, self._coarse.grid.n_points, strict=True)
                self._restrictions = [self._restriction(n, m) for n, m in pairs]
        self._origin = torch.as_tensor(origin_of(ends[0], ends[1], grid), device=self._device)

    def __call__(self, Y: Tensor) -> tuple[Tensor, Tensor]:
        """Forces on the points, (N, 2), and the sum of the weights of all pairs.

        Points that have left the mesh since it was laid are taken to be at its border.
        """
        grid = self._fine.grid
        place = (Y - self._origin) / grid.spacing
        cell = torch.minimum(place.long().clamp_min(1), self._most + 1)
        a, b = _weights((place - cell).clamp(0.0, 1.0)).unbind(1)
        first = (cell[:, 0] - 1) * grid.n_points[1] + cell[:, 1] - 1
        steps = torch.arange(STENCIL, device=self._device)
        nodes = (first[:, None, None] + steps[:, None] * grid.n_points[1] + steps).view(len(Y), -1)
        shares = (a[:, :, None] * b[:, None, :]).view(len(Y), -1)
        density = self._density(nodes, shares)
        field, energy = self._fine.field(density)
        if self._coarse is not None:
            along, across = self._restrictions
            rest, weight = self._coarse.field(along.T @ density @ across)
            field = field + along @ rest @ across.T
            energy = energy + weight
        flat = field.reshape(2, -1)
        force = torch.stack([(flat[axis][nodes] * shares).sum(1) for axis in range(2)], 1)
        return force, energy - self._alone(a, b)

    def _density(self, nodes: Tensor, shares: Tensor) -> Tensor:
        lx, ly = self._fine.grid.n_points
        whole = torch.zeros(lx * ly, dtype=torch.int64, device=self._device)
        whole.index_add_(0, nodes.view(-1), (shares.view(-1).double() * ONE).long())
        return (whole.double() / ONE).float().view(lx, ly)

    def _alone(self, a: Tensor, b: Tensor) -> Tensor:
        """The weight that the mesh gives every point with itself."""
        return ((_lags(a) @ self._table) * _lags(b)).sum(dtype=torch.float64)

    def _restriction(self, n: int, n_coarse: int) -> Tensor:
        """Weights of the fine nodes along an axis at the coarse ones, (n, n_coarse)."""
        nodes = torch.arange(n, device=self._device)
        columns = nodes[:, None] // RATIO + torch.arange(STENCIL, device=self._device)
        shares = _weights((nodes % RATIO).float() / RATIO)
        return torch.zeros(n, n_coarse, device=self._device).scatter_(1, columns, shares)


def _weights(u: Tensor) -> Tensor:
    """The cubic B-spline at the nodes -1, 0, 1 and 2 of points at u, the last axis."""
    o, u2, u3 = 1 - u, u * u, u * u * u
    parts = [o**3, 3 * u3 - 6 * u2 + 4, 3 * (u + u2 - u3) + 1, u3]
    return torch.stack(parts, -1) / 6


def _lags(w: Tensor) -> Tensor:
    """Sums of products of weights so many nodes apart, in both directions, (N, 4)."""
    sums = [(w[:, : STENCIL - k] * w[:, k:]).sum(1) for k in range(STENCIL)]
    return torch.stack([sums[0], *(2 * own for own in sums[1:])], 1)

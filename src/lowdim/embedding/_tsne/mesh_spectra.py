"""Spectra of the weight and force between points on a mesh, sampled in free space.

The weight is even along both axes and the force odd along its own, so cosine and sine transforms
of a quarter of the mesh hold all of their spectra.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft

#: Nodes along an axis over which a point is spread.
STENCIL = 4
#: Share of the reach of the fine mesh within which no force is left to the coarse one.
NEAR = 0.25


@dataclass(frozen=True)
class Grid:
    """Nodes along each axis, the first of which hold points, and their spacing."""

    n_points: tuple[int, ...]
    n_nodes: tuple[int, ...]
    spacing: float


@dataclass(frozen=True)
class Spectra:
    """What multiplies the spectrum of the points; all (Nx/2 + 1, Ny/2 + 1), float32.

    Attributes
    ----------
    along, across : ndarray
        Of the force along the first and the second axis, times i.
    weight : ndarray
        Of the weight.
    energy : ndarray
        Of the weight, with negative frequencies counted, so that a sum over it is the weight of
        all pairs.
    table : (4, 4), float32
        Weight of nodes so many apart, as the mesh has it.
    """

    along: np.ndarray
    across: np.ndarray
    weight: np.ndarray
    energy: np.ndarray
    table: np.ndarray


def spectra(grid: Grid, dof: float, *, near: float = 0.0, ratio: int = 1) -> Spectra:
    """Spectra of ``(1 + r^2 / a)^-a`` and of ``(1 + r^2 / a)^-(a + 1) r`` on a mesh.

    Parameters
    ----------
    grid : Grid
    dof : float
        a.
    near : float, default=0.0
        If it is not 0, only the part that `_share` keeps within this distance; or, with a ratio,
        only the rest.
    ratio : int, default=1
        Spacing of the mesh in units of that which points were spread to before.
    """
    half = [n // 2 for n in grid.n_nodes]
    x, y = (np.arange(k + 1) * grid.spacing for k in half)
    squares = x[:, None] ** 2 + y**2
    inverse = 1.0 / (1.0 + squares / dof)
    factor = _sharpening(half[0], ratio)[:, None] * _sharpening(half[1], ratio)
    sampled = inverse**dof
    if near > 0.0:
        share = _share(np.sqrt(squares) / near)
        sampled *= share if ratio == 1 else 1.0 - share
    weight = fft.dctn(sampled, type=1) * factor
    sampled *= inverse
    twice = np.full(half[1] + 1, 2.0)
    twice[[0, -1]] = 1.0
    return Spectra(
        along=(_odd(sampled * x[:, None], 0) * factor).astype(np.float32),
        across=(_odd(sampled * y, 1) * factor).astype(np.float32),
        weight=weight.astype(np.float32),
        energy=(weight * twice / np.prod(grid.n_nodes)).astype(np.float32),
        table=fft.idctn(weight, type=1)[:STENCIL, :STENCIL].astype(np.float32),
    )


def _odd(sampled: np.ndarray, axis: int) -> np.ndarray:
    """The spectrum, times i, of what is odd along one axis and even along the other."""
    inner = (slice(1, -1), slice(None)) if axis == 0 else (slice(None), slice(1, -1))
    odd = np.zeros_like(sampled)
    odd[inner] = fft.dst(sampled[inner], type=1, axis=axis)
    return fft.dct(odd, type=1, axis=1 - axis)


def _share(r: np.ndarray) -> np.ndarray:
    """How much of the force at a distance is left to the fine mesh: all, and from 1 on none."""
    t = np.clip((r - NEAR) / (1.0 - NEAR), 0.0, 1.0)
    return 1.0 - t**3 * (10.0 - 15.0 * t + 6.0 * t**2)


def _sharpening(half: int, ratio: int = 1) -> np.ndarray:
    """What spreading and gathering take from each frequency along an axis, undone, (N/2 + 1,).

    It makes the error of forces least on average over where points lie between the nodes (Hockney
    and Eastwood 1988, section 8-3-3): ``W^2 / (sum_m W_m^2)^2`` with ``W = sinc^4`` the transform
    of the spline and W_m its aliases, whose sum is that of the spline of order 8 at the nodes. On a
    coarse mesh what the fine one took before is undone as well.
    """
    k = np.pi * np.arange(half + 1) / half
    aliases = (2416 + 2382 * np.cos(k) + 240 * np.cos(2 * k) + 2 * np.cos(3 * k)) / 5040
    before = np.sinc(k / (2 * np.pi * ratio)) ** 8 if ratio > 1 else 1.0
    return np.sinc(k / (2 * np.pi)) ** 8 / (aliases**2 * before)

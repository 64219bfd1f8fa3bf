"""Subspaces as they appear in a picture, and where lines, planes and boxes meet its edges."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from lowdim._typing import Float64Array
    from lowdim.pl._fitted import FittedSubspaces
    from lowdim.pl._projection import Projection


@dataclass(frozen=True, eq=False)
class Flat:
    """A component as it appears in a picture with p axes.

    Attributes
    ----------
    component
        Its number.
    mean
        (p,).
    axes
        One standard deviation along each of its d axes, (d, p).
    covariance
        Of its rows, noise included, (p, p).
    """

    component: int
    mean: Float64Array
    axes: Float64Array
    covariance: Float64Array

    def ellipse(self) -> tuple[Float64Array, Float64Array]:
        """Standard deviations (p,), descending, and the directions (p, p) as rows."""
        variances, vectors = np.linalg.eigh(self.covariance)
        return np.sqrt(np.maximum(variances[::-1], 0.0)), vectors[:, ::-1].T

    def tip(self, sd: float) -> Float64Array:
        """A point a little beyond where the component is drawn to, (p,)."""
        if len(self.axes) in (1, 2):
            return self.mean + 1.1 * sd * self.axes[0]
        spread, directions = self.ellipse()
        return self.mean + 1.1 * sd * spread[0] * directions[0]


def project_flats(fit: FittedSubspaces, projection: Projection) -> list[Flat]:
    """All components in the picture, but for a uniform background, which has no place.

    C_k = V (L - s I) V' + s I becomes B C_k B', where the rows of B are orthonormal.

    Raises
    ------
    ValueError
        The components are those of a mixture of counts.
    """
    if np.isnan(fit.noise_variances).any():
        raise ValueError(
            "Components of a mixture of counts have no place among the rows; draw the rows in an "
            "embedding by their component, or use pl.composition and pl.responsibilities."
        )
    flats = []
    for k in np.flatnonzero(~fit.is_uniform).tolist():
        latent, noise = fit.latent_variances[k], fit.noise_variances[k]
        vectors = projection.vectors(fit.bases[k])
        covariance = (vectors.T * (latent - noise)) @ vectors + noise * np.eye(vectors.shape[1])
        flats.append(
            Flat(
                component=k,
                mean=projection.points(fit.means[k][None])[0],
                axes=np.sqrt(latent)[:, None] * vectors,
                covariance=covariance,
            )
        )
    return flats


def box_edges(center: Float64Array, half: Float64Array) -> Float64Array:
    """The edges of a box, each from its one end to the other, (d 2^(d - 1), 2, p).

    Parameters
    ----------
    center
        (p,).
    half
        Half of the box's extent along each of its d axes, (d, p).
    """
    d = len(half)
    edges = []
    for i in range(d):
        for others in product((-1.0, 1.0), repeat=d - 1):
            signs = np.insert(np.array([others, others]), i, (-1.0, 1.0), axis=1)
            edges.append(center + signs @ half)
    return np.array(edges)


def box_faces(center: Float64Array, half: Float64Array) -> Float64Array:
    """The corners of a rectangle, (1, 4, p), or of the faces of a box, (6, 4, p), in turn."""
    around = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    if len(half) == 2:
        return (center + around @ half)[None]
    faces = []
    for i in range(3):
        rectangle = around @ np.delete(half, i, axis=0)
        faces += [center + side * half[i] + rectangle for side in (-1.0, 1.0)]
    return np.array(faces)


def clip_line(
    point: Float64Array, direction: Float64Array, low: Float64Array, high: Float64Array
) -> Float64Array:
    """Where a line enters and leaves the box between two corners, (2, p); (0, p) if it misses.

    All arguments are (p,).
    """
    slack = 1e-9 * (high - low)  # a line within a face is in the box
    low, high = low - slack, high + slack
    along = np.abs(direction) > 1e-12 * np.abs(direction).max(initial=0.0)
    if not along.any() or ((point < low) | (point > high))[~along].any():
        return np.empty((0, len(point)))
    to_low, to_high = ((side - point)[along] / direction[along] for side in (low, high))
    start, stop = np.minimum(to_low, to_high).max(), np.maximum(to_low, to_high).min()
    if start > stop:
        return np.empty((0, len(point)))
    return point + np.array([[start], [stop]]) * direction


def clip_plane(
    point: Float64Array, directions: Float64Array, low: Float64Array, high: Float64Array
) -> Float64Array:
    """The corners, in turn, of the part of a plane within a box of three axes, (m, 3).

    Parameters
    ----------
    point
        Of the plane, (3,).
    directions
        Within the plane, (2, 3); if they are parallel, there is no plane and m = 0.
    low, high
        Opposite corners of the box, (3,).
    """
    edges = box_edges((low + high) / 2, np.diag((high - low) / 2))
    height = (edges - point) @ np.cross(*directions)
    start, stop = height.T
    cut = start * stop <= 0
    cut &= start != stop
    share = start[cut] / (start - stop)[cut]
    corners = edges[cut, 0] + share[:, None] * (edges[cut, 1] - edges[cut, 0])
    if len(corners) < 3:
        return np.empty((0, 3))
    first, second = np.linalg.svd(directions, full_matrices=False)[2]
    offsets = corners - corners.mean(0)
    return corners[np.argsort(np.arctan2(offsets @ second, offsets @ first))]

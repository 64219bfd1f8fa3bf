"""Single spaces drawn in axes of three dimensions, and where lines and planes meet their edges.

All drawing and all geometry is that of `lowdim.pl`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lowdim._typing import Float64Array
from lowdim._validation import check_interval
from lowdim.kspaces._basis import is_orthonormal
from lowdim.kspaces._spaces import affine_subspace
from lowdim.pl import _geometry
from lowdim.pl._flats import Pen
from lowdim.pl._legend import flat_handle
from lowdim.pl._projection import Projection

_FLAT = 1e-9
"""A direction of which less is left in the view points at the viewer."""

_KINDS = ("point", "line", "plane", "prism")

AS_IT_IS = Projection(np.zeros(3), np.eye(3), ())
"""The view of data that have three columns."""


def project_space(s: Any, vis: Any) -> affine_subspace:
    """A space as it appears in a view: exactly its distribution in the coordinates of the view.

    Parameters
    ----------
    s : affine_subspace
        In D dimensions.
    vis : affine_subspace or sklearn.decomposition.PCA
        The view: the coordinates along its p vectors or components, from its translation or mean.

    Returns
    -------
    affine_subspace in p dimensions, with the sigma and prior of `s`. Vectors that the view does
    not foreshorten are kept in order; otherwise they become the principal axes of what is seen,
    with its standard deviations. It has fewer dimensions than `s` where the view has fewer than
    `s`, or looks along it. (kspaces hangs in the first case, and returns unit standard deviations
    and vectors that are not orthonormal in all others.)

    Raises
    ------
    ValueError
        `vis` is neither a space nor a fitted PCA, is a point, or has another D than `s`.
    """
    view = as_view(vis)
    mean = _seen_mean(s, view)
    vectors, latent = view.vectors(vectors_of(s)), np.asarray(s.latent_sigmas, dtype=np.float64)
    if not is_orthonormal(vectors):
        vectors, latent = _seen(vectors, latent, float(s.sigma))
    return affine_subspace(vectors, mean, s.sigma, latent, s.prior)


def as_view(vis: Any) -> Projection:
    """The projection that a space or a fitted PCA stands for, or is."""
    if isinstance(vis, Projection):
        return vis
    if hasattr(vis, "components_") and hasattr(vis, "mean_"):
        return Projection(np.asarray(vis.mean_), np.asarray(vis.components_), ())
    if not hasattr(vis, "vectors") or not hasattr(vis, "translation"):
        raise ValueError(
            f"vis is a {type(vis).__name__}; pass an affine_subspace or a fitted "
            "sklearn.decomposition.PCA."
        )
    if vis.d == 0:
        raise ValueError("vis is a point (d = 0), in which nothing can be seen; pass d >= 1.")
    return Projection(np.asarray(vis.translation), vectors_of(vis), ())


def vectors_of(s: Any) -> Float64Array:
    """The vectors of a space, (d, D), of a point as well."""
    return np.reshape(np.asarray(s.vectors, dtype=np.float64), (s.d, len(s.translation)))


def _seen_mean(s: Any, view: Projection) -> Float64Array:
    """The translation of a space of as many columns as the view, (p,)."""
    if len(s.translation) != len(view.origin):
        raise ValueError(
            f"The space lies in D={len(s.translation)} dimensions, the view in "
            f"{len(view.origin)}; pass a view of the same columns."
        )
    return view.points(np.asarray(s.translation, dtype=np.float64)[None])[0]


def _seen(
    vectors: Float64Array, latent: Float64Array, sigma: float
) -> tuple[Float64Array, Float64Array]:
    """Principal axes and standard deviations of a space that a view foreshortens.

    V (L^2 - s^2 I) V' + s^2 I, of which V are the vectors in the view, is the covariance of what
    is seen; off the span of V, it is s^2.
    """
    _, strength, span = np.linalg.svd(vectors, full_matrices=False)
    span = span[strength > _FLAT]
    inner = span @ vectors.T
    covariance = (inner * (latent**2 - sigma**2)) @ inner.T + sigma**2 * np.eye(len(span))
    variances, turn = np.linalg.eigh(covariance)
    axes = turn.T[::-1] @ span
    likeness = axes @ vectors.T
    closest = np.abs(likeness).argmax(axis=1)
    signs = np.where(likeness[np.arange(len(axes)), closest] < 0, -1.0, 1.0)
    return signs[:, None] * axes, np.sqrt(np.maximum(variances[::-1], 0.0))


def clip_line(line: Any, xlim: Any, ylim: Any, zlim: Any) -> Float64Array:
    """Where a line enters and leaves the box of the limits.

    Parameters
    ----------
    line : affine_subspace
        With d = 1 in three dimensions.
    xlim, ylim, zlim : tuple of (low, high)

    Returns
    -------
    ndarray of shape (2, 3), or (0, 3) if the line misses the box
    """
    low, high = box_of(xlim, ylim, zlim)
    return _geometry.clip_line(np.asarray(line.translation), vectors_of(line)[0], low, high)


def plot_point_3D(
    ax: Any, xlim: Any, ylim: Any, zlim: Any, space: Any, color: Any = "crimson", alpha_s: float = 1
) -> None:
    """Draw a space with d = 0.

    Parameters
    ----------
    ax : Axes3D
    xlim, ylim, zlim : tuple of (low, high)
        Not used; for the sake of one signature.
    space : affine_subspace
        In three dimensions.
    color : color, default="crimson"
    alpha_s : float, default=1
        Opacity.
    """
    Pen(ax, color, alpha_s).dot(np.asarray(space.translation))


def plot_line_3D(
    ax: Any,
    xlim: Any,
    ylim: Any,
    zlim: Any,
    line: Any,
    color: Any = "crimson",
    linestyle: Any = "-",
    alpha_s: float = 1,
    sd_length: float | None = None,
) -> None:
    """Draw a space with d = 1; nothing if it misses the box of the limits.

    Parameters
    ----------
    ax : Axes3D
    xlim, ylim, zlim : tuple of (low, high)
        How far the line is drawn.
    line : affine_subspace
        In three dimensions.
    color : color, default="crimson"
    linestyle : str, default="-"
    alpha_s : float, default=1
        Opacity.
    sd_length : float, optional
        Draw the line so many standard deviations to both sides of its translation instead.
    """
    if sd_length is None:
        ends = clip_line(line, xlim, ylim, zlim)
    else:
        sd_length = check_interval(sd_length, "sd_length", low=0.0)
        reach = sd_length * np.asarray(line.latent_sigmas)[0] * vectors_of(line)[0]
        ends = np.asarray(line.translation) + np.array([[-1.0], [1.0]]) * reach
    if len(ends):
        Pen(ax, color, alpha_s, linestyle).line(ends, 1.6)


def plot_plane(
    ax: Any, xlim: Any, ylim: Any, zlim: Any, space: Any, color: Any = "crimson", alpha: float = 0.5
) -> None:
    """Draw what lies of a space with d = 2 in the box of the limits.

    Parameters
    ----------
    ax : Axes3D
    xlim, ylim, zlim : tuple of (low, high)
    space : affine_subspace
        In three dimensions.
    color : color, default="crimson"
    alpha : float, default=0.5
        Opacity of its edge; the plane has three tenths of it.
    """
    low, high = box_of(xlim, ylim, zlim)
    corners = _geometry.clip_plane(np.asarray(space.translation), vectors_of(space), low, high)
    if not len(corners):
        return
    pen = Pen(ax, color, alpha)
    pen.faces(corners[None], 0.3)
    pen.line(np.vstack([corners, corners[:1]]), 1.0, below=True)


def plot_prism(
    s: Any, pca: Any, ax: Any, color: Any = "k", alpha: float = 1, scale: float | None = None
) -> None:
    """Draw a space with d = 3 as a box along its vectors, seen in three dimensions.

    Parameters
    ----------
    s : affine_subspace
        With d = 3, in D dimensions.
    pca : sklearn.decomposition.PCA or affine_subspace
        The view, with three components or vectors.
    ax : Axes3D
    color : color, default="k"
    alpha : float, default=1
        Opacity.
    scale : float, optional
        Length of the sides of a cube. By default each side is as long as two standard deviations
        along its own vector. (kspaces takes the first standard deviation for all sides, and twice
        `scale`.)

    Raises
    ------
    ValueError
        The space or the view has not three dimensions.
    """
    view = as_view(pca)
    if s.d != 3 or len(view.directions) != 3:
        raise ValueError(
            f"A space with d = {s.d} in a view of {len(view.directions)} dimension(s) is no "
            "prism; both must have 3."
        )
    if scale is None:
        half = np.asarray(s.latent_sigmas, dtype=np.float64)
    else:
        half = np.full(3, check_interval(scale, "scale", low=0.0, closed="neither") / 2)
    center = _seen_mean(s, view)
    Pen(ax, color, alpha).box(center, half[:, None] * view.vectors(vectors_of(s)))


@dataclass(frozen=True, eq=False)
class Overlay:
    """Spaces to draw in a view, and how.

    Attributes
    ----------
    spaces
        Spaces in D dimensions; those with d > 3 are left out.
    view
        From D dimensions to three.
    colors
        One for each.
    alpha
        Opacity.
    prism_scale
        As `plot_prism` takes it.
    linestyle
        Of lines.
    """

    spaces: Sequence[Any]
    view: Projection
    colors: Sequence[Any]
    alpha: float = 1.0
    prism_scale: float | None = None
    linestyle: Any = "-"

    def draw(self, ax: Any, limits: Float64Array) -> None:
        """Draw what is seen of each within limits, (3, 2)."""
        for s, color in zip(self.spaces, self.colors, strict=True):
            if s.d == 3:
                plot_prism(s, self.view, ax, color, self.alpha, self.prism_scale)
            if s.d >= 3:
                continue
            seen, (x, y, z) = project_space(s, self.view), limits
            if seen.d == 0:
                plot_point_3D(ax, x, y, z, seen, color, self.alpha)
            elif seen.d == 1:
                plot_line_3D(ax, x, y, z, seen, color, self.linestyle, self.alpha)
            else:
                plot_plane(ax, x, y, z, seen, color, self.alpha)

    def handles(self, markerscale: float) -> list[Any]:
        """What a legend says of them that draws its markers `markerscale` times as large."""
        return [
            flat_handle(s.d, color, f"{_KINDS[s.d]} {i}", size=7.0 / markerscale)
            for i, (s, color) in enumerate(zip(self.spaces, self.colors, strict=True))
            if s.d <= 3
        ]


def box_of(xlim: Any, ylim: Any, zlim: Any) -> tuple[Float64Array, Float64Array]:
    """The lowest and the highest corner of the box of the limits, (3,) each."""
    limits = np.array([xlim, ylim, zlim], dtype=np.float64)
    return limits.min(axis=1), limits.max(axis=1)

"""Subspaces drawn as what they are: points, lines, planes and ellipsoids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse, Patch
from matplotlib.patheffects import withStroke
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from lowdim.pl._colors import INK, darker
from lowdim.pl._figure import is_3d

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.patheffects import AbstractPathEffect

    from lowdim._typing import Float64Array
    from lowdim.pl._fitted import FittedSubspaces
    from lowdim.pl._projection import Projection

# Above all points: a 3-D Axes numbers the collections that it sorts by depth from about 3.
_FILL, _OUTLINE, _LINE, _TEXT = 1_000, 1_001, 1_002, 1_003
_FILL_ALPHA = 0.2
_CIRCLE = np.linspace(0, 2 * np.pi, 73)


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
    """
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


def draw_flat(ax: Axes, flat: Flat, color: str, sd: float) -> list[Artist]:
    """Draw a component and its number.

    In 2-D: its mean (d = 0), its axis (d = 1) or the filled ellipse (d >= 2), within an outline
    that is the ellipse of `sd` standard deviations of all its rows, noise included. In 3-D: its
    mean in the sphere of the noise (d = 0), its axis (d = 1), the disc in its plane (d = 2), or
    the ellipsoid of its rows (d >= 3). Axes and discs reach `sd` standard deviations.
    """
    pen = _Pen(ax, darker(color), sd)
    d = len(flat.axes)
    artists = _draw_core(pen, flat) if d < 2 else []
    if not is_3d(ax):
        artists += _draw_ellipse(pen, flat)
    elif d == 2:
        artists += _draw_disc(pen, flat)
    elif d != 1:
        artists += _draw_ellipsoid(pen, flat)
    return [*artists, _draw_number(pen, flat)]


def legend_handle(dim: int, color: str, label: str) -> Artist:
    """A small picture of a component's kind for a legend."""
    if dim == 0:
        return Line2D([], [], color=color, marker="o", markersize=7, linestyle="none", label=label)
    if dim == 1:
        return Line2D([], [], color=color, linewidth=2.5, label=label)
    return Patch(facecolor=to_rgba(color, 0.5), edgecolor=color, linewidth=1.2, label=label)


@dataclass(frozen=True, eq=False)
class _Pen:
    """Where and how to draw one component."""

    ax: Any
    color: tuple[float, float, float]
    sd: float

    def line(self, points: Float64Array, width: float, zorder: int) -> list[Artist]:
        """A line with a white rim, without which it would drown in points of its colour."""
        return list(
            self.ax.plot(
                *points.T,
                color=self.color,
                linewidth=width,
                solid_capstyle="butt",
                path_effects=_rim(width),
                zorder=zorder,
            )
        )


def _rim(width: float) -> list[AbstractPathEffect]:
    return [withStroke(linewidth=width + 1.6, foreground="white", alpha=0.8)]


def _draw_core(pen: _Pen, flat: Flat) -> list[Artist]:
    """The mean of a point, or the axis of a line."""
    if len(flat.axes):
        ends = flat.mean + pen.sd * np.array([[-1.0], [1.0]]) * flat.axes
        return pen.line(ends, 2.5, _LINE)
    return list(
        pen.ax.plot(
            *flat.mean[:, None],
            color=pen.color,
            marker="o",
            markersize=7,
            markeredgecolor="white",
            linestyle="none",
            zorder=_LINE,
        )
    )


def _draw_ellipse(pen: _Pen, flat: Flat) -> list[Artist]:
    """The ellipse of the rows: filled where the subspace fills the picture, else an outline."""
    spread, directions = flat.ellipse()
    fills = len(flat.axes) >= 2
    width = 1.6 if fills else 0.9
    place: dict[str, Any] = {
        "xy": (float(flat.mean[0]), float(flat.mean[1])),
        "width": 2 * pen.sd * spread[0],
        "height": 2 * pen.sd * spread[1],
        "angle": float(np.degrees(np.arctan2(directions[0, 1], directions[0, 0]))),
    }
    outline = Ellipse(
        **place,
        facecolor="none",
        edgecolor=pen.color,
        linewidth=width,
        linestyle="-" if fills else "--",
        path_effects=_rim(width),
        zorder=_OUTLINE,
    )
    artists: list[Artist] = [pen.ax.add_patch(outline)]
    if fills:
        fill = Ellipse(**place, facecolor=to_rgba(pen.color, _FILL_ALPHA), zorder=_FILL)
        artists.append(pen.ax.add_patch(fill))
    return artists


def _draw_disc(pen: _Pen, flat: Flat) -> list[Artist]:
    circle = np.stack([np.cos(_CIRCLE), np.sin(_CIRCLE)], axis=1)
    rim = flat.mean + pen.sd * circle @ flat.axes
    disc = Poly3DCollection([rim], facecolor=to_rgba(pen.color, _FILL_ALPHA), edgecolor="none")
    pen.ax.add_collection3d(disc)
    return [disc, *pen.line(rim, 1.6, _OUTLINE)]


def _draw_ellipsoid(pen: _Pen, flat: Flat) -> list[Artist]:
    """A faint surface, and the three ellipses in which its principal planes cut it."""
    spread, directions = flat.ellipse()
    axes = pen.sd * spread[:, None] * directions
    azimuth, polar = np.meshgrid(_CIRCLE[::3], np.linspace(0, np.pi, 13))
    sphere = np.stack(
        [np.cos(azimuth) * np.sin(polar), np.sin(azimuth) * np.sin(polar), np.cos(polar)], axis=-1
    )
    surface = pen.ax.plot_surface(
        *np.moveaxis(flat.mean + sphere @ axes, -1, 0),
        color=to_rgba(pen.color, _FILL_ALPHA / 2),
        linewidth=0,
        shade=False,
        antialiased=False,
    )
    artists: list[Artist] = [surface]
    cosine, sine = np.cos(_CIRCLE)[:, None], np.sin(_CIRCLE)[:, None]
    for i, j in ((0, 1), (0, 2), (1, 2)):
        artists += pen.line(flat.mean + cosine * axes[i] + sine * axes[j], 0.9, _OUTLINE)
    return artists


def _draw_number(pen: _Pen, flat: Flat) -> Artist:
    """The component's number at its rim: at their means, crossing subspaces meet."""
    text: Artist = pen.ax.text(
        *flat.tip(pen.sd),
        str(flat.component),
        color=INK,
        fontweight="bold",
        ha="center",
        va="center",
        clip_on=True,
        path_effects=[withStroke(linewidth=3, foreground="white")],
        zorder=_TEXT,
    )
    return text

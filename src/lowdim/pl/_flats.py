"""Subspaces drawn as what they are: points, lines, planes, ellipsoids and boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.patches import Ellipse
from matplotlib.patheffects import withStroke
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from lowdim.pl._colors import INK, darker
from lowdim.pl._figure import is_3d
from lowdim.pl._geometry import box_edges, box_faces

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.patheffects import AbstractPathEffect

    from lowdim._typing import Float64Array
    from lowdim.pl._geometry import Flat

# Above all points: a 3-D Axes numbers the collections that it sorts by depth from about 3.
_FILL, _OUTLINE, _LINE, _TEXT = 1_000, 1_001, 1_002, 1_003
_FILL_ALPHA = 0.2
_CIRCLE = np.linspace(0, 2 * np.pi, 73)


@dataclass(frozen=True, eq=False)
class Pen:
    """Where and how to draw: on an Axes of two or three dimensions, above its points.

    Attributes
    ----------
    ax
        The Axes.
    color
        Of lines and surfaces.
    alpha
        Opacity of lines; that of surfaces is a part of it.
    linestyle
        As matplotlib calls it.
    """

    ax: Any
    color: Any
    alpha: float = 1.0
    linestyle: Any = "-"

    def dot(self, point: Float64Array) -> list[Artist]:
        """A marker at a point, (p,)."""
        return list(
            self.ax.plot(
                *point[:, None],
                color=self.color,
                alpha=self.alpha,
                marker="o",
                markersize=7,
                markeredgecolor="white",
                linestyle="none",
                zorder=_LINE,
            )
        )

    def line(
        self, points: Float64Array, width: float = 2.5, *, below: bool = False
    ) -> list[Artist]:
        """A line through points (n, p), with a white rim to stand out from rows of its colour."""
        return list(
            self.ax.plot(
                *points.T,
                color=self.color,
                alpha=self.alpha,
                linestyle=self.linestyle,
                linewidth=width,
                solid_capstyle="butt",
                path_effects=_rim(width, self.alpha),
                zorder=_OUTLINE if below else _LINE,
            )
        )

    def faces(self, faces: Float64Array, opacity: float = _FILL_ALPHA) -> list[Artist]:
        """Polygons, n of them with m corners each, (n, m, p)."""
        color = to_rgba(self.color, opacity * self.alpha)
        if is_3d(self.ax):
            deep = Poly3DCollection(list(faces), facecolor=color, edgecolor="none")
            return [self.ax.add_collection3d(deep)]
        flat = PolyCollection(list(faces), facecolor=color, edgecolor="none", zorder=_FILL)
        return [self.ax.add_collection(flat)]

    def box(self, center: Float64Array, half: Float64Array) -> list[Artist]:
        """A rectangle or a box around `center` (p,) as far as `half` (2 or 3, p) to each side."""
        faces = box_faces(center, half)
        artists = self.faces(faces, _FILL_ALPHA if len(faces) == 1 else _FILL_ALPHA / 3)
        for edge in box_edges(center, half):
            artists += self.line(edge, 1.4, below=True)
        return artists


def draw_flat(
    ax: Axes, flat: Flat, color: str, sd: float, *, shape: str = "ellipse"
) -> list[Artist]:
    """Draw a component and its number.

    In 2-D: its mean (d = 0), its axis (d = 1) or the filled ellipse (d >= 2), within an outline
    that is the ellipse of `sd` standard deviations of all its rows, noise included. In 3-D: its
    mean in the sphere of the noise (d = 0), its axis (d = 1), the disc in its plane (d = 2), or
    the ellipsoid of its rows (d >= 3). Axes and discs reach `sd` standard deviations.

    With the shape "box", a plane is a rectangle and a volume (d = 3) a box, each side of which
    lies along one axis, from -`sd` to `sd` standard deviations of it.
    """
    pen = Pen(ax, darker(color))
    d = len(flat.axes)
    artists: list[Artist] = []
    if d == 0:
        artists += pen.dot(flat.mean)
    elif d == 1:
        artists += pen.line(flat.mean + sd * np.array([[-1.0], [1.0]]) * flat.axes)
    if shape == "box" and d in (2, 3):
        artists += pen.box(flat.mean, sd * flat.axes)
    elif not is_3d(ax):
        artists += _draw_ellipse(pen, flat, sd)
    elif d == 2:
        artists += _draw_disc(pen, flat, sd)
    elif d != 1:
        artists += _draw_ellipsoid(pen, flat, sd)
    return [*artists, _draw_number(pen, flat, sd)]


def _rim(width: float, alpha: float) -> list[AbstractPathEffect]:
    return [withStroke(linewidth=width + 1.6, foreground="white", alpha=0.8 * alpha)]


def _draw_ellipse(pen: Pen, flat: Flat, sd: float) -> list[Artist]:
    """The ellipse of the rows: filled where the subspace fills the picture, else an outline."""
    spread, directions = flat.ellipse()
    fills = len(flat.axes) >= 2
    width = 1.6 if fills else 0.9
    place: dict[str, Any] = {
        "xy": (float(flat.mean[0]), float(flat.mean[1])),
        "width": 2 * sd * spread[0],
        "height": 2 * sd * spread[1],
        "angle": float(np.degrees(np.arctan2(directions[0, 1], directions[0, 0]))),
    }
    outline = Ellipse(
        **place,
        facecolor="none",
        edgecolor=pen.color,
        linewidth=width,
        linestyle="-" if fills else "--",
        path_effects=_rim(width, 1.0),
        zorder=_OUTLINE,
    )
    artists: list[Artist] = [pen.ax.add_patch(outline)]
    if fills:
        fill = Ellipse(**place, facecolor=to_rgba(pen.color, _FILL_ALPHA), zorder=_FILL)
        artists.append(pen.ax.add_patch(fill))
    return artists


def _draw_disc(pen: Pen, flat: Flat, sd: float) -> list[Artist]:
    circle = np.stack([np.cos(_CIRCLE), np.sin(_CIRCLE)], axis=1)
    rim = flat.mean + sd * circle @ flat.axes
    return [*pen.faces(rim[None]), *pen.line(rim, 1.6, below=True)]


def _draw_ellipsoid(pen: Pen, flat: Flat, sd: float) -> list[Artist]:
    """A faint surface, and the three ellipses in which its principal planes cut it."""
    spread, directions = flat.ellipse()
    axes = sd * spread[:, None] * directions
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
        artists += pen.line(flat.mean + cosine * axes[i] + sine * axes[j], 0.9, below=True)
    return artists


def _draw_number(pen: Pen, flat: Flat, sd: float) -> Artist:
    """The component's number at its rim: at their means, crossing subspaces meet."""
    place = flat.tip(sd)
    if not is_3d(pen.ax):
        pen.ax.update_datalim(place[None])  # or it is cut at the edge
        pen.ax.autoscale_view()
    text: Artist = pen.ax.text(
        *place,
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

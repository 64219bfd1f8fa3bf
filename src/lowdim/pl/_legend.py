"""Entries of legends: small pictures of what is drawn, and the star at what was chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.colors import to_rgba
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from lowdim.pl._colors import PALETTE

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes


def dot_handle(color: Any, label: str, size: float = 6.0) -> Line2D:
    """A dot of a diameter in points, for rows."""
    return Line2D(
        [],
        [],
        color=color,
        marker="o",
        markersize=size,
        markeredgewidth=0,
        linestyle="none",
        label=label,
    )


def flat_handle(dim: int, color: Any, label: str, *, size: float = 7.0) -> Artist:
    """A small picture of a component's kind; `size` is the diameter of a point (d = 0)."""
    if dim == 0:
        return dot_handle(color, label, size)
    if dim == 1:
        return Line2D([], [], color=color, linewidth=2.5, label=label)
    return Patch(facecolor=to_rgba(color, 0.5), edgecolor=color, linewidth=1.2, label=label)


def marker_handle(marker: str, color: Any, label: str, *, hollow: bool = False) -> Line2D:
    """A marker, filled with a colour or only outlined, for samples."""
    return Line2D(
        [],
        [],
        marker=marker,
        markersize=6.0,
        markerfacecolor="none" if hollow else color,
        markeredgecolor=color if hollow else "white",
        markeredgewidth=0.9 if hollow else 0.5,
        linestyle="none",
        label=label,
    )


def square_handle(color: Any, label: str) -> Line2D:
    """A filled square, for an area of a colour."""
    return Line2D(
        [],
        [],
        color=color,
        marker="s",
        markersize=7.0,
        markeredgewidth=0,
        linestyle="none",
        label=label,
    )


def line_handle(color: Any, label: str) -> Line2D:
    """A line, for outlines and curves."""
    return Line2D([], [], color=color, linewidth=1.4, label=label)


def draw_star(ax: Axes, x: float, y: float, label: str) -> None:
    """A star at what was chosen, over all else, with its entry in the legend."""
    ax.plot(
        x,
        y,
        color=PALETTE[1],
        marker="*",
        markersize=17,
        markeredgecolor="white",
        linestyle="none",
        label=label,
        zorder=3,
    )

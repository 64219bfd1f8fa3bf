"""What stands around a layout: axes without units, legends, scales, names of groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.patheffects import withStroke

from lowdim.pl._colors import INK
from lowdim.pl._figure import is_3d
from lowdim.pl._legend import dot_handle
from lowdim.pl._names import brief

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lowdim.pl._colors import Coloring

_LEGEND_LINES = 18


def finish_axes(ax: Any, title: str, axes: Sequence[int]) -> None:
    """One scale for all axes, their names, and no ticks: places have no unit."""
    for name, column in zip("xyz", axes, strict=False):
        getattr(ax, f"set_{name}label")(f"{title} {column + 1}", fontsize="small")
        getattr(ax, f"set_{name}ticks")([])
    if is_3d(ax):
        return
    ax.set_aspect("equal", adjustable="datalim")
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color("0.6")


def legend_columns(coloring: Coloring) -> int:
    """Columns of a legend; none for values."""
    return -(-len(coloring.names) // _LEGEND_LINES)


def add_legend(ax: Axes, coloring: Coloring) -> None:
    """Names of the groups and their numbers of rows, right of the picture."""
    groups = zip(coloring.names, coloring.colors, coloring.counts, strict=True)
    ax.legend(
        handles=[dot_handle(color, f"{brief(name)} ({n:,})") for name, color, n in groups],
        loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0, frameon=False,
        fontsize="x-small", handletextpad=0.2, labelspacing=0.35, columnspacing=1.0,
        ncols=legend_columns(coloring),
    )  # fmt: skip


def add_scale(ax: Any, coloring: Coloring) -> None:
    """The scale of the values, beside the picture."""
    mappable = ScalarMappable(norm=coloring.norm, cmap=coloring.cmap)
    bar = ax.figure.colorbar(mappable, ax=ax, fraction=0.045, pad=0.02, shrink=0.7)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize="x-small", length=2)


def name_groups(ax: Any, places: np.ndarray, labels: Any) -> None:
    """The name of every group of rows at the median of its places."""
    import pandas as pd

    keys = pd.Series(labels).reset_index(drop=True)
    for name, middle in pd.DataFrame(places).groupby(keys, observed=True).median().iterrows():
        ax.text(
            *middle, brief(name), ha="center", va="center", fontsize="small", color=INK,
            path_effects=[withStroke(linewidth=2.5, foreground="white")], zorder=4,
        )  # fmt: skip


def say_what_is_drawn(ax: Any, drawn: int, n_rows: int, most: int) -> None:
    """Tell of shading and of samples."""
    if n_rows <= most:
        return
    text = f"{n_rows:,} rows, shaded: mean colour, opacity by their number"
    write = ax.text
    if is_3d(ax):
        text, write = f"{drawn:,} of {n_rows:,} rows", ax.text2D
    write(0.01, 0.005, text, transform=ax.transAxes, fontsize="xx-small", color="0.4", va="bottom")

"""Rows where a layout puts them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim._validation import check_in
from lowdim.pl._figure import several_axes
from lowdim.pl._layout import Layout, read_colors, read_layout
from lowdim.pl._layout_axes import (
    add_legend,
    add_scale,
    finish_axes,
    legend_columns,
    name_groups,
    say_what_is_drawn,
)
from lowdim.pl._points import draw_points, max_points_of

if TYPE_CHECKING:
    from lowdim.pl._layout import Colors

_LEGEND_WIDTH = 1.6
"""Of a column of the legend, in inches."""

_SIDE = 3.9
"""Of a panel in inches."""


def embedding(
    data: Any,
    color: Any = None,
    *,
    basis: str = "tsne",
    layer: str | None = None,
    axes: Sequence[int] = (0, 1),
    palette: Any = None,
    cmap: str = "viridis",
    legend: str | None = "beside",
    size: Any = None,
    alpha: float | None = None,
    max_points: int | None = None,
    n_columns: int = 3,
    ax: Any = None,
) -> Any:
    """Draw a layout, one panel for everything that colours it.

    Points are drawn in random order, so that no group hides another. Of more than 100,000 rows
    the picture is shaded instead: every small square has the mean colour, or the colour of the mean
    value, of its rows, and is the more opaque the more there are.

    Parameters
    ----------
    data
        An AnnData, or a layout, (N, c).
    color
        A column of `adata.obs`, a gene, an array of N labels or values, or None for grey; with an
        AnnData a list of these, or a dict of them by title, for several panels. Floats are values,
        and so are integers of more than 30 kinds; all else is labels.
    basis
        With an AnnData: the key of `obsm`, with or without ``X_``.
    layer
        Where the expression of genes is taken from; by default `X`.
    axes
        Two columns of the layout, or three for a picture in 3-D.
    palette
        Colours of the labels: a dict, which leaves those that it lacks grey, or a list in their
        order; by default 30 that people with colour blindness tell apart.
    cmap
        Colour map of values.
    legend
        "beside", "on data" for names among the points, or None.
    size
        Area of the markers in square points, by default by their number.
    alpha
        Opacity of the markers, by default by their number.
    max_points
        The most markers, by default 100,000 in 2-D and 30,000 in 3-D. More rows are shaded in 2-D
        and sampled in 3-D, which the picture then says.
    n_columns
        Panels side by side in a new figure.
    ax
        Where to draw: an Axes, or one for each panel; by default in a new figure.

    Returns
    -------
    The Axes, or an array of them for several panels.

    Raises
    ------
    TypeError, ValueError
        An argument cannot be used, or there is no such layout.

    Notes
    -----
    In layouts such as those of t-SNE and UMAP neither the distance of groups nor their size nor
    their density can be read; see `lowdim.metrics.embedding_quality`.
    """
    if legend is not None:
        check_in(legend, "legend", ("beside", "on data"))
    layout = read_layout(data, basis)
    shown = _columns(layout, axes)
    most = max_points_of(len(axes), max_points)
    colors = read_colors(data, color, len(shown), layer=layer, palette=palette, cmap=cmap)
    panels = _panels(ax, colors, len(axes), n_columns, legend)
    for panel, own in zip(panels, colors, strict=True):
        coloring = own.coloring
        drawn = draw_points(panel, shown, coloring, size=size, alpha=alpha, max_points=most)
        finish_axes(panel, layout.title, axes)
        panel.set_title(own.title, fontsize="medium")
        if coloring.values is not None:
            add_scale(panel, coloring)
        elif legend == "on data" and coloring.names:
            name_groups(panel, shown, own.values)
        elif legend == "beside" and coloring.names:
            add_legend(panel, coloring)
        say_what_is_drawn(panel, drawn, len(shown), most)
    several = len(colors) > 1 or isinstance(color, (list, tuple, dict))
    return panels if several else panels[0]


def _columns(layout: Layout, axes: Any) -> np.ndarray:
    """The columns that are drawn."""
    c = layout.places.shape[1]
    if np.shape(axes) not in ((2,), (3,)) or not all(int(a) in range(c) for a in axes):
        raise ValueError(f"axes={axes!r} must be two or three of the columns 0 to {c - 1}.")
    return layout.places[:, list(axes)]


def _panels(
    ax: Any, colors: list[Colors], n_dims: int, n_columns: int, legend: str | None
) -> np.ndarray:
    """The Axes to draw on, with room for legends in a new figure."""
    widest = max(legend_columns(own.coloring) for own in colors) if legend == "beside" else 0
    size = (_SIDE + _LEGEND_WIDTH * widest, _SIDE)
    return several_axes(ax, len(colors), "panels", n_columns=n_columns, size=size, n_dims=n_dims)

"""Rows and the subspaces through them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.lines import Line2D

from lowdim._validation import check_in, check_interval, check_positive_int
from lowdim.pl._colors import (
    INK,
    MISSING,
    Coloring,
    array_coloring,
    code_coloring,
    palette,
    plain_coloring,
)
from lowdim.pl._figure import check_axes, grid_of_axes, is_3d, one_axes, settle
from lowdim.pl._fitted import (
    FittedSubspaces,
    column_names,
    read_annotation,
    read_fit,
    read_labels,
    read_rows,
)
from lowdim.pl._geometry import draw_flat, legend_handle, project_flats
from lowdim.pl._points import draw_points
from lowdim.pl._projection import choose_projection

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lowdim._typing import IntArray
    from lowdim.pl._projection import Projection

_LEGEND_LINES = 24

_VIEW_SPACE = 0.15
"""Between panels in 3-D, as a share of their width: the layout does not see their z-labels."""

_MAX_RATIO = 5.0
"""Axes whose lengths differ by more have scales of their own."""


def subspaces(
    model_or_adata: Any,
    X: Any = None,
    *,
    key: str = "subspaces",
    axes: Sequence[int] | None = None,
    n_dims: int | None = None,
    color: Any = "component",
    sd: float = 2.0,
    ax: Axes | None = None,
    views: Sequence[tuple[float, float]] | None = None,
    size: float | None = None,
    alpha: float | None = None,
    max_points: int | None = None,
    cmap: str = "viridis",
    legend: bool = True,
    figsize: tuple[float, float] | None = None,
) -> Any:
    """Draw the rows in two or three dimensions, and the fitted subspaces among them.

    A point (d = 0) is drawn with the circle or sphere of its noise, a line (d = 1) and a plane
    (d = 2) as far as `sd` standard deviations of the rows along them, and anything larger as an
    ellipse or ellipsoid. In 2-D, an outline around each shows `sd` standard deviations of its
    rows, noise included. If the data have more columns than the picture, rows and subspaces are
    projected onto the first principal axes of the data (of 5,000 rows drawn at random); the axis
    labels then name them with their share of the variance.

    Parameters
    ----------
    model_or_adata
        A fitted `SubspaceMixture`, or an AnnData after `lowdim.tl.subspaces`.
    X
        With a mixture: the rows, (N, D).
    key
        With an AnnData: the `key_added` of the fit.
    axes
        Two or three columns to draw instead of principal axes.
    n_dims
        2 or 3; by default as many as `axes`, 3 for `views` or a 3-D `ax`, otherwise 2.
    color
        "component", a column of `adata.obs`, an array of N labels or values, or None for grey.
        Floats are values, and so are integers of more than 30 kinds; all else is labels.
    sd
        How far subspaces are drawn, in standard deviations, > 0.
    ax
        Where to draw; by default in a new figure.
    views
        Camera positions (elevation, azimuth) in degrees for a new figure of one 3-D panel each.
    size, alpha
        Area (square points) and opacity of the markers; by default by their number.
    max_points
        The most markers, by default 100,000 in 2-D and 30,000 in 3-D. More rows are shaded by
        their density in 2-D, and sampled in 3-D, which the legend then says.
    cmap
        Colour map of values.
    legend
        Whether to add the legend, which gives each component's dimension and number of rows, to
        the right of the axes.
    figsize
        Width and height of a new figure in inches.

    Returns
    -------
    The Axes, or an array of them, one for each of `views`.

    Raises
    ------
    TypeError, ValueError
        An argument cannot be used, or the fit or its data are not there.
    """
    sd = check_interval(sd, "sd", low=0.0, closed="neither")
    if max_points is not None:
        max_points = check_positive_int(max_points, "max_points")
    n_dims = _picture_dims(n_dims, axes, ax, views)
    fit = read_fit(model_or_adata, key)
    rows = read_rows(model_or_adata, X, key, fit)
    projection = choose_projection(rows, n_dims, axes, column_names(model_or_adata, key, fit))
    labels = read_labels(model_or_adata, X, key, fit)
    own = isinstance(color, str) and color == "component"
    colors = _component_colors(fit) if own else [INK] * fit.n_components
    coloring, title = _color_rows(model_or_adata, X, color, labels, colors, cmap)
    coordinates = projection.rows(rows)
    flats = project_flats(fit, projection)
    handles: list[Any] = [] if own else _category_handles(coloring)
    handles += _component_handles(fit, labels, colors, prefix="" if own else "component ")
    panels = _panels(n_dims, ax, views, figsize, _n_legend_columns(handles) if legend else 0)
    for panel in panels:
        n_drawn = draw_points(
            panel, coordinates, coloring, size=size, alpha=alpha, max_points=max_points
        )
        for flat in flats:
            draw_flat(panel, flat, colors[flat.component], sd)
        _finish_axes(panel, projection)
    if coloring.values is not None:
        _draw_colorbar(panels, coloring, title)
        title = ""
    if legend:
        if n_drawn < len(labels):
            title = f"{title}\n{n_drawn:,} of {len(labels):,} rows drawn".strip()
        _draw_legend(panels, handles, title, outside=ax is None)
    if ax is None:
        settle(panels[0].figure)
    return panels if views is not None else panels[0]


def _picture_dims(n_dims: Any, axes: Any, ax: Any, views: Any) -> int:
    """2 or 3, whichever the arguments agree on."""
    wanted = {}
    if n_dims is not None:
        wanted["n_dims"] = check_in(n_dims, "n_dims", (2, 3))
    if axes is not None:
        if np.shape(axes) not in ((2,), (3,)):
            raise ValueError(f"axes={axes!r} must be two or three column numbers.")
        wanted["axes"] = len(axes)
    if views is not None:
        if ax is not None:
            raise ValueError("views makes a figure of its own; leave out ax or views.")
        if np.ndim(views) != 2 or np.shape(views)[1] != 2 or not len(views):
            raise ValueError(
                f"views={views!r} must be a list of (elevation, azimuth), such as [(20, 30)]."
            )
        wanted["views"] = 3
    if ax is not None:
        wanted["ax"] = 3 if is_3d(ax) else 2
        check_axes(ax, n_dims=wanted["ax"])
    if len(set(wanted.values())) > 1:
        said = ", ".join(f"{name} is for {d}" for name, d in wanted.items())
        raise ValueError(f"The picture cannot have different numbers of dimensions: {said}.")
    return next(iter(wanted.values()), 2)


def _panels(
    n_dims: int, ax: Any, views: Any, figsize: tuple[float, float] | None, n_legend_columns: int
) -> np.ndarray:
    """The Axes to draw on, (n,), with their cameras set."""
    n = 1 if views is None else len(views)
    n_columns = 2 if n in (2, 4) else min(n, 3)
    if figsize is None:
        figsize = (4.6 * n_columns + 2.4 * n_legend_columns, 4.6 * -(-n // n_columns))
    if views is None:
        panels = np.empty(1, dtype=object)
        panels[0] = one_axes(ax, n_dims=n_dims, figsize=figsize)
        return panels
    panels = grid_of_axes(n, n_dims=3, n_columns=n_columns, figsize=figsize)
    panels[0].figure.get_layout_engine().set(wspace=_VIEW_SPACE)
    for panel, (elevation, azimuth) in zip(panels, views, strict=True):
        panel.view_init(elev=elevation, azim=azimuth)
    return panels


def _component_colors(fit: FittedSubspaces) -> list[str]:
    colors = palette(fit.n_components)
    return [MISSING if out else color for color, out in zip(colors, fit.is_uniform, strict=True)]


def _color_rows(
    source: Any, X: Any, color: Any, labels: IntArray, colors: list[str], cmap: str
) -> tuple[Coloring, str]:
    """The colour of every row, and what it stands for."""
    if color is None:
        return plain_coloring(len(labels)), ""
    if isinstance(color, str) and color == "component":
        names = [str(k) for k in range(len(colors))]
        return code_coloring(labels, names, colors), "component"
    values, title = read_annotation(source, X, color, "color")
    return array_coloring(values, len(labels), cmap), title


def _finish_axes(ax: Any, projection: Projection) -> None:
    """Names, and one scale for all axes, without which no right angle looks like one."""
    names = "xyz"[: len(projection.labels)]
    for name, label in zip(names, projection.labels, strict=True):
        getattr(ax, f"set_{name}label")(label)
    if is_3d(ax):
        ax.locator_params(nbins=5)
        ax.tick_params(labelsize="small")
    limits = [getattr(ax, f"get_{name}lim")() for name in names]
    lengths = np.array([abs(high - low) for low, high in limits])
    if lengths.max() > _MAX_RATIO * lengths.min():
        return
    if is_3d(ax):
        ax.set_box_aspect(lengths, zoom=0.9)
    else:
        ax.set_aspect("equal")


def _category_handles(coloring: Coloring) -> list[Line2D]:
    """A dot for each category of rows."""
    categories = zip(coloring.names, coloring.colors, coloring.counts, strict=True)
    return [
        Line2D([], [], color=c, marker="o", linestyle="none", label=f"{name}, n = {n:,}")
        for name, c, n in categories
    ]


def _component_handles(
    fit: FittedSubspaces, labels: IntArray, colors: list[str], prefix: str
) -> list[Any]:
    """A small picture of each component, its dimension and number of rows."""
    counts = np.bincount(labels[labels >= 0], minlength=fit.n_components).tolist()
    return [
        legend_handle(int(d), color, f"{prefix}{k}: {fit.describe(k, n)}")
        for k, (d, color, n) in enumerate(zip(fit.dims, colors, counts, strict=True))
    ]


def _n_legend_columns(handles: list[Any]) -> int:
    return -(-len(handles) // _LEGEND_LINES)


def _draw_legend(panels: np.ndarray, handles: list[Any], title: str, *, outside: bool) -> None:
    """The legend at the right of a new figure, or to the right of an Axes in another's figure."""
    options: dict[str, Any] = {
        "handles": handles,
        "title": title or None,
        "alignment": "left",
        "fontsize": "small",
        "title_fontsize": "small",
        "frameon": False,
        "ncols": _n_legend_columns(handles),
    }
    if outside:
        panels[0].figure.legend(loc="outside right upper", **options)
    else:
        panels[0].legend(loc="upper left", bbox_to_anchor=(1.02, 1.0), **options)


def _draw_colorbar(panels: np.ndarray, coloring: Coloring, title: str) -> None:
    """The scale of the values, below, where it is not in the legend's way."""
    mappable = ScalarMappable(norm=coloring.norm, cmap=coloring.cmap)
    panels[0].figure.colorbar(
        mappable, ax=list(panels), location="bottom", shrink=0.6, label=title, extend="both"
    )

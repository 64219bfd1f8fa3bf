"""Rows and the subspaces through them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.cm import ScalarMappable

from lowdim._validation import check_in, check_interval
from lowdim.pl._colors import (
    INK,
    MISSING,
    Coloring,
    array_coloring,
    chosen_colors,
    code_coloring,
    plain_coloring,
)
from lowdim.pl._figure import is_3d, settle
from lowdim.pl._fitted import (
    FittedSubspaces,
    column_names,
    read_annotation,
    read_fit,
    read_labels,
    read_rows,
)
from lowdim.pl._flats import draw_flat
from lowdim.pl._geometry import project_flats
from lowdim.pl._legend import dot_handle, flat_handle
from lowdim.pl._points import draw_points, max_points_of, point_size
from lowdim.pl._projection import choose_projection
from lowdim.pl._sizes import row_sizes
from lowdim.pl._views import ZOOM, finish_ticks, make_panels, picture_dims, read_cameras

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lowdim._typing import IntArray
    from lowdim.pl._projection import Projection

_LEGEND_LINES = 24
_LEGEND_WIDTH = 2.4
"""Of a column of the legend, in inches."""

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
    palette: Mapping[Any, Any] | Sequence[Any] | None = None,
    sd: float = 2.0,
    shape: str = "ellipse",
    ax: Axes | None = None,
    views: Sequence[tuple[float, float]] | None = None,
    elevation: float | Sequence[float] | None = None,
    azimuth: float | Sequence[float] | None = None,
    size: Any = None,
    alpha: float | None = None,
    max_points: int | None = None,
    cmap: str = "viridis",
    legend: bool = True,
    figsize: tuple[float, float] | None = None,
) -> Any:
    """Draw the rows in two or three dimensions, and the fitted subspaces among them.

    Clusters and Gaussian mixtures are drawn as well: centroids are points, with the noise that the
    model gives them, and Gaussians with free covariances have as many dimensions as the data.

    A point (d = 0) is drawn with the circle or sphere of its noise, a line (d = 1) and a plane
    (d = 2) as far as `sd` standard deviations of the rows along them, and anything larger as an
    ellipse or ellipsoid. In 2-D, an outline around each shows `sd` standard deviations of its
    rows, noise included. If the data have more columns than the picture, rows and subspaces are
    projected onto the first principal axes of the data (of 5,000 rows drawn at random); the axis
    labels then name them with their share of the variance.

    Parameters
    ----------
    model_or_adata
        A fitted `SubspaceMixture`, `GaussianMixture`, `KMeans` or `SoftKMeans`, or an AnnData
        after `lowdim.tl.subspaces` or `lowdim.tl.mixture`.
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
    palette
        Colours of the labels or components: a dict, which leaves those that it lacks grey, or a
        list in their order; by default 30 that people with colour blindness tell apart.
    sd
        How far subspaces are drawn, in standard deviations, > 0.
    shape
        "ellipse", or "box": planes become rectangles and volumes (d = 3) boxes, each side of which
        lies along an axis of the component and is 2 `sd` of its standard deviations long.
    ax
        Where to draw; by default in a new figure.
    views
        Camera positions (elevation, azimuth) in degrees for a new figure of one 3-D panel each.
    elevation, azimuth
        Instead of `views`: an angle or several of each, for a grid of 3-D panels with a line for
        each elevation and a column for each azimuth. By default 30 and -60, if one is given.
    size
        Area of the markers: a number in square points, by default by their number. "distance"
        draws rows the smaller, the further they are from the subspace of their own component. A
        column of `adata.obs` or N numbers, none negative, become areas in proportion to them. The
        legend tells. Rows that are shaded have no size.
    alpha
        Opacity of the markers, by default by their number.
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
    The Axes, or an array of them: (n,) for n `views`, and (n, m) for n elevations and m azimuths.
    Their figure is at `.figure`, ready to be shown or saved.

    Raises
    ------
    TypeError, ValueError
        An argument cannot be used, or the fit or its data are not there.
    """
    sd = check_interval(sd, "sd", low=0.0, closed="neither")
    check_in(shape, "shape", ("ellipse", "box"))
    cameras = read_cameras(views, elevation, azimuth)
    n_dims = picture_dims(n_dims, axes, ax, cameras)
    most = max_points_of(n_dims, max_points)
    fit = read_fit(model_or_adata, key)
    rows = read_rows(model_or_adata, X, key, fit)
    projection = choose_projection(rows, n_dims, axes, column_names(model_or_adata, key, fit))
    coordinates, flats = projection.rows(rows), project_flats(fit, projection)
    labels = read_labels(model_or_adata, X, key, fit)
    own = isinstance(color, str) and color == "component"
    colors = _component_colors(fit, palette) if own else [INK] * fit.n_components
    coloring, title = _color_rows(model_or_adata, X, color, labels, colors, cmap, palette)
    usual = point_size(min(rows.n_rows, most))
    sizing = row_sizes(size, model_or_adata, X, rows, fit, labels, usual)
    handles: list[Any] = [] if own else _category_handles(coloring)
    handles += _component_handles(fit, labels, colors, prefix="" if own else "component ")
    if n_dims == 3 or rows.n_rows <= most:
        handles += sizing.handles()
    width = _LEGEND_WIDTH * _n_legend_columns(handles) if legend else 0.0
    panels = make_panels(n_dims, ax, cameras, figsize, width)
    for panel in panels:
        n_drawn = draw_points(
            panel, coordinates, coloring, size=sizing.areas, alpha=alpha, max_points=most
        )
        for flat in flats:
            draw_flat(panel, flat, colors[flat.component], sd, shape=shape)
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
    return panels[0] if cameras is None else panels.reshape(cameras.shape)


def _component_colors(fit: FittedSubspaces, palette: Any) -> list[str]:
    colors = chosen_colors(range(fit.n_components), palette)
    return [MISSING if out else color for color, out in zip(colors, fit.is_uniform, strict=True)]


def _color_rows(
    source: Any, X: Any, color: Any, labels: IntArray, colors: list[str], cmap: str, palette: Any
) -> tuple[Coloring, str]:
    """The colour of every row, and what it stands for."""
    if color is None:
        return plain_coloring(len(labels)), ""
    if isinstance(color, str) and color == "component":
        names = [str(k) for k in range(len(colors))]
        return code_coloring(labels, names, colors), "component"
    values, title = read_annotation(source, X, color, "color")
    return array_coloring(values, len(labels), cmap, palette), title


def _finish_axes(ax: Any, projection: Projection) -> None:
    """Names, and one scale for all axes, without which no right angle looks like one."""
    names = "xyz"[: len(projection.labels)]
    for name, label in zip(names, projection.labels, strict=True):
        getattr(ax, f"set_{name}label")(label)
    if is_3d(ax):
        finish_ticks(ax)
    limits = [getattr(ax, f"get_{name}lim")() for name in names]
    lengths = np.array([abs(high - low) for low, high in limits])
    if lengths.max() > _MAX_RATIO * lengths.min():
        return
    if is_3d(ax):
        ax.set_box_aspect(lengths, zoom=ZOOM)
    else:
        ax.set_aspect("equal")


def _category_handles(coloring: Coloring) -> list[Any]:
    """A dot for each category of rows."""
    categories = zip(coloring.names, coloring.colors, coloring.counts, strict=True)
    return [dot_handle(color, f"{name}, n = {n:,}") for name, color, n in categories]


def _component_handles(
    fit: FittedSubspaces, labels: IntArray, colors: list[str], prefix: str
) -> list[Any]:
    """A small picture of each component, its dimension and number of rows."""
    counts = np.bincount(labels[labels >= 0], minlength=fit.n_components).tolist()
    return [
        flat_handle(int(d), color, f"{prefix}{k}: {fit.describe(k, n)}")
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
        mappable,
        ax=list(panels),
        location="bottom",
        shrink=0.6,
        aspect=20 if len(panels) == 1 else 40,
        label=title,
        extend="both",
    )

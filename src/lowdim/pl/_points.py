"""Rows as points or, where there are too many to be read, as a sample or as shading."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim._validation import check_positive_int
from lowdim.pl._figure import is_3d

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.image import AxesImage

    from lowdim._typing import Float64Array
    from lowdim.pl._colors import Coloring

_MAX_POINTS = {2: 100_000, 3: 30_000}

_RASTERIZE_FROM = 2_000
"""Points from which a vector file gets them as an image."""

_SHADE_CELLS = 300
"""Cells along the longer side of a shaded picture."""

_FAINTEST = 0.3
"""Opacity of a cell with a single row."""


def point_size(n: int) -> float:
    """Area of a marker, in square points, at which `n` of them do not cover each other."""
    return float(np.clip(30_000 / max(n, 1), 1.0, 25.0))


def max_points_of(n_dims: int, max_points: int | None = None) -> int:
    """The most markers in a picture of 2 or 3 dimensions: `max_points` (>= 1), or the default."""
    if max_points is None:
        return _MAX_POINTS[n_dims]
    return check_positive_int(max_points, "max_points")


def draw_points(
    ax: Axes,
    coordinates: Float64Array,
    coloring: Coloring,
    *,
    size: float | Float64Array | None = None,
    alpha: float | None = None,
    max_points: int | None = None,
) -> int:
    """Draw rows below everything else; of too many, shading (2-D) or a sample (3-D).

    Parameters
    ----------
    ax
        Where, with as many dimensions as `coordinates` has columns.
    coordinates
        (N, 2) or (N, 3).
    coloring
        Of the N rows.
    size
        Area of the markers in square points, a number or (N,); by default by their number.
    alpha
        Opacity, by default by their number.
    max_points
        The most markers; by default 100,000 in 2-D and 30,000 in 3-D.

    Returns
    -------
    The number of rows that are in the picture.
    """
    n = len(coordinates)
    max_points = max_points_of(coordinates.shape[1], max_points)
    if n > max_points and not is_3d(ax):
        _shade(ax, coordinates, coloring)
        return n
    # In random order no category hides another; a fixed seed repeats the picture.
    chosen = np.random.default_rng(0).permutation(n)[:max_points]
    size = size[chosen] if isinstance(size, np.ndarray) else size
    _scatter(ax, coordinates[chosen], coloring.rgb[chosen], size, alpha)
    return len(chosen)


def _scatter(
    ax: Any, points: Float64Array, rgb: Float64Array, size: Any, alpha: float | None
) -> PathCollection:
    n = len(points)
    options: dict[str, Any] = {"depthshade": False} if is_3d(ax) else {"zorder": 1}
    collection: PathCollection = ax.scatter(
        *points.T,
        c=rgb,
        s=point_size(n) if size is None else size,
        alpha=(0.7 if n < 20_000 else 0.5) if alpha is None else alpha,
        linewidths=0,
        rasterized=n > _RASTERIZE_FROM,
        **options,
    )
    return collection


def _shade(ax: Axes, points: Float64Array, coloring: Coloring) -> AxesImage:
    """Cells that show the mean colour of their rows, the more opaque the more rows they hold."""
    low, high = points.min(0), points.max(0)
    cell = float((high - low).max()) / _SHADE_CELLS or 1.0
    shape = np.floor((high - low) / cell).astype(np.int64) + 1
    cells = np.minimum(((points - low) / cell).astype(np.int64), shape - 1)
    index = cells[:, 1] * shape[0] + cells[:, 0]
    n_cells = int(shape.prod())
    counts = np.bincount(index, minlength=n_cells)
    opacity = np.log1p(counts) / np.log1p(counts.max())
    image = np.zeros((n_cells, 4))
    image[:, :3] = _mean_color(index, counts, coloring)
    image[:, 3] = np.where(counts > 0, _FAINTEST + (1 - _FAINTEST) * opacity, 0.0)
    end = low + shape * cell
    return ax.imshow(
        image.reshape(shape[1], shape[0], 4),
        extent=(low[0], end[0], low[1], end[1]),
        origin="lower",
        aspect=ax.get_aspect(),
        interpolation="nearest",
        zorder=1,
    )


def _mean_color(index: np.ndarray, counts: np.ndarray, coloring: Coloring) -> Float64Array:
    """The colour of each cell, (n_cells, 3): of the mean value, or the mean of its colours."""
    values = coloring.values
    sums = [np.bincount(index, column, len(counts)) for column in coloring.rgb.T]
    rgb = np.stack(sums, axis=1) / np.maximum(counts, 1)[:, None]
    if values is None or coloring.cmap is None or coloring.norm is None:
        return np.clip(rgb, 0, 1)
    known = np.isfinite(values)
    n_known = np.bincount(index[known], minlength=len(counts))
    total = np.bincount(index[known], values[known], len(counts))
    colors = coloring.cmap(coloring.norm(total / np.maximum(n_known, 1)))[:, :3]
    return np.where(n_known[:, None] > 0, colors, np.clip(rgb, 0, 1))

"""Points in three dimensions from several sides, coloured as kspaces' arguments say."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.cm import ScalarMappable
from matplotlib.lines import Line2D

from lowdim._validation import check_interval
from lowdim.pl._colors import code_coloring, value_coloring
from lowdim.pl._legend import dot_handle
from lowdim.pl._points import draw_points
from lowdim.pl._sizes import Sizing
from lowdim.pl._views import ZOOM, finish_ticks, make_panels, read_cameras

if TYPE_CHECKING:
    from lowdim._typing import Float64Array
    from lowdim.kspaces._overlays import Overlay
    from lowdim.pl._colors import Coloring

_LARGEST = 100.0
"""The most that a point close to the space is enlarged by: on it, the formula gives infinity."""


@dataclass(frozen=True, eq=False)
class PointColors:
    """The colours of points.

    Attributes
    ----------
    coloring
        Of every point.
    listed
        Names and colours of the subtypes in the legend, the most frequent first.
    bars
        Names of those coloured by values, and what their colours mean.
    """

    coloring: Coloring
    listed: tuple[tuple[str, str], ...] = ()
    bars: tuple[tuple[str, ScalarMappable], ...] = ()


@dataclass(frozen=True, eq=False)
class Scene:
    """Points, and how a grid of views shows them.

    Attributes
    ----------
    points
        (N, 3).
    colors
        Of the points.
    sizing
        Of the points.
    alpha
        Opacity of the points.
    aspect
        As `Axes3D.set_aspect` takes it.
    axis_labels
        Three of them.
    title
        Of the figure.
    fontsize
        Of the title, the labels and the legend.
    overlay
        Spaces, if any.
    """

    points: Float64Array
    colors: PointColors
    sizing: Sizing
    alpha: float
    aspect: str
    axis_labels: Any
    title: str
    fontsize: float
    overlay: Overlay | None = None

    @property
    def limits(self) -> Float64Array:
        """The lowest and highest coordinates, (3, 2), apart even where all points share one."""
        low, high = self.points.min(axis=0), self.points.max(axis=0)
        least = max(float((high - low).max()), 1e-3 * float(np.abs(high).max()), 1e-6)
        pad = np.where(high > low, 0.0, 0.05 * least)
        return np.stack([low - pad, high + pad], axis=1)


def draw_scene(
    scene: Scene,
    elevation: Any = None,
    azimuth: Any = None,
    panel_size: tuple[float, float] = (6.0, 4.0),
) -> tuple[Any, np.ndarray]:
    """A new figure and its Axes, (n, m), for n elevations and m azimuths; `panel_size` in inches.

    By default, elevations are 70 and 0 degrees, azimuths 20, 90 and 160.
    """
    elevation = (70, 0) if elevation is None else elevation
    azimuth = (20, 90, 160) if azimuth is None else azimuth
    cameras = read_cameras(None, elevation, azimuth)
    assert cameras is not None
    n, m = cameras.shape
    figsize = (panel_size[0] * m, panel_size[1] * n + 0.9 * len(scene.colors.bars))
    axs = make_panels(3, None, cameras, figsize).reshape(n, m)
    figure = axs[0, 0].figure
    try:
        _fill(scene, axs)
    except Exception:  # no half figure is left for the next call of show
        plt.close(figure)
        raise
    return figure, axs


def _fill(scene: Scene, axs: np.ndarray) -> None:
    """Draw a scene in all panels."""
    if len(scene.axis_labels) != 3:
        raise ValueError(f"axis_labels={scene.axis_labels!r} must be three texts.")
    figure = axs[0, 0].figure
    figure.suptitle(scene.title, fontsize=scene.fontsize)
    for ax in axs.flat:
        draw_points(
            ax,
            scene.points,
            scene.colors.coloring,
            size=scene.sizing.areas,
            alpha=scene.alpha,
            max_points=len(scene.points),
        )
        if scene.overlay is not None:
            scene.overlay.draw(ax, scene.limits)
        for name, limit, label in zip("xyz", scene.limits, scene.axis_labels, strict=True):
            getattr(ax, f"set_{name}lim3d")(limit)
            getattr(ax, f"set_{name}label")(label, fontsize=scene.fontsize)
        ax.set_aspect(scene.aspect)
        if scene.aspect == "equal":
            ax.set_box_aspect(np.ptp(scene.limits, axis=1), zoom=ZOOM)
        finish_ticks(ax)
    for name, mappable in scene.colors.bars:
        figure.colorbar(
            mappable, ax=list(axs.flat), location="bottom", shrink=0.5, aspect=40, label=name
        )


def add_legend(scene: Scene, axs: np.ndarray, loc: Any, markerscale: float) -> None:
    """The legend beside the panels, where it covers none, or where it is wanted in the first."""
    # Dots in the legend are as large as those in the picture until markerscale enlarges them.
    size = np.sqrt(np.median(np.asarray(scene.sizing.areas, dtype=np.float64)))
    handles = [dot_handle(color, name, size) for name, color in scene.colors.listed]
    if scene.overlay is not None:
        handles += scene.overlay.handles(markerscale)
    handles += scene.sizing.handles(markerscale)
    if not handles:
        return
    options = {"handles": handles, "markerscale": markerscale, "fontsize": scene.fontsize}
    options["labelspacing"] = _line_gap(handles, markerscale, scene.fontsize)
    if loc == "upper left":
        axs[0, 0].figure.legend(loc="outside right upper", **options)
    else:
        axs[0, 0].legend(loc=loc, **options)


def _line_gap(handles: list[Any], markerscale: float, fontsize: float) -> float:
    """The space between lines of a legend, in font sizes, in which no marker covers the next."""
    dots = [
        handle.get_markersize() * markerscale
        if isinstance(handle, Line2D) and handle.get_marker() == "o"
        else 0.0
        for handle in handles
    ]
    reach = max((a + b for a, b in itertools.pairwise(dots)), default=0.0) / 2
    return max(0.5, reach / fontsize - 0.9)


def finish(figure: Any, axs: Any, save: Any, show: bool, return_figure: bool) -> Any:
    """Save and show a figure as asked, and return or close it."""
    if save:
        figure.savefig(save)
    if show:
        plt.show()
    if return_figure:
        return figure, axs
    plt.close(figure)
    return None


def color_points(
    n: int,
    subtypes: Any,
    color_dict: Mapping[Any, Any] | None = None,
    cmap_dict: Mapping[Any, Any] | None = None,
) -> PointColors:
    """Colours of n points by their subtype.

    They are black without a `color_dict`, and grey if it lacks their subtype; `cmap_dict` holds
    pairs of a colour map and values, of all points of the subtype or of all points.

    Raises
    ------
    ValueError
        There are not as many subtypes or values as points.
    """
    import pandas as pd

    if subtypes is None or len(subtypes) == 0:
        kinds, codes = [None], np.zeros(n, dtype=np.int64)
        color_dict = color_dict if color_dict and None in color_dict else None
    else:
        series = pd.Series(subtypes).reset_index(drop=True)
        if len(series) != n:
            raise ValueError(f"subtypes has {len(series)} entries for {n} points; pass one each.")
        counts = series.value_counts()
        kinds = counts[counts > 0].index.tolist()
        codes = pd.Categorical(series, categories=kinds).codes.astype(np.int64)
    colors = [color_dict.get(kind, "gray") if color_dict else "black" for kind in kinds]
    coloring = code_coloring(codes, [str(kind) for kind in kinds], colors)
    bars = []
    for code, kind in enumerate(kinds):
        if cmap_dict and kind in cmap_dict:
            chosen = codes == code
            cmap, values = cmap_dict[kind]
            rgb, mappable = _by_values(cmap, values, chosen, kind)
            coloring.rgb[chosen] = rgb
            bars.append(("" if kind is None else str(kind), mappable))
    named = {name for name, _ in bars}
    pairs = zip(coloring.names, coloring.colors, strict=True)
    listed = () if kinds == [None] else tuple(pair for pair in pairs if pair[0] not in named)
    return PointColors(coloring, listed, tuple(bars))


def _by_values(cmap: Any, values: Any, chosen: Any, kind: Any) -> tuple[Any, ScalarMappable]:
    """Colours of the chosen points by their values, and the scale."""
    numbers = np.asarray(values, dtype=np.float64).ravel()
    if len(numbers) == len(chosen):
        numbers = numbers[chosen]
    if len(numbers) != chosen.sum():
        raise ValueError(
            f"cmap_dict[{kind!r}] has {len(numbers)} values for {chosen.sum()} points of that "
            "subtype; pass one each."
        )
    coloring = value_coloring(numbers, cmap)
    return coloring.rgb, ScalarMappable(norm=coloring.norm, cmap=coloring.cmap)


def size_points(n: int, s_points: Any, distances: Any = None, exponent: float = 1.0) -> Sizing:
    """Areas s_points / log(1 + distance)^exponent, a hundred times s_points at most.

    Raises
    ------
    ValueError
        There are not n distances, or a negative one.
    """
    s_points = check_interval(s_points, "s_points", low=0.0, closed="neither")
    if distances is None:
        return Sizing(s_points)
    distances = np.asarray(distances, dtype=np.float64).ravel()
    if len(distances) != n or not (distances >= 0).all():
        raise ValueError(
            f"distances must be {n} numbers that are not negative, one per point, as "
            "affine_subspace.orthogonal_distance returns them."
        )
    with np.errstate(divide="ignore"):
        areas = s_points * np.minimum(np.log1p(distances) ** -float(exponent), _LARGEST)
    shown = np.sort(distances)[[int(q * (n - 1)) for q in (0.02, 0.5, 0.98)]]
    pairs = {float(d): float(areas[distances == d][0]) for d in shown}
    return Sizing(areas, "distance", tuple(pairs.items()))

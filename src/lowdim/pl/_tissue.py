"""Values at places: maps on the tissue's coordinates, over its image where there is one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.collections import EllipseCollection
from matplotlib.colors import Normalize
from matplotlib.ticker import MaxNLocator

from lowdim.pl._colors import INK, PALETTE, value_coloring
from lowdim.pl._points import draw_points, max_points_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lowdim._typing import Float64Array

_RASTERIZE_FROM = 2_000
_SPOT, _CLOSED_SPOT, _CLOSED_FROM = 0.95, 1.4, 10_000
"""Diameter of a spot, as a share of the distance between neighbours; of so many that gaps between
them would be less than a pixel and only make all colours pale, spots overlap."""

_SIDE = 2.3
"""Of a square map in inches."""

_SPACING_ROWS = 5_000
"""Rows whose neighbours tell that distance."""


@dataclass(frozen=True, eq=False)
class Tissue:
    """Where rows are in a plane.

    Attributes
    ----------
    places
        (n, 2).
    spacing
        Distance between neighbours, as a rule.
    image, extent
        The picture of the tissue and its edges (left, right, bottom, top) in the units of the
        places, or None.
    names
        Of the two axes.
    """

    places: Float64Array
    spacing: float
    image: Any = None
    extent: tuple[float, float, float, float] | None = None
    names: tuple[str, str] = ("x", "y")


def tissue_of(
    places: Float64Array, adata: Any = None, sample: str | None = None, axes: Any = None
) -> Tissue:
    """The plane of the places, (N, 2), or two of their axes, with an image that the AnnData has.

    Raises
    ------
    ValueError
        Places are not in a plane and `axes` does not choose one, or `axes` is none of them.
    """
    d = places.shape[1]
    if axes is None:
        if d != 2:
            raise ValueError(
                f"Coordinates have {d} axes, and a map has two; choose them, as in axes=(0, 1), "
                "and draw another map for others."
            )
        axes = (0, 1)
    if np.shape(axes) != (2,) or not all(int(a) in range(d) for a in axes):
        raise ValueError(f"axes={axes!r} must be two of the axes 0 to {d - 1}.")
    names = ("x", "y") if d == 2 else (f"axis {axes[0]}", f"axis {axes[1]}")
    plane = np.asarray(places[:, list(axes)], dtype=np.float64)
    image, extent = _image(adata, sample) if d == 2 else (None, None)
    return Tissue(plane, _spacing(plane), image, extent, names)


def panel_size(tissue: Tissue) -> tuple[float, float]:
    """Inches of a panel that suits the shape of the tissue, with its title and scale."""
    width, height = np.maximum(np.ptp(tissue.places, axis=0), tissue.spacing)
    ratio = float(np.clip(height / width, 0.4, 2.5))
    return 0.7 + _SIDE / np.sqrt(ratio), 0.4 + _SIDE * np.sqrt(ratio)


def draw_map(
    ax: Axes,
    tissue: Tissue,
    values: Float64Array,
    *,
    cmap: str = "viridis",
    from_zero: bool = False,
    symmetric: bool = False,
    label: str = "",
    size: float | None = None,
    image: bool = True,
    max_points: int | None = None,
) -> None:
    """Draw a value at every place with its scale; of too many places, means over small squares.

    Spots have their size in the units of the places: `size` times the distance of neighbours. The
    scale begins at zero, or reaches as far on both sides of it, if that is asked for.
    """
    coloring = value_coloring(values, cmap)
    if (from_zero or symmetric) and coloring.norm is not None:
        reach = max(abs(float(end or 0.0)) for end in (coloring.norm.vmin, coloring.norm.vmax))
        norm = Normalize(-reach if symmetric else 0.0, reach or 1.0, clip=True)
        coloring = value_coloring(values, cmap, norm)
    if image and tissue.image is not None:
        ax.imshow(tissue.image, extent=tissue.extent, zorder=0)
    if len(values) > max_points_of(2, max_points):
        draw_points(ax, tissue.places, coloring, max_points=max_points)
    else:
        if size is None:
            size = _SPOT if len(values) < _CLOSED_FROM else _CLOSED_SPOT
        diameter = tissue.spacing * size
        spots = EllipseCollection(
            np.full(len(values), diameter),
            np.full(len(values), diameter),
            np.zeros(len(values)),
            units="xy",
            offsets=tissue.places,
            offset_transform=ax.transData,
            facecolors=coloring.rgb,
            linewidths=0,
            rasterized=len(values) > _RASTERIZE_FROM,
            zorder=1,
        )
        ax.add_collection(spots)
    _frame(ax, tissue, with_image=image and tissue.image is not None)
    bar = ax.figure.colorbar(
        ScalarMappable(norm=coloring.norm, cmap=coloring.cmap),
        ax=ax, fraction=0.045, pad=0.02, shrink=0.7, label=label,
    )  # fmt: skip
    bar.locator = MaxNLocator(4)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize="small", length=2)
    bar.update_ticks()


def _frame(ax: Axes, tissue: Tissue, *, with_image: bool) -> None:
    """One scale for both axes, no ticks, and as far as the places go."""
    low, high = tissue.places.min(0), tissue.places.max(0)
    edge = max(tissue.spacing, 0.02 * float((high - low).max()))
    ax.set_xlim(low[0] - edge, high[0] + edge)
    ends = (low[1] - edge, high[1] + edge)
    ax.set_ylim(*(ends[::-1] if with_image else ends))  # rows of an image go down
    ax.set_aspect("equal")
    ax.set_xticks([])
    ax.set_yticks([])
    if tissue.names != ("x", "y"):
        ax.set_xlabel(tissue.names[0], fontsize="small")
        ax.set_ylabel(tissue.names[1], fontsize="small")
    for spine in ax.spines.values():
        spine.set_color("0.85")


def draw_rows(
    ax: Axes,
    places: Float64Array | None,
    samples: Any,
    values: Float64Array,
    *,
    label: str,
    adata: Any = None,
    axes: Any = None,
) -> None:
    """A value of every row on a map, or its histogram where rows are on no single plane."""
    if places is not None and samples is None and (places.shape[1] == 2 or axes is not None):
        draw_map(ax, tissue_of(places, adata, None, axes), values, cmap="cividis", label=label)
        return
    ax.hist(values, bins=40, color=PALETTE[0])
    ax.set_xlabel(label)
    ax.set_ylabel("rows")
    ax.spines[["top", "right"]].set_visible(False)


def draw_line(
    ax: Axes, places: Float64Array, values: Float64Array, deviations: Float64Array | None
) -> None:
    """A value along one axis, with a band of two standard deviations."""
    order = np.argsort(places[:, 0], kind="stable")
    x = places[order, 0]
    if deviations is not None:
        low, high = values - 2 * deviations, values + 2 * deviations
        if values.min() >= 0:
            low = low.clip(min=0.0)
        ax.fill_between(x, low[order], high[order], color="0.85", linewidth=0, label="± 2 sd")
    ax.plot(x, values[order], color=INK, linewidth=1.2)
    ax.spines[["top", "right"]].set_visible(False)
    ax.margins(x=0.01)


def _spacing(places: Float64Array) -> float:
    """The median distance of rows to the nearest other place."""
    from scipy.spatial import cKDTree

    unique = np.unique(places, axis=0)
    if len(unique) < 2:
        return 1.0
    asked = unique[:: max(1, len(unique) // _SPACING_ROWS)]
    distances, _ = cKDTree(unique).query(asked, k=2)
    area = float(np.prod(np.ptp(unique, axis=0))) / len(unique)
    # Cells lie closer to one neighbour than a grid of as many would; spots may fill the gaps.
    return max(float(np.median(distances[:, 1])), 0.8 * float(np.sqrt(area)))


def _image(adata: Any, sample: str | None) -> tuple[Any, Any]:
    """The picture in ``uns["spatial"]`` as scanpy keeps it, and its edges; or None.

    Of several libraries, the one that is called like the slide.
    """
    libraries = getattr(adata, "uns", {}).get("spatial")
    if not isinstance(libraries, Mapping) or not libraries:
        return None, None
    if sample is None or sample not in libraries:
        if len(libraries) > 1:
            return None, None
        sample = next(iter(libraries))
    library = libraries[sample]
    if not isinstance(library, Mapping):
        return None, None
    images, scales = library.get("images", {}), library.get("scalefactors", {})
    for name in ("hires", "lowres"):
        scale = scales.get(f"tissue_{name}_scalef")
        if name in images and scale:
            image = np.asarray(images[name])
            height, width = image.shape[:2]
            return image, (0.0, width / float(scale), height / float(scale), 0.0)
    return None, None

"""Distances between samples as a heat map, in the order of their tree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from lowdim._validation import check_in, check_positive_int
from lowdim.pl._colors import INK
from lowdim.pl._colors import palette as usual_colors
from lowdim.pl._figure import check_axes
from lowdim.pl._fitted import is_anndata
from lowdim.pl._legend import square_handle
from lowdim.pl._names import brief
from lowdim.pl._sample_input import color_samples, read_labels, read_samples
from lowdim.samples.clustering import LINKAGES, sample_tree

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lowdim._typing import Float64Array, IntArray
    from lowdim.pl._colors import Coloring

_MOST_NAMES = 60

_TREE, _STRIP, _GAP = 0.8, 0.14, 0.05
"""Inches of the tree, of a strip of labels, and between the parts."""

_LETTER = 0.072
"""Inches of a letter of small text."""

_SCALE = 0.14
"""Inches of the scale of colours."""


def sample_distances(
    distances_or_adata: Any,
    labels: Any = None,
    *,
    key: str = "sample_distances",
    sample_key: str | None = None,
    linkage: str = "average",
    n_clusters: int | None = None,
    names: bool | None = None,
    palette: Any = None,
    cmap: str = "viridis_r",
    ax: Axes | None = None,
) -> Axes:
    """Draw the distances of all pairs of samples, the tree that joins them, and their labels.

    Samples are in the order of the leaves, turned such that neighbours are as near as can be.

    Parameters
    ----------
    distances_or_adata
        A symmetric matrix or DataFrame, (S, S), or an AnnData after `lowdim.tl.sample_distances`
        or `lowdim.tl.ground_metric`.
    labels
        Of the samples: a column of `adata.obs` that has one value for each sample, an array of S
        labels or values, or a dict by name; or a list of such columns. Each is a strip of colours.
    key, sample_key
        With an AnnData: the `key_added` of the distances and, unless these know it, the column of
        `obs` that has the samples.
    linkage
        "average", "complete" or "single"; see `lowdim.samples.cluster_samples`.
    n_clusters
        Outline as many clusters of the tree.
    names
        Whether to write the samples' names; by default up to 60 of them.
    palette
        Colours of the labels, as a dict or a list; of several strips a dict for all.
    cmap
        Colour map of the distances.
    ax
        Where to draw; by default in a new figure.

    Returns
    -------
    The Axes, in which heat map, tree, scale and strips are ``child_axes``, in this order.

    Raises
    ------
    TypeError, ValueError
        An argument cannot be used, or the distances or labels are not there.
    """
    from scipy.cluster.hierarchy import leaves_list

    check_in(linkage, "linkage", LINKAGES)
    matrix, named = read_samples(distances_or_adata, key)
    S = len(named)
    if n_clusters is not None and check_positive_int(n_clusters, "n_clusters") > S:
        raise ValueError(f"n_clusters={n_clusters} is more than the {S} samples.")
    ax = None if ax is None else check_axes(ax)
    strips = _strips(distances_or_adata, labels, named, key, sample_key, palette)
    tree = sample_tree(matrix, linkage)
    order = leaves_list(tree)
    shown = S <= _MOST_NAMES if names is None else names
    written = [brief(named[s]) if shown else "" for s in order]
    page = _Page.of(ax, S, written, [title for title, _ in strips], _handles(strips))
    ax = ax or _make_axes(page)
    ax.axis("off")
    heat = ax.inset_axes(page.box(page.left, page.low, page.across, page.up))
    image = _draw_heat(heat, matrix[np.ix_(order, order)], written if shown else [], cmap, page.up)
    _draw_tree(ax.inset_axes(page.box(_GAP, page.low, _TREE, page.up)), tree)
    scale = ax.inset_axes(page.box(page.left, page.low - 0.1 - _SCALE, page.across / 2, _SCALE))
    ax.figure.colorbar(image, cax=scale, orientation="horizontal")
    scale.set_xlabel("distance", fontsize="small")
    scale.tick_params(labelsize="small")
    for i, (title, coloring) in enumerate(strips):
        left = 2 * _GAP + _TREE + i * (_STRIP + _GAP)
        strip = ax.inset_axes(page.box(left, page.low, _STRIP, page.up))
        _draw_strip(strip, coloring.rgb[order], title)
    if n_clusters is not None:
        _outline(heat, tree, order, n_clusters)
    if strips:
        corner = page.box(page.left + page.across + page.names, page.low + page.up, 0, 0)[:2]
        ax.legend(
            handles=_handles(strips), loc="upper left", bbox_to_anchor=corner, frameon=False,
            fontsize="small", borderaxespad=0.0, alignment="left",
        )  # fmt: skip
    return ax


@dataclass(frozen=True)
class _Page:
    """Inches of the parts of the picture.

    Attributes
    ----------
    width, height
        Of all of it.
    left, low
        The corner of the heat map.
    across, up
        Width and height of the heat map.
    names
        Width of the samples' names.
    """

    width: float
    height: float
    left: float
    low: float
    across: float
    up: float
    names: float

    @classmethod
    def of(cls, ax: Any, S: int, names: list[str], titles: list[str], handles: list[Any]) -> _Page:
        """For a new figure as large as it takes, or within the Axes as they are."""
        left = 3 * _GAP + _TREE + len(titles) * (_STRIP + _GAP)
        low = max(0.75, 0.15 + _LETTER * max(map(len, titles), default=0))
        right = 0.2 + _LETTER * max(map(len, names))
        legend = _LETTER * max((len(one.get_label()) + 6 for one in handles), default=0)
        if ax is None:
            side = max(float(np.clip(0.17 * S, 2.8, 8.0)), 0.2 * len(handles))
            size = (left + side + right + legend, low + side + 0.1)
            return cls(*size, left, low, side, side, right)
        box = ax.get_window_extent()
        width, height = box.width / ax.figure.dpi, box.height / ax.figure.dpi
        across, up = width - left - right - legend, height - low
        return cls(width, height, left, low, max(across, 0.2 * width), max(up, 0.2 * height), right)

    def box(
        self, left: float, low: float, width: float, height: float
    ) -> tuple[float, float, float, float]:
        """Inches as shares of the Axes."""
        return left / self.width, low / self.height, width / self.width, height / self.height


def _make_axes(page: _Page) -> Axes:
    """The Axes of a figure that is all picture."""
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(page.width, page.height))
    return figure.add_axes((0.0, 0.0, 1.0, 1.0))


def _draw_heat(
    heat: Axes, distances: Float64Array, names: list[str], cmap: Any, height: float
) -> Any:
    """The distances in the order of the tree, with names on the right; `height` in inches."""
    image = heat.imshow(distances, cmap=cmap, interpolation="nearest", aspect="auto")
    heat.set_xticks([])
    heat.yaxis.tick_right()
    heat.set_yticks(range(len(names)), names, fontsize=min(8.5, 60 * height / max(len(names), 1)))
    heat.tick_params(axis="y", length=0)
    heat.spines[:].set_visible(False)
    return image


def _strips(
    source: Any, labels: Any, names: np.ndarray, key: str, sample_key: str | None, palette: Any
) -> list[tuple[str, Coloring]]:
    """Title and colours of every column of labels; no colour is used in two."""
    strips: list[tuple[str, Coloring]] = []
    used = 0
    for one in _columns(source, labels):
        values = read_labels(source, one, names, key=key, sample_key=sample_key)
        own = color_samples(values, len(names), "viridis", palette)
        if palette is None and own.names:
            kinds = len(own.names)
            own = color_samples(values, len(names), "viridis", usual_colors(used + kinds)[used:])
            used += kinds - ("missing" in own.names)
        strips.append((str(values.name or ""), own))
    return strips


def _columns(source: Any, labels: Any) -> list[Any]:
    """The columns of labels, of which a list may hold several."""
    if labels is None:
        return []
    if not isinstance(labels, list):
        return [labels]
    named = is_anndata(source) and all(isinstance(one, str) for one in labels)
    several = all(isinstance(one, str | Mapping) or np.ndim(one) for one in labels)
    if several and (named or not all(isinstance(one, str) for one in labels)):
        return labels
    return [labels]


def _handles(strips: list[tuple[str, Coloring]]) -> list[Any]:
    """Of the legend: each strip's title and its colours."""
    handles = []
    for title, coloring in strips:
        if title:
            handles.append(Line2D([], [], linestyle="none", label=title))
        if coloring.values is not None:
            known = coloring.rgb[np.isfinite(coloring.values)]
            values = coloring.values[np.isfinite(coloring.values)]
            for end in np.unique([values.argmin(), values.argmax()]) if len(values) else ():
                handles.append(square_handle(known[end], f"{values[end]:.4g}"))
        counted = zip(coloring.names, coloring.colors, coloring.counts, strict=True)
        handles += [square_handle(color, f"{brief(name)} ({n})") for name, color, n in counted]
    return handles


def _draw_strip(strip: Axes, rgb: Float64Array, title: str) -> None:
    """Colours of the samples, from top to bottom."""
    strip.imshow(rgb[:, None], aspect="auto", interpolation="nearest")
    strip.set_yticks([])
    strip.set_xticks([0], [title], rotation=90, fontsize="small")
    strip.tick_params(length=0)
    strip.spines[:].set_visible(False)


def _draw_tree(panel: Axes, tree: Float64Array) -> None:
    """The tree, its leaves beside the lines of the heat map."""
    from scipy.cluster.hierarchy import dendrogram

    drawn = dendrogram(tree, no_plot=True)
    # scipy puts leaf i at 10 i + 5.
    lines = [
        np.column_stack([height, (np.array(place) - 5) / 10])
        for place, height in zip(drawn["icoord"], drawn["dcoord"], strict=True)
    ]
    width = 0.8 if len(tree) < 80 else 0.4
    panel.add_collection(LineCollection(lines, colors=INK, linewidths=width))
    panel.set_xlim(1.03 * (tree[:, 2].max() or 1.0), 0.0)
    panel.set_ylim(len(tree) + 0.5, -0.5)
    panel.axis("off")


def _outline(heat: Axes, tree: Float64Array, order: IntArray, n_clusters: int) -> None:
    """A frame around each cluster."""
    from scipy.cluster.hierarchy import cut_tree

    codes = cut_tree(tree, n_clusters=n_clusters)[order, 0]
    edges = np.r_[0, np.flatnonzero(np.diff(codes)) + 1, len(codes)]
    for start, stop in pairwise(edges):
        corner, size = (start - 0.5, start - 0.5), stop - start
        heat.add_patch(
            Rectangle(corner, size, size, fill=False, edgecolor=INK, linewidth=1.4, clip_on=False)
        )

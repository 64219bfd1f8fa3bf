"""Samples as points of a plane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.cm import ScalarMappable

from lowdim._validation import check_in
from lowdim.pl._colors import INK
from lowdim.pl._figure import one_axes, settle
from lowdim.pl._legend import marker_handle
from lowdim.pl._names import brief, draw_names
from lowdim.pl._sample_input import color_samples, read_labels, read_samples
from lowdim.samples import SampleClusters, classical_mds, cluster_samples, embed_samples

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lowdim._typing import Float64Array, IntArray
    from lowdim.pl._colors import Coloring

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")
"""Of clusters; they repeat."""

_AXIS = {
    "mds": "MDS",
    "classical": "axis",
    "diffusion": "diffusion",
    "tsne": "t-SNE",
    "umap": "UMAP",
}
_MOST_NAMES = 30
_LEGEND_LINES = 20


def sample_map(
    distances_or_adata: Any,
    labels: Any = None,
    *,
    key: str = "sample_distances",
    sample_key: str | None = None,
    method: str = "mds",
    clusters: Any = None,
    names: bool | None = None,
    palette: Any = None,
    cmap: str = "viridis",
    random_state: Any = 0,
    ax: Axes | None = None,
) -> Axes:
    """Draw samples as points that lie about as far apart as their distances say.

    Parameters
    ----------
    distances_or_adata
        A symmetric matrix or DataFrame, (S, S), or an AnnData after `lowdim.tl.sample_distances`
        or `lowdim.tl.ground_metric`.
    labels
        What colours the samples: a column of `adata.obs` that has one value for each sample, an
        array of S labels or values, or a dict by name. Samples without one are grey.
    key, sample_key
        With an AnnData: the `key_added` of the distances and, unless these know it, the column of
        `obs` that has the samples.
    method
        "mds", "classical", "diffusion", "tsne" or "umap"; see `lowdim.samples.embed_samples`.
    clusters
        What gives the samples their markers: what `lowdim.samples.cluster_samples` returned, a
        number of clusters or "auto" for its own, or an array of S clusters.
    names
        Whether to write the samples' names; by default up to 30 of them.
    palette
        Colours of the labels, as a dict or a list.
    cmap
        Colour map of values.
    random_state
        Of "tsne" and "umap".
    ax
        Where to draw; by default in a new figure.

    Returns
    -------
    The Axes.

    Raises
    ------
    TypeError, ValueError
        An argument cannot be used, or the distances or labels are not there.
    """
    matrix, named = read_samples(distances_or_adata, key)
    values = None
    if labels is not None:
        values = read_labels(distances_or_adata, labels, named, key=key, sample_key=sample_key)
    coloring = color_samples(values, len(named), cmap, palette)
    groups = _clusters(clusters, matrix)
    check_in(method, "method", tuple(_AXIS))
    points, axis_names = _places(matrix, method, random_state)
    new = ax is None
    ax = one_axes(ax, figsize=(6.4, 4.8))
    _draw(ax, points, coloring, groups)
    ax.set(xlabel=axis_names[0], ylabel=axis_names[1])
    ax.margins(0.12)
    if method in ("mds", "classical"):  # lengths mean the same along both
        ax.set_aspect("equal", adjustable="datalim")
    ax.spines[["top", "right"]].set_visible(False)
    _describe(ax, coloring, groups, None if values is None else str(values.name or ""))
    if new:
        settle(ax.figure)
    if len(named) <= _MOST_NAMES if names is None else names:
        ax.apply_aspect()
        draw_names(ax, points, [brief(name) for name in named])
    return ax


def _places(matrix: Float64Array, method: str, random_state: Any) -> tuple[Float64Array, list[str]]:
    """Coordinates (S, 2), and what the axes are called."""
    if method == "classical":
        points, explained = classical_mds(matrix)
        return points, [f"axis {i} ({share:.0%})" for i, share in enumerate(explained, 1)]
    n = 1 if method == "diffusion" and len(matrix) == 2 else 2
    points = np.zeros((len(matrix), 2))
    points[:, :n] = embed_samples(matrix, n, method=method, random_state=random_state)
    return points, [f"{_AXIS[method]} {i}" for i in (1, 2)]


def _clusters(clusters: Any, matrix: Float64Array) -> IntArray | None:
    """The cluster of every sample, (S,), or None."""
    if clusters is None:
        return None
    if isinstance(clusters, SampleClusters):
        found = clusters.labels
    elif np.ndim(clusters) == 0:
        found = cluster_samples(matrix, None if clusters == "auto" else clusters).labels
    else:
        found = np.unique(np.asarray(clusters).astype(str), return_inverse=True)[1]
    if len(found) != len(matrix):
        raise ValueError(f"clusters has {len(found)} entries for {len(matrix)} samples.")
    return np.asarray(found)


def _draw(ax: Axes, points: Float64Array, coloring: Coloring, groups: IntArray | None) -> None:
    """Points by their cluster's marker; of many, smaller ones."""
    area = float(np.clip(4_000 / len(points), 18.0, 60.0))
    codes = np.zeros(len(points), dtype=np.int64) if groups is None else groups
    for code in np.unique(codes):
        own = codes == code
        ax.scatter(
            points[own, 0], points[own, 1], c=coloring.rgb[own], s=area,
            marker=MARKERS[code % len(MARKERS)], edgecolors="white", linewidths=0.5, zorder=3,
        )  # fmt: skip


def _describe(ax: Axes, coloring: Coloring, groups: IntArray | None, title: str | None) -> None:
    """What colours and markers mean, right of the picture."""
    if coloring.values is not None:
        mappable = ScalarMappable(coloring.norm, coloring.cmap)
        ax.figure.colorbar(mappable, ax=ax, label=title, location="bottom", fraction=0.05)
    handles = [
        marker_handle("o", color, f"{brief(name)} ({count})")
        for name, color, count in zip(coloring.names, coloring.colors, coloring.counts, strict=True)
    ]
    if groups is not None:
        counts = np.bincount(groups)
        handles += [
            marker_handle(MARKERS[c % len(MARKERS)], INK, f"cluster {c} ({counts[c]})", hollow=True)
            for c in range(len(counts))
        ]
    if handles:
        ax.legend(
            handles=handles, title=title if coloring.names else None, loc="upper left",
            bbox_to_anchor=(1.01, 1.0), frameon=False,
            fontsize="small", title_fontsize="small", ncols=-(-len(handles) // _LEGEND_LINES),
            borderaxespad=0.0,
        )  # fmt: skip

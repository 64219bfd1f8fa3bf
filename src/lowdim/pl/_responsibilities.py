"""How surely rows belong to their component."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from lowdim._validation import check_positive_int
from lowdim.pl._figure import one_axes
from lowdim.pl._fitted import read_annotation, read_fit, read_labels, read_probabilities
from lowdim.pl._heatmap import SHARES_CMAP, draw_shares, heatmap_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lowdim._typing import Float64Array, IntArray


def responsibilities(
    model_or_adata: Any,
    X: Any = None,
    *,
    key: str = "subspaces",
    labels: Any = None,
    max_bins: int = 1000,
    ax: Axes | None = None,
) -> Axes:
    """Draw the probability of each component for all rows, or its mean for each label.

    Rows run from left to right, sorted by the component they are assigned to and then by how
    surely. More than `max_bins` rows are averaged over neighbours of the same component.

    Parameters
    ----------
    model_or_adata
        A fitted mixture or clustering of lowdim, or an AnnData after `lowdim.tl.subspaces` or
        `lowdim.tl.mixture`.
    X
        With a mixture: the rows, (N, D).
    key
        With an AnnData: the `key_added` of the fit.
    labels
        A column of `adata.obs` or an array of N labels: average the rows of each. Rows without
        one are left out.
    max_bins
        The most columns of the picture, up to one more for each component.
    ax
        Where to draw; by default in a new figure.

    Returns
    -------
    The Axes.

    Raises
    ------
    TypeError, ValueError
        An argument cannot be used, or the fit or its data are not there.
    """
    max_bins = check_positive_int(max_bins, "max_bins")
    fit = read_fit(model_or_adata, key)
    probabilities = read_probabilities(model_or_adata, X, key)
    if labels is not None:
        values, title = read_annotation(model_or_adata, X, labels, "labels")
        names, means = label_means(probabilities, values)
        columns = [str(k) for k in range(fit.n_components)]
        ax = one_axes(ax, figsize=heatmap_size(names, columns))
        draw_shares(ax, means, names, columns, "mean probability")
        ax.set_xlabel("component")
        ax.set_ylabel(title)
        return ax
    assigned = read_labels(model_or_adata, X, key, fit)
    edges, means = sorted_means(probabilities, assigned, max_bins)
    counts = np.bincount(assigned[assigned >= 0], minlength=fit.n_components)
    lines = [f"{k}: {fit.describe(k, int(n))}" for k, n in enumerate(counts)]
    ax = one_axes(ax, figsize=(7.5, heatmap_size(lines, [""])[1]))
    _draw_sorted(ax, edges, means, lines, np.cumsum(counts)[:-1])
    return ax


def sorted_means(
    probabilities: Float64Array, assigned: IntArray, max_bins: int
) -> tuple[Float64Array, Float64Array]:
    """Average sorted rows over bins that never mix two components.

    Returns
    -------
    The ranks at which bins begin and end, (n_bins + 1,), and means, (n_bins, K).
    """
    rows = np.flatnonzero(assigned >= 0)
    components = assigned[rows]
    order = rows[np.lexsort((-probabilities[rows, components], components))]
    n = len(order)
    starts, first = [], 0
    for count in np.bincount(components, minlength=probabilities.shape[1]).tolist():
        n_bins = min(count, -(-max_bins * count // max(n, 1)))
        starts.append(first + np.arange(n_bins) * count // max(n_bins, 1))
        first += count
    begin = np.concatenate(starts)
    edges = np.append(begin, n)
    if not n:
        return edges, np.empty((0, probabilities.shape[1]))
    sums = np.add.reduceat(probabilities[order], begin, axis=0)
    return edges, sums / np.diff(edges)[:, None]


def label_means(probabilities: Float64Array, values: Any) -> tuple[list[str], Float64Array]:
    """Mean probabilities of the rows of each label: names and (n_labels, K).

    The labels are ordered by their most probable component.
    """
    import pandas as pd

    if np.ndim(values) != 1 or len(values) != len(probabilities):
        raise ValueError(
            f"labels has shape {np.shape(values)}, but there are {len(probabilities)} rows; pass "
            "one entry per row."
        )
    labels = pd.Series(np.asarray(values, dtype=object))
    known = labels.notna().to_numpy()
    groups = labels[known].astype(str).to_numpy()
    table = pd.DataFrame(probabilities[known]).groupby(groups).mean()
    means = table.to_numpy()
    order = np.lexsort((-means.max(1), means.argmax(1)))
    return [str(name) for name in table.index[order]], means[order]


def _draw_sorted(
    ax: Any, edges: Float64Array, means: Float64Array, lines: list[str], borders: IntArray
) -> None:
    """Bins as columns as wide as they have rows, components as lines."""
    n_components = len(lines)
    mesh = ax.pcolormesh(
        edges,
        np.arange(n_components + 1) - 0.5,
        means.T,
        cmap=SHARES_CMAP,
        vmin=0,
        vmax=1,
        rasterized=True,
    )
    for border in borders:
        ax.axvline(border, color="0.4", linewidth=0.6)
    ax.set_ylim(n_components - 0.5, -0.5)
    ax.set_yticks(range(n_components), lines)
    ax.set_ylabel("component")
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    ax.set_xlabel(f"{int(edges[-1]):,} rows, by component and how surely they are assigned")
    ax.figure.colorbar(mesh, ax=ax, label="probability", fraction=0.05)

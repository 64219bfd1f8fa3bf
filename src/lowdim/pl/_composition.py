"""Which labels the rows of each component have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim.pl._figure import one_axes
from lowdim.pl._fitted import read_annotation, read_fit, read_labels
from lowdim.pl._heatmap import draw_shares, heatmap_size

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from lowdim._typing import IntArray


def composition(
    model_or_adata: Any,
    key: str = "subspaces",
    labels: Any = None,
    *,
    X: Any = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the share of each label among the rows of each component.

    Labels are ordered by the component that holds most of their rows, so that a good match
    looks like a staircase.

    Parameters
    ----------
    model_or_adata
        A fitted mixture or clustering of lowdim, or an AnnData after `lowdim.tl.subspaces` or
        `lowdim.tl.mixture`.
    key
        With an AnnData: the `key_added` of the fit.
    labels
        A column of `adata.obs`, or an array of N labels; rows without one are left out.
    X
        With a mixture: the rows, (N, D).
    ax
        Where to draw; by default in a new figure.

    Returns
    -------
    The Axes.

    Raises
    ------
    TypeError, ValueError
        An argument cannot be used, or the fit or the labels are not there.
    """
    fit = read_fit(model_or_adata, key)
    if labels is None:
        raise TypeError("labels is None; pass a column of adata.obs or an array of labels.")
    components = read_labels(model_or_adata, X, key, fit)
    values, title = read_annotation(model_or_adata, X, labels, "labels")
    table = count_labels(values, components, fit.n_components)
    counts = table.to_numpy()
    sizes = counts.sum(1)
    shares = counts / np.maximum(sizes, 1)[:, None]
    lines = [f"{k}: {fit.describe(k, int(n))}" for k, n in enumerate(sizes)]
    ax = one_axes(ax, figsize=heatmap_size(lines, list(table.columns)))
    draw_shares(ax, shares, lines, list(table.columns), "share of the component")
    ax.set_ylabel("component")
    ax.set_xlabel(title)
    return ax


def count_labels(values: Any, components: IntArray, n_components: int) -> pd.DataFrame:
    """Count rows by component (K) and label, the labels ordered by their main component."""
    import pandas as pd

    if np.ndim(values) != 1 or len(values) != len(components):
        raise ValueError(
            f"labels has shape {np.shape(values)}, but there are {len(components)} rows; pass one "
            "entry per row."
        )
    series = pd.Series(np.asarray(values, dtype=object))
    known = (components >= 0) & series.notna().to_numpy()
    table = pd.crosstab(components[known], series[known].astype(str))
    table = table.reindex(range(n_components), fill_value=0)
    counts = table.to_numpy()
    if not counts.size:
        raise ValueError("labels has no entry that is not missing.")
    return table.iloc[:, np.lexsort((-counts.max(0), counts.argmax(0)))]

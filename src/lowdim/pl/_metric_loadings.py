"""Which genes make the axes of a ground metric."""

from __future__ import annotations

from typing import Any

import numpy as np

from lowdim._validation import check_positive_int
from lowdim.get._metric import metric_axes
from lowdim.pl._figure import several_axes
from lowdim.pl._loadings import draw_signed_bars
from lowdim.pl._names import brief


def metric_loadings(
    metric_or_adata: Any,
    axis: int | None = None,
    n_genes: int = 12,
    *,
    key: str = "ground_metric",
    n_columns: int = 4,
    ax: Any = None,
) -> Any:
    """Draw the genes that load most on each axis of a ground metric, of either sign.

    Axes come in the order of their length, that is of what they add to distances; the share of
    each in the squared loadings stands above it.

    Parameters
    ----------
    metric_or_adata
        A fitted `GroundMetric`, whose columns are drawn, or an AnnData after
        `lowdim.tl.ground_metric`.
    axis
        A single axis, 0 to r - 1; by default all of them.
    n_genes
        The number of bars.
    key
        With an AnnData: its `key_added`.
    n_columns
        The most panels side by side.
    ax
        Where to draw: an Axes for each axis; by default in a new figure.

    Returns
    -------
    The Axes for a single axis, otherwise an array of them.

    Raises
    ------
    TypeError, ValueError
        An argument cannot be used, or the fit or its way back to genes is not there.
    """
    n_genes = check_positive_int(n_genes, "n_genes")
    loadings, genes = metric_axes(metric_or_adata, key)
    r = loadings.shape[1]
    lengths = (loadings**2).sum(0)
    chosen = np.argsort(-lengths, kind="stable").tolist()
    if axis is not None:
        axis = check_positive_int(axis, "axis", minimum=0)
        if axis >= r:
            raise ValueError(f"axis={axis} is not one of the {r} axes; pass 0 to {r - 1}.")
        chosen = [axis]
    size = (3.0, 1.0 + 0.22 * min(n_genes, len(genes)))
    n_columns = check_positive_int(n_columns, "n_columns")
    panels = several_axes(ax, len(chosen), "axes", n_columns=n_columns, size=size)
    names = [brief(gene) for gene in genes]
    for panel, k in zip(panels, chosen, strict=True):
        draw_signed_bars(panel, names, loadings[:, k], n_genes)
        panel.tick_params(labelsize="small")
        panel.locator_params(axis="x", nbins=4)
        panel.set_title(f"axis {k} ({lengths[k] / (lengths.sum() or 1.0):.0%})", fontsize="medium")
    return panels if axis is None else panels[0]

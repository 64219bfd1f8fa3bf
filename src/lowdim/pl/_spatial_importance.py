"""How much of the rate is spatial."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim import get
from lowdim._validation import check_in, check_positive_int
from lowdim.get._fitted_factors import read_places
from lowdim.pl._colors import INK, PALETTE
from lowdim.pl._factor_loadings import short_name
from lowdim.pl._figure import settle, several_axes
from lowdim.pl._tissue import draw_rows

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes

_PANEL = (4.6, 3.6)


def spatial_importance(
    adata: AnnData,
    *,
    key: str = "spatial_factors",
    of: str | None = None,
    n_genes: int = 8,
    axes: tuple[int, int] | None = None,
    ax: Any = None,
) -> Any:
    """Draw the share of the rate that spatial factors carry, of genes and of rows.

    Parameters
    ----------
    adata
        An AnnData after `lowdim.tl.spatial_factors` with factors of both kinds.
    key
        The `key_added` of the fit.
    of
        "var": genes in order of their importance, the first and last of them by name. "obs": rows
        on the map, or, where they have several slides or other than two axes, their distribution.
        By default both.
    n_genes
        How many genes have their names, half of them at each end.
    axes
        Two axes to draw of places in three dimensions.
    ax
        Where to draw: an Axes, or two if `of` is None; by default in a new figure.

    Returns
    -------
    The Axes for one of both, otherwise an array of two.

    Raises
    ------
    TypeError, ValueError
        An argument cannot be used, or there is no such fit.
    """
    n_genes = check_positive_int(n_genes, "n_genes", minimum=0)
    wanted = ("var", "obs") if of is None else (check_in(of, "of", ("var", "obs")),)
    tables = {one: get.spatial_importance(adata, key, one) for one in wanted}
    panels = several_axes(ax, len(wanted), "panels", n_columns=2, size=_PANEL)
    for panel, (one, table) in zip(panels, tables.items(), strict=True):
        if one == "var":
            _draw_genes(panel, table["spatial"], n_genes)
        else:
            values = table["spatial"]
            title = f"{len(values):,} rows, median {values.median():.2f}"
            panel.set_title(title, fontsize="medium")
            places, samples = read_places(adata, key)
            draw_rows(
                panel, places, samples, values.to_numpy(),
                label="spatial importance", adata=adata, axes=axes,
            )  # fmt: skip
    if ax is None:
        settle(panels[0].figure)
    return panels if of is None else panels[0]


def _draw_genes(ax: Axes, values: pd.Series, n_genes: int) -> None:
    """Genes by rank, with the names of the first and last ones."""
    ordered = values.sort_values(ascending=False, kind="stable")
    ranks = np.arange(1, len(ordered) + 1)
    ax.plot(ranks, ordered, ".", color=PALETTE[0], markersize=5 if len(ranks) < 200 else 2.5)
    half = min(n_genes, len(ordered)) // 2
    names = [short_name(str(gene)) for gene in ordered.index]
    first, last = ", ".join(names[:half]), ", ".join(names[::-1][:half])
    if half:
        for words, place, side in ((first, (0.98, 0.97), "top"), (last, (0.02, 0.03), "bottom")):
            ax.text(
                *place, f"{'most' if side == 'top' else 'least'}: {words}", wrap=True,
                transform=ax.transAxes, ha="right" if side == "top" else "left", va=side,
                fontsize="small", color=INK,
            )  # fmt: skip
    ax.set_ylim(-0.14 if half else -0.03, 1.14 if half else 1.03)
    ax.set_xlabel("rank of the gene")
    ax.set_ylabel("spatial importance")
    ax.set_title(f"{len(ordered):,} genes, median {ordered.median():.2f}", fontsize="medium")
    ax.spines[["top", "right"]].set_visible(False)

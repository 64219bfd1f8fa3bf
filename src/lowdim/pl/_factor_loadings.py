"""Which genes make up a factor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim._validation import check_positive_int
from lowdim.get._factors import top_genes_of_factors
from lowdim.get._fitted_factors import FittedSpatialFactors, read_factors
from lowdim.pl._colors import PALETTE
from lowdim.pl._figure import several_axes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


_MOST_LETTERS = 18
"""Of a gene's name; Ensembl's have as many."""


def factor_loadings(source: Any, factor: int | None, n_genes: int, key: str, ax: Any) -> Any:
    """See `lowdim.pl.loadings`."""
    fit = read_factors(source, key)
    chosen = list(range(fit.n_factors))
    if factor is not None:
        factor = check_positive_int(factor, "component", minimum=0)
        if factor >= fit.n_factors:
            raise ValueError(
                f"component={factor} is not one of the {fit.n_factors} factors; pass 0 to "
                f"{fit.n_factors - 1}."
            )
        chosen = [factor]
    table = top_genes_of_factors(fit, n_genes)
    n_lines = int(table[table["factor"].isin([str(k) for k in chosen])]["rank"].max())
    size = (3.0, 0.9 + 0.2 * n_lines)
    panels = several_axes(ax, len(chosen), "factors", n_columns=4, size=size)
    for panel, k in zip(panels, chosen, strict=True):
        _draw(panel, fit, k, table[table["factor"] == str(k)], n_lines)
    return panels if factor is None else panels[0]


def short_name(gene: str) -> str:
    """A name that leaves room for the drawing."""
    return gene if len(gene) <= _MOST_LETTERS else gene[: _MOST_LETTERS - 1] + "…"


def _draw(ax: Axes, fit: FittedSpatialFactors, k: int, table: pd.DataFrame, n_lines: int) -> None:
    """Bars of one factor, the gene that marks it most on top, in room for so many lines."""
    values = table["loading"].to_numpy()
    heights = np.arange(len(values))
    colors = [PALETTE[1] if not fit.nonnegative and value < 0 else PALETTE[0] for value in values]
    ax.barh(heights, values, color=colors, height=0.72)
    if "share" in table:
        for height, value, share in zip(heights, values, table["share"], strict=True):
            ax.annotate(
                f"{share:.0%}", (max(value, 0.0), height), xytext=(3, 0),
                textcoords="offset points", va="center", fontsize="x-small", color="0.4",
            )  # fmt: skip
    ax.set_yticks(heights, [short_name(gene) for gene in table["gene"]], fontsize="small")
    ax.set_ylim(n_lines - 0.4, -0.6)
    ax.margins(x=0.18)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(axis="x", labelsize="small")
    ax.locator_params(axis="x", nbins=4)
    ax.set_xlabel(
        "share of the factor's rate" if fit.nonnegative else "loading × sd of the factor",
        fontsize="small",
    )
    ax.set_title(f"factor {k}", fontsize="medium")

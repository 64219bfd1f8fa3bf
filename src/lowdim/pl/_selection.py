"""How well mixtures of different make do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.font_manager import FontProperties

from lowdim import get
from lowdim._validation import check_in
from lowdim.pl._colors import INK, PALETTE
from lowdim.pl._figure import one_axes
from lowdim.pl._fitted import is_anndata
from lowdim.pl._legend import draw_star

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_NAMES = {
    "bic": "BIC (lower is better)",
    "icl": "ICL (lower is better)",
    "heldout": "held-out log-likelihood per row",
    "log_likelihood": "log-likelihood",
}


def selection(
    selection_or_adata: Any,
    *,
    key: str = "subspaces",
    criterion: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the criterion of all mixtures that a search visited against their size.

    Each point is a list of dimensions. A line joins the best of each number of components, and
    below the axis stands how many components of each dimension it has. A star marks the best of
    all. Crosses are degenerate mixtures (a component collapsed onto few rows), which cannot win.

    Parameters
    ----------
    selection_or_adata
        What `lowdim.select_subspaces` returned, or an AnnData after `lowdim.tl.select_subspaces`.
    key
        With an AnnData: the `key_added` of the search.
    criterion
        A column of the table ("bic", "icl", "heldout" or "log_likelihood"); by default that
        which the search went by.
    ax
        Where to draw; by default in a new figure.

    Returns
    -------
    The Axes.

    Raises
    ------
    TypeError, ValueError
        An argument cannot be used, or the search is not there.
    """
    table, used = _read_table(selection_or_adata, key)
    criterion = check_in(
        used if criterion is None else criterion,
        "criterion",
        [name for name in _NAMES if name in table],
    )
    ax = one_axes(ax, figsize=(6.4, 5.2))
    values = table[criterion].to_numpy(dtype=np.float64)
    sizes = table["n_components"].to_numpy(dtype=np.int64)
    sound = ~table["degenerate"].to_numpy(dtype=bool) & np.isfinite(values)
    sign = 1.0 if criterion in ("bic", "icl") else -1.0
    ax.plot(sizes[sound], values[sound], ".", color="0.6", markersize=7, label="list of dimensions")
    if not sound.all():
        ax.plot(sizes[~sound], values[~sound], "x", color="0.5", markersize=5, label="degenerate")
    ax.set_xticks(np.unique(sizes))
    if sound.any():
        order = np.flatnonzero(sound)[np.argsort(sign * values[sound], kind="stable")]
        _draw_best(ax, sizes, values, order, table["dims"].tolist())
    else:
        ax.set_xlabel("number of components")
    ax.set_ylabel(_NAMES[criterion])
    ax.ticklabel_format(axis="y", useOffset=False, style="plain")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(fontsize="small")
    return ax


def _draw_best(
    ax: Axes, sizes: np.ndarray, values: np.ndarray, order: np.ndarray, dims: list[tuple[int, ...]]
) -> None:
    """The best of each size joined and described, and the best of all; `order` is best first."""
    best = order[np.unique(sizes[order], return_index=True)[1]]
    ax.plot(sizes[best], values[best], color=PALETTE[0], marker="o", label="best of its size")
    first = order[0]
    behind = [abs(values[i] - values[first]) for i in order[1:2]]
    name = "best: " + ",".join(map(str, dims[first]))
    label = "\n".join([name, *(f"(next is {gap:.4g} away)" for gap in behind)])
    draw_star(ax, sizes[first], values[first], label)
    _describe_sizes(ax, {int(sizes[i]): dims[i] for i in best})
    ax.margins(x=0.06, y=0.08)


def _describe_sizes(ax: Axes, best: dict[int, tuple[int, ...]]) -> None:
    """A table below the axis: the components of each dimension in the best of each size."""
    size = FontProperties(size="small").get_size_in_points()
    kinds = sorted({d for dims in best.values() for d in dims}, reverse=True)
    ax.tick_params(axis="x", length=4, pad=4, labelsize=size)
    for row, d in enumerate(kinds):
        style: dict[str, Any] = {
            "xytext": (0, -8 - size * (2.4 + 1.4 * row)),
            "textcoords": "offset points",
            "fontsize": size,
            "color": INK,
        }
        ax.annotate(f"d = {d} ", (0, 0), xycoords="axes fraction", ha="right", **style)
        for k, dims in best.items():
            text, place = str(dims.count(d) or "·"), ax.get_xaxis_transform()
            ax.annotate(text, (k, 0), xycoords=place, ha="center", **style)
    ax.set_xlabel(
        "number of components, and how many of each dimension d the best has",
        labelpad=8 + 1.4 * size * len(kinds),
    )


def _read_table(source: Any, key: str) -> tuple[pd.DataFrame, str]:
    """The table of a search, and its criterion."""
    if is_anndata(source):
        table = get.selection(source, key)
        return table, table.attrs["criterion"]
    if hasattr(source, "table") and hasattr(source, "criterion"):
        return source.table, source.criterion
    raise TypeError(
        "Expected an AnnData or what lowdim.select_subspaces returned, got "
        f"{type(source).__name__}."
    )

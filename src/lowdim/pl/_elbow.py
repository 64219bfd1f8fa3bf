"""How a criterion goes with the number of clusters or components."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.ticker import MaxNLocator

from lowdim import get
from lowdim._validation import check_in
from lowdim.get._record import find_mixture, n_components
from lowdim.pl._colors import PALETTE
from lowdim.pl._figure import one_axes
from lowdim.pl._fitted import is_anndata
from lowdim.pl._legend import draw_star

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_NAMES = {
    "inertia": "inertia",
    "free_energy": "free energy",
    "log_likelihood": "log-likelihood",
    "bic": "BIC (lower is better)",
    "aic": "AIC (lower is better)",
    "icl": "ICL (lower is better)",
    "heldout": "held out, per row (higher is better)",
}
_DECIDED = {"bic": "BIC", "aic": "AIC", "icl": "ICL", "heldout": "rows held out", "elbow": "elbow"}


def elbow(
    selection_or_adata: Any,
    *,
    key: str = "mixture",
    criterion: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a criterion against the number of clusters or components, the size chosen marked.

    Parameters
    ----------
    selection_or_adata : MixtureSelection or AnnData
        What `lowdim.select_mixture` returned, or an AnnData after `lowdim.tl.mixture` has chosen
        a number.
    key
        With an AnnData: the `key_added` of the fit.
    criterion : str, optional
        A column of its table: "inertia", "free_energy", "log_likelihood", "bic", "aic", "icl" or
        "heldout"; by default what decided.
    ax
        Where to draw; by default in a new figure.

    Returns
    -------
    The Axes.

    Raises
    ------
    TypeError, ValueError
        An argument cannot be used.
    """
    table, decided, n_chosen = _read(selection_or_adata, key)
    known = [name for name in _NAMES if name in table]
    used = decided if decided in known else known[0]
    criterion = check_in(used if criterion is None else criterion, "criterion", known)
    ax = one_axes(ax, figsize=(5.6, 4.0))
    sizes, values = table["n_components"], table[criterion]
    ax.plot(sizes, values, color=PALETTE[0], marker="o", markersize=5)
    chosen = table.index[sizes == n_chosen][0]
    label = f"chosen by {_DECIDED.get(decided, decided)}: {n_chosen}"
    draw_star(ax, sizes[chosen], values[chosen], label)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("number of clusters" if "log_likelihood" not in table else "number of components")
    ax.set_ylabel(_NAMES[criterion])
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(fontsize="small", frameon=False)
    return ax


def _read(source: Any, key: str) -> tuple[pd.DataFrame, str, int]:
    """The table, the criterion that decided, and the size it chose."""
    if is_anndata(source):
        table = get.selection(source, key)
        return table, table.attrs["criterion"], n_components(find_mixture(source, key))
    if not hasattr(source, "table") or not hasattr(source, "n_components_"):
        raise TypeError(
            "Expected what lowdim.select_mixture returned, or an AnnData after lowdim.tl.mixture; "
            f"got {type(source).__name__}."
        )
    return source.table, source.criterion, source.n_components_

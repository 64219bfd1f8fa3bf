"""How a criterion goes with the number of clusters or components."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.ticker import MaxNLocator

from lowdim._validation import check_in
from lowdim.pl._colors import PALETTE
from lowdim.pl._figure import one_axes

if TYPE_CHECKING:
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


def elbow(selection: Any, *, criterion: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw a criterion against the number of clusters or components, the size chosen marked.

    Parameters
    ----------
    selection : MixtureSelection
        What `lowdim.select_mixture` returned.
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
    if not hasattr(selection, "table") or not hasattr(selection, "n_components_"):
        raise TypeError(
            f"Expected what lowdim.select_mixture returned, got {type(selection).__name__}."
        )
    table = selection.table
    known = [name for name in _NAMES if name in table]
    used = selection.criterion if selection.criterion in known else known[0]
    criterion = check_in(used if criterion is None else criterion, "criterion", known)
    ax = one_axes(ax, figsize=(5.6, 4.0))
    sizes, values = table["n_components"], table[criterion]
    ax.plot(sizes, values, color=PALETTE[0], marker="o", markersize=5)
    chosen = table.index[sizes == selection.n_components_][0]
    ax.plot(
        sizes[chosen],
        values[chosen],
        color=PALETTE[1],
        marker="*",
        markersize=17,
        markeredgecolor="white",
        linestyle="none",
        label=f"chosen by {selection.criterion}: {selection.n_components_}",
        zorder=3,
    )
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("number of clusters" if "log_likelihood" not in table else "number of components")
    ax.set_ylabel(_NAMES[criterion])
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(fontsize="small", frameon=False)
    return ax

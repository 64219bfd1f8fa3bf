"""How the objective rose, and where the restarts ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from lowdim.pl._colors import INK, PALETTE
from lowdim.pl._figure import one_axes
from lowdim.pl._fitted import read_fit

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def convergence(model_or_adata: Any, *, key: str = "subspaces", ax: Axes | None = None) -> Axes:
    """Draw the objective at each step of the best restart, and the end of every restart.

    Parameters
    ----------
    model_or_adata
        A fitted `SubspaceMixture`, or an AnnData after `lowdim.tl.subspaces`.
    key
        With an AnnData: the `key_added` of the fit.
    ax
        Where to draw; by default in a new figure.

    Returns
    -------
    The Axes: a line for the trace, and a tick at the right edge for each restart.

    Raises
    ------
    TypeError, ValueError
        An argument cannot be used, or the fit is not there.
    """
    fit = read_fit(model_or_adata, key)
    ax = one_axes(ax)
    trace, ends = fit.objective_trace, fit.restart_objectives
    ax.plot(
        np.arange(len(trace)),
        trace,
        color=PALETTE[0],
        marker="o" if len(trace) <= 50 else "",
        markersize=3.5,
        label="best restart",
    )
    finite = ends[np.isfinite(ends)]
    if len(ends) > 1:
        failed = len(ends) - len(finite)
        ax.plot(
            np.full(len(finite), 0.985),
            finite,
            color=PALETTE[1],
            alpha=0.8,
            linestyle="none",
            marker="_",
            markersize=14,
            transform=ax.get_yaxis_transform(),
            label=f"ends of {len(ends)} restarts" + (f" ({failed} failed)" if failed else ""),
        )
        ax.legend(loc="lower right", bbox_to_anchor=(0.95, 0.02), fontsize="small")
    reason = fit.stop_reason.replace("_", " ")
    ax.set_title(f"{reason} after {fit.n_iter} iterations", fontsize="medium", color=INK)
    ax.set_xlabel("step")
    ax.set_ylabel("objective (mean per row)")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.ticklabel_format(axis="y", useOffset=False)
    ax.margins(x=0.06)
    ax.spines[["top", "right"]].set_visible(False)
    return ax

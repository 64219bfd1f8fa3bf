"""How the objective rose, and where the restarts ended; or how a search found its mixture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from lowdim.get._fitted_factors import FittedSpatialFactors, is_factorization, read_factors
from lowdim.get._record import has_factors
from lowdim.pl._colors import INK, PALETTE
from lowdim.pl._figure import one_axes
from lowdim.pl._fitted import read_fit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lowdim._typing import Float64Array
    from lowdim.pl._fitted import FittedSubspaces


def convergence(model_or_adata: Any, *, key: str = "subspaces", ax: Axes | None = None) -> Axes:
    """Draw the objective at each step of the best restart, and the end of every restart.

    After a search, every run is drawn by its BIC instead, in the order of the search, with a line
    for the best so far; numbers at the line are its components. The search first adds components,
    then merges them. Of factors, the bound per row after every round is drawn.

    Parameters
    ----------
    model_or_adata
        A fitted mixture, clustering or factorization of lowdim, or an AnnData after
        `lowdim.tl.subspaces`, `lowdim.tl.select_subspaces`, `lowdim.tl.mixture` or
        `lowdim.tl.spatial_factors`. The objective of k-means is minus the
        inertia, that of soft k-means minus the free energy.
    key
        With an AnnData: the `key_added` of the fit.
    ax
        Where to draw; by default in a new figure.

    Returns
    -------
    The Axes: a line for the trace, and a tick at the right edge for each restart; or after a
    search dots for the runs, and a line for the best so far.

    Raises
    ------
    TypeError, ValueError
        An argument cannot be used, or the fit is not there.
    """
    if is_factorization(model_or_adata) or has_factors(model_or_adata, key):
        factors = read_factors(model_or_adata, key)
        ax = one_axes(ax)
        _draw_rounds(ax, factors)
    else:
        fit = read_fit(model_or_adata, key)
        ax = one_axes(ax)
        if len(fit.search_trace):
            _draw_search(ax, fit.search_trace)
        else:
            _draw_fit(ax, fit)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.ticklabel_format(axis="y", useOffset=False)
    ax.margins(x=0.06)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _draw_rounds(ax: Axes, fit: FittedSpatialFactors) -> None:
    """The bound of factors; the first rounds may leave the rest no room."""
    bounds = fit.lower_bounds
    number = np.arange(1, len(bounds) + 1)
    ax.plot(number, bounds, color=PALETTE[0], marker="o" if len(bounds) <= 50 else "", ms=3.5)
    ended = "converged" if fit.converged else "did not converge"
    ax.set_title(f"{ended} after {len(bounds)} rounds", fontsize="medium", color=INK)
    ax.set_xlabel("round")
    ax.set_ylabel("bound per row")


def _draw_search(ax: Axes, runs: Float64Array) -> None:
    """Every run by its BIC, and the best so far with its number of components."""
    sizes, values = runs.T
    number = np.arange(1, len(runs) + 1)
    best = np.minimum.accumulate(values)
    ax.plot(number, values, ".", color="0.6", markersize=5, label="run")
    ax.plot(
        number,
        best,
        color=PALETTE[0],
        drawstyle="steps-post",
        label="best so far, with its number of components",
    )
    better = np.flatnonzero(best < [np.inf, *best[:-1]])
    for i in better[np.diff(sizes[better], prepend=0) != 0]:
        ax.annotate(
            f"{sizes[i]:.0f}",
            (number[i], values[i]),
            xytext=(0, -4),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize="small",
            color=PALETTE[0],
        )
    ax.set_title(_title(values), fontsize="medium", color=INK)
    ax.set_xlabel("run")
    ax.set_ylabel("BIC (lower is better)")
    ax.legend(loc="upper center", fontsize="small")


def _title(values: Float64Array) -> str:
    """How many runs there were, and which was the best."""
    n, degenerate = len(values), int(np.isinf(values).sum())
    runs = "1 run" if n == 1 else f"{n:,} runs"
    if degenerate == n:
        return f"{runs}, degenerate"
    said = f", {degenerate:,} of them degenerate" if degenerate else ""
    return f"{runs}{said}; the best at run {values.argmin() + 1:,}"


def _draw_fit(ax: Axes, fit: FittedSubspaces) -> None:
    """The trace of the best restart, and the ends of all."""
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
    ax.set_ylabel("objective (mean per row)" if fit.are_subspaces else "objective")

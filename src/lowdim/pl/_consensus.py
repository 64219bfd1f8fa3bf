"""What independent fits of a mixture have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import FuncFormatter

from lowdim._validation import check_in
from lowdim.pl._colors import INK, PALETTE
from lowdim.pl._figure import check_axes, grid_of_axes, one_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PANELS = ("reproducibility", "agreement")
_MOST_BARS = 20


def consensus(result: Any, *, panel: str | None = None, ax: Any = None) -> Any:
    """Draw how well each component is found again, and how many runs agree on each row.

    In the first panel, grey ticks are the Jaccard indices of the component in the runs other
    than the best one, and the dot is their mean, the reproducibility; at the right stands in how
    many of these runs it recurs (0.5 or more). The second is a histogram of the rows by the share
    of runs that put them where the consensus does.

    Parameters
    ----------
    result
        What `lowdim.consensus_subspaces` returned.
    panel
        "reproducibility" or "agreement"; by default both.
    ax
        Where to draw: an Axes, or two of them if `panel` is None; by default in a new figure.

    Returns
    -------
    The Axes for one `panel`, otherwise an array of two.

    Raises
    ------
    TypeError, ValueError
        An argument cannot be used.
    """
    if not hasattr(result, "reproducibility"):
        raise TypeError(
            f"result is a {type(result).__name__}; pass what lowdim.consensus_subspaces returned."
        )
    height = max(3.2, 1.3 + 0.34 * len(result.reproducibility))
    draw = {"reproducibility": _draw_components, "agreement": _draw_rows}
    if panel is not None:
        draw_panel = draw[check_in(panel, "panel", _PANELS)]
        single = one_axes(ax, figsize=(5.2, height))
        draw_panel(single, result)
        return single
    if ax is None:
        axes = grid_of_axes(2, n_columns=2, figsize=(9.6, height))
    else:
        axes = np.asarray(ax, dtype=object).ravel()
        if len(axes) != 2:
            raise ValueError(f"ax holds {len(axes)} Axes, but 2 panels are to be drawn; pass 2.")
    for one, name in zip(axes, _PANELS, strict=True):
        draw[name](check_axes(one), result)
    return axes


def _draw_components(ax: Axes, result: Any) -> None:
    """Jaccard indices of every run, and their mean."""
    n_components = len(result.reproducibility)
    reference = int(result.jaccard.min(1).argmax())
    others = np.delete(result.jaccard, reference, axis=0)
    heights = np.arange(n_components)
    ax.plot(
        others.ravel(),
        np.tile(heights, len(others)),
        "|",
        color="0.35",
        alpha=0.5,
        markersize=13,
        label="a run",
    )
    ax.plot(result.reproducibility, heights, "o", color=PALETTE[1], label="mean", zorder=3)
    ax.axvline(0.5, color="0.7", linestyle=":", linewidth=1.0, zorder=0)
    n_found = np.rint(result.recurrence * len(others)).astype(int)
    for k, found in enumerate(n_found.tolist()):
        ax.annotate(
            f"{found:,} of {len(others):,}",
            (1.0, k),
            xycoords=ax.get_yaxis_transform(),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize="small",
            color=INK,
        )
    dims = result.best.dims_.tolist()
    uniform = np.isinf(result.best.noise_variances_)
    names = [f"{k} ({'background' if uniform[k] else f'd = {d}'})" for k, d in enumerate(dims)]
    ax.set_yticks(heights, names)
    ax.set_ylim(n_components - 0.5, -0.5)
    ax.set_xlim(-0.03, 1.03)
    ax.set_xlabel("Jaccard index with the best run")
    ax.set_ylabel("component")
    ax.set_title("found again in", loc="right", fontsize="small", color=INK)
    ax.legend(
        fontsize="small",
        frameon=False,
        ncols=2,
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        borderaxespad=0.0,
    )
    ax.spines[["top", "right"]].set_visible(False)


def _draw_rows(ax: Axes, result: Any) -> None:
    """Rows by the share of runs that agree on them."""
    n_bars = min(result.n_runs, _MOST_BARS)
    # A share is a multiple of 1 / n_runs, so edges between multiples leave no share on an edge.
    half = 0.5 / result.n_runs
    edges = np.linspace(half, 1 + half, n_bars + 1)
    weights = np.full(len(result.agreement), 1 / len(result.agreement))
    ax.hist(result.agreement, edges.tolist(), weights=weights, color=PALETTE[0], edgecolor="white")
    ax.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))
    ax.set_xlim(0, 1 + half)
    ax.set_xlabel("share of runs that agree on the row")
    ax.set_ylabel("rows")
    ax.set_title(
        f"{result.n_runs:,} runs, mean adjusted Rand index {result.mean_ari:.2f}",
        fontsize="medium",
        color=INK,
    )
    ax.spines[["top", "right"]].set_visible(False)

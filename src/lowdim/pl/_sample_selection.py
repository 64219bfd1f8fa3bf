"""How many components the mixture of every sample has, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.ticker import MaxNLocator

from lowdim.pl._colors import PALETTE
from lowdim.pl._figure import several_axes
from lowdim.pl._sample_input import read_mixtures, sound_fits

if TYPE_CHECKING:
    import pandas as pd

_NAMES = {"bic": "BIC", "aic": "AIC", "heldout_nll": "held-out NLL"}


def sample_selection(source: Any, *, gmm_key: str | None = None, ax: Any = None) -> np.ndarray:
    """Draw the criterion of every sample against the number of components, and what was chosen.

    Lines start from the best value of their sample, which is zero; dots are the numbers chosen.
    The steepest may leave the picture. Below stands how many samples have each number. Fits with a
    component that shrank onto few cells are left out of the lines: they cannot be chosen.

    Parameters
    ----------
    source
        Fitted `SampleGaussianMixtures` that chose among several numbers, a `SampleDataset` with
        them, or an AnnData after `lowdim.tl.fit_gmm`.
    gmm_key
        With an AnnData: the key of `uns` of the mixtures; by default "gmm_X", or the only one.
    ax
        Where to draw: two Axes; by default in a new figure.

    Returns
    -------
    The two Axes.

    Raises
    ------
    TypeError, ValueError
        `source` is none of these, or a single number of components was fitted.
    """
    model = read_mixtures(source, gmm_key)
    if model.selection_ is None:
        raise ValueError(
            "These mixtures have a number of components that was given; fit several (k_comps=None, "
            "or a list) for one to be chosen."
        )
    panels = several_axes(ax, 2, "panels", n_columns=1, size=(5.6, 2.5))
    lines, chosen = _lines(model.selection_)
    width = float(np.clip(12.0 / len(lines), 0.4, 1.2))
    panels[0].add_collection(LineCollection(lines, colors="0.55", linewidths=width, alpha=0.7))
    panels[0].plot(
        chosen, np.zeros(len(chosen)), "o", color=PALETTE[1], markersize=4.5, label="chosen",
        markeredgecolor="white", markeredgewidth=0.4, zorder=3,
    )  # fmt: skip
    panels[0].autoscale_view()
    usual = float(np.quantile(np.concatenate([line[:, 1] for line in lines]), 0.95))
    if panels[0].get_ylim()[1] > 2 * usual > 0:
        panels[0].set_ylim(-0.08 * usual, 1.5 * usual)
    name = _NAMES.get(getattr(model, "criterion", ""), "criterion")
    panels[0].set_ylabel(f"{name} above the best")
    panels[0].legend(fontsize="small", frameon=False)
    sizes = np.unique(np.concatenate([line[:, 0] for line in lines])).astype(int)
    counts = [int((chosen == k).sum()) for k in sizes]
    panels[1].bar(sizes, counts, 0.75, color=PALETTE[1])
    for k, n in zip(sizes, counts, strict=True):
        if n:
            panels[1].annotate(
                f"{n}", (k, n), xytext=(0, 1), textcoords="offset points", ha="center",
                fontsize="small",
            )  # fmt: skip
    panels[1].yaxis.set_major_locator(MaxNLocator(4, integer=True))
    panels[1].margins(y=0.15)
    panels[1].set(xlabel="number of components", ylabel="samples")
    for panel in panels:
        panel.set_xticks(sizes)
        panel.set_xlim(sizes[0] - 0.6, sizes[-1] + 0.6)
        panel.spines[["top", "right"]].set_visible(False)
    return panels


def _lines(table: pd.DataFrame) -> tuple[list[np.ndarray], np.ndarray]:
    """Number of components and score above the best of every sample, and the number chosen."""
    lines, chosen = [], []
    for _, own in sound_fits(table).sort_values("n_components").groupby("sample"):
        scores = own["score"].to_numpy(dtype=np.float64)
        sizes = own["n_components"].to_numpy(dtype=np.float64)
        lines.append(np.column_stack([sizes, scores - scores.min()]))
        chosen.append(sizes[scores.argmin()])
    return lines, np.array(chosen)

"""Measures of several layouts side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from lowdim.pl._colors import PALETTE
from lowdim.pl._figure import several_axes

if TYPE_CHECKING:
    import pandas as pd

_NAMES = {
    "distance_correlation": "correlation of distances",
    "triplet_accuracy": "triplets in order",
    "label_accuracy": "labels of neighbours",
    "label_accuracy_data": "",  # drawn as a line in the panel before
    "kl_divergence": "KL divergence (less is better)",
}


def embedding_quality(table: pd.DataFrame, *, ax: Any = None) -> np.ndarray:
    """Draw the measures of layouts, a panel for each, with a scale of its own.

    Parameters
    ----------
    table
        Rows of `lowdim.metrics.embedding_quality`, one for each layout, joined by
        ``pandas.concat``. The line among the labels of neighbours is what the data themselves
        have.
    ax
        Where to draw: an Axes for each panel; by default in a new figure.

    Returns
    -------
    The Axes, one for each measure.

    Raises
    ------
    TypeError, ValueError
        `table` is no such table.
    """
    if not hasattr(table, "columns") or not len(table) or "trustworthiness" not in table:
        raise ValueError(
            "table must have the columns of lowdim.metrics.embedding_quality and a row or more."
        )
    shown = [name for name in table.columns if _title(str(name))]
    height = 0.9 + 0.22 * len(table)
    panels = several_axes(ax, len(shown), "measures", n_columns=4, size=(2.9, height))
    rows = np.arange(len(table))[::-1]
    for i, (panel, name) in enumerate(zip(panels, shown, strict=True)):
        panel.plot(table[name], rows, "o", color=PALETTE[0], markersize=5)
        if name == "label_accuracy" and "label_accuracy_data" in table:
            panel.axvline(table["label_accuracy_data"].iloc[0], color="0.6", linewidth=1.0)
        panel.set_title(_title(str(name)), fontsize="small")
        labels = [str(own) for own in table.index] if i % 4 == 0 or ax is not None else []
        panel.set_yticks(rows, labels or [""] * len(rows), fontsize="small")
        panel.set_ylim(-0.6, len(table) - 0.4)
        panel.margins(x=0.12)
        panel.xaxis.set_major_locator(MaxNLocator(3))
        panel.tick_params(axis="x", labelsize="x-small")
        panel.grid(axis="y", color="0.92", linewidth=0.8)
        panel.set_axisbelow(True)
        panel.spines[["top", "right", "left"]].set_visible(False)
        panel.tick_params(axis="y", length=0)
    return panels


def _title(name: str) -> str:
    """A measure in words; "" where it has no panel."""
    if name.startswith("preservation_"):
        return f"{name.removeprefix('preservation_')} neighbours kept"
    return _NAMES.get(name, name.replace("_", " "))

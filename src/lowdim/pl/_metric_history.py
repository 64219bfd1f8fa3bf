"""The course of learning a ground metric."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator, PercentFormatter

from lowdim.get._metric import find_metric
from lowdim.pl._colors import PALETTE
from lowdim.pl._figure import several_axes
from lowdim.pl._fitted import is_anndata


def metric_history(source: Any, *, key: str = "ground_metric", ax: Any = None) -> np.ndarray:
    """Draw the loss of a ground metric and the share of active triplets after every epoch.

    The loss is the mean hinge over all triplets plus the penalty; of samples that were held out,
    their hinge is drawn as well. A triplet is active while its margin is broken: with none the
    loss cannot fall further but for the penalty, with all of them the margin may be too wide. A
    single epoch far above the others may leave the picture.

    Parameters
    ----------
    source
        A fitted `GroundMetric`, or an AnnData after `lowdim.tl.ground_metric`.
    key
        With an AnnData: its `key_added`.
    ax
        Where to draw: two Axes; by default in a new figure.

    Returns
    -------
    The two Axes.

    Raises
    ------
    TypeError, ValueError
        `source` is neither, or the fit is not there.
    """
    history = {name: np.asarray(own, dtype=np.float64) for name, own in _read(source, key).items()}
    panels = several_axes(ax, 2, "panels", n_columns=2, size=(4.2, 3.2))
    epochs = np.arange(len(history["loss"]))
    style: dict[str, Any] = {"marker": "o", "markersize": 2.5, "linewidth": 1.2}
    dashed = {"hinge": "--"}  # the loss is hardly more where the penalty is small
    drawn = [("loss", "loss", PALETTE[0]), ("hinge", "hinge", PALETTE[4])]
    if np.isfinite(history.get("validation", np.nan)).any():
        drawn.append(("validation", "hinge, samples held out", PALETTE[1]))
    for name, label, color in drawn:
        line = dashed.get(name, "-")
        panels[0].plot(epochs, history[name], line, color=color, label=label, **style)
    panels[0].set_ylabel("mean over triplets")
    usual = max(history["loss"][0], float(np.quantile(history["loss"], 0.9)))
    highest = max(float(np.nanmax(history[name])) for name, _, _ in drawn)
    panels[0].set_ylim(0, 1.08 * (highest if highest < 2 * usual else usual) or None)
    panels[0].legend(fontsize="small", frameon=False)
    panels[1].plot(epochs, history["active"], color=PALETTE[2], **style)
    panels[1].set(ylabel="active triplets", ylim=(-0.02, 1.02))
    panels[1].yaxis.set_major_formatter(PercentFormatter(1.0))
    for panel in panels:
        panel.set_xlabel("epoch")
        panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        panel.spines[["top", "right"]].set_visible(False)
    return panels


def _read(source: Any, key: str) -> dict[str, Any]:
    """Columns by name."""
    if is_anndata(source):
        return dict(find_metric(source, key)["history"])
    if hasattr(source, "history_"):
        return dict(source.history_)
    if hasattr(source, "fit"):
        raise ValueError(f"This {type(source).__name__} is not fitted; call fit first.")
    raise TypeError(f"Expected a fitted GroundMetric or an AnnData, got {type(source).__name__}.")

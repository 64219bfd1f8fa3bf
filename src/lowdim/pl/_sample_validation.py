"""How well the mixture of every sample tells cells that it was not fitted to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim._validation import check_positive_int
from lowdim.pl._colors import PALETTE
from lowdim.pl._figure import one_axes, settle
from lowdim.pl._names import brief, draw_names
from lowdim.pl._sample_input import read_mixtures, sound_fits

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_TRAIN = "NLL per cell, fitted cells"
_HELD_OUT = "NLL per cell, held-out cells"
_OWN = "NLL per cell, own mixture"
_NEAREST = "NLL per cell, nearest other mixture"


def sample_validation(
    source: Any, *, gmm_key: str | None = None, n_names: int = 5, ax: Axes | None = None
) -> Axes:
    """Draw two mean negative log-likelihoods of the cells of every sample against each other.

    Of mixtures that were chosen by cells held out: that of the fitted cells and that of the others;
    far above the line, a mixture tells its own cells only. Of the table that
    `SampleGaussianMixtures.validate` returns: that under the sample's own mixture and under the
    nearest other one; near the line, a sample is hardly told from another.

    Parameters
    ----------
    source
        Fitted `SampleGaussianMixtures` with ``criterion="heldout_nll"``, a `SampleDataset` with
        them, an AnnData after `lowdim.tl.fit_gmm`, or the table.
    gmm_key
        With an AnnData: the key of `uns` of the mixtures; by default "gmm_X", or the only one.
    n_names
        How many samples to name: those farthest above the line, or of the table nearest to it.
    ax
        Where to draw; by default in a new figure.

    Returns
    -------
    The Axes.

    Raises
    ------
    TypeError, ValueError
        `source` is none of these, or no cells were held out.
    """
    import pandas as pd

    n_names = check_positive_int(n_names, "n_names", minimum=0)
    if isinstance(source, pd.DataFrame):
        if not {"nll", "nearest_nll"} <= set(source):
            raise ValueError(f"The table has no nll and nearest_nll; it has {list(source)}.")
        names, across, up = source.index.to_series(), source["nll"], source["nearest_nll"]
        axis_names, sign = (_OWN, _NEAREST), 1.0
    else:
        table = _chosen(read_mixtures(source, gmm_key).selection_)
        names, across, up = table["sample"], table["train_nll"], table["validation_nll"]
        axis_names, sign = (_TRAIN, _HELD_OUT), -1.0
    points = np.column_stack([across, up]).astype(np.float64)
    new = ax is None
    ax = one_axes(ax, figsize=(5.0, 4.6))
    ax.axline((points[0, 0], points[0, 0]), slope=1, color="0.5", linewidth=0.8, linestyle="--")
    size = float(np.clip(4_000 / len(points), 14.0, 40.0))
    ax.scatter(
        points[:, 0], points[:, 1], s=size, color=PALETTE[0], edgecolors="white", linewidths=0.5,
        zorder=2,
    )  # fmt: skip
    ax.set(xlabel=axis_names[0], ylabel=axis_names[1])
    ax.margins(0.08)
    ax.spines[["top", "right"]].set_visible(False)
    if new:
        settle(ax.figure)
    gaps = points[:, 1] - points[:, 0]
    named = np.argsort(sign * gaps, kind="stable")[:n_names]
    if len(named):
        draw_names(ax, points[named], [brief(names.iloc[i]) for i in named], others=points)
    return ax


def _chosen(table: pd.DataFrame | None) -> pd.DataFrame:
    """The row of every sample with the number of components that was chosen."""
    if table is None or "validation_nll" not in table or table["validation_nll"].isna().all():
        raise ValueError(
            "No cells were held out from these mixtures; fit them with "
            "k_selection_metric='heldout_nll' and several k_comps, or pass what validate returns "
            "for other cells."
        )
    return table.loc[sound_fits(table).groupby("sample")["score"].idxmin()]

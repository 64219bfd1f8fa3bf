"""What samples were taken for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim.pl._colors import INK
from lowdim.pl._figure import one_axes
from lowdim.pl._heatmap import SHARES_CMAP, heatmap_size
from lowdim.pl._names import brief

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_MOST_WRITTEN = 225


def confusion(source: Any, predicted: Any = None, *, ax: Axes | None = None) -> Axes:
    """Draw how often samples of each label were taken for each.

    Colours are shares of the samples of a label; in the cells stand numbers and, below, shares.
    The title has the share of all that were right, and its mean over the labels.

    Parameters
    ----------
    source
        What `lowdim.samples.cross_validate_samples` returned, whose repeats are counted together;
        a square DataFrame of counts, true labels x predicted ones; or the true labels.
    predicted
        With true labels: those predicted.
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
    table = _read(source, predicted)
    counts = table.to_numpy(dtype=np.float64)
    sizes = counts.sum(1, keepdims=True)
    shares = counts / np.where(sizes > 0, sizes, 1.0)
    names = [brief(name) for name in table.index]
    width, height = heatmap_size(names, names)
    ax = one_axes(ax, figsize=(max(width, 4.2), max(height, 3.6)))
    image = ax.imshow(shares, cmap=SHARES_CMAP, vmin=0, vmax=1)
    ax.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel="predicted", ylabel="true")
    ax.figure.colorbar(image, ax=ax, label="share of the label", fraction=0.05)
    if counts.size <= _MOST_WRITTEN:
        for i, j in np.argwhere(counts > 0):
            ax.text(
                j, i, f"{counts[i, j]:,.0f}\n{shares[i, j]:.0%}", ha="center", va="center",
                fontsize="small" if len(names) <= 6 else "x-small",
                color="white" if shares[i, j] > 0.6 else INK,
            )  # fmt: skip
    right = np.diagonal(counts).sum() / counts.sum()
    balanced = np.diagonal(shares)[sizes[:, 0] > 0].mean()
    ax.set_title(f"accuracy {right:.2f}, balanced {balanced:.2f}", fontsize="medium")
    return ax


def _read(source: Any, predicted: Any) -> pd.DataFrame:
    """Counts of true x predicted labels."""
    import pandas as pd

    if predicted is not None:
        true, taken = (np.asarray(part, dtype=object) for part in (source, predicted))
        if true.ndim != 1 or true.shape != taken.shape:
            raise ValueError(
                f"predicted has shape {taken.shape}, but there are {true.shape} true labels."
            )
        kinds = np.unique(np.concatenate([source, predicted]))  # numbers in their own order
        table = pd.crosstab(true.astype(str), taken.astype(str))
        table = table.reindex(index=kinds.astype(str), columns=kinds.astype(str), fill_value=0)
    else:
        table = getattr(source, "confusion", source)
    if not isinstance(table, pd.DataFrame) or table.shape[0] != table.shape[1]:
        raise TypeError(
            "source must be a cross-validation, a square DataFrame of counts, or true labels "
            f"together with predicted ones; got {type(source).__name__}. Of an AnnData pass one of "
            "ld.get.sample_validation(adata)."
        )
    if list(table.index) != list(table.columns) or not table.to_numpy().sum() > 0:
        raise ValueError("The table of counts needs the same labels both ways, and a sample.")
    return table

"""A table of shares between 0 and 1 as a heat map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim.pl._colors import INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lowdim._typing import Float64Array

SHARES_CMAP = "Blues"
_MAX_WRITTEN = 400


def heatmap_size(lines: Sequence[str], columns: Sequence[str]) -> tuple[float, float]:
    """Inches at which the cells and names of a table can be read."""
    width = 1.8 + 0.08 * max(map(len, lines)) + 0.45 * len(columns)
    height = 1.0 + 0.06 * max(map(len, columns)) + 0.36 * len(lines)
    return float(np.clip(width, 4.5, 18)), float(np.clip(height, 2.8, 18))


def draw_shares(
    ax: Axes, shares: Float64Array, lines: Sequence[str], columns: Sequence[str], title: str
) -> Any:
    """Draw a table (n_lines, n_columns); small ones with the numbers in percent.

    Returns
    -------
    The image.
    """
    image = ax.imshow(shares, cmap=SHARES_CMAP, vmin=0, vmax=1, aspect="auto")
    ax.set_yticks(range(len(lines)), lines)
    slanted = max((len(name) for name in columns), default=0) > 4
    ax.set_xticks(
        range(len(columns)),
        columns,
        rotation=45 if slanted else 0,
        ha="right" if slanted else "center",
        rotation_mode="anchor" if slanted else "default",
    )
    ax.figure.colorbar(image, ax=ax, label=title, fraction=0.05)
    if shares.size <= _MAX_WRITTEN:
        _write_percentages(ax, shares)
    return image


def _write_percentages(ax: Axes, shares: Float64Array) -> None:
    """Numbers in the cells, but for those that round to nothing."""
    for i, j in np.argwhere(shares >= 0.005):
        ax.text(
            j,
            i,
            f"{100 * shares[i, j]:.0f}",
            ha="center",
            va="center",
            fontsize="small",
            color="white" if shares[i, j] > 0.6 else INK,
        )

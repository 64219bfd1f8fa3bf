"""Names in pictures: cut to a length, and beside points where they cover little."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.font_manager import FontProperties

from lowdim.pl._colors import INK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from lowdim._typing import Float64Array

_SIDES = (
    (1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1),
)  # fmt: skip
"""Where a name may stand, the best first: right, left, above, below, corners."""

_LETTER = 0.56
"""Width of a letter, as a share of the size of the font."""

_MOST_LETTERS = 18

_ALIGN = {1: "left", 0: "center", -1: "right"}
_VERTICAL = {1: "bottom", 0: "center", -1: "top"}


def brief(name: object) -> str:
    """A name that leaves room for the drawing: names of samples often differ at their end."""
    text = str(name)
    if len(text) <= _MOST_LETTERS:
        return text
    return f"{text[: _MOST_LETTERS - 11]}…{text[-10:]}"


def draw_names(
    ax: Axes,
    points: Float64Array,
    names: Sequence[str],
    *,
    others: Float64Array | None = None,
    gap: float = 5.0,
    fontsize: Any = "x-small",
) -> None:
    """Write the name of every point (n, 2) beside it, `gap` points away.

    Where a point is surrounded, its name stands where it covers least, of these points and of
    `others`, (m, 2).
    """
    size = FontProperties(size=fontsize).get_size_in_points()
    # In points of the page, as the text is.
    places = ax.transData.transform(points) * 72.0 / ax.figure.dpi
    frame = ax.get_window_extent().get_points() * 72.0 / ax.figure.dpi
    dots = places if others is None else ax.transData.transform(others) * 72.0 / ax.figure.dpi
    boxes = [(x - gap / 2, y - gap / 2, x + gap / 2, y + gap / 2) for x, y in dots]
    for point, (x, y), name in zip(points, places, names, strict=True):
        width, height = _LETTER * size * len(name), 1.1 * size
        candidates = []
        for across, up in _SIDES:
            left = x + across * gap - (1 - across) / 2 * width
            low = y + up * gap - (1 - up) / 2 * height
            candidates.append((left, low, left + width, low + height))
        costs = [_covered(box, boxes) + _outside(box, frame) for box in candidates]
        best = int(np.argmin(costs))
        boxes.append(candidates[best])
        across, up = _SIDES[best]
        ax.annotate(
            name, (point[0], point[1]), xytext=(across * gap, up * gap),
            textcoords="offset points", fontsize=fontsize,
            ha=_ALIGN[across], va=_VERTICAL[up], color=INK, zorder=4, annotation_clip=False,
        )  # fmt: skip


def _covered(box: tuple[float, ...], others: Sequence[tuple[float, ...]]) -> float:
    """The area of a box (left, low, right, high) that lies on others."""
    array = np.array(others)
    width = np.minimum(box[2], array[:, 2]) - np.maximum(box[0], array[:, 0])
    height = np.minimum(box[3], array[:, 3]) - np.maximum(box[1], array[:, 1])
    return float((width.clip(min=0) * height.clip(min=0)).sum())


def _outside(box: tuple[float, ...], frame: np.ndarray) -> float:
    """What of a box is not within the Axes, as an area."""
    width = min(box[2], frame[1, 0]) - max(box[0], frame[0, 0])
    height = min(box[3], frame[1, 1]) - max(box[1], frame[0, 1])
    return (box[2] - box[0]) * (box[3] - box[1]) - max(width, 0.0) * max(height, 0.0)

"""A layout on its way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim._random import generator
from lowdim.embedding.snapshots import Snapshots
from lowdim.pl._figure import one_axes
from lowdim.pl._layout import read_colors
from lowdim.pl._layout_axes import add_legend, add_scale, finish_axes
from lowdim.pl._points import point_size

if TYPE_CHECKING:
    from matplotlib.animation import FuncAnimation
    from matplotlib.axes import Axes

_MOST = 20_000
"""Points of a frame."""

_MARGIN = 0.05
_SIZE = (5.4, 4.4)


def animate(
    snapshots: Any,
    color: Any = None,
    *,
    interval: int = 100,
    palette: Any = None,
    cmap: str = "viridis",
    size: float | None = None,
    max_points: int = _MOST,
    random_state: Any = 0,
    ax: Axes | None = None,
) -> FuncAnimation:
    """Play the course of a fit: one frame for each layout that was kept.

    Every frame has its own scale, since layouts grow by many orders of magnitude.

    Parameters
    ----------
    snapshots
        What a `lowdim.embedding.Snapshots` has kept, or a list of layouts, (N, 2) each.
    color
        An array of N labels or values, or None for grey.
    interval
        Milliseconds between frames.
    palette, cmap, size
        As of `lowdim.pl.embedding`.
    max_points
        The most points; of more rows a sample is drawn.
    random_state
        Of the sample.
    ax
        Where to draw; by default in a new figure.

    Returns
    -------
    A matplotlib animation, to be saved (``.save("layout.gif", writer="pillow")``) or shown
    (``.to_jshtml()``). Keep a reference to it while it plays.

    Raises
    ------
    TypeError, ValueError
        There is no layout, or an argument cannot be used.
    """
    from matplotlib.animation import FuncAnimation

    layouts, iterations = _frames(snapshots)
    n = len(layouts[0])
    few = generator(random_state).permutation(n)[:max_points]  # in an order that hides no group
    values = None if color is None else np.asarray(color)
    coloring = read_colors(None, values, n, layer=None, palette=palette, cmap=cmap)[0].coloring
    ax = one_axes(ax, figsize=_SIZE)
    x, y = layouts[0][few].T
    points = ax.scatter(
        x, y, c=coloring.rgb[few], s=point_size(len(few)) if size is None else size,
        linewidths=0, zorder=1,
    )  # fmt: skip
    finish_axes(ax, "axis", (0, 1))
    ax.set_aspect("equal", adjustable="box")
    if coloring.values is not None:
        add_scale(ax, coloring)
    elif coloring.names:
        add_legend(ax, coloring)

    def show(frame: int) -> tuple[Any, ...]:
        places = layouts[frame]
        points.set_offsets(places[few])
        middle = (places.min(0) + places.max(0)) / 2
        reach = (0.5 + _MARGIN) * max(float(np.ptp(places, axis=0).max()), 1e-12)
        ax.set(xlim=(middle[0] - reach, middle[0] + reach))
        ax.set(ylim=(middle[1] - reach, middle[1] + reach))
        ax.set_title(f"iteration {iterations[frame]:,}", fontsize="medium")
        return (points,)

    figure: Any = ax.figure
    return FuncAnimation(figure, show, frames=len(layouts), interval=interval)


def _frames(snapshots: Any) -> tuple[list[np.ndarray], list[int]]:
    """Layouts in the plane, and their iterations."""
    kept = snapshots.layouts if isinstance(snapshots, Snapshots) else list(snapshots)
    layouts = [np.asarray(layout, dtype=np.float64) for layout in kept]
    if not layouts:
        raise ValueError(
            "snapshots holds no layout; pass it as callbacks of a fit first, with callbacks_every."
        )
    shapes = {layout.shape for layout in layouts}
    if len(shapes) > 1 or layouts[0].ndim != 2 or layouts[0].shape[1] != 2:
        raise ValueError(f"snapshots holds layouts of shapes {sorted(shapes)}; pass (N, 2) each.")
    if isinstance(snapshots, Snapshots):
        return layouts, snapshots.iterations
    return layouts, list(range(len(layouts)))

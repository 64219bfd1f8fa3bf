"""Axes to draw on: those given, or new ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def is_3d(ax: Any) -> bool:
    """Whether an Axes is three-dimensional."""
    return getattr(ax, "name", "") == "3d"


def check_axes(ax: Any, *, n_dims: int = 2) -> Axes:
    """Return `ax`, which must be an Axes with `n_dims` dimensions."""
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        raise TypeError(f"ax is a {type(ax).__name__}; pass a matplotlib Axes, or leave it out.")
    if is_3d(ax) != (n_dims == 3):
        projection = "projection='3d'" if n_dims == 3 else "no projection"
        raise ValueError(
            f"ax is not {n_dims}-dimensional; make it with {projection}, or leave it out."
        )
    return ax


def one_axes(ax: Any, *, n_dims: int = 2, figsize: tuple[float, float] | None = None) -> Axes:
    """Return `ax` itself, or the Axes of a new figure if it is None."""
    if ax is not None:
        return check_axes(ax, n_dims=n_dims)
    axes: Axes = grid_of_axes(1, n_dims=n_dims, figsize=figsize)[0]
    return axes


def grid_of_axes(
    n: int,
    *,
    n_dims: int = 2,
    n_columns: int = 3,
    figsize: tuple[float, float] | None = None,
) -> np.ndarray:
    """A new figure with `n` Axes, (n,), in rows of `n_columns` at most."""
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=figsize, layout="constrained")
    columns = min(n, n_columns)
    grid = figure.add_gridspec(-(-n // columns), columns)
    out = np.empty(n, dtype=object)
    for i in range(n):
        cell = grid[i // columns, i % columns]
        out[i] = figure.add_subplot(cell, projection="3d" if n_dims == 3 else None)
    return out


def several_axes(
    ax: Any,
    n: int,
    what: str,
    *,
    n_columns: int = 3,
    size: tuple[float, float],
    n_dims: int = 2,
) -> np.ndarray:
    """The Axes that were given, (n,), or those of a new figure with panels of a size in inches."""
    if ax is None:
        columns = min(n, n_columns)
        figsize = (size[0] * columns, size[1] * -(-n // columns))
        return grid_of_axes(n, n_dims=n_dims, n_columns=columns, figsize=figsize)
    given = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
    if len(given) != n:
        raise ValueError(f"ax has {len(given)} Axes, but there are {n} {what}; pass as many.")
    for one in given:
        check_axes(one, n_dims=n_dims)
    return given


def settle(figure: Any) -> None:
    """Lay a new figure out once; with axes of equal scale, drawing it then finds the place."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)

"""How sure the parameters of a fitted mixture are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator

from lowdim._validation import check_in
from lowdim.pl._colors import INK, PALETTE
from lowdim.pl._figure import check_axes, grid_of_axes, one_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lowdim._typing import Float64Array

_PANELS = {
    "weights": "weight",
    "noise_variances": "noise variance",
    "latent_variances": "variance along each axis (first axis on top)",
    "angles": "principal angles to the fit, degrees (largest on top)",
}

_BAND = 0.6
"""Of the space between two components, which the marks of one take up."""

_DECADE = 10.0
"""Variances that differ by more than this factor have a logarithmic scale."""

Marks = list[tuple[float, float, float, float]]
"""Height, value, and the ends of its interval."""


def bootstrap(result: Any, *, quantity: str | None = None, ax: Any = None) -> Any:
    """Draw estimates with their intervals, and how far subspaces turn, by component.

    Dots are the fitted values, or the median of an angle; lines are the intervals, or reach from
    the median angle up to the one that a share `level` of the replicates stays below. Where a
    component has several axes, the first (of largest variance or angle) is on top.

    Parameters
    ----------
    result
        What `lowdim.bootstrap_subspaces` returned.
    quantity
        "weights", "noise_variances", "latent_variances" or "angles"; by default all four, the
        last two if there are any axes.
    ax
        Where to draw: an Axes, or as many as there are panels if `quantity` is None; by default
        in a new figure.

    Returns
    -------
    The Axes for one `quantity`, otherwise an array of them.

    Raises
    ------
    TypeError, ValueError
        An argument cannot be used.
    """
    if not hasattr(result, "angles_high"):
        raise TypeError(
            f"result is a {type(result).__name__}; pass what lowdim.bootstrap_subspaces returned."
        )
    has_axes = result.angles.shape[2] > 0
    names = [name for name in _PANELS if has_axes or name in ("weights", "noise_variances")]
    if quantity is not None:
        panel = one_axes(ax, figsize=(5.6, _height(result)))
        _draw(panel, result, check_in(quantity, "quantity", names))
        panel.set_title(_title(result), fontsize="medium", color=INK)
        return panel
    panels = _given_axes(ax, len(names))
    if panels is None:
        size = (9.6, _height(result) * (len(names) // 2))
        panels = grid_of_axes(len(names), n_columns=2, figsize=size)
        panels[0].figure.suptitle(_title(result), fontsize="medium", color=INK)
    for panel, name in zip(panels, names, strict=True):
        _draw(panel, result, name)
    return panels


def _given_axes(ax: Any, n: int) -> np.ndarray | None:
    """The Axes that were passed, (n,); None for None."""
    if ax is None:
        return None
    axes = np.asarray(ax, dtype=object).ravel()
    if len(axes) != n:
        raise ValueError(f"ax holds {len(axes)} Axes, but {n} panels are to be drawn; pass {n}.")
    for one in axes:
        check_axes(one)
    return axes


def _height(result: Any) -> float:
    """Of a panel in inches: a line for each component, more where it has several axes."""
    lines = sum(max(1.0, 0.6 * d) for d in result.dims)
    return max(2.2, 1.3 + 0.34 * lines)


def _title(result: Any) -> str:
    failed = f", {result.failed:,} of them failed" if result.failed else ""
    return f"{100 * result.level:g}% intervals of {result.n_boot:,} replicates{failed}"


def _draw(ax: Axes, result: Any, name: str) -> None:
    """One quantity of all components."""
    marks = _angle_marks(result) if name == "angles" else _scalar_marks(result, name)
    for height, value, low, high in marks:
        ax.plot([low, high], [height, height], "-|", color=PALETTE[0], markersize=6)
        ax.plot(value, height, "o", color=INK, markersize=3.5, zorder=3)
    values = np.array([mark[1] for mark in marks])
    if name.endswith("variances") and len(values) and values.max() > _DECADE * values.min():
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=8))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.xaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
    elif name in ("weights", "angles"):
        ax.set_xlim(left=-0.02 * ax.get_xlim()[1])
    _finish(ax, result, name)


def _finish(ax: Axes, result: Any, name: str) -> None:
    """Names of the components, from the top down, and what is drawn."""
    ax.set_yticks(range(len(result.dims)), _component_names(result))
    ax.set_ylim(len(result.dims) - 0.5, -0.5)
    for edge in range(1, len(result.dims)):
        ax.axhline(edge - 0.5, color="0.9", linewidth=0.8, zorder=0)
    ax.tick_params(axis="y", length=0)
    ax.set_ylabel("component")
    share = f"\ndots: median; lines: up to what {100 * result.level:g}% stay below"
    ax.set_xlabel(_PANELS[name] + (share if name == "angles" else ""))
    ax.spines[["top", "right"]].set_visible(False)


def _component_names(result: Any) -> list[str]:
    """Number and dimension, and in how many replicates the component was not found again."""
    names, n_sound = [], result.n_boot - result.failed
    for k, (d, lost) in enumerate(zip(result.dims, result.lost.tolist(), strict=True)):
        uniform = np.isinf(result.noise_variances.value[k])
        said = f"\nlost in {lost:,} of {n_sound:,}" if lost else ""
        names.append(f"{k} ({'background' if uniform else f'd = {d}'}){said}")
    return names


def _scalar_marks(result: Any, name: str) -> Marks:
    """Where each estimate and its interval goes; what is not finite is left out."""
    source = getattr(result, name)
    if name == "latent_variances":
        return [mark for k, own in enumerate(source) for mark in _spread(k, own)]
    marks = []
    for k in range(len(source.value)):
        if np.isfinite(source.low[k]):
            marks.append((float(k), source.value[k], source.low[k], source.high[k]))
    return marks


def _spread(k: int, own: Any) -> Marks:
    heights = k + _offsets(len(own.value))
    return list(zip(heights, own.value, own.low, own.high, strict=True))


def _angle_marks(result: Any) -> Marks:
    marks: Marks = []
    for k, d in enumerate(result.dims):
        mid, high = result.angles_median[k, :d], result.angles_high[k, :d]
        marks += zip(k + _offsets(d), mid, mid, high, strict=True)
    return marks


def _offsets(n: int) -> Float64Array:
    """Heights of n marks around that of their component."""
    return (np.arange(n) - (n - 1) / 2) * _BAND / max(n, 2)

"""What every sample consists of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import PolyCollection

from lowdim.data.columns import frame
from lowdim.pl._colors import MISSING, chosen_colors
from lowdim.pl._figure import one_axes
from lowdim.pl._fitted import is_anndata
from lowdim.pl._legend import square_handle
from lowdim.pl._names import brief
from lowdim.pl._sample_input import read_labels

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from lowdim._typing import Float64Array

_MOST_NAMES = 60
_MOST_PARTS = 30
_SPACE = 0.7
"""Between groups of samples, in bars."""

_LETTER = 0.09
"""Inches of a letter."""

_LEGEND_LINES = 12


def sample_composition(
    shares_or_adata: Any,
    parts: str | None = None,
    labels: Any = None,
    *,
    sample_key: str | None = None,
    names: bool | None = None,
    palette: Any = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the shares of cell types, components or families in every sample, as stacked bars.

    Samples stand grouped by their label, and within a group by the part that is largest over all.

    Parameters
    ----------
    shares_or_adata
        A DataFrame of samples x parts, of counts or shares, such as the weights of components that
        all samples share or of families; or an AnnData.
    parts
        With an AnnData: the column of `obs` that has the parts, such as cell types; cells without
        one are left out.
    labels
        Of the samples: a column of `adata.obs` with one value for each sample, an array of S
        labels, or a dict by name; those without one stand last.
    sample_key
        With an AnnData: the column of `obs` that has the samples.
    names
        Whether to write the samples' names; by default up to 60 of them.
    palette
        Colours of the parts, as a dict or a list; by default the smallest of more than 30 parts
        are drawn as one, in grey.
    ax
        Where to draw; by default in a new figure.

    Returns
    -------
    The Axes.

    Raises
    ------
    TypeError, ValueError
        An argument cannot be used, or a column is not there.
    """
    table = _read(shares_or_adata, parts, sample_key)
    values = None
    if labels is not None:
        values = read_labels(
            shares_or_adata, labels, table.index.to_numpy(), key="", sample_key=sample_key
        )
    table, colors = _colored(table, palette)
    groups = _groups(table, values)
    places = _places([len(rows) for _, rows in groups])
    order = np.concatenate([rows for _, rows in groups])
    shown = len(order) <= _MOST_NAMES if names is None else names
    width = float(np.clip(2.6 + 0.22 * places[-1], 4.5, 14.0))
    letters = max(len(brief(name)) for name in table.index) if shown else 0
    ax = one_axes(ax, figsize=(width, 3.3 + 0.07 * letters))
    few = len(order) <= _MOST_NAMES
    _draw_bars(ax, table.to_numpy()[order], places, colors, 0.9 if few else 1.0)
    ax.set(xlim=(-0.7, places[-1] + 0.7), ylim=(0, 1), ylabel="share of the sample")
    written = [brief(table.index[s]) for s in order] if shown else []
    ax.set_xticks(places if shown else [], written, rotation=90, fontsize="small")
    ax.tick_params(axis="x", length=0)
    ax.spines[["top", "right", "bottom"]].set_visible(False)
    _title(ax, groups, places, width / (places[-1] + 1.4))
    handles = [square_handle(c, brief(n)) for n, c in zip(table.columns, colors, strict=True)]
    ax.legend(
        handles=handles[::-1], title=parts, loc="upper left", bbox_to_anchor=(1.01, 1.0),
        frameon=False, fontsize="small", title_fontsize="small", borderaxespad=0.0,
        ncols=-(-len(handles) // _LEGEND_LINES),
    )  # fmt: skip
    return ax


def _draw_bars(
    ax: Axes, shares: Float64Array, places: np.ndarray, colors: list[str], width: float
) -> None:
    """A collection of rectangles for each part: thousands of patches would take seconds."""
    tops = np.cumsum(shares, axis=1)
    left, right = places - width / 2, places + width / 2
    for part, color in enumerate(colors):
        low, high = tops[:, part] - shares[:, part], tops[:, part]
        corners = np.stack([[left, right, right, left], [low, low, high, high]], axis=-1)
        ax.add_collection(
            PolyCollection(
                list(corners.transpose(1, 0, 2)), facecolors=color, edgecolors="white",
                linewidths=0.3 if width < 1 else 0.0,
            )
        )  # fmt: skip


def _title(ax: Axes, groups: list[tuple[str, np.ndarray]], places: np.ndarray, bar: float) -> None:
    """What the groups are, above them; slanted where there is no room. `bar` is its inches."""
    titles = [f"{brief(title)} ({len(rows)})" if title else "" for title, rows in groups]
    sizes = [len(rows) for _, rows in groups]
    crowded = any(
        len(title) * _LETTER > bar * (size + _SPACE)
        for title, size in zip(titles, sizes, strict=True)
    )
    stops = np.cumsum(sizes)
    for title, stop, size in zip(titles, stops, sizes, strict=True):
        ax.text(
            places[stop - size : stop].mean(), 1.02, title, va="bottom", fontsize="medium",
            ha="left" if crowded else "center", rotation=25 if crowded else 0,
            rotation_mode="anchor",
        )  # fmt: skip


def _read(source: Any, parts: str | None, sample_key: str | None) -> pd.DataFrame:
    """Shares of samples x parts, the largest part first."""
    import pandas as pd

    if is_anndata(source):
        for argument, name in (("parts", parts), ("sample_key", sample_key)):
            if name is None:
                raise TypeError(f"{argument} is missing: name a column of adata.obs.")
            if name not in source.obs:
                raise ValueError(
                    f"{argument}={name!r} is not in adata.obs, which has {sorted(source.obs)}."
                )
        known = frame(source.obs, [sample_key, parts]).dropna()
        table = pd.crosstab(known[sample_key].astype(str), known[parts].astype(str))
    elif isinstance(source, pd.DataFrame):
        table = source.copy()
        table.index, table.columns = table.index.map(str), table.columns.map(str)
    else:
        raise TypeError(
            f"Expected a DataFrame of samples x parts or an AnnData, got {type(source).__name__}."
        )
    values = table.to_numpy(dtype=np.float64)
    sums = values.sum(1)
    bad = ~(np.isfinite(sums) & (values >= 0).all(1) & (sums > 0))
    if not values.size or bad.any():
        which = table.index[bad.argmax()] if values.size else "the table"
        raise ValueError(f"{which!r} has no shares: pass numbers >= 0 that are not all zero.")
    table = pd.DataFrame(values / sums[:, None], table.index, table.columns)
    return table.iloc[:, np.argsort(-table.to_numpy().mean(0), kind="stable")]


def _colored(table: pd.DataFrame, palette: Any) -> tuple[pd.DataFrame, list[str]]:
    """The parts to draw, with their colours."""
    if palette is not None or table.shape[1] <= _MOST_PARTS:
        return table, chosen_colors(list(table.columns), palette)
    kept = table.iloc[:, : _MOST_PARTS - 1].copy()
    rest = table.shape[1] - kept.shape[1]
    kept[f"{rest} others"] = table.iloc[:, _MOST_PARTS - 1 :].sum(axis=1)
    return kept, [*chosen_colors(list(kept.columns[:-1])), MISSING]


def _groups(table: pd.DataFrame, values: pd.Series | None) -> list[tuple[str, np.ndarray]]:
    """Title and rows of every group, by the largest part."""
    by_part = np.argsort(-table.iloc[:, 0].to_numpy(), kind="stable")
    if values is None:
        return [("", by_part)]
    codes, kinds = values.factorize(sort=True)
    found = [(str(kind), by_part[codes[by_part] == c]) for c, kind in enumerate(kinds)]
    found = [(title, rows) for title, rows in found if len(rows)]
    return [*found, *([("missing", by_part[codes[by_part] < 0])] if (codes < 0).any() else [])]


def _places(sizes: list[int]) -> np.ndarray:
    """Where the bars stand, with room between groups."""
    return np.concatenate(
        [np.full(size, i * _SPACE) for i, size in enumerate(sizes) if size]
    ) + np.arange(sum(sizes))

"""Colours that people with and without colour blindness tell apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import is_color_like, to_hex, to_rgb

if TYPE_CHECKING:
    from matplotlib.colors import Colormap, Normalize

    from lowdim._typing import Float64Array, IntArray

# The first six are those of Okabe and Ito (2008). Each later one is the colour furthest, in OKLab,
# from all before it and from grey, black and white, to normal eyes and as simulated for
# protanopia, deuteranopia and tritanopia (Machado, Oliveira and Fernandes, 2009).
PALETTE = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9",
    "#85295c", "#330aad", "#70f585", "#8f66ff", "#665200", "#c21f8f",
    "#e0d600", "#5247d6", "#85c270", "#5c0a7a", "#701f00", "#995c52",
    "#d6c2ff", "#a3e0b8", "#858feb", "#ff4770", "#b8001f", "#7a33ad",
    "#478f00", "#b852d6", "#00a3b8", "#99008f", "#ad7a52", "#005270",
]  # fmt: skip

MISSING = "#b8b8b8"
"""Rows without a label or value, and the uniform background."""

INK = "#222222"
"""Drawings over coloured points, and text."""

_MAX_INTEGER_LABELS = len(PALETTE)


def palette(n: int) -> list[str]:
    """`n` colours for categories; they repeat after 30."""
    return [PALETTE[i % len(PALETTE)] for i in range(n)]


def chosen_colors(keys: Sequence[Any], wanted: Any = None) -> list[str]:
    """The colour of each key.

    Parameters
    ----------
    keys
        Labels, or numbers of components.
    wanted
        A dict of colours, by key or by its text, in which those that are missing are grey; a
        list of at least as many colours; None for the palette.

    Raises
    ------
    TypeError, ValueError
        `wanted` is neither, too short, or holds what is no colour.
    """
    if wanted is None:
        return palette(len(keys))
    if isinstance(wanted, Mapping):
        colors = [wanted.get(key, wanted.get(str(key), MISSING)) for key in keys]
    elif isinstance(wanted, str) or not isinstance(wanted, (Sequence, np.ndarray)):
        raise TypeError(f"palette={wanted!r} must be a dict from labels to colours, or a list.")
    elif len(wanted) < len(keys):
        raise ValueError(
            f"palette has {len(wanted)} colours for {len(keys)} labels; pass one for each, or a "
            "dict with those that matter."
        )
    else:
        colors = list(wanted[: len(keys)])
    strange = [color for color in colors if not is_color_like(color)]
    if strange:
        raise ValueError(f"palette holds {strange[0]!r}, which is no colour to matplotlib.")
    return [to_hex(color) for color in colors]


def darker(color: Any) -> tuple[float, float, float]:
    """A colour that stands out against points of `color`."""
    red, green, blue = to_rgb(color)
    return 0.6 * red, 0.6 * green, 0.6 * blue


@dataclass(frozen=True, eq=False)
class Coloring:
    """The colour of every row.

    Attributes
    ----------
    rgb
        (N, 3), between 0 and 1.
    names, colors, counts
        The categories, their colours and how many rows they have; empty for values.
    values
        The values, (N,), with `cmap` and `norm`; None for categories.
    """

    rgb: Float64Array
    names: tuple[str, ...] = ()
    colors: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    values: Float64Array | None = None
    cmap: Colormap | None = None
    norm: Normalize | None = None


def plain_coloring(n_rows: int) -> Coloring:
    """All rows in grey."""
    return Coloring(np.broadcast_to(to_rgb(MISSING), (n_rows, 3)).astype(np.float64))


def code_coloring(codes: IntArray, names: list[str], colors: list[str]) -> Coloring:
    """Rows by the number of their category; -1 is missing."""
    table = np.array([to_rgb(color) for color in [*colors, MISSING]])
    counts = np.bincount(codes[codes >= 0], minlength=len(names)).tolist()
    n_missing = int((codes < 0).sum())
    if n_missing:
        names, colors, counts = [*names, "missing"], [*colors, MISSING], [*counts, n_missing]
    return Coloring(table[codes], tuple(names), tuple(colors), tuple(counts))


def array_coloring(values: Any, n_rows: int, cmap: Any, wanted: Any = None) -> Coloring:
    """Rows by an array of labels or values.

    Floats are values, and so are integers of more than 30 kinds; all else is labels, whose
    colours may be `wanted` as `chosen_colors` takes them.

    Raises
    ------
    TypeError, ValueError
        It is not one entry per row, or the colours cannot be used.
    """
    import pandas as pd

    series = pd.Series(values) if np.ndim(values) == 1 else None
    if series is None or len(series) != n_rows:
        raise ValueError(
            f"color has shape {np.shape(values)}, but there are {n_rows} rows; pass one entry per "
            "row, the name of a column of adata.obs, 'component' or None."
        )
    kind = getattr(series.dtype, "kind", "O")
    if kind == "f" or (kind in "iu" and series.nunique() > _MAX_INTEGER_LABELS):
        return value_coloring(series.to_numpy(dtype=np.float64, na_value=np.nan), cmap)
    categories = series.astype("category").cat.remove_unused_categories()
    kinds = list(categories.cat.categories)
    names = [str(kind) for kind in kinds]
    return code_coloring(categories.cat.codes.to_numpy(), names, chosen_colors(kinds, wanted))


def value_coloring(values: Float64Array, cmap: Any, norm: Normalize | None = None) -> Coloring:
    """Rows by their values; nan and infinities are grey."""
    from matplotlib import colormaps
    from matplotlib.colors import Normalize

    known = np.isfinite(values)
    # A handful of extremes must not leave all other rows one colour.
    low, high = np.percentile(values[known], [0.5, 99.5]) if known.any() else (0.0, 1.0)
    norm, scale = norm or Normalize(low, high, clip=True), colormaps.get_cmap(cmap)
    rgb = scale(norm(np.where(known, values, low)))[:, :3]
    rgb[~known] = to_rgb(MISSING)
    return Coloring(rgb, values=np.where(known, values, np.nan), cmap=scale, norm=norm)

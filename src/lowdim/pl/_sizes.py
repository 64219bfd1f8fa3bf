"""How large each row is drawn: by a value of its own, or by its distance to its subspace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim._validation import check_interval
from lowdim.pl._colors import INK
from lowdim.pl._fitted import read_annotation
from lowdim.pl._legend import dot_handle
from lowdim.pl._projection import Projection

if TYPE_CHECKING:
    from matplotlib.lines import Line2D

    from lowdim._typing import Float64Array, IntArray
    from lowdim.data.sources import RowSource
    from lowdim.pl._fitted import FittedSubspaces

_BLOCK_VALUES = 2**23
"""Values that are worked on at once."""

_LARGEST = 4.0
"""Area of the largest markers, in those of a picture with markers of one size."""

_SMALLEST = 0.2
"""Area of the smallest ones, and of rows without a value."""


@dataclass(frozen=True, eq=False)
class Sizing:
    """The size of every row's marker.

    Attributes
    ----------
    areas
        In square points: (N,), a number for all, or None to go by their number.
    title
        What the areas stand for.
    examples
        Pairs of a value and its area, for the legend; empty if all have one size.
    """

    areas: Float64Array | float | None
    title: str = ""
    examples: tuple[tuple[float, float], ...] = ()

    def handles(self, scale: float = 1.0) -> list[Line2D]:
        """Dots of a few sizes for a legend that draws its markers `scale` times as large."""
        return [
            dot_handle(INK, f"{self.title} {value:.2g}".strip(), np.sqrt(area) / scale)
            for value, area in self.examples
        ]


def row_sizes(
    size: Any,
    source: Any,
    X: Any,
    rows: RowSource,
    fit: FittedSubspaces,
    labels: IntArray,
    usual: float,
) -> Sizing:
    """What `size` asks for, where `usual` is the area of markers of one size.

    Raises
    ------
    TypeError, ValueError
        `size` is none of a positive number, "distance", a column of `adata.obs` and N numbers
        that are not negative.
    """
    if size is None:
        return Sizing(None)
    if isinstance(size, str) and size == "distance":
        distances = distances_to_own(rows, fit, labels)
        return _by_distance(distances, usual)
    if np.ndim(size) == 0 and not isinstance(size, str):
        return Sizing(check_interval(size, "size", low=0.0, closed="neither"))
    values, title = read_annotation(source, X, size, "size")
    return _by_value(_check_values(values, rows.n_rows), title or "size", usual)


def distances_to_own(rows: RowSource, fit: FittedSubspaces, labels: IntArray) -> Float64Array:
    """Distance of each row to the subspace of its component, (N,); nan where it has none."""
    out = np.full(rows.n_rows, np.nan)
    step = max(1, _BLOCK_VALUES // rows.n_cols)
    for start in range(0, rows.n_rows, step):
        block = rows.rows(start, min(start + step, rows.n_rows)).astype(np.float64)
        own = labels[start : start + block.shape[0]]
        for k in np.flatnonzero(~fit.is_uniform).tolist():
            (index,) = np.nonzero(own == k)
            out[start + index] = _distances(block[index], fit.means[k], fit.bases[k])
    return out


def _distances(rows: Any, mean: Float64Array, basis: Float64Array) -> Float64Array:
    """Of rows (n, D), dense or sparse, to the subspace through `mean`: |x - m|^2 - |V (x - m)|^2.

    A dense row loses the mean first: far from the origin, the difference of squares would be noise.
    """
    if isinstance(rows, np.ndarray):
        offsets = rows - mean
        return np.linalg.norm(offsets - offsets @ basis.T @ basis, axis=1)
    squares = np.asarray(rows.multiply(rows).sum(axis=1)).ravel() - 2 * (rows @ mean) + mean @ mean
    latent = Projection(mean, basis, ()).points(rows)
    return np.sqrt(np.maximum(squares - (latent**2).sum(axis=1), 0.0))


def _by_distance(distances: Float64Array, usual: float) -> Sizing:
    """Four times the usual size on the subspace, the usual one at the median distance."""
    known = np.isfinite(distances)
    if not known.any():
        return Sizing(_SMALLEST * usual)
    typical = float(np.median(distances[known])) or 1.0

    def area(distance: Any) -> Any:
        return usual * np.maximum(_LARGEST / (1 + distance / typical) ** 2, _SMALLEST)

    areas = np.where(known, area(np.where(known, distances, 0.0)), _SMALLEST * usual)
    shown = np.percentile(distances[known], [2, 50, 98])
    examples = tuple((float(d), float(area(d))) for d in np.unique(shown))
    return Sizing(areas, "distance to its subspace", examples)


def _by_value(values: Float64Array, title: str, usual: float) -> Sizing:
    """Areas proportional to values, up to their highest percentiles."""
    known = np.isfinite(values)
    top = float(np.percentile(values[known], 99.5)) if known.any() else 0.0
    if top <= 0:
        return Sizing(_SMALLEST * usual)

    def area(value: Any) -> Any:
        return usual * np.clip(_LARGEST * value / top, _SMALLEST, _LARGEST)

    areas = np.where(known, area(np.where(known, values, 0.0)), _SMALLEST * usual)
    return Sizing(areas, title, tuple((s * top, float(area(s * top))) for s in (0.25, 0.5, 1.0)))


def _check_values(values: Any, n_rows: int) -> Float64Array:
    import pandas as pd

    if np.shape(values) != (n_rows,):
        raise ValueError(
            f"size has shape {np.shape(values)}, but there are {n_rows} rows; pass a number, one "
            "value per row, the name of a column of adata.obs or 'distance'."
        )
    try:
        numbers = pd.Series(values).to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise TypeError("size holds entries that are not numbers.") from error
    if (numbers < 0).any():
        raise ValueError(f"size holds {numbers[numbers < 0][0]:g}; areas cannot be negative.")
    return numbers

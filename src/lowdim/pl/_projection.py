"""From the columns of the data to the two or three axes of a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim._random import generator

if TYPE_CHECKING:
    from lowdim._typing import Float64Array, Rows
    from lowdim.data.sources import RowSource

_SAMPLE_ROWS = 5_000
"""Rows from which principal axes are computed."""

_BLOCK_VALUES = 2**23
"""Values that are projected at once."""


@dataclass(frozen=True, eq=False)
class Projection:
    """An orthogonal projection onto a picture.

    Attributes
    ----------
    origin
        What is subtracted first, (D,).
    directions
        The picture's axes, (p, D), with orthonormal rows.
    labels
        What to write at them, p of them.
    """

    origin: Float64Array
    directions: Float64Array
    labels: tuple[str, ...]

    def points(self, points: Rows | Float64Array) -> Float64Array:
        """Coordinates of points (n, D) in the picture, (n, p)."""
        return np.asarray(points @ self.directions.T) - self.origin @ self.directions.T

    def vectors(self, vectors: Float64Array) -> Float64Array:
        """Directions (n, D) as they appear in the picture, (n, p)."""
        return np.asarray(vectors @ self.directions.T)

    def rows(self, source: RowSource) -> Float64Array:
        """Coordinates of all rows, (N, p), computed block by block."""
        out = np.empty((source.n_rows, len(self.directions)))
        step = max(1, _BLOCK_VALUES // source.n_cols)
        for start in range(0, source.n_rows, step):
            stop = min(start + step, source.n_rows)
            out[start:stop] = self.points(source.rows(start, stop))
        return out


def choose_projection(
    source: RowSource, n_dims: int, axes: Any = None, names: Sequence[str] | None = None
) -> Projection:
    """The columns `axes`; or all columns if the picture has room; or principal axes of the data.

    Columns go by `names` (all D of them) where the rows have no names of their own.

    Raises
    ------
    ValueError
        `axes` are not that many different columns, or the data have too few columns.
    """
    if source.n_cols < n_dims:
        raise ValueError(
            f"The data have {source.n_cols} column(s), too few for a picture in {n_dims} "
            "dimensions; pass a smaller n_dims, or draw a histogram."
        )
    if axes is not None:
        return _onto_columns(source, _check_columns(axes, source.n_cols), names)
    if source.n_cols == n_dims:
        return _onto_columns(source, list(range(n_dims)), names)
    return principal_axes(source, n_dims)


def _check_columns(axes: Any, n_columns: int) -> list[int]:
    """`axes` as column numbers."""
    columns = [int(j) for j in axes if isinstance(j, (int, np.integer)) and 0 <= j < n_columns]
    if len(columns) != len(axes) or len(set(columns)) != len(columns):
        raise ValueError(
            f"axes={axes!r} must be different column numbers from 0 to {n_columns - 1}."
        )
    return columns


def _onto_columns(
    source: RowSource, columns: Sequence[int], names: Sequence[str] | None
) -> Projection:
    own = source.feature_names
    names = names if own is None else own.tolist()
    directions = np.zeros((len(columns), source.n_cols))
    directions[np.arange(len(columns)), columns] = 1.0
    labels = tuple(f"column {j}" if names is None else str(names[j]) for j in columns)
    return Projection(np.zeros(source.n_cols), directions, labels)


def principal_axes(source: RowSource, n_dims: int, max_rows: int | None = None) -> Projection:
    """The first principal axes of the rows, dense or sparse; of a sample if they are too many."""
    from sklearn.decomposition import PCA

    sample = _sample(source, _SAMPLE_ROWS if max_rows is None else max_rows)
    few = min(sample.shape) <= n_dims
    if few or (sample.shape[0] * sample.shape[1] <= _BLOCK_VALUES and source.is_sparse):
        sample = sample.toarray() if source.is_sparse else sample
    if sample.shape[0] <= n_dims:  # repeating the rows changes no direction
        sample = np.tile(sample, (n_dims + 1, 1))
    solver = "auto" if isinstance(sample, np.ndarray) else "arpack"
    with np.errstate(invalid="ignore", divide="ignore"):
        pca = PCA(n_dims, svd_solver=solver, random_state=0).fit(sample)
    shares = np.nan_to_num(pca.explained_variance_ratio_)
    labels = tuple(f"PC {i + 1} ({share:.0%})" for i, share in enumerate(shares))
    return Projection(pca.mean_.astype(np.float64), pca.components_.astype(np.float64), labels)


def _sample(source: RowSource, max_rows: int) -> Any:
    """At most `max_rows` rows, always the same."""
    n = source.n_rows
    if n <= max_rows:
        return source.rows(0, n)
    chosen = generator(0).choice(n, max_rows, replace=False, shuffle=False)
    return source.take(np.sort(chosen))

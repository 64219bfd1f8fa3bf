"""Points of any kind, read in blocks of dense rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from lowdim._validation import check_source
from lowdim.data import as_rows
from lowdim.data.sources import RowSource

#: Numbers in the blocks that functions of rows work on.
BLOCK_VALUES = 2**20


def is_single(points: Any) -> bool:
    """Whether the points are one point, (D,): an array or a list of numbers."""
    if isinstance(points, (list, tuple)):
        return bool(points) and all(np.ndim(value) == 0 for value in points)
    return getattr(points, "ndim", None) == 1


def is_empty(points: Any, n_columns: int) -> bool:
    """Whether there are no points, (0, D): what a cluster that owns none selects."""
    return getattr(points, "shape", None) == (0, n_columns)


def read_points(points: Any, n_columns: int | None = None) -> RowSource:
    """Check points, (N, D), or a single one, (D,), and return where to read them.

    Raises
    ------
    TypeError, ValueError
        They are no matrix of finite numbers, or have another number of columns.
    """
    if is_single(points):
        points = np.asarray(points).reshape(1, -1)
    source = as_rows(points, name="points")
    check_source(source, name="points")
    if n_columns is not None and source.n_cols != n_columns:
        raise ValueError(
            f"points has {source.n_cols} columns, but the spaces lie in D={n_columns}; pass "
            "points of the same columns."
        )
    return source


def dense_blocks(source: RowSource) -> Iterator[np.ndarray]:
    """All rows in order, as dense float64 blocks of bounded size; do not write to them."""
    step = max(1, BLOCK_VALUES // source.n_cols)
    for start in range(0, source.n_rows, step):
        rows = source.rows(start, min(start + step, source.n_rows))
        dense = rows if isinstance(rows, np.ndarray) else rows.toarray()
        yield dense.astype(np.float64, copy=False)


def by_rows(points: Any, n_columns: int, function: Callable[[np.ndarray], np.ndarray]) -> Any:
    """A function's results for all blocks of rows, stacked; of a single point, for that point."""
    if is_empty(points, n_columns):
        return function(np.zeros((0, n_columns)))
    source = read_points(points, n_columns)
    results = np.concatenate([function(rows) for rows in dense_blocks(source)])
    return results[0] if is_single(points) else results

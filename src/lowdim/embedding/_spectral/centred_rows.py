"""Rows about their mean, block by block: sparse ones stay sparse, files are read in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from lowdim._threads import serial_blas
from lowdim.data.sources import RowSource

if TYPE_CHECKING:
    from lowdim._typing import Rows

#: Values of a block of dense rows, and rows of a block of sparse ones.
DENSE_VALUES, SPARSE_ROWS = 2**22, 2**14


def blocks(source: RowSource, n_made: int = 1) -> Iterator[Rows]:
    """All rows in their order, in pieces; so few that `n_made` values of each fit in memory."""
    width = max(n_made, 1 if source.is_sparse else source.n_cols)
    step = min(max(DENSE_VALUES // width, 256), SPARSE_ROWS if source.is_sparse else DENSE_VALUES)
    for start in range(0, source.n_rows, step):
        yield source.rows(start, min(start + step, source.n_rows))


def column_sums(rows: Rows) -> np.ndarray:
    """Sums of the columns, (D,), added up in float64, which SciPy's own sums of float32 are not."""
    if isinstance(rows, np.ndarray):
        return np.asarray(rows.sum(0, dtype=np.float64))
    return np.asarray(np.ones(rows.shape[0]) @ rows)


def coordinates(source: RowSource, axes: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Rows about a mean along axes, (D, w), as (N, w) in the dtype of the data."""
    shift = mean @ axes
    with serial_blas():  # sums of several threads are rounded otherwise
        made = [
            (rows - mean) @ axes if isinstance(rows, np.ndarray) else rows @ axes - shift
            for rows in blocks(source)
        ]
    return np.concatenate(made).astype(source.dtype, copy=False)


class Moments:
    """Number, mean and summed squares about the mean of rows that come in pieces.

    Chan, Golub and LeVeque (1983), Algorithms for computing the sample variance.

    Attributes
    ----------
    n : int
    mean : (D,), float64
    squares : (D, D), float64
        ``sum_i (x_i - mean) (x_i - mean)'``.
    """

    def __init__(self, n_columns: int) -> None:
        self.n = 0
        self.mean = np.zeros(n_columns)
        self.squares = np.zeros((n_columns, n_columns))

    def add(self, rows: Rows) -> None:
        """Take in more rows."""
        n = rows.shape[0]
        own = column_sums(rows) / n
        if not isinstance(rows, np.ndarray):
            rows = rows.astype(np.float64)
            squares = (rows.T @ rows).toarray() - n * np.outer(own, own)
        else:
            gaps = rows - own
            squares = gaps.T @ gaps
        self.join(n, own, squares)

    def join(self, n: int, mean: np.ndarray, squares: np.ndarray) -> None:
        """Take in n more rows whose mean and squares about it are known."""
        shift = mean - self.mean
        self.squares += squares
        self.squares += np.outer(shift, shift * (self.n * n / (self.n + n)))
        self.mean += shift * (n / (self.n + n))
        self.n += n


class CentredRows:
    """Products with rows about their mean, float64.

    Parameters
    ----------
    source : RowSource

    Attributes
    ----------
    mean : (D,), float64
    total : float
        Sum of all squares about the mean.
    """

    def __init__(self, source: RowSource) -> None:
        self.source = source
        total = np.zeros(source.n_cols)
        for rows in blocks(source):
            total += column_sums(rows)
        self.mean = total / source.n_rows
        self.total = sum(self._squares(rows) for rows in blocks(source))

    def _squares(self, rows: Rows) -> float:
        """Sum of squares about the mean: of what is stored, and of the zeros between."""
        if isinstance(rows, np.ndarray):
            return float(np.square(rows - self.mean).sum())
        shift = self.mean[rows.indices]
        gaps = float(np.square(rows.data - shift).sum())
        return gaps + float(rows.shape[0] * (self.mean @ self.mean) - shift @ shift)

    def project(self, directions: np.ndarray) -> np.ndarray:
        """Coordinates of the rows along directions, (D, w), as (N, w)."""
        return np.concatenate([self._along(rows, directions) for rows in blocks(self.source)])

    def scatter(self, directions: np.ndarray) -> np.ndarray:
        """``sum_i (x_i - mean) (x_i - mean)' W`` for directions W, (D, w)."""
        out = np.zeros_like(directions)
        for rows in blocks(self.source):
            along = self._along(rows, directions)
            if isinstance(rows, np.ndarray):
                out += (rows - self.mean).T @ along
            else:
                out += rows.T @ along - np.outer(self.mean, along.sum(0))
        return out

    def _along(self, rows: Rows, directions: np.ndarray) -> np.ndarray:
        if isinstance(rows, np.ndarray):
            return (rows - self.mean) @ directions
        return np.asarray(rows @ directions - self.mean @ directions)

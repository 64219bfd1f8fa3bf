"""The space that neighbours are sought in: what a metric makes of rows before they are compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim._validation import check_source
from lowdim.data.sources import RowSource, as_rows

if TYPE_CHECKING:
    from lowdim._typing import Rows

METRICS = ("euclidean", "sqeuclidean", "cosine", "correlation", "manhattan")
#: Rows that are read and converted together.
READ_ROWS = 16_384
#: Values that differ by less from the mean of their row, relative to its largest, equal it.
CONSTANT = 1e-14


@dataclass(frozen=True)
class Space:
    """A metric as squared Euclidean or Manhattan distances of rows that were moved and scaled.

    Distances do not change when all rows move; those of rows around their mean lose less to
    rounding. The cosine distance is half the squared distance of rows of length one, the
    correlation distance the same after each row's mean is taken off.

    Attributes
    ----------
    metric : str
    centre : (D,), float64
        Taken off every row; zero where rows are sparse or only their direction counts.
    scale : float
        Distances are in units of it: a power of two, so that dividing by it rounds nothing.
    is_sparse : bool
        Rows stay CSR.
    """

    metric: str
    centre: np.ndarray
    scale: float
    is_sparse: bool

    @classmethod
    def of(cls, source: RowSource, metric: str) -> Space:
        """The space of the rows that are to be found."""
        if source.is_sparse and metric == "correlation":
            raise ValueError(
                "metric='correlation' takes each row's mean off, so X would not stay sparse; pass "
                "X.toarray(), or metric='cosine'."
            )
        centre, scale = np.zeros(source.n_cols), 1.0
        if metric in ("cosine", "correlation"):
            return cls(metric, centre, scale, source.is_sparse)
        low, high = np.full(source.n_cols, np.inf), np.full(source.n_cols, -np.inf)
        total, largest = np.zeros(source.n_cols), 0.0
        for start in range(0, source.n_rows, READ_ROWS):
            rows = source.rows(start, min(start + READ_ROWS, source.n_rows))
            if source.is_sparse:
                largest = max(largest, float(np.abs(rows.data).max(initial=0.0)))
                continue
            total += rows.sum(0, dtype=np.float64)
            low, high = np.minimum(low, rows.min(0)), np.maximum(high, rows.max(0))
        if not source.is_sparse:
            centre = total / source.n_rows
            largest = float(np.maximum(high - centre, centre - low).max())
        if largest > 0:
            scale = float(2.0 ** np.floor(np.log2(largest)))
        return cls(metric, centre, scale, source.is_sparse)

    def rows(self, source: RowSource, name: str = "X") -> Any:
        """All rows in the units of the space: float32, dense, (N, D), or CSR."""
        if source.n_cols != len(self.centre):
            raise ValueError(
                f"{name} has {source.n_cols} columns, but the rows to be found have "
                f"{len(self.centre)}; pass the same columns."
            )
        if self.is_sparse or source.is_sparse:
            return self._sparse_rows(source, name)
        made = np.empty((source.n_rows, source.n_cols), np.float32)
        for start in range(0, source.n_rows, READ_ROWS):
            stop = min(start + READ_ROWS, source.n_rows)
            made[start:stop] = self._moved(source.rows(start, stop), start, name)
        return made

    def _moved(self, rows: Rows, start: int, name: str) -> np.ndarray:
        if self.metric in ("cosine", "correlation"):
            rows = np.asarray(rows, np.float64)
            if self.metric == "correlation":
                largest = np.abs(rows).max(1, keepdims=True)
                rows = rows - rows.mean(1, keepdims=True)
                rows[np.abs(rows) <= CONSTANT * largest] = 0.0
            rows = rows / np.maximum(np.abs(rows).max(1, keepdims=True), 1e-300)
            lengths = np.linalg.norm(rows, axis=1, keepdims=True)
            self._check_lengths(lengths[:, 0], start, name)
            return rows / lengths
        return (rows - self.centre) / self.scale

    def _sparse_rows(self, source: RowSource, name: str) -> Any:
        from scipy.sparse import csr_matrix

        rows = csr_matrix(source.rows(0, source.n_rows), dtype=np.float64)
        rows.sort_indices()
        if not self.is_sparse:  # sparse rows are sought among dense ones
            return self._moved(rows.toarray(), 0, name).astype(np.float32)
        if self.metric == "cosine":
            lengths = np.sqrt(np.asarray(rows.multiply(rows).sum(1)).ravel())
            self._check_lengths(lengths, 0, name)
            rows.data = rows.data / np.repeat(lengths, np.diff(rows.indptr))
        else:
            rows.data = rows.data / self.scale
        return rows.astype(np.float32)

    def _check_lengths(self, lengths: np.ndarray, start: int, name: str) -> None:
        empty = np.flatnonzero(~(lengths > 0))
        if len(empty):
            what = "constant" if self.metric == "correlation" else "zero throughout"
            raise ValueError(
                f"{name} has a row that is {what}, row {start + empty[0]}, to which no "
                f"metric={self.metric!r} is defined; drop it, or use metric='euclidean'."
            )

    def distances(self, gaps: np.ndarray) -> np.ndarray:
        """Distances in the metric from what was compared: squared or Manhattan distances."""
        if self.metric == "euclidean":
            return np.sqrt(gaps, out=gaps) * np.float32(self.scale)
        if self.metric == "sqeuclidean":
            return gaps * np.float32(self.scale**2)
        if self.metric == "manhattan":
            return gaps * np.float32(self.scale)
        return gaps * np.float32(0.5)


def read(X: Any, name: str = "X", *, min_rows: int = 1) -> RowSource:
    """Anything that holds a matrix, checked: finite, real, not empty."""
    source = as_rows(X, name=name)
    check_source(source, name=name, min_rows=min_rows)
    return source

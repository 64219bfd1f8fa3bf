"""Points to be found, in the layouts that make their distances quick."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

State = tuple[np.ndarray, np.ndarray, np.ndarray]
Found = tuple[np.ndarray, np.ndarray]


class Queries(Protocol):
    """Some rows whose neighbours are sought among points.

    Attributes
    ----------
    offsets : (n,), float32
        What must be added to `gaps` for distances.
    """

    offsets: np.ndarray

    def gaps(self, start: int, stop: int, which: np.ndarray, room: np.ndarray) -> np.ndarray:
        """Distances of m rows to points `start` to `stop`, less offsets, (m, stop - start)."""
        ...

    def settle(self, own: np.ndarray, k: int, kept: int, state: State, certain: bool) -> Found:
        """Positions and distances of the k nearest candidates, (n, k), nearest first."""
        ...


class Points(Protocol):
    """Points to be found.

    Attributes
    ----------
    n_points : int
    block_rows : int
        Queries that are best looked at together.
    """

    n_points: int
    block_rows: int

    def queries(self, rows: Any) -> Queries:
        """The same points' view of some rows, in the units of their space."""
        ...


def _empty(n: int, k: int) -> Found:
    return np.empty((n, k), np.int64), np.empty((n, k), np.float32)


class SquaredPoints:
    """Dense rows, compared by squared distances: products with ``[x, |x|^2]``."""

    block_rows = 512

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = np.ascontiguousarray(rows)
        self.n_points = len(rows)
        norms = np.einsum("ia,ia->i", rows, rows, dtype=np.float64)
        self.extended = np.column_stack([rows, norms.astype(np.float32)])

    def queries(self, rows: np.ndarray) -> _SquaredQueries:
        return _SquaredQueries(self, rows)


class _SquaredQueries:
    def __init__(self, points: SquaredPoints, rows: np.ndarray) -> None:
        self.points, self.rows = points, rows
        self.offsets = np.einsum("ia,ia->i", rows, rows, dtype=np.float64).astype(np.float32)
        self.left = np.column_stack([rows * np.float32(-2), np.ones(len(rows), np.float32)])

    def gaps(self, start: int, stop: int, which: np.ndarray, room: np.ndarray) -> np.ndarray:
        left = self.left if len(which) == len(self.left) else self.left[which]
        out = room[: len(left) * (stop - start)].reshape(len(left), stop - start)
        return np.dot(left, self.points.extended[start:stop].T, out=out)

    def settle(self, own: np.ndarray, k: int, kept: int, state: State, certain: bool) -> Found:
        from lowdim.neighbors._settle import settle_dense

        found = _empty(len(self.rows), k)
        settle_dense(self.points.rows, self.rows, own, k, kept, False, certain, state, *found)
        return found


class ManhattanPoints:
    """Dense rows, compared by the sum of absolute differences, column by column."""

    block_rows = 128

    def __init__(self, rows: np.ndarray) -> None:
        self.rows, self.n_points = np.ascontiguousarray(rows), len(rows)
        self.columns = np.ascontiguousarray(rows.T)

    def queries(self, rows: np.ndarray) -> Queries:
        return _ManhattanQueries(self, rows)


class _ManhattanQueries:
    def __init__(self, points: ManhattanPoints, rows: np.ndarray) -> None:
        self.points, self.rows = points, rows
        self.offsets = np.zeros(len(rows), np.float32)

    def gaps(self, start: int, stop: int, which: np.ndarray, room: np.ndarray) -> np.ndarray:
        from lowdim.neighbors._tiles import absolute_gaps

        out = room[: len(which) * (stop - start)].reshape(len(which), stop - start)
        absolute_gaps(self.points.columns, self.rows[which], start, stop, out)
        return out

    def settle(self, own: np.ndarray, k: int, kept: int, state: State, certain: bool) -> Found:
        from lowdim.neighbors._settle import settle_dense

        found = _empty(len(self.rows), k)
        settle_dense(self.points.rows, self.rows, own, k, kept, True, certain, state, *found)
        return found


class SparsePoints:
    """CSR rows, compared by squared or absolute differences; the points are never made dense."""

    block_rows = 32

    def __init__(self, rows: Any, *, manhattan: bool) -> None:
        self.csr, self.manhattan, self.n_points = parts(rows), manhattan, rows.shape[0]

    def queries(self, rows: Any) -> Queries:
        return _SparseQueries(self, rows)


def parts(rows: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """A CSR matrix as compiled functions take it."""
    return rows.indptr.astype(np.int64), rows.indices.astype(np.int32), rows.data, rows.shape[1]


class _SparseQueries:
    def __init__(self, points: SparsePoints, rows: Any) -> None:
        self.points, self.csr = points, parts(rows)
        lengths = abs(rows) if points.manhattan else rows.multiply(rows)
        self.offsets = np.asarray(lengths.sum(1), np.float32).ravel()
        self.directions = np.ascontiguousarray(rows.toarray().T)

    def gaps(self, start: int, stop: int, which: np.ndarray, room: np.ndarray) -> np.ndarray:
        from lowdim.neighbors._tiles import sparse_gaps

        out = room[: len(self.offsets) * (stop - start)].reshape(stop - start, len(self.offsets))
        sparse_gaps(self.points.csr, self.directions, self.points.manhattan, start, stop, out)
        return np.ascontiguousarray(out.T[which])

    def settle(self, own: np.ndarray, k: int, kept: int, state: State, certain: bool) -> Found:
        from lowdim.neighbors._settle import settle_sparse

        found = _empty(len(own), k)
        settle_sparse(self.points.csr, self.csr, own, k, kept, self.points.manhattan, state, *found)
        return found


class GivenDistances:
    """Distances that were computed elsewhere: a row of them for every query, (n, N)."""

    block_rows = 128

    def __init__(self, n_points: int) -> None:
        self.n_points = n_points

    def queries(self, rows: np.ndarray) -> Queries:
        return _GivenQueries(rows)


class _GivenQueries:
    def __init__(self, rows: np.ndarray) -> None:
        self.rows, self.offsets = rows, np.zeros(len(rows), np.float32)

    def gaps(self, start: int, stop: int, which: np.ndarray, room: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(self.rows[which, start:stop], np.float32)

    def settle(self, own: np.ndarray, k: int, kept: int, state: State, certain: bool) -> Found:
        from lowdim.neighbors._select import settle_given

        found = _empty(len(self.rows), k)
        settle_given(k, state, *found)
        return found

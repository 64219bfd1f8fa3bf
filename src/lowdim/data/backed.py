"""Row sources over files (HDF5, zarr): each call reads the rows asked for, no others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim._validation import check_real_dtype, check_shape
from lowdim.data.memory import canonical_csr, check_row_index, check_span, delivered_dtype
from lowdim.data.plain_pieces import read_straight
from lowdim.data.reading_room import ReadingRoom

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_GAP_BYTES = 2**18
"""`take` reads through gaps up to this size: cheaper than another seek."""

_SPAN_BYTES = 2**24
"""`take` holds at most about this much of the file at a time beside its result."""


class BackedArrayRows:
    """Rows of a dense HDF5 dataset or zarr array, read from the file on every call.

    Parameters
    ----------
    dataset
        A real dataset, (N, D). The file stays open as long as this object lives.
    feature_names
        Names of the columns, (D,).
    name
        What errors call it.

    Raises
    ------
    TypeError, ValueError
        The dataset is not a nonempty real matrix.
    """

    is_sparse: bool = False
    in_memory: bool = False

    def __init__(
        self, dataset: Any, feature_names: np.ndarray | None = None, *, name: str = "X"
    ) -> None:
        check_shape(dataset.shape, name=name)
        check_real_dtype(dataset.dtype, name=name)
        self._dataset = dataset
        self._file = getattr(dataset, "file", None)  # keeps it open
        self.n_rows, self.n_cols = dataset.shape
        self.dtype = delivered_dtype(dataset.dtype)
        self.feature_names = feature_names

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Rows `start` to `stop` (exclusive), C-contiguous."""
        check_span(start, stop, self.n_rows)
        return np.ascontiguousarray(self._dataset[start:stop], dtype=self.dtype)

    def take(self, index: np.ndarray) -> np.ndarray:
        """The rows in `index`, which ascends without repeats."""
        index = check_row_index(index, self.n_rows)
        taken = np.empty((len(index), self.n_cols), dtype=self.dtype)
        done = 0
        for span in _spans(index, self.n_cols * self.dtype.itemsize):
            block = self.rows(int(span[0]), int(span[-1]) + 1)
            taken[done : done + len(span)] = block[span - span[0]]
            done += len(span)
        return taken


class BackedSparseRows:
    """Rows of a CSR matrix in an HDF5 or zarr group, read from the file on every call.

    Only the row pointers, N + 1 integers, are held in memory.

    Parameters
    ----------
    group
        A group with `data`, `indices`, `indptr` and the attributes AnnData gives it, (N, D). The
        file stays open as long as this object lives.
    feature_names
        Names of the columns, (D,).
    name
        What errors call it.

    Raises
    ------
    TypeError, ValueError
        The group is not a nonempty real CSR matrix. CSC has its rows scattered over the file.
    """

    is_sparse: bool = True
    in_memory: bool = False

    def __init__(
        self, group: Any, feature_names: np.ndarray | None = None, *, name: str = "X"
    ) -> None:
        kind, shape = _sparse_header(group)
        if kind.startswith("csc"):
            raise ValueError(
                f"{name} is stored by columns (CSC), so reading rows would read the whole file "
                "each time. Store it by rows: load it with anndata.read_h5ad(path), convert with "
                ".tocsr(), and write it again; or pass the loaded AnnData if it fits in memory."
            )
        if not kind.startswith("csr"):
            raise TypeError(f"{name} is stored as {kind or 'a plain group'}, not as a matrix.")
        check_shape(shape, name=name)
        check_real_dtype(group["data"].dtype, name=name)
        self._data, self._indices = read_straight(group["data"]), read_straight(group["indices"])
        self._indptr = group["indptr"][:].astype(np.int64, copy=False)
        self._file = getattr(group, "file", None)  # keeps it open
        self.n_rows, self.n_cols = shape
        self.dtype = delivered_dtype(self._data.dtype)
        self.feature_names = feature_names
        self._room = ReadingRoom()
        self._canonical = 0  # the first so many rows were seen to be sorted, without duplicates

    def rows(self, start: int, stop: int) -> csr_matrix:
        """Rows `start` to `stop` (exclusive)."""
        return self._read(start, stop, self._room)

    def _read(self, start: int, stop: int, room: ReadingRoom) -> csr_matrix:
        from scipy.sparse import csr_matrix

        check_span(start, stop, self.n_rows)
        first, last = int(self._indptr[start]), int(self._indptr[stop])
        data = room.read(self._data, first, last).astype(self.dtype, copy=False)
        indices = room.read(self._indices, first, last)
        indptr = self._indptr[start : stop + 1] - first
        if last - first <= np.iinfo(np.int32).max:  # as SciPy has them
            indices, indptr = indices.astype(np.int32, copy=False), indptr.astype(np.int32)
        if stop <= self._canonical:
            return canonical_csr(data, indices, indptr, self.n_cols)
        block = csr_matrix((data, indices, indptr), shape=(stop - start, self.n_cols))
        if not block.has_canonical_format:
            block.sum_duplicates()
        elif start <= self._canonical:
            self._canonical = max(stop, self._canonical)  # other threads read as well
        return block

    def take(self, index: np.ndarray) -> csr_matrix:
        """The rows in `index`, which ascends without repeats."""
        from scipy.sparse import vstack

        index = check_row_index(index, self.n_rows)
        room = ReadingRoom()  # of its own, since spans may be longer than blocks
        row_bytes = 1 + int(self._indptr[-1]) * (self.dtype.itemsize + 4) // self.n_rows
        parts = [
            self._read(int(span[0]), int(span[-1]) + 1, room)[span - span[0]]
            for span in _spans(index, row_bytes)
        ]
        taken = vstack(parts, format="csr") if parts else self.rows(0, 0)
        return canonical_csr(taken.data, taken.indices, taken.indptr, self.n_cols)


def _sparse_header(group: Any) -> tuple[str, tuple[int, ...]]:
    """Format and shape of a sparse matrix; AnnData 0.6 and before had other attributes."""
    attributes = group.attrs
    kind = attributes.get("encoding-type", attributes.get("h5sparse_format", ""))
    shape = attributes.get("shape", attributes.get("h5sparse_shape", ()))
    return str(kind), tuple(int(n) for n in shape)


def _spans(index: np.ndarray, row_bytes: int) -> Iterator[np.ndarray]:
    """Cut an ascending index into runs worth one read each: small gaps, bounded extent."""
    max_gap = max(1, _GAP_BYTES // row_bytes)
    max_extent = max(1, _SPAN_BYTES // row_bytes)
    for run in np.split(index, np.flatnonzero(np.diff(index) > max_gap) + 1):
        while len(run):
            n = int(np.searchsorted(run, run[0] + max_extent))
            yield run[:n]
            run = run[n:]

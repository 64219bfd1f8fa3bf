"""Rows of Dask arrays: served block by block, or gone through where workers hold them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from functools import cached_property, reduce
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from lowdim._validation import check_real_dtype, check_shape
from lowdim.data.memory import (
    ArrayRows,
    SparseRows,
    check_row_index,
    check_span,
    delivered_dtype,
)
from lowdim.data.passes import add

if TYPE_CHECKING:
    from distributed import Client

    from lowdim._typing import Rows
    from lowdim.data.worker_parts import WorkerParts

#: Neighbouring chunks go together where there are more than this: a task costs a millisecond.
MAX_PARTS = 256

_logger = logging.getLogger("lowdim")


class DaskRows:
    """Rows of a Dask array.

    Without a cluster, one chunk at a time is computed, and the last one is kept. Where a client of
    `dask.distributed` was active when the source was made, workers compute the chunks and keep them
    as long as the source lives or until `release` is called; only rows that are asked for come
    here.

    Parameters
    ----------
    array : dask.array.Array
        Real, (N, D), with blocks that are NumPy arrays or scipy.sparse matrices.
    feature_names
        Names of the columns, (D,).
    name
        What errors call it.

    Raises
    ------
    TypeError, ValueError
        It is not a nonempty real matrix; its blocks are of another kind; the sizes of its chunks
        are not known.
    """

    in_memory: bool = False

    def __init__(self, array: Any, feature_names: np.ndarray | None = None, *, name: str = "X"):
        self.array = one_chunk_of_columns(array, name)
        check_shape(self.array.shape, name=name)
        check_real_dtype(self.array.dtype, name=name)
        self.n_rows, self.n_cols = self.array.shape
        self.is_sparse = _has_sparse_blocks(self.array, name)
        self.dtype = delivered_dtype(self.array.dtype)
        self.feature_names = feature_names
        self.edges = _grouped(np.append(0, np.cumsum(self.array.chunks[0])))
        self.client = _client()
        self._held: WorkerParts | None = None
        self._last: tuple[int, ArrayRows | SparseRows] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "client": None, "_held": None, "_last": None}

    def rows(self, start: int, stop: int) -> Rows:
        """Rows `start` to `stop` (exclusive)."""
        check_span(start, stop, self.n_rows)
        return self._stacked(np.arange(start, stop))

    def take(self, index: np.ndarray) -> Rows:
        """The rows in `index`, which ascends without repeats."""
        return self._stacked(check_row_index(index, self.n_rows))

    def each(self, function: Callable[..., Any], along: Any = None) -> list[Any]:
        """What a function says of every part, a row source, in order; see `WorkerParts.each`."""
        if self.client is not None:
            return self.parts().each(function, along)
        if isinstance(along, np.ndarray):
            along = [along[start:stop] for start, stop in pairwise(self.edges.tolist())]
        own = [()] * (len(self.edges) - 1) if along is None else [(entries,) for entries in along]
        return [function(self._part(i), *entries) for i, entries in enumerate(own)]

    def total(self, function: Callable[..., Any], along: Any = None) -> Any:
        """The sum of what it says; see `WorkerParts.total`."""
        if self.client is not None:
            return self.parts().total(function, along)
        return reduce(add, self.each(function, along))

    def parts(self) -> WorkerParts:
        """The parts, row sources, on the workers of the active client."""
        if self._held is None:
            from lowdim.data.worker_parts import WorkerParts

            assert self.client is not None
            self._held = WorkerParts(self.client, self.client.compute(self._tasks), self.edges)
        return self._held

    def release(self) -> None:
        """Let workers forget the parts, unless others need them; they can be made again."""
        self._held = None

    @cached_property
    def _tasks(self) -> list[Any]:
        """A Dask task for each part, from its chunks."""
        from dask.delayed import delayed

        chunks = self.array.to_delayed()[:, 0].tolist()
        first = np.append(0, np.cumsum(self.array.chunks[0])).searchsorted(self.edges)
        make = delayed(_as_part, pure=False)
        return [make(chunks[i:j], self.is_sparse) for i, j in pairwise(first.tolist())]

    def _part(self, i: int) -> ArrayRows | SparseRows:
        """A part, computed here."""
        last = self._last
        if last is None or last[0] != i:
            self._last = None  # one at a time
            last = self._last = (i, self._tasks[i].compute(scheduler="threads"))
        return last[1]

    def _stacked(self, index: np.ndarray) -> Rows:
        """Rows from the parts that hold them."""
        if not len(index):
            empty = np.empty((0, self.n_cols), self.dtype)
            return sp.csr_matrix(empty) if self.is_sparse else empty
        where = self.edges.searchsorted(index, side="right") - 1
        parts, first = np.unique(where, return_index=True)
        local = np.split(index - self.edges[where], first[1:])
        if self.client is None:
            found = [rows_at(self._part(i), own) for i, own in zip(parts, local, strict=True)]
        else:
            found = self.parts().some(parts.tolist(), rows_at, local)
        if len(found) == 1:
            return found[0]
        if self.is_sparse:
            return sp.vstack(found, format="csr")
        return np.concatenate(found)


def rows_at(source: ArrayRows | SparseRows, index: np.ndarray) -> Rows:
    """Rows in ascending order, without a copy where they are all of a stretch."""
    first, last = int(index[0]), int(index[-1])
    if last - first + 1 == len(index):
        return source.rows(first, last + 1)
    return source.take(index)


def dask_array(X: Any) -> Any:
    """The Dask array that `X` is, or that the `X` of an AnnData is; None for anything else."""
    cls = getattr(sys.modules.get("dask.array"), "Array", None)
    if cls is None:
        return None
    own = getattr(sys.modules.get("anndata"), "AnnData", None)
    matrix = X.X if own is not None and isinstance(X, own) and not X.isbacked else X
    return matrix if isinstance(matrix, cls) else None


def one_chunk_of_columns(array: Any, name: str) -> Any:
    """A Dask array whose chunks have whole rows.

    Raises
    ------
    ValueError
        The sizes of its chunks are not known.
    """
    if np.isnan(np.asarray(array.shape, dtype=float)).any():
        raise ValueError(
            f"{name} is a Dask array with chunks of unknown sizes (shape {array.shape}); call "
            f"{name}.compute_chunk_sizes() first."
        )
    if array.ndim != 2 or array.numblocks[1] == 1:
        return array
    _logger.warning(
        "%s is a Dask array with its columns in %d chunks, which are joined on every pass; pass "
        "%s.rechunk({1: -1}).persist() to have it done once.",
        name,
        array.numblocks[1],
        name,
    )
    return array.rechunk({1: -1})


def _has_sparse_blocks(array: Any, name: str) -> bool:
    """Whether blocks are scipy.sparse matrices rather than NumPy arrays."""
    meta = array._meta
    if sp.issparse(meta):
        return True
    if isinstance(meta, np.ndarray) and not isinstance(meta, np.ma.MaskedArray):
        return False
    raise TypeError(
        f"{name} is a Dask array with blocks of type {type(meta).__name__}; turn them into NumPy "
        f"arrays or scipy.sparse matrices, for example with {name}.map_blocks(np.asarray)."
    )


def _grouped(edges: np.ndarray) -> np.ndarray:
    """First rows of the parts: chunks that are not empty, or as many of them as it takes."""
    edges = np.unique(edges)
    step = -(-(len(edges) - 1) // MAX_PARTS)
    return np.append(edges[:-1:step], edges[-1])


def _as_part(chunks: Sequence[Any], sparse: bool) -> ArrayRows | SparseRows:
    """Neighbouring chunks as a row source."""
    for chunk in chunks:
        if sp.issparse(chunk) != sparse:
            said = "sparse" if sparse else "dense"
            raise TypeError(
                f"The Dask array says that its blocks are {said}, but one is of type "
                f"{type(chunk).__name__}; make all of them one kind, for example with "
                "X.map_blocks(scipy.sparse.csr_matrix)."
            )
    if sparse:
        own = [sp.csr_matrix(chunk) for chunk in chunks]
        return SparseRows(own[0] if len(own) == 1 else sp.vstack(own, format="csr"))
    return ArrayRows(chunks[0] if len(chunks) == 1 else np.concatenate(chunks))


def _client() -> Client | None:
    if "distributed" not in sys.modules:
        return None
    from lowdim.data.worker_parts import current_client

    return current_client()

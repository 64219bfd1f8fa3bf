"""Standardised rows: the only form in which a model sees data.

Rows are centred at the weighted column means and divided by one scalar (the root mean
variance per column), so models work in units of the data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from threading import current_thread, main_thread
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch

from lowdim._device import free_bytes
from lowdim.data.blocks import Block, DenseBlock, SparseBlock
from lowdim.data.device_rows import RESIDENT, DeviceRows, HostRows
from lowdim.data.passes import Passes, T, add
from lowdim.data.read_ahead import row_blocks
from lowdim.data.sources import RowSource

#: Standardised dense copies are kept in memory up to this many bytes, else remade per pass.
CACHE_BYTES = 2**30
#: Blocks of sparse rows that threads work on side by side, at most; more threads share them.
AT_ONCE = 4
#: Rows whose mean the moments of dense rows are taken about.
PILOT_ROWS = 256
#: Rows that reach farther out than this are scaled down to it, so that squares stay finite: what
#: a model says of so remote a row depends on its direction alone.
FARTHEST = {torch.float32: 1e15, torch.float64: 1e100}


class StandardizedRows(Passes):
    """A row source seen as standardised blocks; iterate it once per pass.

    Parameters
    ----------
    source : RowSource
        The rows, (N, D).
    device, dtype : torch.device, torch.dtype
        Where and in which precision the large products run.
    sample_weight : ndarray of shape (N,), optional
        Nonnegative row weights.
    block_rows : int, optional
        Rows per block; by default chosen to suit the data and the device.
    moments : (mean, scale), optional
        Use these instead of the data's own, to see new rows in a fitted model's units.

    Attributes
    ----------
    mean : ndarray of shape (D,)
        Weighted column means.
    scale : float
        Root of the mean variance per column; 1 for constant data.
    total_weight : float
        Sum of the row weights (N without weights).
    """

    def __init__(
        self,
        source: RowSource,
        *,
        device: torch.device,
        dtype: torch.dtype,
        sample_weight: np.ndarray | None = None,
        block_rows: int | None = None,
        moments: tuple[np.ndarray, float] | None = None,
    ) -> None:
        self.source = source
        self.device = device
        self.dtype = dtype
        self.n_rows, self.n_columns = source.n_rows, source.n_cols
        self.block_rows = block_rows or default_block_rows(source, device)
        self.sample_weight = sample_weight
        self.total_weight = float(self.n_rows if sample_weight is None else sample_weight.sum())
        self.mean, self.scale = moments if moments is not None else self._moments()
        self._keep = self._fits()
        self._blocks: list[Block] | None = None
        self._norms: dict[int, torch.Tensor] = {}
        self._near: set[int] = set()  # blocks of the source in which no row is to be shortened

    def _fits(self) -> bool:
        """Whether all blocks may be kept from pass to pass."""
        n_bytes = self.n_rows * self.n_columns * self.dtype.itemsize
        if self.device.type != "cpu":  # on an accelerator from wherever the rows are
            return n_bytes <= RESIDENT * free_bytes(self.device)
        return self.source.in_memory and (self.source.is_sparse or n_bytes <= CACHE_BYTES)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_blocks": None, "_norms": {}}  # made again where they are sent to

    @property
    def at_once(self) -> int:
        """Blocks that threads work on side by side: no thread waits for others at a block's end.

        One outside the main thread, where other fits may go on beside this one: how many threads
        torch has is a number of the whole process, which must not change under them.
        """
        alone = current_thread() is main_thread()
        if self.device.type != "cpu" or not self.source.is_sparse or not alone:
            return 1
        n_blocks = -(-self.n_rows // self.block_rows)
        return min(torch.get_num_threads(), AT_ONCE, n_blocks)

    def __iter__(self) -> Iterator[Block]:
        if not self._keep:
            yield from self._make()
            return
        if self._blocks is None:
            self._blocks = list(self._make())
        yield from self._blocks

    def subset(self, index: np.ndarray) -> Block:
        """The rows at ``index`` (sorted, unique) as one block."""
        if self._keep and len(index) == self.n_rows <= self.block_rows:
            return next(iter(self))
        weights = None if self.sample_weight is None else self.sample_weight[index]
        return next(self._standardized([HostRows(0, self.source.take(index), weights)]))

    def _tasks(
        self, function: Callable[..., T], along: np.ndarray | None
    ) -> Iterator[Callable[[], T]]:
        """What is to be done for each block; who does it reads the block first, if several do."""
        if self.at_once == 1 or self._keep:
            return super()._tasks(function, along)
        starts = range(0, self.n_rows, self.block_rows)
        if along is None:
            return (partial(self._of_block, function, start) for start in starts)
        return (
            partial(self._of_block, function, start, along[start : start + self.block_rows])
            for start in starts
        )

    def _of_block(self, function: Callable[..., T], start: int, *own: np.ndarray) -> T:
        rows = self.source.rows(start, min(start + self.block_rows, self.n_rows))
        return function(self._host_block(*self._piece(start, rows), self._near), *own)

    def _make(self) -> Iterator[Block]:
        return self._standardized(self._pieces(), self._near)

    def _pieces(self) -> Iterator[HostRows]:
        for start, rows in row_blocks(self.source, self.block_rows):
            yield self._piece(start, rows)
            del rows

    def _piece(self, start: int, rows: np.ndarray | sp.csr_matrix) -> HostRows:
        weights = self.sample_weight
        return HostRows(
            start, rows, None if weights is None else weights[start : start + rows.shape[0]]
        )

    def _standardized(
        self, pieces: Iterable[HostRows], near: set[int] | None = None
    ) -> Iterator[Block]:
        """Blocks of rows as they are stored."""
        if self.device.type == "cpu":
            for piece in pieces:
                yield self._host_block(*piece, near)
                del piece
            return
        farthest = FARTHEST[self.dtype]
        maker = DeviceRows(self.device, self.dtype, self.mean, self.scale, farthest)
        yield from maker.blocks(pieces)

    def _host_block(
        self,
        start: int,
        rows: np.ndarray | sp.csr_matrix,
        weight: np.ndarray | None,
        near: set[int] | None,
    ) -> Block:
        from lowdim.data.dense import standardize

        weights = None if weight is None else torch.from_numpy(weight)
        limit = FARTHEST[self.dtype]
        if sp.issparse(rows):
            dtype = np.float32 if self.dtype == torch.float32 else np.float64
            if near is None or start not in near:
                stored, rows = rows, _shortened(rows, limit * self.scale)
                if near is not None and rows is stored:
                    near.add(start)
            rows = rows.astype(dtype, copy=False)
            # Of rows that are read again in every pass, at least this is kept: a number each.
            norms = None if near is None or self._keep else self._norms
            return SparseBlock(rows, self.mean, self.scale, start, weights, norms)
        values, squares = np.empty(rows.shape), np.empty(len(rows))
        rows = np.ascontiguousarray(rows)
        within = standardize(rows, self.mean, self.scale, values, squares) <= limit
        if not within:
            largest = np.abs(values).max(1, keepdims=True)
            values *= np.minimum(1.0, limit / np.maximum(largest, limit))
        block = DenseBlock(torch.from_numpy(values).to(self.dtype), start, weights)
        if within and self.dtype == torch.float64:  # those of the rows as they are stored
            block.squared_norms = torch.from_numpy(squares)
        return block

    def _moments(self) -> tuple[np.ndarray, float]:
        mean, variance = self._sparse_moments() if self.source.is_sparse else self._dense_moments()
        scale = float(np.sqrt(max(variance, 0.0) / self.n_columns))
        rounding = 1e-13 * float(np.sqrt(np.square(mean).mean()))
        return mean, (scale if scale > rounding else 1.0)

    def _dense_moments(self) -> tuple[np.ndarray, float]:
        """Mean and summed variance in one pass, about the mean of some rows."""
        pilot = self.source.rows(0, min(self.n_rows, PILOT_ROWS)).mean(0, dtype=np.float64)
        total, energy = self._raw_total(partial(_dense_sums, pilot))
        shift = total / self.total_weight
        return pilot + shift, energy / self.total_weight - float(shift @ shift)

    def _sparse_moments(self) -> tuple[np.ndarray, float]:
        """The same in two passes: deviations of what is stored, and of the zeros between."""
        mean = self._raw_total(_sparse_sums) / self.total_weight
        variance, stored = self._raw_total(partial(_sparse_deviations, mean))
        variance += float(np.maximum(self.total_weight - stored, 0.0) @ np.square(mean))
        return mean, variance / self.total_weight

    def _raw_total(self, function: Callable[..., Any]) -> Any:
        """The sum of what a function says of rows as they are stored and of their weights."""
        return raw_total(function, self.block_rows, self.source, self.sample_weight)


def raw_total(
    function: Callable[..., Any],
    block_rows: int | None,
    source: RowSource,
    sample_weight: np.ndarray | None = None,
) -> Any:
    """The sum over blocks of what a function says of rows, as stored, and of their weights."""
    step, total = block_rows or default_block_rows(source, torch.device("cpu")), None
    for start, rows in row_blocks(source, step):
        weight = np.ones(rows.shape[0])
        if sample_weight is not None:
            weight = sample_weight[start : start + len(weight)]
        part = function(rows, weight)
        del rows
        total = part if total is None else add(total, part)
    return total


def _dense_sums(
    pilot: np.ndarray, rows: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, float]:
    """Weighted sum of the rows less the pilot, and their weighted squared length."""
    from lowdim.data.dense import moments

    total = np.zeros(len(pilot))
    energy = moments(rows.astype(np.float64, copy=False), weight, pilot, total)
    return total, energy


def _sparse_sums(rows: sp.csr_matrix, weight: np.ndarray) -> np.ndarray:
    """Weighted sum of the rows, (D,)."""
    from lowdim.data.csr import accumulate

    total = np.zeros((rows.shape[1], 1))
    accumulate(rows.indptr, rows.indices, rows.data, weight[:, None], total)
    return total[:, 0]


def _sparse_deviations(
    mean: np.ndarray, rows: sp.csr_matrix, weight: np.ndarray
) -> tuple[float, np.ndarray]:
    """Weighted squared deviations of what is stored, and its weights by column."""
    from lowdim.data.csr import squared_deviations

    stored = np.zeros(len(mean))
    found = squared_deviations(rows.indptr, rows.indices, rows.data, weight, mean, stored)
    return found, stored


def _shortened(rows: sp.csr_matrix, limit: float) -> sp.csr_matrix:
    """Rows that reach beyond the limit scaled down to it; the same object if there is none."""
    data: np.ndarray = rows.data
    if not data.size or max(float(data.max()), -float(data.min())) <= limit:
        return rows
    largest = abs(rows).max(1).toarray().ravel().astype(np.float64)
    factor = np.minimum(1.0, limit / np.maximum(largest, limit))
    repeated = np.repeat(factor, np.diff(rows.indptr))
    shape = rows.shape
    return sp.csr_matrix((data * repeated, rows.indices, rows.indptr), shape=shape)


def default_block_rows(source: RowSource, device: torch.device) -> int:
    """Rows per block: so many that a block's cost per call is small, in bounded memory."""
    if device.type != "cpu":  # each call has its price there, and all rows become dense
        return min(max(2**25 // source.n_cols, 1024), 2**15)
    if not source.is_sparse:
        return min(max(2**22 // source.n_cols, 512), 2**16)
    if source.in_memory:
        return 16384  # such blocks are views, and nothing of their size is made dense
    # Two of them: one is read while the other is worked on.
    return min(max(2**26 // source.n_cols, 1024), 2**16)

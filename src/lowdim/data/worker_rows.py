"""Standardised blocks that lie on the workers of a Dask cluster; see `worker_parts`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch

from lowdim.data.blocks import Block, DenseBlock, SparseBlock
from lowdim.data.dask_rows import DaskRows
from lowdim.data.passes import BlockList, Passes
from lowdim.data.sources import RowSource
from lowdim.data.standardized import StandardizedRows, raw_total
from lowdim.data.worker_parts import WorkerParts

HOST = torch.device("cpu")


class WorkerBlocks(Passes):
    """Passes that functions make on the workers, where blocks are.

    Parameters
    ----------
    parts : WorkerParts
        Each a `BlockList`.
    """

    def __init__(self, parts: WorkerParts) -> None:
        self.parts = parts

    @property
    def local(self) -> bool:
        """They are not in this process."""
        return False

    def __iter__(self) -> Iterator[Block]:
        """Blocks in the order of the rows, brought here a part at a time."""
        for future in self.parts.futures:
            yield from future.result()

    def each(self, function: Callable[..., Any], along: np.ndarray | None = None) -> list[Any]:
        """What the function says of every block, in the order of the rows."""
        found = self.parts.each(partial(_each, function), along)
        return [own for part in found for own in part]

    def total(self, function: Callable[..., Any], along: np.ndarray | None = None) -> Any:
        """The sum of what it says."""
        return self.parts.total(partial(_total, function), along)

    def mapped(self, function: Callable[[Block], Block]) -> WorkerBlocks:
        """Other blocks, each made from one of these, where it is."""
        return WorkerBlocks(self.parts.mapped(partial(_mapped, function)))


class WorkerRows(WorkerBlocks, StandardizedRows):
    """A Dask array seen as standardised blocks that stay on the workers.

    Parameters and attributes are those of `StandardizedRows`. The rows as they came are let go once
    the blocks are made.
    """

    def __init__(
        self,
        source: DaskRows,
        *,
        dtype: torch.dtype,
        sample_weight: np.ndarray | None = None,
        block_rows: int | None = None,
        moments: tuple[np.ndarray, float] | None = None,
    ) -> None:
        self._given_rows = block_rows
        self._rows_of_workers = source
        StandardizedRows.__init__(
            self,
            source,
            device=HOST,
            dtype=dtype,
            sample_weight=sample_weight,
            block_rows=block_rows,
            moments=moments,
        )
        make = partial(_standardized, self.mean, self.scale, dtype, block_rows)
        own = [
            (start, None if sample_weight is None else sample_weight[start:stop])
            for start, stop in pairwise(source.edges.tolist())
        ]
        WorkerBlocks.__init__(self, source.parts().mapped(make, own))
        source.release()

    def subset(self, index: np.ndarray) -> Block:
        """The rows at ``index`` (sorted, unique) as one block, here."""
        edges = self.parts.edges
        where = edges.searchsorted(index, side="right") - 1
        parts, first = np.unique(where, return_index=True)
        local = np.split(index - edges[where], first[1:])
        return _joined(self.parts.some(parts.tolist(), _chosen, local))

    def _raw_total(self, function: Callable[..., Any]) -> Any:
        own = partial(raw_total, function, self._given_rows)
        return self._rows_of_workers.total(own, self.sample_weight)


def _each(function: Callable[..., Any], part: BlockList, *along: np.ndarray) -> list[Any]:
    return part.each(function, *along)


def _total(function: Callable[..., Any], part: BlockList, *along: np.ndarray) -> Any:
    return part.total(function, *along)


def _mapped(function: Callable[[Block], Block], part: BlockList) -> BlockList:
    return BlockList(part.each(function))


def _standardized(
    mean: np.ndarray,
    scale: float,
    dtype: torch.dtype,
    block_rows: int | None,
    source: RowSource,
    own: tuple[int, np.ndarray | None],
) -> BlockList:
    """Blocks of a part whose first row has the number that is given, and its weights."""
    start, weight = own
    rows = StandardizedRows(
        source,
        device=HOST,
        dtype=dtype,
        sample_weight=weight,
        block_rows=block_rows,
        moments=(mean, scale),
    )
    blocks = list(rows)
    for block in blocks:
        block.start += start
    return BlockList(blocks)


def _chosen(part: BlockList, index: np.ndarray) -> list[Block]:
    """Rows of a part, by their numbers within it."""
    found: list[Block] = []
    first = part.blocks[0].start
    for block in part:
        own = index + first - block.start
        own = own[(own >= 0) & (own < block.n_rows)]
        if len(own):
            found.append(_rows_of(block, own))
    return found


def _rows_of(block: Block, index: np.ndarray) -> Block:
    """Some rows of a block as another."""
    at = torch.from_numpy(index)
    weights = None if block.weights is None else block.weights[at]
    if isinstance(block, SparseBlock):
        return SparseBlock(block.rows[index], block.mean, block.scale, 0, weights)
    assert isinstance(block, DenseBlock)
    return DenseBlock(block.values[at], 0, weights)


def _joined(found: list[list[Any]]) -> Block:
    """One block of the rows of several."""
    blocks = [block for part in found for block in part]
    first = blocks[0]
    weights = None if first.weights is None else torch.cat([block.weights for block in blocks])
    if isinstance(first, SparseBlock):
        rows = sp.vstack([block.rows for block in blocks], format="csr")
        return SparseBlock(rows, first.mean, first.scale, 0, weights)
    return DenseBlock(torch.cat([block.values for block in blocks]), 0, weights)

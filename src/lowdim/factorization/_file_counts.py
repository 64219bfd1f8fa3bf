"""Counts in a file: read block by block on every pass, never held as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from lowdim.data.read_ahead import row_blocks
from lowdim.data.sources import RowSource
from lowdim.factorization._counts import (
    STORED_FROM,
    STORED_SHARE,
    Counts,
    DenseCounts,
    StoredCounts,
)

if TYPE_CHECKING:
    from lowdim._typing import Rows

#: Entries of a block, zeros included, if rows are dense and if they are sparse.
DENSE_VALUES, SPARSE_VALUES = 2**22, 2**25


def rows_at_a_time(n_columns: int, *, sparse: bool) -> int:
    """Rows of a block."""
    return max(1, (SPARSE_VALUES if sparse else DENSE_VALUES) // n_columns)


@dataclass(frozen=True)
class FileCounts(Counts):
    """Counts of a row source that is not in memory: sums over all are those over the blocks.

    A sum takes a pass through the file. Blocks are in the form that counts in memory would have.

    Attributes
    ----------
    source : RowSource
    like : Tensor
        Counts are on its device and in its precision.
    stored : bool
        Whether blocks of dense rows are made sparse.
    """

    source: RowSource
    like: Tensor
    stored: bool = False

    @property
    def shape(self) -> tuple[int, int]:  # type: ignore[override]
        return self.source.n_rows, self.source.n_cols

    @property
    def dtype(self) -> torch.dtype:  # type: ignore[override]
        return self.like.dtype

    def on(self, like: Tensor, *, only_stored: bool = False) -> FileCounts:
        """The same elsewhere; with `only_stored`, sparse where most of the counts are zero."""
        moved = replace(self, like=like)
        return replace(moved, stored=only_stored and moved.mostly_zero)

    @cached_property
    def mostly_zero(self) -> bool:  # type: ignore[override]
        n_values = self.source.n_rows * self.source.n_cols
        if self.like.device.type != "cpu" or n_values < STORED_FROM:
            return False
        n = sum(int(np.count_nonzero(_values_of(block))) for _, block in self.blocks())
        return n < STORED_SHARE * n_values

    def blocks(self) -> Iterator[tuple[int, Rows]]:
        """Yield (first row, rows) in the order of the rows, arrays or CSR, float64 or float32."""
        step = rows_at_a_time(self.source.n_cols, sparse=self.source.is_sparse)
        yield from row_blocks(self.source, step)

    def by_row(self, function: Callable[[Any], np.ndarray]) -> np.ndarray:
        """A function of every row, which takes many rows at a time, (N,)."""
        return np.concatenate([function(block) for _, block in self.blocks()])

    def dense(self, rows: slice | Tensor) -> Tensor:
        if isinstance(rows, slice):
            found = self.source.rows(*rows.indices(self.source.n_rows)[:2])
            return self._counts(found).dense(slice(None))
        index, place = np.unique(rows.cpu().numpy(), return_inverse=True)
        return self._counts(self.source.take(index)).dense(torch.from_numpy(place))

    def chunks(self) -> Iterator[tuple[slice, Tensor]]:
        for where, counts in self._parts():
            for rows, y in counts.chunks():
                yield slice(where.start + rows.start, where.start + rows.stop), y

    def log_factorials(self) -> Tensor:
        return self._sum(lambda counts, where: counts.log_factorials())

    def products(self, matrix: Tensor) -> Tensor:
        return self._sum(lambda counts, where: counts.products(matrix[where]))

    def weighted_logs(self, sizes: Tensor, factors: Tensor, loadings: Tensor) -> Tensor:
        return self._sum(
            lambda counts, where: counts.weighted_logs(sizes[where], factors[:, where], loadings)
        )

    def loading_shares(self, factors: Tensor, loadings: Tensor) -> Tensor:
        return self._sum(lambda counts, where: counts.loading_shares(factors[:, where], loadings))

    def factor_shares(self, factors: Tensor, loadings: Tensor) -> Tensor:
        out = torch.empty_like(factors.mT, dtype=torch.float64)
        for where, counts in self._parts():
            out[:, :, where] = counts.factor_shares(factors[:, where], loadings)
        return out

    def _sum(self, function: Callable[[Counts, slice], Tensor]) -> Tensor:
        return torch.stack([function(counts, where) for where, counts in self._parts()]).sum(0)

    def _parts(self) -> Iterator[tuple[slice, Counts]]:
        for start, block in self.blocks():
            yield slice(start, start + block.shape[0]), self._counts(block)

    def _counts(self, block: Rows) -> Counts:
        if isinstance(block, np.ndarray) and not self.stored:
            return DenseCounts(torch.from_numpy(np.require(block, requirements="W")).to(self.like))
        return StoredCounts.of(sp.csr_array(block, dtype=np.float64), self.like)


def _values_of(block: Rows) -> np.ndarray:
    """The values that a block stores."""
    return block if isinstance(block, np.ndarray) else block.data

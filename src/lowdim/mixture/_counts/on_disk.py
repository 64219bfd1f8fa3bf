"""Counts in a file: read block by block on every pass, never held as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add

import numpy as np

from lowdim.data.read_ahead import row_blocks
from lowdim.data.sources import RowSource
from lowdim.mixture._counts.distinct import ByDistinct, Distinct
from lowdim.mixture._counts.matrix import Counts, Listed, listed

#: Entries of a block of dense rows, and of sparse ones, zeros included.
DENSE_VALUES, SPARSE_VALUES = 2**22, 2**25


@dataclass(frozen=True)
class CountsOnDisk(ByDistinct):
    """A count matrix, (N, D), of a row source that is not in memory.

    It stands for `Counts` (see there). What is kept of rows is a few numbers each, and of genes how
    often each count occurs: sums over a gene's rows that depend on the counts alone are sums over
    its different counts.

    Attributes
    ----------
    source : RowSource
    weights : ndarray of shape (N,)
        Row weights.
    """

    source: RowSource
    weights: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        return self.source.n_rows, self.source.n_cols

    def parts(self) -> Iterator[tuple[slice, Counts]]:
        """Blocks of rows, read anew."""
        most = SPARSE_VALUES if self.source.is_sparse else DENSE_VALUES
        for start, block in row_blocks(self.source, max(1, most // self.source.n_cols)):
            rows = slice(start, start + block.shape[0])
            yield rows, Counts.of(block, self.weights[rows])

    @cached_property
    def _by_row(self) -> np.ndarray:
        """Totals and factorials, (2, N), of one pass."""
        parts = [np.stack([part.totals, part.factorials]) for _, part in self.parts()]
        return np.concatenate(parts, axis=1)

    @property
    def totals(self) -> np.ndarray:
        """Counts of each row, (N,)."""
        return self._by_row[0]

    @property
    def factorials(self) -> np.ndarray:
        """``sum_g log x!`` of each row, (N,)."""
        return self._by_row[1]

    @cached_property
    def distinct(self) -> Distinct:
        """The different counts of each gene."""
        return reduce(add, (Distinct.of(part) for _, part in self.parts()))

    def active(self, shares: np.ndarray) -> Listed:
        """The components' weighted responsibilities, (N, K), for each different count of a gene."""
        order = self.distinct.order
        owned = reduce(add, (order.shares(part, shares[rows]) for rows, part in self.parts()))
        return listed(owned, np.ones(len(self.distinct)))

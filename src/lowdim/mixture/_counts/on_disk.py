"""Counts in a file: read block by block on every pass, never held as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from lowdim.data.read_ahead import row_blocks
from lowdim.data.sources import RowSource
from lowdim.mixture._counts.matrix import Arrays, Counts, Listed, listed, tail_sums

#: Entries of a block of dense rows, and of sparse ones, zeros included.
DENSE_VALUES, SPARSE_VALUES = 2**22, 2**25


@dataclass(frozen=True)
class CountsOnDisk:
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

    def _by_row(self, function: Callable[[Counts], np.ndarray]) -> np.ndarray:
        return np.concatenate([function(part) for _, part in self.parts()])

    @cached_property
    def totals(self) -> np.ndarray:
        """Counts of each row, (N,)."""
        return self._by_row(lambda part: part.totals)

    @cached_property
    def factorials(self) -> np.ndarray:
        """``sum_g log x!`` of each row, (N,)."""
        return self._by_row(lambda part: part.factorials)

    @property
    def n_stored(self) -> int:
        """Counts that are not zero."""
        return self._distinct[2]

    @cached_property
    def _distinct(self) -> tuple[sp.csc_matrix, np.ndarray, int]:
        """The different counts of each gene in descending order, their weight, and how many all.

        Columns of the matrix are genes; the row of an entry is its place among all of them.
        """
        found: tuple[np.ndarray, ...] = (np.empty(0, np.int64), np.empty(0), np.empty(0))
        n_stored = 0
        for _, part in self.parts():
            weight = np.repeat(part.weights, np.diff(part.rows.indptr))
            own = _distinct_counts(part.rows.indices.astype(np.int64), part.rows.data, weight)
            found = _distinct_counts(*map(np.concatenate, zip(found, own, strict=True)))
            n_stored += part.n_stored
        genes, counts, weights = found
        pointer = np.searchsorted(genes, np.arange(self.shape[1] + 1))
        places = np.arange(len(genes))
        shape = (len(genes), self.shape[1])
        return sp.csc_matrix((counts, places, pointer), shape=shape), weights, n_stored

    @property
    def columns(self) -> Arrays:
        """(pointer, places, counts) by genes: those that `active` tells the shares of."""
        entries = self._distinct[0]
        return entries.indptr, entries.indices, entries.data

    @cached_property
    def tails(self) -> Arrays:
        """As `Counts.tails` has them; ranks are among the different counts of the gene."""
        return tail_sums(self.columns, self._distinct[1])

    def active(self, shares: np.ndarray) -> Listed:
        """The components' weighted responsibilities, (N, K), for each different count of a gene."""
        entries = self._distinct[0]
        pointer, _, counts = self.columns
        owned = np.zeros((len(counts), shares.shape[1]))
        # Genes ascend and counts descend, so that one number can be looked for.
        most = float(counts.max(initial=0.0)) + 1.0
        keys = np.repeat(np.arange(self.shape[1]), np.diff(pointer)) * most - entries.data
        for rows, part in self.parts():
            place = np.searchsorted(keys, part.rows.indices * most - part.rows.data)
            lengths = np.diff(part.rows.indptr)
            for k in range(shares.shape[1]):
                share = np.repeat(shares[rows, k] * part.weights, lengths)
                owned[:, k] += np.bincount(place, share, len(counts))
        return listed(owned, np.ones(len(counts)))


def counts_of(source: RowSource, weights: np.ndarray | None = None) -> Counts | CountsOnDisk:
    """The counts of a row source: in memory if it is."""
    if source.in_memory:
        return Counts.read(source, weights)
    return CountsOnDisk(source, np.ones(source.n_rows) if weights is None else weights)


def _distinct_counts(
    genes: np.ndarray, counts: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Different pairs, genes ascending and counts descending, and their summed weights."""
    order = np.lexsort((-counts, genes))
    genes, counts = genes[order], counts[order]
    new = (np.diff(genes, prepend=-1) != 0) | (np.diff(counts, prepend=-1.0) != 0)
    first = np.flatnonzero(new)
    if not len(first):
        return genes, counts, weights
    return genes[first], counts[first], np.add.reduceat(weights[order], first)

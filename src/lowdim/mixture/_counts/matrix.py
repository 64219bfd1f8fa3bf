"""Counts in memory, by rows and by columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp
from scipy.special import gammaln

from lowdim.data.sources import RowSource
from lowdim.mixture._counts.chebyshev import piece_weights

#: Entries of a dense block that is turned into CSR at once.
DENSE_BLOCK = 2**24

Arrays = tuple[np.ndarray, ...]
#: (pointer, component, share): the components with a share that matters, row by row.
Listed = tuple[np.ndarray, np.ndarray, np.ndarray]


class CountTable(Protocol):
    """What of counts, (N, D), is known in this process, wherever their rows are."""

    @property
    def shape(self) -> tuple[int, int]: ...

    @property
    def weights(self) -> np.ndarray:
        """Row weights, (N,)."""
        ...

    @property
    def totals(self) -> np.ndarray:
        """Counts of each row, (N,)."""
        ...

    @property
    def gene_totals(self) -> np.ndarray:
        """Weighted counts of every gene, (D,)."""
        ...

    @property
    def n_stored(self) -> int:
        """Counts that are not zero."""
        ...

    @property
    def columns(self) -> Arrays:
        """(pointer, what the entries belong to, counts) by genes, each by descending count."""
        ...

    @property
    def tails(self) -> Arrays:
        """Nodes of sums below a count; see `Counts.tails`."""
        ...


@dataclass(frozen=True)
class Counts:
    """A count matrix, (N, D), in CSR, float64, without stored zeros.

    Attributes
    ----------
    rows : scipy.sparse.csr_matrix
    weights : ndarray of shape (N,)
        Row weights.
    """

    rows: sp.csr_matrix
    weights: np.ndarray

    @classmethod
    def read(cls, source: RowSource, weights: np.ndarray | None = None) -> Counts:
        """All rows of a source; dense ones become sparse block by block."""
        step = source.n_rows if source.is_sparse else max(1, DENSE_BLOCK // source.n_cols)
        starts = range(0, source.n_rows, step)
        parts = [source.rows(start, min(start + step, source.n_rows)) for start in starts]
        rows = sp.vstack([sp.csr_matrix(part, dtype=np.float64) for part in parts], format="csr")
        return cls.of(rows, np.ones(source.n_rows) if weights is None else weights)

    @classmethod
    def of(cls, rows: Any, weights: np.ndarray) -> Counts:
        """Of an array or CSR, which stays as it is."""
        rows = sp.csr_matrix(rows, dtype=np.float64)
        if rows.nnz and not rows.data.all():
            rows = rows.copy()
            rows.eliminate_zeros()
        return cls(rows, weights)

    def parts(self) -> Iterator[tuple[slice, Counts]]:
        """All rows at once; those of a file come block by block."""
        yield slice(0, self.shape[0]), self

    @property
    def n_stored(self) -> int:
        """Counts that are not zero."""
        return int(self.rows.nnz)

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows.shape

    @property
    def stored(self) -> Arrays:
        """(indptr, indices, counts) by rows."""
        return self.rows.indptr, self.rows.indices, self.rows.data

    def part(self, rows: slice) -> Arrays:
        """`stored` of some rows."""
        return self.rows.indptr[rows.start : rows.stop + 1], self.rows.indices, self.rows.data

    @cached_property
    def totals(self) -> np.ndarray:
        """Counts of each row, (N,)."""
        return np.asarray(self.rows.sum(1), dtype=np.float64).reshape(-1)

    @cached_property
    def factorials(self) -> np.ndarray:
        """``sum_g log x!`` of each row, (N,)."""
        logs = self.rows.copy()
        logs.data = gammaln(logs.data + 1.0)
        return np.asarray(logs.sum(1)).reshape(-1)

    @cached_property
    def columns(self) -> Arrays:
        """(pointer, rows, counts) by columns, each by descending count."""
        return sorted_columns(self.rows)

    @cached_property
    def tails(self) -> Arrays:
        """(pointer, m, weight, rank, owned): nodes of the sums over m < x, gene by gene.

        `rank` entries of the gene have more than m counts; `owned` is their weight by the node's.
        """
        return tail_sums(self.columns, self.weights[self.columns[1]])

    @property
    def gene_totals(self) -> np.ndarray:
        """Weighted counts of every gene, (D,)."""
        return np.asarray(self.rows.T @ self.weights)

    def active(self, shares: np.ndarray) -> Listed:
        """The components of each row, by responsibilities (N, K), weighted."""
        return listed(shares, self.weights)


def sorted_columns(rows: sp.csr_matrix) -> Arrays:
    """(pointer, rows, counts) by columns, each by descending count."""
    from lowdim.mixture._counts.layout import sort_columns

    columns = rows.tocsc()
    sort_columns(columns.indptr, columns.indices, columns.data)
    return columns.indptr, columns.indices, columns.data


def tail_sums(columns: Arrays, weights: np.ndarray) -> Arrays:
    """`Counts.tails` of entries by columns, and of the weight of each entry."""
    from lowdim.mixture._counts.layout import EVERY, LONGEST_PIECE, PIECE, tail_nodes

    shapes = -np.cos(np.pi * np.arange(PIECE) / (PIECE - 1))
    levels = int(np.log2(LONGEST_PIECE // EVERY)) + 1
    pieces = np.stack([piece_weights(shapes, EVERY * 2**level) for level in range(levels)])
    pointer, _, counts = columns
    ends = np.empty(len(pointer), np.int64)
    empty = np.empty(0), np.empty(0), np.empty(0, np.int64)
    n = tail_nodes(pointer, counts, shapes, pieces, False, *empty, ends)
    nodes = np.empty(n), np.empty(n), np.empty(n, np.int64)
    tail_nodes(pointer, counts, shapes, pieces, True, *nodes, ends)
    # The weight of a gene's first entries: a difference of running sums.
    running = np.append(0.0, np.cumsum(weights))
    begin = np.repeat(pointer[:-1], np.diff(ends))
    owned = nodes[1] * (running[begin + nodes[2]] - running[begin])
    return ends, *nodes, owned


def listed(responsibilities: np.ndarray, weights: np.ndarray) -> Listed:
    """Each row's components with a share that matters, weighted."""
    from lowdim.mixture._counts.layout import list_active

    n = int(np.count_nonzero(responsibilities >= NEGLIGIBLE))
    pointer = np.empty(len(responsibilities) + 1, np.int64)
    component, share = np.empty(n, np.int32), np.empty(n)
    n = list_active(responsibilities, weights, NEGLIGIBLE, pointer, component, share)
    return pointer, component[:n], share[:n]


#: Responsibilities below this are left out of the M-step.
NEGLIGIBLE = 1e-12

"""A weighted graph of rows: what an affinity makes, and what an embedding is fitted to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from lowdim._threads import in_threads, row_parts

#: Rows that are worth a thread.
THREAD_ROWS = 2000


@dataclass(frozen=True)
class Graph:
    """How much rows belong together.

    Attributes
    ----------
    matrix : csr_matrix of shape (N, N), float32
        Symmetric, without stored zeros, columns sorted; its indices are int32 where they fit.
        Entropic and other joint probabilities sum to one, memberships are between 0 and 1.
    bandwidths : (N,), float64, or None
        Length scale of each row's kernel, in units of the distances, where there is one.
    """

    matrix: Any
    bandwidths: np.ndarray | None = None

    @property
    def n_rows(self) -> int:
        """N."""
        return int(self.matrix.shape[0])


def rows_to_csr(indices: np.ndarray, values: np.ndarray, n_points: int) -> Any:
    """Values of each row's neighbours, (n, k), as CSR with sorted columns, (n, n_points)."""
    n, k = indices.shape
    matrix = csr_matrix(
        (values.ravel(), indices.ravel(), np.arange(n + 1, dtype=np.int64) * k),
        shape=(n, n_points),
    )
    return matrix.T.tocsr().T.tocsr()  # sorts by counting, which is faster than by comparing


def mean_of_both(matrix: Any) -> Any:
    """``(P + P') / 2``, with sorted columns and without stored zeros."""
    from lowdim.affinities._union import count, mean

    matrix.sum_duplicates()
    one = matrix.indptr, matrix.indices, matrix.data
    turned = matrix.T.tocsr()
    other = turned.indptr, turned.indices, turned.data
    n = matrix.shape[0]
    indptr = np.zeros(n + 1, np.int64)
    parts = row_parts(n, n // THREAD_ROWS)
    in_threads(lambda own: count(own.start, own.stop, one[:2], other[:2], indptr[1:]), parts)
    np.cumsum(indptr, out=indptr)
    indptr = indptr.astype(np.int32) if indptr[-1] <= np.iinfo(np.int32).max else indptr
    indices = np.empty(indptr[-1], matrix.indices.dtype)
    data = np.empty(indptr[-1], matrix.dtype)
    arrays = one, other, indptr, indices, data
    in_threads(lambda own: mean(own.start, own.stop, *arrays), parts)
    return tidy(csr_matrix((data, indices, indptr), shape=matrix.shape))


def tidy(matrix: Any) -> Any:
    """The same matrix in the form that graphs have; it may share memory."""
    matrix = csr_matrix(matrix, dtype=np.float32)
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return matrix

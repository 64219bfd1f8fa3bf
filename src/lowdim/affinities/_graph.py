"""A weighted graph of rows: what an affinity makes, and what an embedding is fitted to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix


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
    return tidy((matrix + matrix.T.tocsr()) * matrix.dtype.type(0.5))


def tidy(matrix: Any) -> Any:
    """The same matrix in the form that graphs have; it may share memory."""
    matrix = csr_matrix(matrix, dtype=np.float32)
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return matrix

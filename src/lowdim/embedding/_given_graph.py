"""Graphs that users bring along: checked, and made into joint probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp


def joint_probabilities(graph: Any, name: str = "X") -> sp.csr_matrix:
    """A graph as symmetric affinities that sum to one, CSR, (N, N), float32, without a diagonal.

    Raises
    ------
    ValueError
        It is not square, has negative or infinite weights or NaN, or a row without a neighbour.
    """
    matrix = sp.csr_matrix(graph, dtype=np.float64)
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(
            f"{name} has shape {matrix.shape}; a precomputed graph is square, one row and column "
            "per point."
        )
    if not np.isfinite(matrix.data).all() or (matrix.data < 0).any():
        value = matrix.data[~(np.isfinite(matrix.data) & (matrix.data >= 0))][0]
        raise ValueError(f"{name} has a weight of {value:g}; pass finite weights >= 0.")
    matrix = matrix + matrix.T.tocsr()
    matrix.setdiag(0.0)
    matrix.eliminate_zeros()
    alone = np.flatnonzero(np.diff(matrix.indptr) == 0)
    if len(alone):
        raise ValueError(
            f"{name} has {len(alone)} row(s) without a neighbour, first row {alone[0]}; a layout "
            "would lose them: drop these rows or use more neighbours."
        )
    matrix.sort_indices()
    matrix /= matrix.sum()
    return sp.csr_matrix(matrix, dtype=np.float32)

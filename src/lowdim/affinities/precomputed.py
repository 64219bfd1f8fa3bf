"""Affinities that were computed elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator

from lowdim.affinities._graph import Graph, mean_of_both, tidy
from lowdim.affinities.fixed import to_sum_one


class PrecomputedAffinity(BaseEstimator):  # type: ignore[misc]
    """A graph of weights, such as ``adata.obsp["connectivities"]``.

    Weights of the two directions are averaged, and those of a row to itself are left out.

    Parameters
    ----------
    normalize : bool, default=True
        Bring the sum to one, as joint probabilities have it; otherwise weights stay what they are.
    """

    def __init__(self, *, normalize: bool = True) -> None:
        self.normalize = normalize

    def graph(self, weights: Any) -> Graph:
        """The graph of a square matrix of weights, sparse or dense, (N, N).

        Raises
        ------
        ValueError
            It is not square, has negative or no finite weights, or none but on its diagonal.
        """
        matrix = csr_matrix(weights, dtype=np.float32, copy=True)
        n = matrix.shape[0]
        if matrix.shape[1] != n:
            raise ValueError(f"weights has shape {matrix.shape}; pass a square matrix, (N, N).")
        wrong = ~(np.isfinite(matrix.data) & (matrix.data >= 0))
        if wrong.any():
            row = int(np.searchsorted(matrix.indptr, int(wrong.argmax()), side="right")) - 1
            raise ValueError(
                f"weights has a negative or infinite weight, or NaN, in row {row}; pass weights >= "
                "0. Distances are for lowdim.neighbors.from_graph."
            )
        matrix.sum_duplicates()
        matrix.setdiag(0)
        matrix = tidy(matrix)
        if not matrix.nnz:
            raise ValueError("weights has none that is not zero between two rows; pass some.")
        joint = mean_of_both(matrix)
        return Graph(to_sum_one(joint) if self.normalize else joint)

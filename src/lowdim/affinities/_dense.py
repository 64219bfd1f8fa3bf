"""What affinities of all pairs of rows have in common: they take N x N numbers."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator

from lowdim._validation import check_in
from lowdim.affinities._graph import Graph
from lowdim.neighbors import NeighborIndex

#: The most rows: beyond, one matrix alone takes more than 3 GB.
MOST_ROWS = 20_000
KERNELS = ("gaussian", "student")


class DenseAffinity(BaseEstimator):  # type: ignore[misc]
    """Affinities of all pairs of rows. For at most 20,000 rows."""

    @abstractmethod
    def from_squares(self, squares: np.ndarray) -> Graph:
        """The graph of rows whose squared distances, (N, N), are known."""

    def graph(self, X: Any, *, metric: str = "euclidean") -> Graph:
        """The graph of the rows of X; `metric` is one of `nearest_neighbors`."""
        return self.from_squares(all_squares(X, metric))


def all_squares(X: Any, metric: str) -> np.ndarray:
    """Squared distances of all pairs, (N, N), float64, zero on the diagonal."""
    index = NeighborIndex(X, metric=metric, method="exact")
    n = index.n_points
    if n > MOST_ROWS:
        raise ValueError(
            f"X has {n} rows, and this affinity takes N x N numbers; pass at most "
            f"{MOST_ROWS} rows, or use an affinity of neighbours such as EntropicAffinity."
        )
    found = index.neighbors(n - 1)
    distances = found.distances.astype(np.float64)
    squares = np.zeros((n, n))
    np.put_along_axis(
        squares, found.indices, distances if metric == "sqeuclidean" else distances**2, axis=1
    )
    return np.maximum(squares, squares.T)


def check_squares(squares: Any) -> np.ndarray:
    """A square matrix of finite numbers that are not negative, float64."""
    values = np.asarray(squares, dtype=np.float64)
    if values.ndim != 2 or values.shape[0] != values.shape[1] or len(values) < 2:
        raise ValueError(f"squares has shape {values.shape}; pass a square matrix, (N, N).")
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise ValueError("squares must be finite and not negative.")
    if not np.allclose(values, values.T, rtol=1e-5, atol=0):
        raise ValueError(
            "squares is not symmetric; pass distances, or their mean in both directions."
        )
    return values


def costs(squares: np.ndarray, kernel: str) -> np.ndarray:
    """Minus the logarithm of a kernel."""
    check_in(kernel, "kernel", KERNELS)
    return np.log1p(squares) if kernel == "student" else squares


def joint(weights: np.ndarray) -> Any:
    """Weights whose rows sum to one as a graph's matrix, in place: symmetric, with the sum one."""
    np.fill_diagonal(weights, 0.0)
    weights += weights.T.copy()
    return csr_matrix((weights / (2.0 * len(weights))).astype(np.float32))

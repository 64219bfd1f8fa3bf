"""Who is near to whom: the result of every search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Neighbors:
    """The nearest points of every row, and how far away they are.

    Attributes
    ----------
    indices : (N, k), int32
        Nearest first; of points at the same distance the lower index comes first. A row is not
        among its own neighbours, but rows that equal it are.
    distances : (N, k), float32
        In the metric's units.
    metric : str
    n_points : int
        Number of points that were searched: N, or that of the reference for rows that are new.
    recall : float or None
        Share of the neighbours of some rows that an exact search finds as well; None after an exact
        search, or if it was not measured.

    Raises
    ------
    ValueError
        Shapes or dtypes do not agree, an index is out of range, or a distance is negative, NaN or
        less than the one before it.
    """

    indices: np.ndarray
    distances: np.ndarray
    metric: str
    n_points: int
    recall: float | None = None

    def __post_init__(self) -> None:
        indices, distances = self.indices, self.distances
        if indices.ndim != 2 or indices.shape != distances.shape or not indices.shape[1]:
            raise ValueError(
                f"indices have shape {indices.shape} and distances {distances.shape}; pass two "
                "arrays of the same shape, (N, k)."
            )
        if indices.dtype != np.int32 or distances.dtype != np.float32:
            raise ValueError(
                f"indices are {indices.dtype} and distances {distances.dtype}; pass int32 and "
                "float32, or use lowdim.neighbors.from_graph."
            )
        if indices.size and (indices.min() < 0 or indices.max() >= self.n_points):
            raise ValueError(
                f"indices go from {indices.min()} to {indices.max()}, but there are "
                f"n_points={self.n_points}; pass indices of points."
            )
        if not (distances >= 0).all():
            row = int(np.flatnonzero(~(distances >= 0).all(1))[0])
            raise ValueError(f"distances of row {row} are negative or NaN; pass distances >= 0.")
        if (np.diff(distances, axis=1) < 0).any():
            row = int(np.flatnonzero((np.diff(distances, axis=1) < 0).any(1))[0])
            raise ValueError(
                f"distances of row {row} do not ascend; sort them, or use "
                "lowdim.neighbors.from_graph."
            )

    @property
    def n_rows(self) -> int:
        """Rows whose neighbours these are."""
        return len(self.indices)

    @property
    def n_neighbors(self) -> int:
        """Neighbours of each row, k."""
        return int(self.indices.shape[1])

    def nearest(self, n_neighbors: int) -> Neighbors:
        """The first few of the neighbours."""
        if not 1 <= n_neighbors <= self.n_neighbors:
            raise ValueError(
                f"n_neighbors={n_neighbors} of the {self.n_neighbors} that were sought; pass a "
                "number between 1 and that, or search again."
            )
        part = np.ascontiguousarray
        return Neighbors(
            part(self.indices[:, :n_neighbors]),
            part(self.distances[:, :n_neighbors]),
            self.metric,
            self.n_points,
            self.recall,
        )

    def to_csr(self) -> Any:
        """Distances as a CSR matrix, (N, n_points), k stored values a row."""
        from scipy.sparse import csr_matrix

        indptr = np.arange(self.n_rows + 1, dtype=np.int64) * self.n_neighbors
        return csr_matrix(
            (self.distances.ravel().copy(), self.indices.ravel().copy(), indptr),
            shape=(self.n_rows, self.n_points),
        )

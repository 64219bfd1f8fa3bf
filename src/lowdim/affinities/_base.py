"""What affinities have in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator

from lowdim._validation import check_positive_int
from lowdim.affinities._graph import Graph
from lowdim.neighbors import NeighborIndex, Neighbors

if TYPE_CHECKING:
    from lowdim._typing import DeviceLike


class NeighborAffinity(BaseEstimator):  # type: ignore[misc]
    """How much rows belong to their nearest neighbours.

    Parameters only; what comes of them is in the graph that `from_neighbors` or `graph` returns.
    """

    @abstractmethod
    def n_neighbors_for(self, n_points: int) -> int:
        """Neighbours that each of so many rows needs, less than `n_points`."""

    @abstractmethod
    def from_neighbors(self, neighbors: Neighbors) -> Graph:
        """The graph of rows whose neighbours among each other are known."""

    @abstractmethod
    def conditional(self, neighbors: Neighbors) -> Any:
        """How much each row belongs to its neighbours, CSR, (n, n_points), not symmetrised.

        Rows may be new ones, with neighbours among the points of a fit.
        """

    def graph(
        self,
        X: Any,
        *,
        metric: str = "euclidean",
        method: str = "auto",
        random_state: Any = None,
        n_jobs: int | None = None,
        device: DeviceLike = "cpu",
    ) -> Graph:
        """The graph of the rows of X; arguments are those of `nearest_neighbors`."""
        index = NeighborIndex(
            X,
            metric=metric,
            method=method,
            random_state=random_state,
            n_jobs=n_jobs,
            device=device,
        )
        return self.from_neighbors(index.neighbors(self.n_neighbors_for(index.n_points)))


def check_own(neighbors: Neighbors) -> None:
    """Raise ValueError unless these are the neighbours of the points themselves."""
    if neighbors.n_rows != neighbors.n_points:
        raise ValueError(
            f"neighbors are those of {neighbors.n_rows} rows among {neighbors.n_points} points; a "
            "graph needs neighbours of the points themselves. Use conditional for new rows."
        )


def squared_distances(neighbors: Neighbors) -> np.ndarray:
    """Squares of the distances, (n, k), in whose units kernels are; those of "sqeuclidean" are."""
    if neighbors.metric == "sqeuclidean":
        return neighbors.distances
    return np.square(neighbors.distances)


def count_neighbors(
    n_neighbors: Any, default: int, n_points: int, name: str = "n_neighbors"
) -> int:
    """A number of neighbours as given: "auto" for the default, "all" for all other points."""
    if isinstance(n_neighbors, str) and n_neighbors in ("auto", "all"):
        return n_points - 1 if n_neighbors == "all" else min(default, n_points - 1)
    k = check_positive_int(n_neighbors, name)
    if k > n_points - 1:
        raise ValueError(
            f"{name}={k}, but there are {n_points - 1} other points; pass {name} <= "
            f"{n_points - 1}, or 'all'."
        )
    return k

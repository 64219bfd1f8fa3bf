"""Nearest neighbours: exact, in cells, or from a graph."""

from lowdim.neighbors._neighbors import Neighbors
from lowdim.neighbors.graphs import from_graph
from lowdim.neighbors.search import NeighborIndex, nearest_neighbors

__all__ = ["NeighborIndex", "Neighbors", "from_graph", "nearest_neighbors"]

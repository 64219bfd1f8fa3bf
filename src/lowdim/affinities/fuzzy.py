"""UMAP's fuzzy set of neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np

from lowdim._threads import in_threads, row_parts
from lowdim._validation import check_interval, check_positive_int
from lowdim.affinities._base import NeighborAffinity, check_own
from lowdim.affinities._graph import Graph, rows_to_csr, tidy
from lowdim.affinities.entropic import THREAD_ROWS
from lowdim.neighbors import Neighbors


class UMAPAffinity(NeighborAffinity):
    """Memberships of neighbours in a fuzzy set, as UMAP uses them.

    ``v_j|i = exp(-max(0, d_ij - r_i) / s_i)`` with r_i the distance of the nearest neighbour and
    s_i such that memberships of a row sum to ``log2(n_neighbors)``; those of the two directions
    are joined as ``w (a + b - a b) + (1 - w) a b`` (McInnes, Healy and Melville 2018, UMAP,
    section 3.1).

    Parameters
    ----------
    n_neighbors : int, default=15
        Neighbours of a row, itself among them, as umap-learn counts; at least 2.
    set_op_mix_ratio : float, default=1.0
        w: 1 for the union of the directions, 0 for their intersection.
    local_connectivity : float, default=1.0
        So many neighbours of each row are full members; copies of the row do not count.
    """

    def __init__(
        self,
        n_neighbors: int = 15,
        *,
        set_op_mix_ratio: float = 1.0,
        local_connectivity: float = 1.0,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.set_op_mix_ratio = set_op_mix_ratio
        self.local_connectivity = local_connectivity

    def n_neighbors_for(self, n_points: int) -> int:
        """Neighbours that each of so many rows needs: all others if there are too few."""
        return min(check_positive_int(self.n_neighbors, "n_neighbors", minimum=2), n_points) - 1

    def from_neighbors(self, neighbors: Neighbors) -> Graph:
        """Memberships between 0 and 1 of rows whose neighbours are known."""
        check_own(neighbors)
        mix = check_interval(self.set_op_mix_ratio, "set_op_mix_ratio", low=0.0, high=1.0)
        memberships, bandwidths = self._smoothed(neighbors)
        matrix = rows_to_csr(neighbors.indices, memberships, neighbors.n_points)
        other = matrix.T.tocsr()
        both = matrix.multiply(other)
        union = (matrix + other) * np.float32(mix) + both * np.float32(1 - 2 * mix)
        return Graph(tidy(union), bandwidths)

    def conditional(self, neighbors: Neighbors) -> Any:
        """``v_j|i`` of each row, CSR, (n, n_points)."""
        memberships, _ = self._smoothed(neighbors)
        return rows_to_csr(neighbors.indices, memberships, neighbors.n_points)

    def _smoothed(self, neighbors: Neighbors) -> tuple[np.ndarray, np.ndarray]:
        from lowdim.affinities._memberships import smooth

        check_positive_int(self.n_neighbors, "n_neighbors", minimum=2)
        connectivity = check_interval(self.local_connectivity, "local_connectivity", low=0.0)
        k = min(self.n_neighbors - 1, neighbors.n_neighbors)
        distances = np.ascontiguousarray(neighbors.distances[:, :k])
        overall = float(distances.sum(dtype=np.float64)) / (len(distances) * (k + 1))
        made = np.empty_like(distances), np.empty(len(distances)), np.empty(len(distances))
        parts = row_parts(len(distances), len(distances) // THREAD_ROWS)
        tasks = [(distances[part], *(value[part] for value in made)) for part in parts]
        given = connectivity, float(np.log2(k + 1)), overall or 1.0
        in_threads(lambda task: smooth(task[0], *given, *task[1:]), tasks)
        if k < neighbors.n_neighbors:  # those beyond have no membership
            memberships = np.zeros(neighbors.distances.shape, np.float32)
            memberships[:, :k] = made[0]
            return memberships, made[2]
        return made[0], made[2]

"""Local radii of rows: how far their neighbours are."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from lowdim.neighbors import Neighbors

#: Added to a mean squared distance, which then has a logarithm.
FLOOR = 1e-8


def local_radii(weights: sp.csr_matrix, neighbors: Neighbors) -> np.ndarray:
    """``log(sum_j w_ij d_ij^2 / sum_j w_ij)`` of every row, (N,), by its edges in a graph.

    Narayan, Berger and Cho (2021), Assessing single-cell transcriptomic variability through
    density-preserving data visualization.
    """
    distances = neighbors.to_csr()
    if neighbors.metric != "sqeuclidean":
        distances.data **= 2
    both = distances.maximum(distances.T)
    moments = np.asarray(weights.multiply(both).sum(1), dtype=np.float64).ravel()
    totals = np.asarray(weights.sum(1), dtype=np.float64).ravel()
    return np.log(FLOOR + moments / np.maximum(totals, 1e-30))


def standardized(radii: np.ndarray) -> np.ndarray:
    """With mean zero and a variance of one, unless all are the same."""
    centred = radii - radii.mean()
    deviation = centred.std()
    return centred / deviation if deviation > 0 else centred

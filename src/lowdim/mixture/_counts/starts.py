"""Where EM begins: clusters of rows in their leading directions."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning

from lowdim.mixture._counts.matrix import Counts

#: Directions in which k-means looks for clusters, directions beside them, and power iterations.
DIRECTIONS, BESIDE, POWERS = 20, 10, 5


@dataclass
class Starter:
    """Makes labels of rows, (N,), for each restart.

    Attributes
    ----------
    counts : Counts
    sizes : ndarray of shape (N,)
        Size factors.
    n_parts : int
    kind : {"kmeans", "random"}
    rng : numpy.random.Generator
    """

    counts: Counts
    sizes: np.ndarray
    n_parts: int
    kind: str
    rng: np.random.Generator

    def labels(self) -> np.ndarray:
        """Labels of the parts, from 0 on; k-means draws new seeds at every call."""
        n, k = self.counts.shape[0], self.n_parts
        if self.kind == "random" or k == 1:
            return self.rng.permutation(np.arange(n) % k)
        from lowdim.cluster import KMeans

        model = KMeans(k, n_init=1, random_state=self.rng, device="cpu")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return model.fit(self.coordinates, sample_weight=self.counts.weights).labels_

    @cached_property
    def coordinates(self) -> np.ndarray:
        """Log-normalised rows along their leading directions, (N, d)."""
        rows = self.counts.rows.copy()
        rows.data = np.log1p(rows.data / np.repeat(self.sizes, np.diff(rows.indptr)))
        return leading_coordinates(rows, self.counts.weights, DIRECTIONS, self.rng)


def leading_coordinates(
    rows: sp.csr_matrix, weights: np.ndarray, n_directions: int, rng: np.random.Generator
) -> np.ndarray:
    """Coordinates of centred sparse rows along their leading principal axes, (N, d).

    Subspace iteration from random directions (Halko, Martinsson and Tropp 2011). Nothing of the
    size of the matrix is made dense: centring is a correction of rank one.
    """
    n, n_columns = rows.shape
    d = min(n_directions, n, n_columns)
    width = min(d + BESIDE, n, n_columns)
    mean = (rows.T @ weights) / weights.sum()
    axes = rng.normal(size=(n_columns, width))
    for _ in range(POWERS):
        along = (rows @ axes - mean @ axes) * weights[:, None]
        axes = np.linalg.qr(rows.T @ along - np.outer(mean, along.sum(0)))[0]
    along = rows @ axes - mean @ axes
    _, vectors = np.linalg.eigh((along * weights[:, None]).T @ along)
    return np.asarray(along @ vectors[:, ::-1][:, :d])

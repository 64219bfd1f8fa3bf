"""Where EM begins: clusters of rows in their leading directions."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from lowdim.data.blocks import SparseBlock
from lowdim.mixture._counts.matrix import Counts
from lowdim.mixture._subspace.seeds import leading_coordinates

#: Directions in which k-means looks for clusters.
DIRECTIONS = 20


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

    def prepare(self) -> None:
        """Draw what all restarts share, whichever of them is made first."""
        if not self._at_random:
            self.coordinates  # noqa: B018  they are kept

    @property
    def _at_random(self) -> bool:
        return self.kind == "random" or self.n_parts == 1

    def labels(self) -> np.ndarray:
        """Labels of the parts, from 0 on; k-means draws new seeds at every call."""
        n, k = self.counts.shape[0], self.n_parts
        if self._at_random:
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
        mean = np.asarray(rows.mean(0)).ravel()
        block = SparseBlock(rows, mean, 1.0)
        return leading_coordinates(block, self.rng, min(DIRECTIONS, rows.shape[1])).host_rows

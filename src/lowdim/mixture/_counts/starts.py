"""Where EM begins: clusters of rows in their leading directions."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from lowdim.mixture._counts.directions import coordinates_here
from lowdim.mixture._counts.looks import CountsElsewhere
from lowdim.mixture._counts.model import AnyCounts

#: Directions in which k-means looks for clusters.
DIRECTIONS = 20


@dataclass
class Starter:
    """Makes labels of rows, (N,), for each restart.

    Attributes
    ----------
    counts : Counts, CountsOnDisk or CountsElsewhere
    sizes : ndarray of shape (N,)
        Size factors.
    n_parts : int
    kind : {"kmeans", "random"}
    rng : numpy.random.Generator
    """

    counts: AnyCounts | CountsElsewhere
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
        n = min(DIRECTIONS, self.counts.shape[1])
        if isinstance(self.counts, CountsElsewhere):
            return self.counts.coordinates(self.sizes, self.rng, n)
        return coordinates_here(self.counts, self.sizes, self.rng, n)

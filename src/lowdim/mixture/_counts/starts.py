"""Where EM begins: clusters of rows in their leading directions."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning

from lowdim.data.blocks import SparseBlock
from lowdim.mixture._counts.directions import (
    FileBlocks,
    column_sums,
    coordinates_by_passes,
    normalised,
)
from lowdim.mixture._counts.looks import CountsElsewhere
from lowdim.mixture._counts.model import AnyCounts
from lowdim.mixture._counts.on_disk import CountsOnDisk
from lowdim.mixture._subspace.seeds import leading_coordinates

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
        counts = self.counts
        n, d = counts.shape
        n_directions = min(DIRECTIONS, d)
        if isinstance(counts, CountsElsewhere):
            return counts.coordinates(self.sizes, self.rng, n_directions)
        mean = sum(column_sums(rows) for _, rows in self._normalised(counts)) / n

        def blocks() -> Iterator[SparseBlock]:
            for where, rows in self._normalised(counts):
                yield SparseBlock(rows, mean, 1.0, where.start)

        if isinstance(counts, CountsOnDisk):
            return coordinates_by_passes(FileBlocks(blocks), n, self.rng, n_directions)
        return leading_coordinates(next(blocks()), self.rng, n_directions).host_rows

    def _normalised(self, counts: AnyCounts) -> Iterator[tuple[slice, sp.csr_matrix]]:
        for where, part in counts.parts():
            yield where, normalised(part, self.sizes[where])

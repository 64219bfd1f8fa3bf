"""Where EM begins: clusters of rows in their leading directions."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from lowdim.data.blocks import SparseBlock
from lowdim.mixture._counts.model import AnyCounts
from lowdim.mixture._counts.on_disk import CountsOnDisk
from lowdim.mixture._subspace.seeds import Projected, leading_coordinates

Blocks = Callable[[], Iterator[SparseBlock]]

#: Directions in which k-means looks for clusters.
DIRECTIONS = 20


@dataclass
class ManyRows:
    """Blocks of rows, made anew for every product with them, as if they were one block."""

    n_rows: int
    blocks: Blocks

    @cached_property
    def squared_norms(self) -> Tensor:
        return torch.cat([block.squared_norms for block in self.blocks()])

    def project(self, directions: Tensor) -> Tensor:
        out = directions.new_empty((len(directions), self.n_rows))
        for block in self.blocks():
            out[:, block.start : block.start + block.n_rows] = block.project(directions)
        return out

    def accumulate(self, coefficients: Tensor) -> Tensor:
        total = coefficients.new_zeros(())
        for block in self.blocks():
            own = coefficients[:, block.start : block.start + block.n_rows]
            total = total + block.accumulate(own)
        return total


@dataclass
class Starter:
    """Makes labels of rows, (N,), for each restart.

    Attributes
    ----------
    counts : Counts or CountsOnDisk
    sizes : ndarray of shape (N,)
        Size factors.
    n_parts : int
    kind : {"kmeans", "random"}
    rng : numpy.random.Generator
    """

    counts: AnyCounts
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
        n, d = self.counts.shape
        sums = [np.asarray(rows.sum(0)).ravel() for _, rows in self._normalised()]
        mean = np.sum(sums, 0) / n
        if isinstance(self.counts, CountsOnDisk):
            block: Projected = ManyRows(n, lambda: self._blocks(mean))
        else:
            block = next(self._blocks(mean))
        return leading_coordinates(block, self.rng, min(DIRECTIONS, d)).host_rows

    def _normalised(self) -> Iterator[tuple[slice, sp.csr_matrix]]:
        """Rows divided by their size factors, and the logarithm of one more than that."""
        for where, part in self.counts.parts():
            rows = part.rows.copy()
            sizes = np.repeat(self.sizes[where], np.diff(rows.indptr))
            rows.data = np.log1p(rows.data / sizes)
            yield where, rows

    def _blocks(self, mean: np.ndarray) -> Iterator[SparseBlock]:
        for where, rows in self._normalised():
            yield SparseBlock(rows, mean, 1.0, where.start)

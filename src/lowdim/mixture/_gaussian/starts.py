"""Where Gaussian mixtures begin: the M-step of clusters that several kinds of k-means find."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from lowdim.cluster._assignment import nearest_labels
from lowdim.cluster._family import CentroidFamily
from lowdim.cluster._fit import run_hard
from lowdim.cluster._seeding import seed
from lowdim.data.blocks import Block, DenseBlock
from lowdim.data.passes import Passes
from lowdim.math.linalg import descending_eigh
from lowdim.mixture._subspace.seeds import leading_coordinates

if TYPE_CHECKING:
    from lowdim.mixture._gaussian.family import GaussianFamily, GaussianParameters

#: The kinds of start that "auto" takes in turn, and all there are.
ALL_STARTS = ("kmeans", "whitened", "random_from_data")
STARTS = (*ALL_STARTS, "k-means++", "random")
#: k-means for a start need not have settled.
LLOYD_STEPS, LLOYD_TOL = 30, 1e-4
#: Directions in which whitened rows are clustered.
WHITE_COLUMNS = 20
#: Clusters with fewer rows per column than this begin with a covariance that leans on that of all.
ROWS_PER_COLUMN = 2


@dataclass(frozen=True)
class Sample(Passes):
    """A few rows as the only block."""

    block: Block
    total_weight: float
    device: torch.device

    def __iter__(self) -> Iterator[Block]:
        yield self.block


@dataclass(frozen=True)
class Starter:
    """Makes starting parameters from a sample of the rows, and re-seeds components.

    Attributes
    ----------
    sample : Block
    n_rows, n_columns : int
        Of the data; the sample may have fewer rows.
    rng : numpy.random.Generator
    """

    sample: Block
    n_rows: int
    n_columns: int
    rng: np.random.Generator

    def without_rows(self) -> Starter:
        """What is known of the rows' shape alone."""
        return replace(self, sample=DenseBlock(torch.empty(0, 0)))

    @cached_property
    def _weights(self) -> Tensor:
        norms = self.sample.squared_norms
        return torch.ones_like(norms) if self.sample.weights is None else self.sample.weights

    def start(self, family: GaussianFamily, n_components: int, kind: str) -> GaussianParameters:
        """Parameters of one restart."""
        if kind in ("kmeans", "whitened"):
            block = self._white() if kind == "whitened" else self.sample
            return self._blended(
                family, self._shares(self._kmeans(block, n_components), n_components)
            )
        if kind == "random":
            shares = self.rng.random((n_components, self.sample.n_rows))
            shares /= shares.sum(0)
            return self._blended(family, torch.from_numpy(shares)[None].to(self._weights.device))
        method = "k-means++" if kind == "k-means++" else "random"
        return self._around(family, seed(self.sample, n_components, method, self.rng))

    def reseed(
        self, family: GaussianFamily, parameters: GaussianParameters, dead: Tensor
    ) -> GaussianParameters:
        """Put dead components at badly explained rows of the sample, as wide as all rows are."""
        scores = family.log_joint(self.sample, parameters).logsumexp(1)
        means, weights = parameters.means.clone(), parameters.weights.clone()
        covariances = parameters.covariances.clone()
        pooled = self._pooled(family)
        for r, k in torch.nonzero(dead).tolist():
            n_worst = max(1, self.sample.n_rows // 20)
            worst = scores[r].nan_to_num(-torch.inf).argsort()[:n_worst].cpu().numpy()
            means[r, k] = self.sample.dense(self.rng.choice(worst, 1))[0]
            weights[r, k] = 1 / weights.shape[1]
            if family.kind != "tied":
                covariances[r, k] = pooled.covariances[0, 0]
        weights /= weights.sum(1, keepdim=True)
        return replace(parameters, means=means, weights=weights, covariances=covariances)

    def smallest_variance(self, family: GaussianFamily) -> float:
        """Of the sample as one component, without what the family adds."""
        covariances = self._pooled(replace(family, reg=0.0)).covariances
        return float(family.shape.smallest(covariances).min())

    # From shares to parameters ----------------------------------------------------------------

    def _maximized(self, family: GaussianFamily, shares: Tensor) -> GaussianParameters:
        """The M-step of the sample under shares (1, K, n)."""
        weighted = shares * self._weights
        total = None
        if family.kind == "tied":
            total = self.sample.second_moments(self._weights[None])[0]
        own = replace(family, total_weight=float(self._weights.sum()), total=total)
        statistics = own.moments(self.sample, weighted)
        return own.maximize(statistics, None)

    def _pooled(self, family: GaussianFamily) -> GaussianParameters:
        """One component for all rows."""
        return self._maximized(family, torch.ones_like(self._weights)[None, None])

    def _blended(self, family: GaussianFamily, shares: Tensor) -> GaussianParameters:
        """The M-step, in which small clusters have wider covariances than their rows alone."""
        fitted = self._maximized(family, shares)
        if family.kind == "tied":
            return fitted
        counts = (shares * self._weights).sum(2)
        counts = counts * (self.sample.n_rows / self._weights.sum())
        columns = fitted.means.shape[2]
        lean = torch.where(counts < ROWS_PER_COLUMN * columns, columns / (counts + columns), 0.0)
        lean = lean.view(*counts.shape, *[1] * (fitted.covariances.ndim - 2))
        pooled = self._pooled(family).covariances
        return replace(fitted, covariances=(1 - lean) * fitted.covariances + lean * pooled)

    def _around(self, family: GaussianFamily, means: Tensor) -> GaussianParameters:
        """Components of equal weight around given means, as wide as all rows are."""
        pooled = self._pooled(family)
        k = len(means)
        covariances = pooled.covariances
        if family.kind != "tied":
            covariances = covariances.expand(1, k, *covariances.shape[2:]).clone()
        return replace(
            pooled,
            weights=means.new_full((1, k), 1 / k),
            means=means[None],
            covariances=covariances,
        )

    # Clusters of the sample -------------------------------------------------------------------

    def _shares(self, labels: np.ndarray, n_components: int) -> Tensor:
        own = torch.from_numpy(labels.astype(np.int64)).to(self._weights.device)
        return torch.nn.functional.one_hot(own, n_components).T.double()[None]

    def _kmeans(self, block: Block, n_clusters: int) -> np.ndarray:
        rows = Sample(block, float(self._weights.sum()), self._weights.device)
        means = seed(block, n_clusters, "greedy-k-means++", self.rng).cpu().numpy()
        family = CentroidFamily(rows, "farthest", self.rng)
        fit = run_hard(family, rows, means[None], max_iter=LLOYD_STEPS, tol=LLOYD_TOL)
        centroids = torch.from_numpy(fit.means[None]).to(rows.device)
        labels: np.ndarray = nearest_labels(block, centroids)[0][0]
        return labels

    def _white(self) -> Block:
        """The sample along its leading directions, each of variance one."""
        block = self.sample
        if self.n_columns > WHITE_COLUMNS:
            block = leading_coordinates(block, self.rng, WHITE_COLUMNS)
        rows = block.dense(np.arange(block.n_rows))
        weights = self._weights[:, None] / self._weights.sum()
        rows = rows - (weights * rows).sum(0)
        values, axes = descending_eigh((weights * rows).T @ rows)
        keep = values > 1e-9 * values[0]
        n = max(1, int(keep.sum()))
        white = rows @ (axes[:n].T / values[:n].clamp(min=1e-300).sqrt())
        return DenseBlock(white.contiguous(), weights=self.sample.weights)

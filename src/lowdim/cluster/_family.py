"""The centroid family: what the EM loop asks of the clusters of k-means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Self, cast

import numpy as np
import torch
from torch import Tensor

from lowdim._device import to_device
from lowdim.data.blocks import Block, Rows
from lowdim.data.passes import BlockList
from lowdim.mixture._family import Parameters, Statistics, block_expectation

#: Share of a cluster's spread by which the halves of a split cluster lie apart.
SPLIT = 1e-2


@dataclass(frozen=True)
class Centroids(Parameters):
    """Clusters around centroids, in standardised units.

    Attributes
    ----------
    weights : (R, K)
        How many rows each cluster owned when the centroids were made.
    means : (R, K, D)
        mu.
    """

    means: Tensor


@dataclass(frozen=True)
class CentroidFamily:
    """Clusters that differ in nothing but their place.

    Attributes
    ----------
    rows : Rows
        Where empty clusters look for a new place.
    empty : {"farthest", "random", "split"}
        How a cluster without rows finds one: at the rows that lie farthest from their centroid,
        at random rows, or beside the centroid of a large cluster.
    rng : numpy.random.Generator
    beta : float
        Stiffness of soft assignment.
    """

    rows: Rows
    empty: str
    rng: np.random.Generator
    beta: float = 1.0

    def parameters(self, means: np.ndarray, weights: np.ndarray | None = None) -> Centroids:
        """Centroids (R, K, D) from arrays on the host, where the rows are."""
        counts = np.ones(means.shape[:2]) if weights is None else weights
        places = np.ascontiguousarray(means, dtype=np.float64)
        device = self.rows.device
        return Centroids(to_device(counts, device), to_device(places, device))

    def to_send(self) -> Self:
        """The family without the rows where empty clusters look for a place."""
        return replace(self, rows=cast(Rows, BlockList([])))

    def log_joint(self, block: Block, parameters: Centroids) -> Tensor:
        """``-beta ||x - mu_k||^2``, (R, K, n)."""
        return self.closeness(block, parameters).mul_(self.beta)

    def closeness(self, block: Block, parameters: Centroids) -> Tensor:
        return squared_distances(block, parameters.means).neg_()

    def expectation(
        self, block: Block, parameters: Centroids, assignment: str, beta: float
    ) -> tuple[Statistics, Tensor]:
        return block_expectation(self, block, parameters, assignment, beta)

    def fused_step(self, data: Rows, parameters: Centroids, assignment: str, beta: float) -> None:
        return None

    def statistics(
        self, block: Block, responsibilities: Tensor, parameters: Centroids
    ) -> Statistics:
        """Counts = sum r, sums = sum r x."""
        flat = responsibilities.flatten(0, 1)
        return {
            "counts": responsibilities.sum(2),
            "sums": block.accumulate(flat).view(parameters.means.shape),
        }

    def maximize(
        self, statistics: Statistics, parameters: Centroids, *, closest: bool = False
    ) -> Centroids:
        """Mu = sum r x / sum r; a cluster without rows stays where it is."""
        counts = statistics["counts"]
        means = statistics["sums"] / counts[..., None]
        means = torch.where(counts[..., None] > 0, means, parameters.means)
        return Centroids(weights=counts, means=means)

    def starved(self, statistics: Statistics, parameters: Centroids) -> Tensor:
        return (statistics["counts"] <= 0).cpu()

    def collapsed(self, parameters: Centroids) -> Tensor:
        return torch.zeros(parameters.n_restarts, dtype=torch.bool)

    def reseed(self, parameters: Centroids, dead: Tensor) -> Centroids:
        means = parameters.means.clone()
        places: dict[str, Callable[[Centroids, int, int], Tensor]] = {
            "farthest": self._farthest,
            "random": self._random,
            "split": self._beside,
        }
        for r in torch.nonzero(dead.any(1)).flatten().tolist():
            empty = torch.nonzero(dead[r]).flatten()
            means[r, empty] = places[self.empty](parameters, r, len(empty)).to(means)
        return replace(parameters, means=means)

    def pack(self, parameters: Centroids, reference: np.ndarray | None = None) -> np.ndarray:
        return parameters.means.flatten(1).cpu().numpy().copy()

    def unpack(self, vectors: np.ndarray, like: Centroids) -> Centroids:
        means = to_device(vectors, like.means.device).view(like.means.shape)
        return replace(like, means=means)

    # Places for empty clusters ----------------------------------------------------------------

    def _farthest(self, parameters: Centroids, r: int, n: int) -> Tensor:
        """The n rows that lie farthest from their nearest centroid."""
        found = self.rows.each(partial(_farthest_rows, parameters.means[r][None], n))
        best = sorted((one for own in found for one in own), key=lambda one: (-one[0], one[1]))
        return torch.stack([row for _, _, row in best[:n]])

    def _random(self, parameters: Centroids, r: int, n: int) -> Tensor:
        """N different rows drawn at random, in proportion to their weights."""
        keys: list[tuple[float, Tensor]] = []
        for block in self.rows:  # the largest of u^(1/w): a weighted draw without replacement
            draws = np.log(self.rng.random(block.n_rows))
            if block.weights is not None:
                weights = block.weights.cpu().numpy()
                with np.errstate(divide="ignore"):
                    draws = np.where(weights > 0, draws / weights, -np.inf)
            index = np.argsort(draws)[::-1][:n].copy()
            keys += zip(draws[index].tolist(), block.dense(index), strict=True)
            keys = sorted(keys, key=lambda found: -found[0])[:n]
        return torch.stack([row for _, row in keys])

    def _beside(self, parameters: Centroids, r: int, n: int) -> Tensor:
        """Beside the centroids of the n clusters with the most rows."""
        owned = parameters.weights[r]
        largest = owned.argsort(descending=True, stable=True)[:n]
        largest = largest.repeat(-(-n // len(largest)))[:n]
        centroids = parameters.means[r][largest]
        step = torch.from_numpy(self.rng.normal(size=tuple(centroids.shape)))
        return centroids + SPLIT * step.to(centroids)


def _farthest_rows(means: Tensor, n: int, block: Block) -> list[tuple[float, int, Tensor]]:
    """The n rows of a block farthest from the nearest of (1, K, D): how far, which, and the row."""
    distances = squared_distances(block, means)[0].amin(0)
    if block.weights is not None:
        distances = torch.where(block.weights > 0, distances, -1.0)
    values, index = distances.topk(min(n, len(distances)))
    rows = block.dense(index.cpu().numpy())
    return list(zip(values.tolist(), (index + block.start).tolist(), rows, strict=True))


def squared_distances(block: Block, means: Tensor) -> Tensor:
    """``||x - mu_k||^2``, (R, K, n), for means (R, K, D)."""
    flat = means.flatten(0, 1)
    cross = block.project(flat).double()
    distances = cross.mul_(-2).add_(block.squared_norms).add_(flat.square().sum(1)[:, None])
    return distances.clamp_(min=0).view(*means.shape[:2], -1)

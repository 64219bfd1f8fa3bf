"""Where centroids begin: at rows, or at the means of random parts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from lowdim.cluster._family import squared_distances
from lowdim.data.blocks import Block
from lowdim.data.standardized import StandardizedRows

#: Centroids are sought among all rows up to this number, or so many per cluster, else in a sample.
SAMPLE_ROWS, ROWS_PER_CLUSTER = 10_000, 50


def sample_block(data: StandardizedRows, n_clusters: int, rng: np.random.Generator) -> Block:
    """All rows with their weights, or as many as starts need, drawn by their weights."""
    size = max(SAMPLE_ROWS, ROWS_PER_CLUSTER * n_clusters)
    weight = data.sample_weight
    usable = np.arange(data.n_rows) if weight is None else np.flatnonzero(weight)
    if len(usable) <= size:
        return data.subset(usable)
    p = None if weight is None else weight[usable] / weight[usable].sum()
    block = data.subset(np.sort(rng.choice(usable, size, replace=False, p=p)))
    block.weights = None
    return block


def seed(block: Block, n_clusters: int, method: str, rng: np.random.Generator) -> Tensor:
    """Centroids to begin with, (K, D).

    Parameters
    ----------
    method : {"k-means++", "greedy-k-means++", "random", "random-partition"}
    """
    made: dict[str, Callable[[Block, int, np.random.Generator], Tensor]] = {
        "k-means++": lambda *given: _plus_plus(*given, n_candidates=1),
        "greedy-k-means++": lambda *given: _plus_plus(
            *given, n_candidates=2 + int(np.log(n_clusters))
        ),
        "random": _random_rows,
        "random-partition": _random_partition,
    }
    return made[method](block, n_clusters, rng)


def _weights(block: Block) -> np.ndarray:
    if block.weights is None:
        return np.ones(block.n_rows)
    weights: np.ndarray = block.weights.cpu().numpy()
    return weights


def _plus_plus(
    block: Block, n_clusters: int, rng: np.random.Generator, *, n_candidates: int
) -> Tensor:
    """Rows drawn in proportion to the squared distance from those drawn before.

    Of several candidates the one is kept that leaves the least sum of distances (Arthur and
    Vassilvitskii 2007; the greedy variant is in their section 7).
    """
    weights = _weights(block)
    chosen = [int(rng.choice(block.n_rows, p=weights / weights.sum()))]
    nearest = _distances(block, chosen)[0]
    while len(chosen) < n_clusters:
        potential = weights * nearest
        total = potential.cumsum()
        if total[-1] > 0:
            draws = rng.random(n_candidates) * total[-1]
            candidates = np.minimum(total.searchsorted(draws, side="right"), block.n_rows - 1)
        else:  # fewer different rows than clusters
            candidates = rng.integers(block.n_rows, size=1)
        distances = np.minimum(nearest, _distances(block, candidates.tolist()))
        best = int((distances @ weights).argmin())
        chosen.append(int(candidates[best]))
        nearest = distances[best]
    return block.dense(np.array(chosen))


def _distances(block: Block, rows: list[int]) -> np.ndarray:
    """Squared distances of all rows to some of them, (m, n)."""
    distances: np.ndarray = squared_distances(block, block.dense(np.array(rows))[None])[0].numpy(
        force=True
    )
    return distances


def _random_rows(block: Block, n_clusters: int, rng: np.random.Generator) -> Tensor:
    weights = _weights(block)
    return block.dense(
        rng.choice(block.n_rows, n_clusters, replace=False, p=weights / weights.sum())
    )


def _random_partition(block: Block, n_clusters: int, rng: np.random.Generator) -> Tensor:
    """Means of random parts, which have as many rows as each other up to one."""
    labels = rng.permutation(np.arange(block.n_rows) % n_clusters)
    member = (labels == np.arange(n_clusters)[:, None]) * _weights(block)
    coefficients = member / np.maximum(member.sum(1, keepdims=True), 1e-300)
    return block.accumulate(torch.from_numpy(coefficients).to(block.squared_norms.device))

"""k-means on a sample of rows, for starts."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lowdim.cluster._family import squared_distances
from lowdim.data.blocks import Block, DenseBlock
from lowdim.math.linalg import descending_eigh, orthonormal_rows

#: Rounds of subspace iteration, and directions beyond those wanted.
ROUNDS, OVERSAMPLING = 4, 10
#: k-means has settled when a round lowers the inertia by less than this share.
TOLERANCE = 1e-4


def leading_coordinates(block: Block, rng: np.random.Generator, n_columns: int = 20) -> DenseBlock:
    """The rows' coordinates along their leading principal directions."""
    directions = leading_directions(block, rng, min(n_columns, block.n_rows))
    rows = block.project(directions).double()
    return DenseBlock((rows - rows.mean(1, keepdim=True)).T.contiguous())


def leading_directions(block: Block, rng: np.random.Generator, n: int) -> Tensor:
    """The n leading principal directions of the rows, (n, D), by subspace iteration."""
    width = min(n + OVERSAMPLING, block.n_rows)
    device = block.squared_norms.device
    rows = torch.from_numpy(rng.normal(size=(width, block.n_rows))).to(device)
    for _ in range(ROUNDS):
        # Without the mean: a sample is centred only up to chance.
        rows -= rows.mean(1, keepdim=True)
        directions = orthonormal_rows(block.accumulate(rows))
        rows = block.project(directions).double()
    rows -= rows.mean(1, keepdim=True)
    _, rotation = descending_eigh(rows @ rows.T)
    return rotation[:n] @ directions


def kmeans(
    block: Block, n_clusters: int, rng: np.random.Generator, n_tries: int = 3, max_iter: int = 30
) -> np.ndarray:
    """Labels, (n,), of the best of a few runs of Lloyd's algorithm from k-means++ seeds."""
    on_host = isinstance(block, DenseBlock) and block.values.device.type == "cpu"
    method = _compiled_lloyd if on_host else _lloyd
    runs = [method(block, _plus_plus(block, n_clusters, rng), max_iter) for _ in range(n_tries)]
    labels, _ = min(runs, key=lambda run: run[1])
    return labels


def _distances(block: Block, centres: Tensor) -> Tensor:
    """Squared distances, (K, n)."""
    return squared_distances(block, centres[None])[0]


def _plus_plus(block: Block, n_clusters: int, rng: np.random.Generator) -> Tensor:
    """Seeds drawn in proportion to the squared distance from those drawn before."""
    seeds = [int(rng.integers(block.n_rows))]
    nearest = _distances(block, block.dense(np.array(seeds)))[0]
    while len(seeds) < n_clusters:
        p = nearest.cpu().numpy()
        total = p.sum()
        seeds.append(int(rng.choice(len(p), p=p / total if total > 0 else None)))
        latest = _distances(block, block.dense(np.array(seeds[-1:])))[0]
        nearest = torch.minimum(nearest, latest)
    return block.dense(np.array(seeds))


def _compiled_lloyd(block: Block, centres: Tensor, max_iter: int) -> tuple[np.ndarray, float]:
    """Labels and inertia."""
    from lowdim.mixture._subspace.lloyd import lloyd

    assert isinstance(block, DenseBlock)
    labels, inertia = lloyd(block.host_columns, centres.numpy().copy(), max_iter, TOLERANCE)
    return labels, float(inertia)


def _lloyd(block: Block, centres: Tensor, max_iter: int) -> tuple[np.ndarray, float]:
    """Labels and inertia."""
    inertia = torch.inf
    for _ in range(max_iter):
        # Comparing with the minimum is faster than an argmin over few components.
        d2 = _distances(block, centres)
        least = d2.amin(0)
        member = (d2 == least).double()
        size = member.sum(1, keepdim=True)
        centres = torch.where(size > 0, block.accumulate(member) / size.clamp(min=1), centres)
        previous, inertia = inertia, float(least.sum())
        if inertia > previous * (1 - TOLERANCE):
            break
    d2 = _distances(block, centres)
    return d2.T.contiguous().argmin(1).cpu().numpy(), float(d2.amin(0).sum())

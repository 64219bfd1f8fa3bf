"""The compiled E-step of k-means on the host: centroids in, statistics and labels out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lowdim._threads import in_threads, row_parts
from lowdim.data.blocks import Block, DenseBlock, SparseBlock
from lowdim.mixture._family import Statistics

#: Rows times clusters that are worth a thread.
THREAD_WORK = 50_000
#: Up to so many columns loops over rows are faster than matrix products.
FEW_COLUMNS = 16

Work = Callable[[slice], Any]


def nearest_expectation(block: Block, means: Tensor) -> tuple[Statistics, Tensor]:
    """The block's counts, sums and summed objective for centroids (R, K, D)."""
    counts, sums, objective, _ = _assign(block, means)
    return {"counts": counts, "sums": sums}, objective


def nearest_labels(block: Block, means: Tensor) -> np.ndarray:
    """The nearest centroid of every row, (R, n), int32."""
    if means.device.type == "cpu":
        return _assign(block, means)[3]
    from lowdim.cluster._family import squared_distances

    return squared_distances(block, means).argmin(1).to(torch.int32).cpu().numpy()


def _assign(block: Block, means: Tensor) -> tuple[Tensor, Tensor, Tensor, np.ndarray]:
    r, k, _ = means.shape
    labels = np.empty((r, block.n_rows), np.int32)
    if isinstance(block, SparseBlock):
        work = _sparse_work(block, means, labels)
    else:
        assert isinstance(block, DenseBlock)
        few = means.shape[2] <= FEW_COLUMNS and block.outside is None
        work = (_few_work if few else _dense_work)(block, means, labels)
    parts = in_threads(work, row_parts(block.n_rows, block.n_rows * r * k // THREAD_WORK))
    counts, sums, objective = (sum(values) for values in zip(*parts, strict=True))
    if isinstance(block, SparseBlock):
        sums = (sums - counts[..., None] * block.mean) / block.scale
    return torch.from_numpy(counts), torch.from_numpy(sums), torch.from_numpy(objective), labels


def _few_work(block: DenseBlock, means: Tensor, labels: np.ndarray) -> Work:
    from lowdim.cluster._nearest import nearest_few

    rows, columns, weights = block.host_rows, block.host_columns, block.host_weights
    centres = means.flatten(0, 1).numpy()
    k = means.shape[1]

    def work(part: slice) -> Any:  # whole arrays, since loops over slices of columns are slow
        return nearest_few(rows, columns, part.start, part.stop, weights, centres, k, labels)

    return work


def _dense_work(block: DenseBlock, means: Tensor, labels: np.ndarray) -> Work:
    from lowdim.cluster._nearest import nearest_dense

    rows, norms, weights = block.host_rows, block.squared_norms.numpy(), block.host_weights
    flat = means.flatten(0, 1).numpy()
    directions = np.ascontiguousarray(-2 * flat, dtype=rows.dtype)
    offsets, k = np.square(flat).sum(1).astype(rows.dtype), means.shape[1]

    def work(part: slice) -> Any:
        own = (rows[part], norms[part], weights[part])
        return nearest_dense(*own, directions, offsets, k, labels[:, part])

    return work


def _sparse_work(block: SparseBlock, means: Tensor, labels: np.ndarray) -> Work:
    from lowdim.cluster._nearest import nearest_sparse

    rows, norms = block.rows, block.squared_norms.numpy()
    weights = np.ones(block.n_rows) if block.weights is None else block.weights.numpy()
    flat = means.flatten(0, 1).numpy()
    scaled = -2 * flat.T / block.scale
    directions = np.ascontiguousarray(scaled, dtype=rows.dtype)
    # The rows are centred by what their products lack.
    offsets, k = np.square(flat).sum(1) - block.mean @ scaled, means.shape[1]

    def work(part: slice) -> Any:
        stored = (rows.indptr[part.start : part.stop + 1], rows.indices, rows.data)
        own = (stored, norms[part], weights[part])
        return nearest_sparse(*own, directions, offsets, k, labels[:, part])

    return work

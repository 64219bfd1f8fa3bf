"""The compiled E-step of k-means on the host: centroids in, statistics and labels out."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from lowdim._threads import in_threads, row_parts
from lowdim.data.blocks import Block, DenseBlock, SparseBlock
from lowdim.mixture._family import Statistics

#: Rows times clusters that are worth a thread.
THREAD_WORK = 50_000


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
    from lowdim.cluster._nearest import nearest_dense, nearest_sparse

    r, k, d = means.shape
    flat = means.view(r * k, d).numpy()
    norms = block.squared_norms.numpy()
    weights = np.ones(block.n_rows) if block.weights is None else block.weights.numpy()
    labels = np.empty((r, block.n_rows), np.int32)
    if isinstance(block, DenseBlock):
        rows = block.host_rows
        directions = np.ascontiguousarray(-2 * flat.T, dtype=rows.dtype)
        offsets = np.square(flat).sum(1).astype(rows.dtype)

        def work(part: slice) -> Any:
            own = (rows[part], norms[part], weights[part])
            return nearest_dense(*own, directions, offsets, k, labels[:, part])
    else:
        assert isinstance(block, SparseBlock)
        csr = block.rows
        scaled = -2 * flat.T / block.scale
        directions = np.ascontiguousarray(scaled, dtype=csr.dtype)
        # The rows are centred by what their products lack.
        offsets = np.square(flat).sum(1) - block.mean @ scaled

        def work(part: slice) -> Any:
            stored = (csr.indptr[part.start : part.stop + 1], csr.indices, csr.data)
            own = (stored, norms[part], weights[part])
            return nearest_sparse(*own, directions, offsets, k, labels[:, part])

    parts = in_threads(work, row_parts(block.n_rows, block.n_rows * r * k // THREAD_WORK))
    counts, sums, objective = (sum(values) for values in zip(*parts, strict=True))
    if isinstance(block, SparseBlock):
        sums = (sums - counts[..., None] * block.mean) / block.scale
    return torch.from_numpy(counts), torch.from_numpy(sums), torch.from_numpy(objective), labels

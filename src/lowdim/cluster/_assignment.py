"""The nearest centroid of every row on the host, kept up while the centroids move."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lowdim._threads import in_threads, row_parts
from lowdim.data.blocks import Block, DenseBlock, SparseBlock
from lowdim.mixture._family import Statistics

#: Rows times clusters that are worth a thread.
THREAD_WORK = 50_000


class Assignment:
    """Which centroid is nearest to each row of a block, for R sets of K centroids.

    For every row it keeps an upper bound on the distance to its centroid and a lower bound on the
    distance to all others (Hamerly 2010). When centroids move, the bounds move with them, and a
    row is looked at again only if they no longer tell its centroid. Sums change by the rows that
    change hands; they are made anew after as many changes as there are rows, so that rounding
    stays that of a few plain sums.

    Attributes
    ----------
    means : ndarray of shape (R, K, D)
        The centroids.
    labels : ndarray of shape (R, n), int32
    squares : ndarray of shape (R,)
        Summed squared distances of the rows that the last move looked at: of all of them after
        the first.
    """

    def __init__(self, block: Block, means: np.ndarray) -> None:
        assert isinstance(block, (DenseBlock, SparseBlock))
        (r, k, d), n = means.shape, block.n_rows
        self._norms = block.squared_norms.numpy()
        self._weights = np.ones(n) if block.weights is None else block.weights.numpy()
        self._energy = float(self._norms @ self._weights)
        self.means, self.labels = means, np.full((r, n), -1, np.int32)
        self._upper, self._lower = np.full((r, n), np.inf), np.zeros((r, n))
        self._counts, self._sums = np.zeros((r, k)), np.zeros((r, k, d))
        self._n_changed = np.zeros(r, np.int64)
        self.squares = np.zeros(r)
        self._reassign(block, np.zeros((r, k)))

    def move(self, block: Block, means: np.ndarray) -> None:
        """Follow the centroids; there may be fewer sets of them than there were."""
        if len(means) != len(self.means):
            self._select([int(np.square(self.means - own).sum((1, 2)).argmin()) for own in means])
        moved = np.sqrt(np.square(means - self.means).sum(2))
        self.means = means
        for r in np.flatnonzero(self._n_changed >= block.n_rows):
            self.labels[r], self._upper[r] = -1, np.inf
            self._counts[r], self._sums[r], self._n_changed[r] = 0.0, 0.0, 0
        self._reassign(block, moved)

    def statistics(self, block: Block) -> Statistics:
        """Counts = sum w, sums = sum w x, of the rows of every cluster."""
        counts, sums = self._counts.copy(), self._sums.copy()
        if isinstance(block, SparseBlock):
            sums = (sums - counts[..., None] * block.mean) / block.scale
        return {"counts": torch.from_numpy(counts), "sums": torch.from_numpy(sums)}

    def objective(self, statistics: Statistics) -> Tensor:
        """Minus the summed squared distances of all rows to their centroids, (R,)."""
        means, counts = torch.from_numpy(self.means), statistics["counts"]
        gained = (2 * statistics["sums"] - counts[..., None] * means).mul_(means).sum((1, 2))
        return gained - self._energy

    def _select(self, index: list[int]) -> None:
        """Go on from some of the sets of centroids: bounds hold wherever these move from here."""
        for name in ("means", "labels", "_upper", "_lower", "_counts", "_sums", "_n_changed"):
            setattr(self, name, getattr(self, name)[index])

    def _reassign(self, block: Block, moved: np.ndarray) -> None:
        n, (r, k) = block.n_rows, moved.shape
        rival = moved.copy()  # of all other centroids the move that went farthest
        farthest = moved.argmax(1)
        rival[:] = moved.max(1, keepdims=True)
        if k > 1:
            rival[np.arange(r), farthest] = np.partition(moved, -2, 1)[:, -2]
        prepared = [(_sparse if isinstance(block, SparseBlock) else _dense)(block, own)
                    for own in self.means]

        def work(task: tuple[int, slice]) -> Any:
            r, part = task
            function, of_rows, of_centroids = prepared[r]
            counts, sums = np.zeros_like(self._counts[r]), np.zeros_like(self._sums[r])
            state = self.labels[r, part], self._upper[r, part], self._lower[r, part]
            changed, squares = function(
                of_rows(part), self._norms[part], self._weights[part], of_centroids,
                moved[r], rival[r], state, counts, sums,
            )
            return counts, sums, changed, squares

        tasks = list(product(range(r), row_parts(n, n * k * r // THREAD_WORK)))
        self.squares = np.zeros(r)
        for (own, _), (counts, sums, changed, squares) in zip(
            tasks, in_threads(work, tasks), strict=True
        ):
            self._counts[own] += counts
            self._sums[own] += sums
            self._n_changed[own] += changed
            self.squares[own] += squares


def _dense(block: DenseBlock, means: np.ndarray) -> Any:
    from lowdim.cluster._nearest import reassign_dense

    rows = block.host_rows
    centroids = means.astype(rows.dtype)
    reach = float(np.square(means).sum(1).max())
    slack = (means.shape[1] + 16) * np.finfo(rows.dtype).eps
    return reassign_dense, lambda part: rows[part], (centroids, reach, slack)


def _sparse(block: SparseBlock, means: np.ndarray) -> Any:
    from lowdim.cluster._nearest import reassign_sparse

    rows = block.rows
    scaled = -2 * means.T / block.scale
    directions = np.ascontiguousarray(scaled, dtype=rows.dtype)
    squares = np.square(means).sum(1)
    # The rows are centred by what their products lack.
    offsets = squares - block.mean @ scaled
    reach = float(squares.max() + np.square(block.mean / block.scale).sum())
    slack = 2 * (means.shape[1] + 16) * np.finfo(rows.dtype).eps

    def of_rows(part: slice) -> Any:
        return rows.indptr[part.start : part.stop + 1], rows.indices, rows.data

    return reassign_sparse, of_rows, (directions, offsets, reach, slack)


def nearest_labels(block: Block, means: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The nearest centroid of every row, (R, n), int32, and summed squared distances, (R,)."""
    if means.device.type == "cpu":
        found = Assignment(block, means.numpy())
        return found.labels, found.squares
    from lowdim.cluster._family import squared_distances

    least, labels = squared_distances(block, means).min(1)
    if block.weights is not None:
        least = least * block.weights
    return labels.to(torch.int32).cpu().numpy(), least.sum(1).cpu().numpy()

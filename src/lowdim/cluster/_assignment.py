"""The nearest centroid of every row on the host, kept up while the centroids move."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lowdim._checkpoint import Arrays
from lowdim._threads import in_threads, row_parts
from lowdim.data.blocks import Block, DenseBlock, SparseBlock

#: Rows times clusters that are worth a thread.
THREAD_WORK = 50_000


class State(NamedTuple):
    """What is known of some rows for R sets of centroids.

    Attributes
    ----------
    labels : (R, n), int32
        The nearest centroid; -1 for rows that have none yet.
    upper, lower : (R, n)
        Bounds on the distance to it, less `travelled`, and on that to any other, plus `rival`.
    travelled, rival : (R, K)
        How far each centroid has moved so far, and the farthest that any other has at each move.
    counts, sums : (R, K), (R, K, D)
        Weight, and weighted sum of what is stored, of the rows of each cluster.
    changes : (R,)
        How often a label has changed since the sums were made.
    squares : (R,)
        Summed squared distances of the rows that had no label before the last move.
    """

    labels: np.ndarray
    upper: np.ndarray
    lower: np.ndarray
    travelled: np.ndarray
    rival: np.ndarray
    counts: np.ndarray
    sums: np.ndarray
    changes: np.ndarray
    squares: np.ndarray


class Assignment:
    """Which centroid is nearest to each row of a block, for R sets of K centroids.

    For every row there are an upper bound on the distance to its centroid and a lower bound on
    the distance to all others (Hamerly 2010, Making k-means even faster). Bounds move as far as
    centroids do, and a row is looked at again only where they no longer tell its centroid. Sums
    change by the rows that change hands, and are made anew after as many changes as there are
    rows, so that rounding stays that of a few plain sums.

    Parameters
    ----------
    block : Block
    means : ndarray of shape (R, K, D)
    earlier : dict of arrays, optional
        The `state` of another one for the same rows, to go on from.
    """

    def __init__(self, block: Block, means: np.ndarray, earlier: Arrays | None = None) -> None:
        assert isinstance(block, (DenseBlock, SparseBlock))
        (r, k, d), n = means.shape, block.n_rows
        norms = block.squared_norms.numpy()
        weights = np.ones(n) if block.weights is None else block.weights.numpy()
        self._energy = float(norms @ weights)
        self._stored = (block.mean, block.scale) if isinstance(block, SparseBlock) else None
        parts = row_parts(n, n * k * r // THREAD_WORK)
        self._rows = [(_part(block, part), norms[part], weights[part]) for part in parts]
        self._states = [
            State(
                labels=np.full((r, part.stop - part.start), -1, np.int32),
                upper=np.full((r, part.stop - part.start), np.inf),
                lower=np.zeros((r, part.stop - part.start)),
                travelled=np.zeros((r, k)),
                rival=np.zeros((r, k)),
                counts=np.zeros((r, k)),
                sums=np.zeros((r, k, d)),
                changes=np.zeros(r, np.int64),
                squares=np.zeros(r),
            )
            for part in parts
        ]
        self._means = means
        if earlier is not None and len(earlier) == 1 + len(parts) * len(State._fields):
            self._means = earlier["means"].copy()
            self._states = [
                State(*(earlier[f"{part}.{name}"].copy() for name in State._fields))
                for part in range(len(parts))
            ]
        self.move(means)

    def state(self) -> Arrays:
        """What is known of the rows; a copy."""
        known = {
            f"{part}.{name}": value.copy()
            for part, own in enumerate(self._states)
            for name, value in own._asdict().items()
        }
        return {"means": self._means.copy(), **known}

    def move(self, means: np.ndarray) -> None:
        """Follow the centroids, (R, K, D); there may be fewer sets of them than there were."""
        if len(means) != len(self._means):
            # Bounds hold wherever centroids go from here; those of the nearest hold best.
            index = [int(np.square(self._means - own).sum((1, 2)).argmin()) for own in means]
            self._means = self._means[index]
            self._states = [State(*(value[index] for value in own)) for own in self._states]
        from lowdim.cluster._nearest import reassign_dense, reassign_sparse

        reassign = reassign_dense if self._stored is None else reassign_sparse
        tasks = zip(self._rows, self._states, strict=True)
        in_threads(lambda task: reassign(*task[0], self._means, means, task[1]), tasks)
        self._means = means

    @property
    def labels(self) -> np.ndarray:
        """The nearest centroid of every row, (R, n), int32."""
        return np.concatenate([own.labels for own in self._states], axis=1)

    @property
    def squares(self) -> np.ndarray:
        """Summed squared distances of the rows, if the centroids have not moved yet, (R,)."""
        return np.sum([own.squares for own in self._states], axis=0)

    def sums(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Counts (R, K) and sums (R, K, D) of the rows, and minus the squared distances, (R,)."""
        counts = np.sum([own.counts for own in self._states], axis=0)
        sums = np.sum([own.sums for own in self._states], axis=0)
        if self._stored is not None:
            mean, scale = self._stored
            sums = (sums - counts[..., None] * mean) / scale
        doubled = 2 * sums - counts[..., None] * self._means
        return counts, sums, np.einsum("rkd,rkd->r", doubled, self._means) - self._energy


def _part(block: DenseBlock | SparseBlock, part: slice) -> Any:
    """Some rows of a block, as compiled functions take them."""
    if isinstance(block, DenseBlock):
        return block.host_rows[part]
    rows = block.rows
    own = rows.indptr[part.start : part.stop + 1]
    return own, rows.indices, rows.data, block.mean, block.scale


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

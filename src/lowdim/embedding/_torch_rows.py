"""Pairs of a sparse matrix on a device, in blocks of rows, and sums over them by row.

Layouts lie with their coordinates apart, (c, N), and so do numbers of pairs, (c, m): each axis is
contiguous. A sum goes through the pairs of its row in their order, whatever runs beside it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lowdim._device import to_device

#: Pairs that are looked at together.
BLOCK = 1 << 23


class RowBlock(NamedTuple):
    """The pairs of some rows.

    Attributes
    ----------
    rows, pairs : slice
    counts : (n,), int32
        Pairs of each row.
    columns : (m,), int32
        The other point of every pair.
    """

    rows: slice
    pairs: slice
    counts: Tensor
    columns: Tensor

    def spread(self, values: Tensor) -> Tensor:
        """What every pair has of its row's values, (c, m) of (c, N)."""
        return spread(values[:, self.rows], self.counts, len(self.columns))

    def gaps(self, Y: Tensor, others: Tensor | None = None) -> Tensor:
        """From the other point of every pair to its row's, (c, m)."""
        others = Y if others is None else others
        return self.spread(Y).sub_(others.index_select(1, self.columns))

    def sums(self, values: Tensor) -> Tensor:
        """Of the pairs of each row, (..., n) of (..., m)."""
        return stretch_sums(values, self.counts)


def row_blocks(
    indptr: np.ndarray,
    indices: np.ndarray,
    device: torch.device,
    *,
    loads: np.ndarray | None = None,
) -> list[RowBlock]:
    """Blocks of whole rows.

    Parameters
    ----------
    indptr, indices : (N + 1,), (m,)
        Of CSR.
    device : torch.device
    loads : (N + 1,), optional
        How much work there is up to each row, in pairs; by default its pairs are.
    """
    loads = indptr if loads is None else loads
    filled = np.arange(BLOCK, loads[-1], BLOCK)
    edges = np.unique([0, *np.searchsorted(loads, filled, side="right") - 1, len(loads) - 1])
    blocks = []
    for first, last in pairwise(edges.tolist()):
        pairs = slice(int(indptr[first]), int(indptr[last]))
        counts = np.diff(indptr[first : last + 1]).astype(np.int32)
        columns = np.ascontiguousarray(indices[pairs], dtype=np.int32)
        sent = to_device(counts, device), to_device(columns, device)
        blocks.append(RowBlock(slice(first, last), pairs, *sent))
    return blocks


def spread(values: Tensor, counts: Tensor, size: int) -> Tensor:
    """Columns of (c, n), each repeated so many times, `size` in all, (c, m)."""
    return torch.repeat_interleave(values, counts, 1, output_size=size)


def stretch_sums(values: Tensor, counts: Tensor) -> Tensor:
    """Sums of stretches of the last axis, each of so many numbers, (..., n) of (..., m)."""
    if not values.shape[-1]:
        return values.new_zeros(*values.shape[:-1], len(counts))
    lengths = counts.expand(*values.shape[:-1], -1)
    # Checks of the lengths would wait for the device; they are those of a matrix.
    return torch.segment_reduce(values, "sum", lengths=lengths, axis=values.ndim - 1, unsafe=True)


def squared_lengths(gaps: Tensor) -> Tensor:
    """``sum_k g_k^2``, (m,) of (c, m)."""
    squares = gaps[0] * gaps[0]
    for gap in gaps[1:]:
        squares.addcmul_(gap, gap)
    return squares


def places(Y: Tensor) -> np.ndarray:
    """A layout as an array on the host, (N, c) of (c, N)."""
    return np.ascontiguousarray(Y.t().cpu().numpy())


def apart(Y: np.ndarray, device: torch.device) -> Tensor:
    """A layout on a device with its coordinates apart, (c, N) of (N, c), float32; a copy."""
    return to_device(np.array(Y.T, dtype=np.float32, order="C"), device)

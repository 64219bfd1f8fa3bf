"""Rows on their way to an accelerator: sent as they are stored, and standardised there.

Each block leaves from pinned memory on a stream of its own while the one before it is worked on, so
that reading, sending and computing go on side by side, and no more than three blocks of rows are on
the device. Stored values of sparse rows travel; dense blocks are made of them where they arrive,
since products with these beat sparse ones there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lowdim.data.blocks import DenseBlock
from lowdim.data.sending import Sender

#: Share of a device's free memory that standardised rows may fill; the rest is for what is
#: computed from them.
RESIDENT = 0.4


class HostRows(NamedTuple):
    """Some rows as they are stored, the number of the first, and their weights."""

    start: int
    rows: Any  # an array or CSR
    weights: np.ndarray | None


class DeviceRows:
    """Makes standardised blocks on an accelerator.

    Parameters
    ----------
    device, dtype : torch.device, torch.dtype
        Of the blocks.
    mean : ndarray of shape (D,)
    scale : float
    farthest : float
        Rows that reach farther out than this, in units of the scale, are scaled down to it.
    """

    def __init__(
        self,
        device: torch.device,
        dtype: torch.dtype,
        mean: np.ndarray,
        scale: float,
        farthest: float,
    ) -> None:
        self.device, self.dtype = device, dtype
        self.scale, self.farthest = scale, farthest
        self._mean = torch.from_numpy(mean).to(device)
        self._sender = Sender(device)

    def blocks(self, pieces: Iterable[HostRows]) -> Iterator[DenseBlock]:
        """A block for every piece, the next one of which is sent before it is handed out."""
        for piece, parts in self._sender.ahead((piece, _arrays(piece)) for piece in pieces):
            weights = None if piece.weights is None else parts.pop()
            yield self._block(piece.start, piece.rows.shape, parts, weights)

    def _block(
        self, start: int, shape: tuple[int, int], parts: list[Tensor], weights: Tensor | None
    ) -> DenseBlock:
        """Standardised in float64, whatever the precision of the rows and of the block."""
        values = parts[0] if len(parts) == 1 else _dense(shape, *parts)
        values = values.to(torch.float64, copy=True).sub_(self._mean).div_(self.scale)
        largest = values.abs().amax(1, keepdim=True)
        values *= self.farthest / largest.clamp(min=self.farthest)
        return DenseBlock(values.to(self.dtype), start, weights)


def _arrays(piece: HostRows) -> list[np.ndarray]:
    """What is sent of a piece."""
    rows = piece.rows
    arrays = [rows] if isinstance(rows, np.ndarray) else [rows.indptr, rows.indices, rows.data]
    return arrays if piece.weights is None else [*arrays, piece.weights]


def _dense(shape: tuple[int, int], indptr: Tensor, indices: Tensor, data: Tensor) -> Tensor:
    """CSR rows as a matrix, (n, D), float64."""
    n, n_columns = shape
    counts = indptr.long().diff()
    rows = torch.repeat_interleave(
        torch.arange(n, device=data.device), counts, output_size=len(data)
    )
    out = torch.zeros(n * n_columns, dtype=torch.float64, device=data.device)
    return out.index_add_(0, rows * n_columns + indices, data.double()).view(shape)

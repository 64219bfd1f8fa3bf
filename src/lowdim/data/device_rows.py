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

#: Share of a device's free memory that standardised rows may fill; the rest is for what is
#: computed from them.
RESIDENT = 0.4


class HostRows(NamedTuple):
    """Some rows as they are stored, the number of the first, and their weights."""

    start: int
    rows: Any  # an array or CSR
    weights: np.ndarray | None


class _Sent(NamedTuple):
    """Rows that are on their way, and what tells that they have arrived."""

    start: int
    shape: tuple[int, int]
    parts: list[Tensor]
    weights: Tensor | None
    arrived: torch.cuda.Event


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
        self._stream = torch.cuda.Stream(device)

    def blocks(self, pieces: Iterable[HostRows]) -> Iterator[DenseBlock]:
        """A block for every piece, the next one of which is sent before it is handed out."""
        before: _Sent | None = None
        for piece in pieces:
            sent = self._send(piece)
            if before is not None:
                yield self._block(before)
            before = sent
        if before is not None:
            yield self._block(before)

    def _send(self, piece: HostRows) -> _Sent:
        rows = piece.rows
        dense = isinstance(rows, np.ndarray)
        arrays = [rows] if dense else [rows.indptr, rows.indices, rows.data]
        if piece.weights is not None:
            arrays.append(piece.weights)
        pinned = [_pinned(own) for own in arrays]
        with torch.cuda.stream(self._stream):
            parts = [own.to(self.device, non_blocking=True) for own in pinned]
        weights = None if piece.weights is None else parts.pop()
        return _Sent(piece.start, rows.shape, parts, weights, self._stream.record_event())

    def _block(self, sent: _Sent) -> DenseBlock:
        """Standardised in float64, whatever the precision of the rows and of the block."""
        computing = torch.cuda.current_stream(self.device)
        computing.wait_event(sent.arrived)
        for part in (*sent.parts, sent.weights):
            if part is not None:  # its memory is not given away while it is read
                part.record_stream(computing)
        values = sent.parts[0] if len(sent.parts) == 1 else _dense(sent.shape, *sent.parts)
        values = values.to(torch.float64, copy=True).sub_(self._mean).div_(self.scale)
        largest = values.abs().amax(1, keepdim=True)
        values *= self.farthest / largest.clamp(min=self.farthest)
        return DenseBlock(values.to(self.dtype), sent.start, sent.weights)


def _pinned(array: np.ndarray) -> Tensor:
    """A copy from which the device fetches by itself; torch keeps it until that is done."""
    kept = {"float32": torch.float32, "int32": torch.int32, "int64": torch.int64}
    dtype = kept.get(array.dtype.name, torch.float64)
    out = torch.empty(array.shape, dtype=dtype, pin_memory=True)
    out.numpy()[...] = array
    return out


def _dense(shape: tuple[int, int], indptr: Tensor, indices: Tensor, data: Tensor) -> Tensor:
    """CSR rows as a matrix, (n, D), float64."""
    n, n_columns = shape
    counts = indptr.long().diff()
    rows = torch.repeat_interleave(
        torch.arange(n, device=data.device), counts, output_size=len(data)
    )
    out = torch.zeros(n * n_columns, dtype=torch.float64, device=data.device)
    return out.index_add_(0, rows * n_columns + indices, data.double()).view(shape)

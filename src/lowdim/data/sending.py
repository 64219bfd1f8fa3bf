"""Arrays on their way to an accelerator: from pinned memory, a piece ahead of what is computed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

Piece = TypeVar("Piece")


class _Sent(NamedTuple):
    """Arrays that are on their way, and what tells that they have arrived."""

    parts: list[Tensor]
    arrived: torch.cuda.Event


class Sender:
    """Sends pieces on a stream of its own.

    Parameters
    ----------
    device : torch.device
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._stream = torch.cuda.Stream(device)

    def ahead(
        self, pieces: Iterable[tuple[Piece, Sequence[np.ndarray]]]
    ) -> Iterator[tuple[Piece, list[Tensor]]]:
        """Every piece and its arrays there; the next one is sent before they are handed out."""
        before: tuple[Piece, _Sent] | None = None
        for piece, arrays in pieces:
            sent = piece, self._send(arrays)
            if before is not None:
                yield before[0], self._arrived(before[1])
            before = sent
        if before is not None:
            yield before[0], self._arrived(before[1])

    def _send(self, arrays: Sequence[np.ndarray]) -> _Sent:
        pinned_arrays = [pinned(own) for own in arrays]
        with torch.cuda.stream(self._stream):
            parts = [own.to(self.device, non_blocking=True) for own in pinned_arrays]
        return _Sent(parts, self._stream.record_event())

    def _arrived(self, sent: _Sent) -> list[Tensor]:
        computing = torch.cuda.current_stream(self.device)
        computing.wait_event(sent.arrived)
        for part in sent.parts:  # its memory is not given away while it is read
            part.record_stream(computing)
        return sent.parts


def pinned(array: np.ndarray) -> Tensor:
    """A copy from which the device fetches by itself; torch keeps it until that is done."""
    kept = {"float32": torch.float32, "int32": torch.int32, "int64": torch.int64}
    dtype = kept.get(array.dtype.name, torch.float64)
    out = torch.empty(array.shape, dtype=dtype, pin_memory=True)
    out.numpy()[...] = array
    return out


def sent(array: np.ndarray, device: torch.device) -> Tensor:
    """An array on a device: sent from pinned memory behind what that is at, shared on the host."""
    if device.type == "cpu":
        return torch.from_numpy(array)
    return pinned(array).to(device, non_blocking=True)

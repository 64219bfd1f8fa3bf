"""Orthonormal columns on a device, for leading eigenvectors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from lowdim._device import to_host
from lowdim.data.sending import sent


class DeviceBasis:
    """A `Basis` of tensors, float64: the host waits once for each block that it takes in.

    Parameters
    ----------
    n_rows, most : int
        Length and largest number of columns.
    device : torch.device
    """

    def __init__(self, n_rows: int, most: int, device: torch.device) -> None:
        self.n_rows, self.device = n_rows, device
        self._room = torch.empty((most, n_rows), dtype=torch.float64, device=device)
        self._size = 0
        self._next = torch.empty((n_rows, 0), dtype=torch.float64, device=device)

    @property
    def width(self) -> int:
        return self._next.shape[1]

    @property
    def columns(self) -> Tensor:
        """All columns so far, (D, m)."""
        return self._room[: self._size].T

    def follow(self, draws: np.ndarray | None = None) -> None:
        V, block = self.columns, self._next
        if draws is not None:
            block = sent(draws, self.device)
        block = block[:, : self.n_rows - self._size]
        for _ in range(2):  # once leaves what rounding has left
            block = torch.linalg.qr(block - V @ (V.T @ block)).Q
        self._next = block

    def grow(self, product: Callable[[Tensor], Tensor]) -> tuple[np.ndarray, np.ndarray]:
        block, last = self._next, self._size
        self._size += block.shape[1]
        V = self.columns
        V[:, last:] = block
        image = product(block)
        column = V.T @ image
        rest = image - V @ column
        self._next, R = torch.linalg.qr(rest - V @ (V.T @ rest))
        found = to_host(column, R)
        return found[0], found[1]

    def turn(self, turn: np.ndarray) -> None:
        turned = sent(np.ascontiguousarray(turn.T), self.device) @ self._room[: self._size]
        self._size = turn.shape[1]
        self._room[: self._size] = turned

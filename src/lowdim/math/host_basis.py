"""Orthonormal columns on the host, for leading eigenvectors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


class HostBasis:
    """A `Basis` of arrays.

    Parameters
    ----------
    n_rows, most : int
        Length and largest number of columns.
    """

    def __init__(self, n_rows: int, most: int) -> None:
        self.n_rows = n_rows
        self._room = np.empty((n_rows, most), order="F")
        self._size, self._next = 0, np.empty((n_rows, 0))

    @property
    def width(self) -> int:
        """Columns of the next block."""
        return self._next.shape[1]

    @property
    def columns(self) -> np.ndarray:
        """All columns so far, (D, m)."""
        return self._room[:, : self._size]

    def follow(self, draws: np.ndarray | None = None) -> None:
        """Make the next block, or one of draws, orthonormal to all columns."""
        V, block = self.columns, self._next if draws is None else draws
        block = block[:, : self.n_rows - self._size]
        for _ in range(2):  # once leaves what rounding has left
            block = np.linalg.qr(block - V @ (V.T @ block))[0]
        self._next = block

    def grow(self, product: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Take the block in; its image along all columns, and what is left along the next one."""
        block, last = self._next, self._size
        self._size += block.shape[1]
        V = self.columns
        V[:, last:] = block
        image = product(block)
        column = V.T @ image
        rest = image - V @ column
        self._next, R = np.linalg.qr(rest - V @ (V.T @ rest))
        return column, R

    def turn(self, turn: np.ndarray) -> None:
        """Turn the columns into others."""
        turned = self.columns @ turn
        self._size = turn.shape[1]
        self._room[:, : self._size] = turned

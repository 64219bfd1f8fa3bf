"""Rows about their mean on a device: what principal axes need to know of them.

Blocks come as mixtures have them (`StandardizedRows`): they stay there where they fit, and are sent
anew in every pass otherwise.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lowdim._device import resolve_dtype, to_device, to_host
from lowdim.data.sources import RowSource
from lowdim.data.standardized import StandardizedRows

#: Residuals below this, relative to the largest eigenvalue, are rounding of float32 products.
SINGLE = 1e-6


class DeviceCentredRows:
    """Sums over rows about their mean, which are found on a device and added up in float64.

    Products are those of rows divided by one number, in the precision of the data.

    Parameters
    ----------
    source : RowSource
    device : torch.device

    Attributes
    ----------
    mean : (D,), float64
    """

    def __init__(self, source: RowSource, device: torch.device) -> None:
        dtype = resolve_dtype(None, source.dtype)
        self._rows = StandardizedRows(source, device=device, dtype=dtype)
        self.mean, self._unit = self._rows.mean, self._rows.scale**2

    def squares(self) -> np.ndarray:
        """``sum_i (x_i - mean) (x_i - mean)'``, (D, D)."""
        total = self._zeros(self._rows.n_columns, self._rows.n_columns)
        for block in self._rows:
            ones = torch.ones((1, block.n_rows), dtype=torch.float64, device=self._rows.device)
            total += block.second_moments(ones)[0]
        return to_host(total)[0] * self._unit

    def total(self) -> float:
        """Sum of all squares about the mean."""
        total = self._zeros()
        for block in self._rows:
            total += block.squared_norms.sum()
        return float(to_host(total)[0]) * self._unit

    def scatter(self, directions: Tensor) -> Tensor:
        """``sum_i (x_i - mean) (x_i - mean)' W`` for directions W, (D, w), float64."""
        total = self._zeros(directions.shape[1], self._rows.n_columns)
        for block in self._rows:
            total += block.accumulate(block.project(directions.T))
        return total.T * self._unit

    def reachable(self, tol: float) -> float:
        """A tolerance, no smaller than products of such a precision can meet."""
        return max(tol, SINGLE) if self._rows.dtype == torch.float32 else tol

    def _zeros(self, *shape: int) -> Tensor:
        return torch.zeros(shape, dtype=torch.float64, device=self._rows.device)


def device_coordinates(
    source: RowSource, axes: np.ndarray, mean: np.ndarray, scale: float, device: torch.device
) -> np.ndarray:
    """Rows about a mean along axes, (D, w), as (N, w) in the dtype of the data.

    Parameters
    ----------
    scale : float
        What rows are divided by before they are multiplied, and what comes of it is multiplied
        with: about their spread.
    """
    dtype = resolve_dtype(None, source.dtype)
    rows = StandardizedRows(source, device=device, dtype=dtype, moments=(mean, scale))
    directions = to_device(np.ascontiguousarray(axes.T * scale), device)
    made = [to_host(block.project(directions))[0].T for block in rows]
    return np.concatenate(made).astype(source.dtype, copy=False)


def device_svd(rows: np.ndarray, device: torch.device) -> tuple[np.ndarray, np.ndarray]:
    """Singular values, (r,), and right singular vectors, (r, D), of a matrix, (N, D)."""
    values, axes = torch.linalg.svd(to_device(rows, device), full_matrices=False)[1:]
    found = to_host(values, axes)
    return found[0], found[1]

"""Sparse matrices on a device."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor


def csr_tensor(pointer: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
    """A CSR matrix of what is known to be one."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta state")
        return torch.sparse_csr_tensor(
            pointer.int(), columns.int(), values, size=shape, check_invariants=False
        )

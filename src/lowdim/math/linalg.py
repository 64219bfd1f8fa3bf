"""Batched linear algebra on tensors whose rows are directions."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


def descending_eigh(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues in descending order, (..., n), and eigenvectors as rows, (..., n, n)."""
    # Only the lower triangle is read, so rounding in the upper one does not matter.
    values, vectors = torch.linalg.eigh(matrix)
    return values.flip(-1), vectors.mT.flip(-2)


def orthonormal_rows(rows: Tensor) -> Tensor:
    """An orthonormal basis, (..., w, D), whose first j rows span the first j rows given.

    Householder QR: rows that depend on earlier ones are replaced by arbitrary orthonormal
    directions, so the result always has full rank (w <= D).
    """
    return torch.linalg.qr(rows.mT).Q.mT


def packed_to_symmetric(packed: Tensor, n: int) -> Tensor:
    """Upper triangles in row order, (..., n (n + 1) / 2), to symmetric matrices (..., n, n)."""
    return packed[..., _packed_position(n, packed.device)]


@lru_cache(maxsize=16)
def _packed_position(n: int, device: torch.device) -> Tensor:
    """Where each entry of an n x n symmetric matrix stands among its packed upper triangle."""
    i, j = torch.triu_indices(n, n, device=device)
    position = torch.empty((n, n), dtype=torch.int64, device=device)
    position[i, j] = position[j, i] = torch.arange(len(i), device=device)
    return position


def procrustes_align(rows: Tensor, reference: Tensor) -> Tensor:
    """Rotate rows, (..., m, D), within their span so that they lie closest to the reference."""
    u, _, vh = torch.linalg.svd(reference @ rows.mT)
    return (u @ vh) @ rows

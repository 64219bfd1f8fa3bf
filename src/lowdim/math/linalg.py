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


def leading_axes(rows: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Squared singular values, (..., n), and right singular vectors, (..., n, D), of (..., m, D).

    Through the smaller of the two Gram matrices, which is far faster than an SVD and accurate
    down to singular values of about 1e-6 of the largest.
    """
    if rows.shape[-2] > rows.shape[-1]:
        squares, axes = descending_eigh(rows.mT @ rows)
        return squares[..., :n].clamp(min=0), axes[..., :n, :]
    squares, rotation = descending_eigh(rows @ rows.mT)
    squares = squares[..., :n].clamp(min=0)
    axes = rotation[..., :n, :] @ rows
    return squares, axes / squares.clamp(min=1e-300).sqrt()[..., None]


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

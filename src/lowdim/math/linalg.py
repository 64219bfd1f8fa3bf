"""Batched linear algebra on tensors whose rows are directions."""

from __future__ import annotations

import torch
from torch import Tensor


def symmetrize(matrix: Tensor) -> Tensor:
    """The symmetric part of every matrix, (..., n, n)."""
    return (matrix + matrix.mT) / 2


def descending_eigh(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues in descending order, (..., n), and eigenvectors as rows, (..., n, n)."""
    values, vectors = torch.linalg.eigh(symmetrize(matrix))
    return values.flip(-1), vectors.mT.flip(-2)


def orthonormal_rows(rows: Tensor) -> Tensor:
    """An orthonormal basis, (..., w, D), whose first j rows span the first j rows given.

    Householder QR: rows that depend on earlier ones are replaced by arbitrary orthonormal
    directions, so the result always has full rank (w <= D).
    """
    return torch.linalg.qr(rows.mT).Q.mT


def packed_to_symmetric(packed: Tensor, n: int) -> Tensor:
    """Upper triangles in row order, (..., n (n + 1) / 2), to symmetric matrices (..., n, n)."""
    i, j = torch.triu_indices(n, n, device=packed.device)
    matrix = packed.new_empty((*packed.shape[:-1], n, n))
    matrix[..., i, j] = packed
    matrix[..., j, i] = packed
    return matrix


def procrustes_align(rows: Tensor, reference: Tensor) -> Tensor:
    """Rotate rows, (..., m, D), within their span so that they lie closest to the reference."""
    u, _, vh = torch.linalg.svd(reference @ rows.mT)
    return (u @ vh) @ rows

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

    Rows that depend on earlier ones are replaced by arbitrary orthonormal directions, so the
    result always has full rank (w <= D). Few long rows go through two rounds of Cholesky QR,
    many times faster than Householder's, which takes over where rows are nearly dependent.
    """
    width, n_columns = rows.shape[-2:]
    if n_columns < 4 * width or width == 0:
        return torch.linalg.qr(rows.mT).Q.mT
    flat = rows.reshape(-1, width, n_columns)
    basis, sound = _cholesky_rows(flat / flat.norm(dim=-1, keepdim=True).clamp(min=1e-300))
    basis, again = _cholesky_rows(basis)
    broken = torch.nonzero(~(sound & again)).squeeze(1)
    if len(broken):
        basis[broken] = torch.linalg.qr(flat[broken].mT).Q.mT
    return basis.view(rows.shape)


def _cholesky_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows made orthonormal through their Gram matrix, and where it was well conditioned."""
    factor, info = torch.linalg.cholesky_ex(rows @ rows.mT)
    smallest = factor.diagonal(dim1=-2, dim2=-1).amin(-1)
    sound = (info == 0) & (smallest > 1e-6)
    eye = torch.eye(factor.shape[-1], dtype=factor.dtype, device=factor.device)
    return torch.linalg.solve_triangular(factor, eye, upper=False) @ rows, sound


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

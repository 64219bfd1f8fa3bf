"""Batched linear algebra on tensors whose rows are directions."""

from __future__ import annotations

import numpy as np
import torch
from scipy.linalg import lapack
from torch import Tensor

#: Up to this order, compiled Jacobi rotations beat a call of LAPACK for all eigenpairs.
FEW = 12
#: Between these orders, our compiled way is fastest for the leading eigenpairs alone.
SOME, MANY = 7, 100

#: Numbers that rows are made orthonormal at a time: the work needs several copies of them.
AT_A_TIME = 2**20


def descending_eigh(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues in descending order, (..., n), and eigenvectors as rows, (..., n, n)."""
    # Only the lower triangle is read, so rounding in the upper one does not matter.
    values, vectors = torch.linalg.eigh(matrix)
    return values.flip(-1), vectors.mT.flip(-2)


def by_rotations(n: int, q: int) -> bool:
    """Whether Jacobi rotations are the fastest way to the q leading eigenpairs of order n."""
    return n <= FEW and not _leading_only(n, q)


def _leading_only(n: int, q: int) -> bool:
    """Whether so few eigenpairs are asked for that the others are better left out."""
    return n >= SOME and 2 * q <= n


def leading_eigh(matrices: np.ndarray, q: int) -> tuple[np.ndarray, np.ndarray]:
    """The q largest eigenvalues, descending, (..., q), and eigenvectors as rows, (..., q, n).

    Of each symmetric matrix of a stack, on the host; nan where a matrix is not finite.
    """
    n = matrices.shape[-1]
    if by_rotations(n, q):
        from lowdim.math.small import jacobi

        values, vectors = jacobi(matrices.reshape(-1, n, n).copy())
        values = values.reshape(*matrices.shape[:-2], n)[..., :q].copy()
        return values, vectors.reshape(matrices.shape)[..., :q, :].copy()
    sound = np.isfinite(matrices).all((-1, -2))
    if not sound.all():
        matrices = np.where(sound[..., None, None], matrices, np.eye(n))
    if _leading_only(n, q):
        values, vectors = _leading_part(matrices.reshape(-1, n, n), q)
        values = values.reshape(*matrices.shape[:-2], q)
        vectors = vectors.reshape(*matrices.shape[:-2], q, n)
    else:
        values, vectors = np.linalg.eigh(matrices)
        values = values[..., : -q - 1 : -1].copy()
        vectors = np.ascontiguousarray(vectors.swapaxes(-1, -2)[..., : -q - 1 : -1, :])
    values[~sound] = vectors[~sound] = np.nan
    return values, vectors


def _leading_part(matrices: np.ndarray, q: int) -> tuple[np.ndarray, np.ndarray]:
    """The q largest eigenvalues (C, q) and eigenvectors (C, q, n) of finite matrices (C, n, n)."""
    count, n, _ = matrices.shape
    if n <= MANY:
        from lowdim.math.tridiagonal import leading_pairs

        values, vectors, found = leading_pairs(matrices.copy(), q)
    else:
        values, vectors = np.empty((count, q)), np.empty((count, q, n))
        found = np.zeros(count, bool)
    for c in np.flatnonzero(~found):
        # A transpose, since LAPACK's matrices are laid out by columns.
        w, z, _, _, info = lapack.dsyevr(matrices[c].T, range="I", il=n - q + 1, iu=n)
        if info != 0:
            w, z = (part[..., -q:] for part in np.linalg.eigh(matrices[c]))
        values[c], vectors[c] = w[:q][::-1], z.T[::-1]
    return values, vectors


def leading_pairs(matrix: Tensor, q: int) -> tuple[Tensor, Tensor]:
    """`leading_eigh` of tensors: on their device if that is an accelerator, else on the host."""
    if matrix.device.type == "cpu":
        values, vectors = leading_eigh(matrix.numpy(), q)
        return torch.from_numpy(values), torch.from_numpy(vectors)
    every, axes = descending_eigh(matrix)
    return every[..., :q], axes[..., :q, :]


def leading_axes(rows: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Squared singular values, (..., n), and right singular vectors, (..., n, D), of (..., m, D).

    Through the smaller of the two Gram matrices, which is far faster than an SVD and accurate
    down to singular values of about 1e-6 of the largest.
    """
    if rows.shape[-2] > rows.shape[-1]:
        squares, axes = leading_pairs(rows.mT @ rows, n)
        return squares.clamp(min=0), axes
    squares, rotation = leading_pairs(rows @ rows.mT, n)
    squares = squares.clamp(min=0)
    axes = rotation @ rows
    return squares, axes / squares.clamp(min=1e-300).sqrt()[..., None]


def orthonormal_rows(rows: Tensor) -> Tensor:
    """An orthonormal basis, (..., w, D), whose first j rows span the first j rows given.

    Rows that depend on earlier ones are replaced by arbitrary orthonormal directions, so the
    result always has full rank (w <= D). Few long rows go through two rounds of Cholesky QR;
    Householder's takes over where rows are nearly dependent.
    """
    width, n_columns = rows.shape[-2:]
    if n_columns < 4 * width or width == 0:
        return torch.linalg.qr(rows.mT).Q.mT
    flat = rows.reshape(-1, width, n_columns)
    step = max(1, AT_A_TIME // (width * n_columns))
    parts = [_by_cholesky(part) for part in flat.split(step)]
    basis, sound = (torch.cat(part) for part in zip(*parts, strict=True))
    broken = torch.nonzero(~sound).squeeze(1)
    if len(broken):
        basis[broken] = torch.linalg.qr(flat[broken].mT).Q.mT
    return basis.view(rows.shape)


def _by_cholesky(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows made orthonormal, and where that is to be trusted."""
    basis, sound = _cholesky_rows(rows / rows.norm(dim=-1, keepdim=True).clamp(min=1e-300))
    basis, again = _cholesky_rows(basis)
    return basis, sound & again


def _cholesky_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows made orthonormal through their Gram matrix, and where it was well conditioned."""
    factor, info = torch.linalg.cholesky_ex(rows @ rows.mT)
    smallest = factor.diagonal(dim1=-2, dim2=-1).amin(-1)
    sound = (info == 0) & (smallest > 1e-6)
    eye = torch.eye(factor.shape[-1], dtype=factor.dtype, device=factor.device)
    return torch.linalg.solve_triangular(factor, eye, upper=False) @ rows, sound


def procrustes_align(rows: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Rotate rows, (..., m, D), within their span so that they lie closest to the reference."""
    cross = reference @ rows.swapaxes(-1, -2)
    if cross.shape[-1] == 1:
        return np.where(cross < 0, -rows, rows)
    u, _, vh = np.linalg.svd(cross)
    return (u @ vh) @ rows

"""Leading eigenvectors of a scatter matrix that is known by its products only."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np

logger = logging.getLogger("lowdim")

#: Directions beyond those wanted.
EXTRA = 10
#: Blocks of directions that are kept before the best of them begin anew.
BLOCKS = 6


def leading_axes(
    product: Callable[[np.ndarray], np.ndarray],
    n_columns: int,
    k: int,
    rng: np.random.Generator,
    *,
    tol: float,
    max_iter: int,
) -> tuple[np.ndarray, np.ndarray, int]:
    """The k leading eigenpairs of a symmetric positive matrix, and the number of products.

    A block Krylov space from random directions, with Rayleigh-Ritz and restarts (Musco and Musco
    2015, Randomized block Krylov methods).

    Parameters
    ----------
    product : callable
        Takes (D, w) to the matrix times that.
    n_columns, k : int
        D, and how many are wanted, fewer than D.
    rng : Generator
    tol : float
        Largest residual, relative to the largest eigenvalue.
    max_iter : int
        Products at most.

    Returns
    -------
    values : (k,), falling
    vectors : (D, k)
    n_iter : int
    """
    width = min(k + EXTRA, n_columns)
    block = np.linalg.qr(rng.normal(size=(n_columns, width)))[0]
    basis, images = np.empty((n_columns, 0)), np.empty((n_columns, 0))
    n_iter = 0
    while n_iter < max_iter:
        n_iter += 1
        basis, images = np.hstack([basis, block]), np.hstack([images, product(block)])
        values, turn = np.linalg.eigh(_symmetric(basis.T @ images))
        values, turn = values[::-1][:width], turn[:, ::-1][:, :width]
        vectors = basis @ turn
        residuals = images @ turn - vectors * values
        worst = float(np.linalg.norm(residuals[:, :k], axis=0).max())
        if worst <= tol * max(values[0], 0.0):
            break
        if basis.shape[1] + width > min(BLOCKS * width, n_columns):
            basis, images = vectors, images @ turn
        block = _new_directions(residuals, basis)
        if not block.shape[1]:  # the space holds whatever the matrix makes of it
            break
    else:
        logger.warning(
            "Leading axes have a residual of %.1e after %d passes over the rows; tol=%.1e.",
            worst / values[0],
            max_iter,
            tol,
        )
    return values[:k], vectors[:, :k], n_iter


def _new_directions(block: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """An orthonormal basis of what a block adds to a basis."""
    room = basis.shape[0] - basis.shape[1]
    sizes = np.linalg.norm(block, axis=0)
    block = block[:, sizes > 1e-14 * sizes.max()][:, :room] if sizes.max() > 0 else block[:, :0]
    for _ in range(2):  # once leaves what rounding has left
        block = block - basis @ (basis.T @ block)
        block = np.linalg.qr(block)[0]
    return block


def _symmetric(matrix: np.ndarray) -> np.ndarray:
    return (matrix + matrix.T) / 2

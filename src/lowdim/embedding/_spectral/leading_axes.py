"""Leading eigenvectors of a scatter matrix that is known by its products only."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np

logger = logging.getLogger("lowdim")

#: Directions that are multiplied at once: few need fewer products, many fewer passes over the rows.
WIDTH = 16
#: Eigenvectors beyond those wanted that a space keeps when it begins anew, and its size by then.
EXTRA, LARGEST = 16, 4


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

    Block Lanczos from random directions with full orthogonalisation and thick restarts (Wu and
    Simon 2000). Of the basis V of the space the matrix makes ``V T + Q R E'``, Q being the next
    block and E the last one's columns, so that R tells all residuals.

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
    most = min(LARGEST * (k + EXTRA), n_columns)
    basis, T = np.empty((n_columns, most), order="F"), np.zeros((most, most))
    block = np.linalg.qr(rng.normal(size=(n_columns, min(WIDTH, most))))[0]
    m = n_iter = 0
    while True:
        last, m = m, m + block.shape[1]
        V = basis[:, :m]
        V[:, last:] = block
        image = product(block)
        n_iter += 1
        T[:m, last:m] = V.T @ image
        T[last:m, :m] = T[:m, last:m].T
        rest = image - V @ T[:m, last:m]
        block, R = np.linalg.qr(rest - V @ (V.T @ rest))
        values, turn = np.linalg.eigh(T[:m, :m])
        values, turn = values[::-1], turn[:, ::-1]
        worst = float(np.linalg.norm(R @ turn[last:m, :k], axis=0).max())
        if m == n_columns or (m >= k and worst <= tol * max(values[0], 0.0)):
            break
        if n_iter == max_iter and m >= k:
            _tell(worst / values[0], n_iter, tol)
            break
        if m + WIDTH > most:
            m = min(k + EXTRA, m)
            basis[:, :m] = V @ turn[:, :m]
            T[:m, :m] = np.diag(values[:m])
        if np.abs(R).max() <= 1e-14 * max(values[0], 0.0):  # the space is whole: look elsewhere
            block = rng.normal(size=block.shape)
        block = _apart(block[:, : n_columns - m], basis[:, :m])
    return values[:k].copy(), basis[:, : len(turn)] @ turn[:, :k], n_iter


def _apart(block: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Orthonormal directions across a basis; where a block has fewer, some that are left."""
    for _ in range(2):  # once leaves what rounding has left
        block = np.linalg.qr(block - basis @ (basis.T @ block))[0]
    return block


def _tell(residual: float, n_iter: int, tol: float) -> None:
    logger.warning(
        "Leading axes have a residual of %.1e after %d passes over the rows; tol=%.1e.",
        residual,
        n_iter,
        tol,
    )

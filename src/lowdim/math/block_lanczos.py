"""Leading eigenvectors of a symmetric matrix that is known by its products only."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from lowdim.math.host_basis import HostBasis

logger = logging.getLogger("lowdim")

#: Directions that are multiplied at once: few need fewer products, many fewer passes over the rows.
WIDTH = 16
#: Eigenvectors beyond those wanted that a space keeps when it begins anew, and its size by then.
EXTRA, LARGEST = 16, 4


class Basis(Protocol):
    """Orthonormal columns of a space, and the block of columns that it takes in next.

    Attributes
    ----------
    n_rows : int
        D, length of the columns.
    width : int
        Columns of the next block.
    """

    n_rows: int

    @property
    def width(self) -> int:
        """Columns of the next block."""
        ...

    def follow(self, draws: np.ndarray | None = None) -> None:
        """Make the next block orthonormal to all columns, or one of draws, (D, w), in its place.

        It has no more columns than there are directions left.
        """
        ...

    def grow(self, product: Callable[[Any], Any]) -> tuple[np.ndarray, np.ndarray]:
        """Take the block in, and find the next one in what the matrix makes of it.

        Returns
        -------
        column : (m, w)
            The image of the block along all m columns.
        R : (w, w)
            What is left of it along the next block, orthonormal but for rounding.
        """
        ...

    def turn(self, turn: np.ndarray) -> None:
        """Turn the columns, m of them, into m' others, (m, m')."""
        ...


def leading_axes(
    product: Callable[[np.ndarray], np.ndarray],
    n_columns: int,
    k: int,
    rng: np.random.Generator,
    *,
    tol: float,
    max_iter: int,
) -> tuple[np.ndarray, np.ndarray, int]:
    """The k leading eigenpairs of a symmetric matrix on the host, and the number of products.

    Parameters
    ----------
    product : callable
        Takes (D, w) to the matrix times that.
    n_columns, k : int
        D, and how many are wanted, fewer than D.
    rng, tol, max_iter
        As of `leading_values`.

    Returns
    -------
    values : (k,), falling
    vectors : (D, k)
    n_iter : int
    """
    basis = HostBasis(n_columns, largest_basis(n_columns, k))
    values, n_iter = leading_values(product, basis, k, rng, tol=tol, max_iter=max_iter)
    return values, basis.columns, n_iter


def largest_basis(n_columns: int, k: int) -> int:
    """Columns of a basis for k eigenvectors before it begins anew."""
    return min(LARGEST * (k + EXTRA), n_columns)


def leading_values(
    product: Callable[[Any], Any],
    basis: Basis,
    k: int,
    rng: np.random.Generator,
    *,
    tol: float,
    max_iter: int,
    width: int = WIDTH,
) -> tuple[np.ndarray, int]:
    """The k leading eigenvalues of a symmetric matrix, and the number of products.

    Block Lanczos from random directions with full orthogonalisation and thick restarts (Wu and
    Simon 2000). Of the basis V of the space the matrix makes ``V T + Q R E'``, Q being the next
    block and E the last one's columns, so that R tells all residuals.

    Parameters
    ----------
    product : callable
        Takes (D, w), wherever the basis is, to the matrix times that.
    basis : Basis
        Empty; in the end its columns are the eigenvectors.
    k : int
        How many are wanted, fewer than D.
    rng : Generator
    tol : float
        Largest residual, relative to the largest eigenvalue.
    max_iter : int
        Products at most.
    width : int
        Directions that are multiplied at once.

    Returns
    -------
    values : (k,), falling
    n_iter : int
    """
    n_rows, most = basis.n_rows, largest_basis(basis.n_rows, k)
    T = np.zeros((most, most))
    basis.follow(rng.normal(size=(n_rows, min(width, most))))
    m = n_iter = 0
    while True:
        last, m = m, m + basis.width
        T[:m, last:m], R = basis.grow(product)
        n_iter += 1
        T[last:m, :m] = T[:m, last:m].T
        values, turn = np.linalg.eigh(T[:m, :m])
        values, turn = values[::-1], turn[:, ::-1]
        worst = float(np.linalg.norm(R @ turn[last:m, :k], axis=0).max())
        if m == n_rows or (m >= k and worst <= tol * max(values[0], 0.0)):
            break
        if n_iter == max_iter and m >= k:
            _tell(worst / values[0], n_iter, tol)
            break
        if m + width > most:
            m = min(k + EXTRA, m)
            basis.turn(turn[:, :m])
            T[:m, :m] = np.diag(values[:m])
        whole = np.abs(R).max() <= 1e-14 * max(values[0], 0.0)  # then look elsewhere
        basis.follow(rng.normal(size=(n_rows, basis.width)) if whole else None)
    basis.turn(turn[:, :k])
    return values[:k].copy(), n_iter


def _tell(residual: float, n_iter: int, tol: float) -> None:
    logger.warning(
        "Leading axes have a residual of %.1e after %d passes over the rows; tol=%.1e.",
        residual,
        n_iter,
        tol,
    )

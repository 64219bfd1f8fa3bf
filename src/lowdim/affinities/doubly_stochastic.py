"""Affinities whose rows and columns all have the same sum."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import cg
from sklearn.exceptions import ConvergenceWarning

from lowdim._validation import check_positive, check_positive_int
from lowdim.affinities._dense import DenseAffinity, check_squares, costs, joint
from lowdim.affinities._graph import Graph

#: Steps between which scalings are taken into the kernel, so that they stay near one.
ABSORB = 20


class SinkhornAffinity(DenseAffinity):
    """The affinity nearest to a kernel, by relative entropy, among the doubly stochastic ones.

    ``P_ij = exp(f_i + f_j - c_ij / eps) / N`` with f such that all rows sum to 1/N, and no
    weight on the diagonal; c are squared distances, or log(1 + squared distance) for a Student
    kernel (Landa, Coifman and Kluger 2021, Doubly stochastic normalization of the Gaussian kernel
    is robust to heteroskedastic noise).

    Parameters
    ----------
    eps : float, default=1.0
        Strength of the entropy, in units of c.
    kernel : {"gaussian", "student"}, default="gaussian"
    tol : float, default=1e-6
        Rows, of a sum of one, may be off by so much.
    max_iter : int, default=1000
        Steps of Sinkhorn's algorithm, symmetric (Knight, Ruiz and Uçar 2014), at most.
    """

    def __init__(
        self,
        eps: float = 1.0,
        *,
        kernel: str = "gaussian",
        tol: float = 1e-6,
        max_iter: int = 1000,
    ) -> None:
        self.eps = eps
        self.kernel = kernel
        self.tol = tol
        self.max_iter = max_iter

    def from_squares(self, squares: np.ndarray) -> Graph:
        """The joint affinities of rows whose squared distances, (N, N), are known."""
        logs = -_scaled(self, squares)
        np.fill_diagonal(logs, -np.inf)
        f = -0.5 * logs.max(1)
        for _ in range(self.max_iter):
            kernel = np.exp(logs + f[:, None] + f)
            scaling, off = _balance(kernel, self.tol, ABSORB)
            f += np.log(scaling)
            if off <= self.tol:
                break
        else:
            _warn(self, off)
        return Graph(joint(np.exp(logs + f[:, None] + f)))


def _balance(kernel: np.ndarray, tol: float, steps: int) -> tuple[np.ndarray, float]:
    """Scalings u with u_i (K u)_i near one, and how far from it."""
    scaling = np.ones(len(kernel))
    for _ in range(steps):
        sums = np.maximum(kernel @ scaling, 1e-300)
        off = float(np.abs(scaling * sums - 1).max())
        if off <= tol:
            break
        scaling = np.sqrt(scaling / sums)
    return scaling, off


class QuadraticAffinity(DenseAffinity):
    """The doubly stochastic affinity nearest to minus the distances, by the sum of squares.

    ``P_ij = max(0, f_i + f_j - c_ij / eps) / N`` with f such that all rows sum to 1/N, and no
    weight on the diagonal: most pairs of rows have none either (Zhang, Mordant, Matsumoto and
    Schiebinger 2023, Manifold learning with sparse regularised optimal transport). f maximises a
    concave function, whose maximum Newton's method finds in few steps.

    Parameters
    ----------
    eps, kernel, tol
        As of `SinkhornAffinity`.
    max_iter : int, default=200
        Of Newton's steps.
    """

    def __init__(
        self,
        eps: float = 1.0,
        *,
        kernel: str = "gaussian",
        tol: float = 1e-6,
        max_iter: int = 200,
    ) -> None:
        self.eps = eps
        self.kernel = kernel
        self.tol = tol
        self.max_iter = max_iter

    def from_squares(self, squares: np.ndarray) -> Graph:
        """The joint affinities of rows whose squared distances, (N, N), are known."""
        cost = _scaled(self, squares)
        np.fill_diagonal(cost, np.inf)
        f = 0.5 * (cost.min(1) + 1.0)
        weights, value = _excess(cost, f)
        for _ in range(self.max_iter):
            gradient = 1.0 - weights.sum(1)
            if np.abs(gradient).max() <= self.tol:
                break
            f, weights, value = _climb(cost, f, _newton(weights, gradient), gradient, value)
        else:
            _warn(self, float(np.abs(gradient).max()))
        return Graph(joint(weights))


def _excess(cost: np.ndarray, f: np.ndarray) -> tuple[np.ndarray, float]:
    """The weights of f, and the concave function whose gradient they give."""
    weights = np.maximum(f[:, None] + f - cost, 0.0)
    return weights, float(f.sum() - 0.25 * np.square(weights).sum())


def _newton(weights: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Newton's step: the pairs that have a weight are the edges of the curvature's graph."""
    active = csr_matrix((weights > 0).astype(np.float64))
    degrees = np.asarray(active.sum(1)).ravel()
    ridge = 1e-8 * max(degrees.max(), 1.0)
    diagonal = degrees + ridge
    step, _ = cg(active + diags(diagonal), gradient, rtol=1e-8, maxiter=1000, M=diags(1 / diagonal))
    return np.asarray(step)


def _climb(
    cost: np.ndarray, f: np.ndarray, step: np.ndarray, gradient: np.ndarray, value: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """As long a step as raises the function enough."""
    slope, length = float(step @ gradient), 1.0
    while True:
        moved = f + length * step
        weights, now = _excess(cost, moved)
        if now >= value + 1e-4 * length * slope or length < 1e-10:
            return moved, weights, now
        length *= 0.5


def _scaled(model: SinkhornAffinity | QuadraticAffinity, squares: np.ndarray) -> np.ndarray:
    """Checked costs in units of eps; a new array."""
    eps = check_positive(model.eps, "eps")
    check_positive(model.tol, "tol")
    check_positive_int(model.max_iter, "max_iter")
    return costs(check_squares(squares), model.kernel) / eps


def _warn(model: DenseAffinity, off: float) -> None:
    warnings.warn(
        f"{type(model).__name__} did not converge: a row's sum is still off by {off:.2g}. Raise "
        "max_iter, tol or eps.",
        ConvergenceWarning,
        stacklevel=3,
    )

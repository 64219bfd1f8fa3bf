"""Affinities that are symmetric, doubly stochastic and of one perplexity at once."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.sparse.linalg import LinearOperator, cg
from sklearn.exceptions import ConvergenceWarning

from lowdim._validation import check_interval, check_positive_int
from lowdim.affinities._dense import DenseAffinity, check_squares, joint
from lowdim.affinities._graph import Graph
from lowdim.affinities.entropic import calibrated

#: Logarithms of weights are at most this: far from the solution, they might overflow.
LARGEST = 300.0
#: Newton's equations are solved to this, by so many steps of conjugate gradients at most, with so
#: much added to their diagonal.
FORCING, CG_STEPS, RIDGE = 1e-2, 300, 1e-8
#: Bandwidths of zero are this, in units of the mean cost; a step takes one to this share at least.
FLOOR, SHRINK = 1e-6, 0.1


class SymmetricEntropicAffinity(DenseAffinity):
    """The symmetric affinity of least cost whose rows have sum one and at least the perplexity.

    ``P_ij = exp((m_i + m_j - 2 d_ij^2) / (e_i + e_j))`` with e_i >= 0 and m_i that maximise the
    dual ``sum_i m_i + (log(perplexity) + 1) e_i - sum_ij (e_i + e_j) P_ij / 2``, divided by N; no
    weight is on the diagonal (Van Assel, Vayer, Flamary and Courty 2023, SNEkhorn: dimension
    reduction with symmetric entropic affinities).

    Parameters
    ----------
    perplexity : float, default=30.0
    tol : float, default=1e-4
        Sums of rows and their entropies may be off by so much.
    max_iter : int, default=200
        Steps of Newton's method, at most.
    """

    def __init__(self, perplexity: float = 30.0, *, tol: float = 1e-4, max_iter: int = 200) -> None:
        self.perplexity = perplexity
        self.tol = tol
        self.max_iter = max_iter

    def from_squares(self, squares: np.ndarray) -> Graph:
        """The joint affinities of rows whose squared distances, (N, N), are known."""
        cost = check_squares(squares).copy()
        n = len(cost)
        perplexity = check_interval(self.perplexity, "perplexity", low=1.0)
        check_positive_int(self.max_iter, "max_iter")
        if perplexity >= n - 1:
            raise ValueError(
                f"perplexity={perplexity:g} needs more rows than the {n} of X; pass a perplexity "
                f"below {n - 1}."
            )
        scale = float(cost.sum() / (n * (n - 1))) or 1.0
        cost /= scale
        start = _start(cost, perplexity)
        np.fill_diagonal(cost, np.inf)
        dual = _Dual(cost, float(np.log(perplexity)) + 1.0)
        x, off = _maximum(dual, start, self.tol, self.max_iter)
        if off > self.tol:
            warnings.warn(
                f"SymmetricEntropicAffinity did not converge: a row's sum or entropy is still off "
                f"by {off:.2g}. Raise max_iter or tol.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return Graph(joint(dual.weights(x)[0]), np.sqrt(x[:n] * scale / 2))


class _Dual:
    """The dual function of ``x = (e, m)``."""

    def __init__(self, cost: np.ndarray, target: float) -> None:
        self.cost, self.target, self.n = cost, target, len(cost)

    def weights(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """P, its logarithm (zero where P is), and the sums of e."""
        e, m = x[: self.n], x[self.n :]
        both = e[:, None] + e
        logs = np.minimum((m[:, None] + m - 2 * self.cost) / both, LARGEST)
        weights = np.exp(logs)
        return weights, np.where(weights > 0, logs, 0.0), both

    def value(self, x: np.ndarray) -> float:
        """What is to be as large as possible."""
        weights, _, both = self.weights(x)
        e, m = x[: self.n], x[self.n :]
        return float(e.sum() * self.target + m.sum() - 0.5 * (both * weights).sum())

    def slopes(self, x: np.ndarray) -> tuple[np.ndarray, LinearOperator, LinearOperator]:
        """The gradient, what each row lacks in entropy and sum; the curvature; its inverse, nearly.

        With ``w_ij = P_ij / (e_i + e_j)`` and ``l_ij = log P_ij``, the curvature is made of blocks
        ``diag(A 1) + A`` for A = w l^2, -w l and w.
        """
        weights, logs, both = self.weights(x)
        sums = weights.sum(1)
        lacking = self.target - sums + np.einsum("ij,ij->i", weights, logs)
        w = weights / both
        blocks = w * logs * logs, -w * logs, w
        a, b, c = (block.sum(1) for block in blocks)

        def curve(v: np.ndarray) -> np.ndarray:
            e, m = v[: self.n], v[self.n :]
            return (
                np.concatenate(
                    [
                        a * e + blocks[0] @ e + b * m + blocks[1] @ m,
                        b * e + blocks[1] @ e + c * m + blocks[2] @ m,
                    ]
                )
                + RIDGE * scale * v
            )

        scale = np.concatenate([a, c]) + 1e-300
        ridged = (1 + RIDGE) * a + 1e-300
        determinant = np.maximum(ridged * (1 + RIDGE) * c - b * b, 1e-12 * ridged * c + 1e-300)

        def flatten(v: np.ndarray) -> np.ndarray:
            e, m = v[: self.n], v[self.n :]
            return np.concatenate(
                [(c * e - b * m) / determinant, (ridged * m - b * e) / determinant]
            )

        shape = (2 * self.n, 2 * self.n)
        gradient = np.concatenate([lacking, 1.0 - sums])
        return gradient, LinearOperator(shape, curve), LinearOperator(shape, flatten)


def _maximum(dual: _Dual, x: np.ndarray, tol: float, max_iter: int) -> tuple[np.ndarray, float]:
    """The maximum over e >= 0, and how far rows are from what they must be.

    Newton's method, projected: bandwidths that are zero and would be less stay where they are
    (Bertsekas 1982, Projected Newton methods for optimization problems with simple constraints).
    """
    n, value = dual.n, dual.value(x)
    for iteration in range(max_iter + 1):
        gradient, curvature, inverse = dual.slopes(x)
        # An entropy above the target is none too much: such a bandwidth goes to zero.
        off = float(max(gradient[:n].max(), np.abs(gradient[n:]).max()))
        if off <= tol or iteration == max_iter:
            break
        free = np.ones(2 * n)
        free[:n] = (x[:n] > 2 * FLOOR) | (gradient[:n] > 0)
        step = _newton(curvature, inverse, gradient, free)
        least = np.concatenate([np.maximum(SHRINK * x[:n], FLOOR), np.full(n, -np.inf)])
        length = 1.0
        while True:
            moved = np.maximum(x + length * step, least)
            now = dual.value(moved)
            if now >= value + 1e-4 * float(gradient @ (moved - x)) or length < 1e-12:
                break
            length *= 0.5
        x, value = moved, now
    return x, off


def _newton(
    curvature: LinearOperator, inverse: LinearOperator, gradient: np.ndarray, free: np.ndarray
) -> np.ndarray:
    """Newton's step of the free variables; the others stay."""
    shape = curvature.shape
    own = LinearOperator(shape, lambda v: free * (curvature @ (free * v)) + (1 - free) * v)
    near = LinearOperator(shape, lambda v: free * (inverse @ (free * v)) + (1 - free) * v)
    step, _ = cg(own, free * gradient, rtol=FORCING, maxiter=CG_STEPS, M=near)
    return np.asarray(free * step)


def _start(cost: np.ndarray, perplexity: float) -> np.ndarray:
    """Both variables of the entropic affinities, which are right but for their symmetry."""
    n = len(cost)
    order = np.argsort(cost + np.diag(np.full(n, -1.0)), axis=1)[:, 1:]
    squares = np.take_along_axis(cost, order, 1)
    _, bandwidths = calibrated(squares.astype(np.float32), perplexity)
    e = np.clip(2 * np.nan_to_num(bandwidths, posinf=1.0) ** 2, 1e-3, None)
    logs = -squares / e[:, None]
    top = logs.max(1)
    return np.concatenate([e, -e * (top + np.log(np.exp(logs - top[:, None]).sum(1)))])

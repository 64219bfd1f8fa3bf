"""Affinities that are symmetric, doubly stochastic and of one perplexity at once."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning

from lowdim._validation import check_interval, check_positive_int
from lowdim.affinities._dense import DenseAffinity, check_squares, joint
from lowdim.affinities._graph import Graph
from lowdim.affinities.entropic import calibrated

#: Steps of L-BFGS that are remembered.
MEMORY = 20


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
    max_iter : int, default=1000
        Of L-BFGS.
    """

    def __init__(
        self, perplexity: float = 30.0, *, tol: float = 1e-4, max_iter: int = 1000
    ) -> None:
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
        # Variables are steps from the start in units of its bandwidths, so that all count alike.
        unit = np.concatenate([start[:n], start[:n]])
        bounds = [(-1.0 + 1e-6, None)] * n + [(None, None)] * n
        found = minimize(
            lambda x: dual(start + unit * x, unit),
            np.zeros(2 * n),
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={
                "maxiter": self.max_iter,
                "maxfun": 2 * self.max_iter,
                "maxcor": MEMORY,
                "gtol": 0.0,
                "ftol": 0.0,
            },
            callback=lambda x: dual.stop(start + unit * x, self.tol),
        )
        x = start + unit * found.x
        off = dual.off(x)
        if off > self.tol:
            warnings.warn(
                f"SymmetricEntropicAffinity did not converge: a row's sum or entropy is still off "
                f"by {off:.2g}. Raise max_iter or tol.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return Graph(joint(dual.weights(x)[0]), np.sqrt(x[:n] * scale / 2))


class _Dual:
    """The dual function, with its sign turned, of ``x = (e, m)``."""

    def __init__(self, cost: np.ndarray, target: float) -> None:
        self.cost, self.target, self.n = cost, target, len(cost)
        self._last: tuple[np.ndarray, tuple[np.ndarray, float]] | None = None

    def weights(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """P, its logarithm, and the sums of e."""
        e, m = x[: self.n], x[self.n :]
        both = e[:, None] + e
        logs = np.minimum((m[:, None] + m - 2 * self.cost) / both, 300.0)
        return np.exp(logs), logs, both

    def gradients(self, x: np.ndarray) -> tuple[np.ndarray, float]:
        """Of the dual: missing entropy and missing sum of each row; and its value."""
        if self._last is not None and np.array_equal(self._last[0], x):
            return self._last[1]
        p, logs, both = self.weights(x)
        sums = p.sum(1)
        entropy = sums - np.einsum("ij,ij->i", p, np.where(p > 0, logs, 0.0))
        value = float(x[: self.n].sum() * self.target + x[self.n :].sum() - 0.5 * (both * p).sum())
        found = np.concatenate([self.target - entropy, 1.0 - sums]), value
        self._last = x.copy(), found
        return found

    def __call__(self, x: np.ndarray, unit: np.ndarray) -> tuple[float, np.ndarray]:
        gradient, value = self.gradients(x)
        return -value, -gradient * unit

    def off(self, x: np.ndarray) -> float:
        """How far rows are from their sum, and below their entropy."""
        gradient, _ = self.gradients(x)
        return float(max(gradient[: self.n].max(), np.abs(gradient[self.n :]).max()))

    def stop(self, x: np.ndarray, tol: float) -> None:
        """End the search once all rows are near enough."""
        if self.off(x) <= tol:
            raise StopIteration


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

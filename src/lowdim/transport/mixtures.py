"""Distances between mixtures of Gaussians: transport of components."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from lowdim._threads import in_threads
from lowdim._validation import check_in
from lowdim.transport.gaussians import spectral_factors, square_roots

#: What a pair of components costs: the power of the distance of their means, and that of the
#: whole cost.
COSTS = {"mw2": (2, 0.5), "mixed": (1, 1.0)}
#: Weights of a mixture sum to one within this.
SUM = 1e-6
#: Pairs that one thread takes at once.
PAIRS = 256


@dataclass(frozen=True)
class Mixtures:
    """One Gaussian mixture per sample; those with fewer components end in zeros.

    Attributes
    ----------
    weights : (S, K)
    means : (S, K, d)
    covariances : (S, K, d, d) or (S, K, d)
        Full or diagonal.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray

    @classmethod
    def of(cls, weights: np.ndarray, means: np.ndarray, covariances: np.ndarray) -> Mixtures:
        """Checked, in float64, with components of no weight at the end and all zero.

        Raises
        ------
        ValueError
            Shapes do not match, a number is not finite, or weights are none.
        """
        weights, means, covariances = (
            np.asarray(part, dtype=np.float64) for part in (weights, means, covariances)
        )
        S, K, d = means.shape if means.ndim == 3 else (0, 0, 0)
        if weights.shape != (S, K) or covariances.shape not in ((S, K, d), (S, K, d, d)):
            raise ValueError(
                f"weights, means and covariances have shapes {weights.shape}, {means.shape} and "
                f"{covariances.shape}; pass (S, K), (S, K, d) and (S, K, d, d) or (S, K, d)."
            )
        sums = weights.sum(1)
        bad = ~(np.isfinite(sums) & (np.abs(sums - 1) <= SUM) & (weights >= 0).all(1))
        if bad.any():
            raise ValueError(
                f"weights of sample {int(bad.argmax())} are not positive numbers with sum one."
            )
        order = np.argsort(weights == 0, axis=1, kind="stable")
        rows = np.arange(S)[:, None]
        weights, means, covariances = (
            weights[rows, order],
            means[rows, order],
            covariances[rows, order],
        )
        used = weights > 0
        if not (np.isfinite(means[used]).all() and np.isfinite(covariances[used]).all()):
            raise ValueError("means and covariances must be finite where weights are not zero.")
        means[~used], covariances[~used] = 0.0, 0.0
        return cls(weights / sums[:, None], means, covariances)

    @property
    def sizes(self) -> np.ndarray:
        """Components of every sample, (S,)."""
        return np.asarray((self.weights > 0).sum(1))

    @property
    def full(self) -> bool:
        """Whether covariances are matrices."""
        return self.covariances.ndim == 4

    def __len__(self) -> int:
        return len(self.weights)

    def take(self, samples: Any) -> Mixtures:
        """Some samples, in the order given."""
        return Mixtures(self.weights[samples], self.means[samples], self.covariances[samples])

    def mapped(self, W: np.ndarray) -> Mixtures:
        """The mixtures of ``W x``, for a map W, (r, d)."""
        W = np.asarray(W, dtype=np.float64)
        spread = W @ self.covariances if self.full else W * self.covariances[..., None, :]
        return Mixtures(self.weights, self.means @ W.T, spread @ W.T)


def mixture_distances(
    mixtures: Mixtures, pairs: np.ndarray | None = None, *, cost: str = "mw2"
) -> np.ndarray:
    """Distances between mixtures: of all pairs, (S, S), or of those given, (n,).

    Components are transported at the least cost (Delon and Desolneux 2020, A Wasserstein-type
    distance in the space of Gaussian mixture models).

    Parameters
    ----------
    mixtures : Mixtures
    pairs : (n, 2), optional
    cost : {"mw2", "mixed"}, default="mw2"
        "mw2" is that paper's distance: components cost their squared W2, and the root is taken; it
        is a metric and scales with the data. "mixed" is ggml-ot's cost, the distance of means plus
        the squared Bures distance of covariances, of which no root is taken.
    """
    from lowdim.transport._mixtures import pair_costs

    mean_power, power = COSTS[check_in(cost, "cost", tuple(COSTS))]
    wanted = np.array(np.triu_indices(len(mixtures), 1)).T if pairs is None else np.asarray(pairs)
    wanted = np.ascontiguousarray(wanted, dtype=np.int64)
    S, K, d = mixtures.means.shape
    factors = np.empty((S, 0, d, d))
    if mixtures.full and d > 1:
        factors, roots = spectral_factors(mixtures.covariances, "covariances")
    else:
        roots = square_roots(mixtures.covariances.reshape(S, K, d), "covariances")
    found = np.empty(len(wanted))
    edges = [*range(0, len(wanted), PAIRS), len(wanted)]

    def solve(part: tuple[int, int]) -> None:
        own = slice(*part)
        pair_costs(
            wanted[own], mixtures.sizes, mixtures.weights, mixtures.means, roots, factors,
            mean_power, found[own],
        )  # fmt: skip

    in_threads(solve, pairwise(edges))
    found = found.clip(min=0) ** power
    if pairs is not None:
        return found
    matrix = np.zeros((S, S))
    matrix[wanted[:, 0], wanted[:, 1]] = matrix[wanted[:, 1], wanted[:, 0]] = found
    return matrix

"""Distances between mixtures of Gaussians: transport of components."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim._device import resolve_device
from lowdim._validation import check_in
from lowdim.transport._pairs import NOTHING, PairCosts, Penalty, checked_pairs, distances_of
from lowdim.transport.gaussians import spectral_factors, square_roots

if TYPE_CHECKING:
    import torch

#: What a pair of components costs: the power of the distance of their means, and that of the
#: whole cost.
COSTS = {"mw2": (2, 0.5), "mixed": (1, 1.0)}
#: Weights of a mixture sum to one within this.
SUM = 1e-6


@dataclass(frozen=True)
class Mixtures:
    """One Gaussian mixture per sample; those with fewer components end in zeros.

    Attributes
    ----------
    weights : (S, K)
    means : (S, K, d)
    covariances : (S, K, d, d) or (S, K, d)
        Full or diagonal.
    shared : (S, K) or None
        Where components recur in several samples, as those of a mixture of all rows do: the number
        of each among the different ones, -1 at the end. Their costs are found only once.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    shared: np.ndarray | None = None

    @classmethod
    def of(cls, weights: np.ndarray, means: np.ndarray, covariances: np.ndarray) -> Mixtures:
        """Checked, in float64, with components of no weight (below 1e-20) at the end and all zero.

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
        weights = np.where(weights < NOTHING, 0.0, weights)
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
        shared = _recurring(used, means, covariances)
        return cls(weights / sums[:, None], means, covariances, shared)

    @property
    def sizes(self) -> np.ndarray:
        """Components of every sample, (S,)."""
        return np.asarray((self.weights > 0).sum(1))

    @property
    def full(self) -> bool:
        """Whether covariances are matrices."""
        return self.covariances.ndim == 4

    @property
    def most(self) -> int:
        """Components of the sample that has the most, K."""
        return self.weights.shape[1]

    def __len__(self) -> int:
        return len(self.weights)

    def take(self, samples: Any) -> Mixtures:
        """Some samples, in the order given."""
        shared = None if self.shared is None else self.shared[samples]
        return Mixtures(
            self.weights[samples], self.means[samples], self.covariances[samples], shared
        )

    def mapped(self, W: np.ndarray) -> Mixtures:
        """The mixtures of ``W x``, for a map W, (r, d)."""
        W = np.asarray(W, dtype=np.float64)
        spread = W @ self.covariances if self.full else W * self.covariances[..., None, :]
        return Mixtures(self.weights, self.means @ W.T, spread @ W.T, self.shared)

    def diagonal(self) -> Mixtures:
        """With the variances only."""
        own = np.diagonal(self.covariances, axis1=2, axis2=3) if self.full else self.covariances
        return Mixtures(self.weights, self.means, own.copy(), self.shared)


def mixture_distances(
    mixtures: Mixtures,
    pairs: Any = None,
    *,
    cost: str = "mw2",
    entropic: float = 0.0,
    debiased: bool = False,
    device: Any = "cpu",
) -> np.ndarray:
    """Distances between mixtures: of all pairs, (S, S), or of those given, (n,).

    Components are transported at the least cost (Delon and Desolneux 2020, A Wasserstein-type
    distance in the space of Gaussian mixture models).

    Parameters
    ----------
    mixtures : Mixtures
    pairs : (n, 2), optional
        Numbers of samples.
    cost : {"mw2", "mixed"}, default="mw2"
        "mw2" is that paper's distance: components cost their squared W2, and the root is taken; it
        is a metric and scales with the data. "mixed" is ggml-ot's cost, the distance of means plus
        the squared Bures distance of covariances, of which no root is taken.
    entropic : float, default=0.0
        Strength of an entropic penalty on plans, relative to the mean cost of each pair; the cost
        of the plan that results is taken, without the penalty. It tends to the exact one as the
        penalty goes, and is no distance: a sample is off itself, as the diagonal tells.
    debiased : bool, default=False
        Take half of what either sample costs to itself, at the penalty of the pair, off an entropic
        cost (Genevay, Peyre and Cuturi 2018, Learning generative models with Sinkhorn
        divergences). Then a sample is at zero from itself; costs below zero, which can be, count
        as zero.
    device : str or torch.device, default="cpu"
        Where entropic plans are found, and what components cost for them; exact plans, which go
        step by step, are found on the host.

    Raises
    ------
    ValueError
        Pairs are of other samples, or an argument cannot be used.

    Warns
    -----
    ConvergenceWarning
        Entropic plans were not found in time.
    """
    power, root = COSTS[check_in(cost, "cost", tuple(COSTS))]
    penalty, where = Penalty.of(entropic, debiased), resolve_device(device)
    n_pairs = len(checked_pairs(pairs, len(mixtures)))
    shared = mixtures.shared
    if shared is not None and not table_pays(shared.max() + 1, n_pairs, mixtures.most):
        shared = None
    if penalty and where.type != "cpu":
        there = _costs_there(mixtures, shared, power, penalty, where)
        return distances_of(there, len(mixtures), pairs, root, penalty, together=True)
    if shared is not None:
        costs = _shared_costs(mixtures, shared, power, penalty)
    else:
        costs = _own_costs(mixtures, power, penalty)
    return distances_of(costs, len(mixtures), pairs, root, penalty)


def table_pays(n_components: int, n_pairs: int, most: int) -> bool:
    """Whether a table of the costs of recurring components is less than what pairs would find.

    Parameters
    ----------
    n_components : int
        Different ones.
    n_pairs : int
        Of samples.
    most : int
        Components of a sample.
    """
    return int(n_components) ** 2 <= 4 * n_pairs * most


def _own_costs(mixtures: Mixtures, power: int, penalty: Penalty) -> PairCosts:
    from lowdim.transport._component_costs import own_entropic_costs
    from lowdim.transport._mixtures import pair_costs

    roots, factors = _spreads(mixtures.means, mixtures.covariances)
    sizes, weights, means = mixtures.sizes, mixtures.weights, mixtures.means

    def costs(part: np.ndarray, penalties: np.ndarray, out: np.ndarray, found: np.ndarray) -> None:
        own = sizes, weights, means, roots, factors, power
        if penalty:
            own_entropic_costs(part, *own, penalties, out, found)
        else:
            pair_costs(part, *own, out)

    return costs


def _shared_costs(
    mixtures: Mixtures, shared: np.ndarray, power: int, penalty: Penalty
) -> PairCosts:
    from lowdim.transport._component_costs import (
        between,
        shared_costs,
        shared_entropic_costs,
    )

    used = shared >= 0
    _, first, rows = np.unique(shared[used], return_index=True, return_inverse=True)
    numbers = np.full(shared.shape, -1)  # of these samples; others may have components of their own
    numbers[used] = rows.reshape(-1)
    sample, component = (index[first] for index in np.nonzero(used))
    means = mixtures.means[sample, component]
    roots, factors = _spreads(means[None], mixtures.covariances[sample, component][None])
    components = means, roots[0], factors[0]
    table = between(components, components, power)
    table = (table + table.T) / 2
    np.fill_diagonal(table, 0)
    sizes = mixtures.sizes

    def costs(part: np.ndarray, penalties: np.ndarray, out: np.ndarray, found: np.ndarray) -> None:
        own = sizes, mixtures.weights, numbers, table
        if penalty:
            shared_entropic_costs(part, *own, penalties, out, found)
        else:
            shared_costs(part, *own, out)

    return costs


def _costs_there(
    mixtures: Mixtures, shared: np.ndarray | None, power: int, penalty: Penalty, where: torch.device
) -> PairCosts:
    """Of entropic plans, on a device."""
    from lowdim.transport._device_pairs import entropic_costs_there

    used = mixtures.weights > 0
    numbers = np.arange(used.sum()) if shared is None else shared[used]
    _, first, rows = np.unique(numbers, return_index=True, return_inverse=True)
    means, covariances = mixtures.means[used][first], mixtures.covariances[used][first]
    roots, factors = _spreads(means[None], covariances[None])
    samples = mixtures.weights[used], np.append(0, np.cumsum(mixtures.sizes)), rows.reshape(-1)
    components = means, roots[0], factors[0]
    return entropic_costs_there(samples, components, power, penalty.strength, where)


def _spreads(means: np.ndarray, covariances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Roots of eigenvalues or variances, (S, K, d), and triangular factors, which may be none."""
    S, K, d = means.shape
    if covariances.ndim == 4 and d > 1:
        factors, roots = spectral_factors(covariances, "covariances")
        return roots, factors
    roots = square_roots(covariances.reshape(S, K, d), "covariances")
    return roots, np.empty((S, 0, d, d))


def _recurring(used: np.ndarray, means: np.ndarray, covariances: np.ndarray) -> np.ndarray | None:
    """The number of every component among the different ones, (S, K), if these are few."""
    rows = means[used]
    if 2 * len(np.unique(rows, axis=0)) > len(rows):
        return None
    rows = np.concatenate([rows, covariances[used].reshape(len(rows), -1)], axis=1)
    different, numbers = np.unique(rows, axis=0, return_inverse=True)
    if 2 * len(different) > len(rows):
        return None
    shared = np.full(used.shape, -1)
    shared[used] = numbers.reshape(-1)
    return shared

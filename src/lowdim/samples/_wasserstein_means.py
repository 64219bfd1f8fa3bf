"""k-means of Gaussians in the Wasserstein distance."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lowdim._threads import in_threads
from lowdim.transport import Mixtures
from lowdim.transport.barycenters import turned
from lowdim.transport.gaussians import spectral_factors, spectral_roots, square_roots

#: Stop when no label changes and the objective falls by a smaller share.
TOLERANCE = 1e-6
#: Gaussians that one thread takes at once.
PART = 256


@dataclass(frozen=True)
class Components:
    """Components of all samples, one after another.

    Attributes
    ----------
    used : (S, K)
        Which there are.
    weights : (M,)
    means : (M, D)
    covariances : (M, D, D) or (M, D)
    """

    used: np.ndarray
    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray

    @classmethod
    def of(cls, mixtures: Mixtures) -> Components:
        """From mixtures."""
        used = mixtures.weights > 0
        return cls(used, mixtures.weights[used], mixtures.means[used], mixtures.covariances[used])

    @property
    def full(self) -> bool:
        """Whether covariances are matrices."""
        return self.covariances.ndim == 3

    def coordinates(self) -> np.ndarray:
        """Means and roots of covariances, (M, D + D (D + 1) / 2) or (M, 2 D)."""
        if not self.full:
            return np.hstack([self.means, square_roots(self.covariances, "covariances")])
        roots = spectral_roots(self.covariances, "covariances")
        i, j = np.tril_indices(roots.shape[1])
        return np.hstack([self.means, roots[:, i, j] * np.where(i == j, 1.0, np.sqrt(2.0))])


@dataclass(frozen=True)
class Grouping:
    """The group of every component, (M,), and the objective as it fell, (n,)."""

    labels: np.ndarray
    objectives: np.ndarray


def wasserstein_means(components: Components, start: Grouping, max_iter: int) -> Grouping:
    """Lower ``sum_k w_k W2^2(component, its barycentre)`` by turns.

    A round takes one step of the fixed point of every barycentre, which lowers the sum as well
    (Alvarez-Esteban et al. 2016), and then reassigns components.
    """
    roots = spectral_roots(components.covariances, "covariances")
    factors, values = spectral_factors(components.covariances, "covariances")
    labels = start.labels
    n_groups = int(labels.max()) + 1
    centers = [_mean(roots, components.weights, labels == f) for f in range(n_groups)]
    objectives: list[float] = []
    for _ in range(max_iter):
        before = labels
        steps = [
            (roots[before == f], components.weights[before == f], centers[f])
            for f in range(n_groups)
        ]
        centers = in_threads(_step, steps)
        means = np.stack(
            [_mean(components.means, components.weights, before == f) for f in range(n_groups)]
        )
        spreads = np.stack([center @ center.T for center in centers])
        labels, squared = _assigned(components.means, values, factors, means, spreads)
        _fill(labels, squared * components.weights, n_groups)
        objectives.append(float(components.weights @ squared))
        settled = len(objectives) > 1 and objectives[-1] >= objectives[-2] * (1 - TOLERANCE)
        if settled and (labels == before).all():
            break
    return Grouping(labels, np.array(objectives))


def _step(group: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    """One step of the fixed point of a barycentre, on factors."""
    roots, weights, center = group
    return np.asarray(np.tensordot(weights / weights.sum(), turned(roots, center), 1))


def _mean(rows: np.ndarray, weights: np.ndarray, own: np.ndarray) -> np.ndarray:
    return np.asarray(np.tensordot(weights[own] / weights[own].sum(), rows[own], 1))


def _assigned(
    means: np.ndarray,
    values: np.ndarray,
    factors: np.ndarray,
    centers: np.ndarray,
    spreads: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest centre of every component, and its squared distance, (M,)."""
    from lowdim.transport._nearest import nearest

    center_factors, center_values = spectral_factors(spreads, "barycentres")
    labels, squared = np.empty(len(means), dtype=np.int64), np.empty(len(means))

    def assign(part: tuple[int, int]) -> None:
        own = slice(*part)
        nearest(
            means[own], values[own], factors[own], centers, center_values, center_factors,
            labels[own], squared[own],
        )  # fmt: skip

    in_threads(assign, pairwise([*range(0, len(means), PART), len(means)]))
    return labels, squared


def _fill(labels: np.ndarray, costs: np.ndarray, n_groups: int) -> None:
    """Give a group that has lost all components the one that costs most, of a larger group."""
    for f in range(n_groups):
        counts = np.bincount(labels, minlength=n_groups)
        if counts[f] == 0:
            far = int(np.where(counts[labels] > 1, costs, -1.0).argmax())
            labels[far], costs[far] = f, 0.0

"""Distributions of samples as one list of components, which may be points."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lowdim.transport import Clouds, Mixtures
from lowdim.transport.mixtures import table_pays

#: Different components that may recur at most: their table of costs, and the twenty or so arrays of
#: its size that training takes, are then less than 1 GiB.
RECURRING = 2500


@dataclass(frozen=True)
class Support:
    """Components of all samples: those of sample s are ``offsets[s]:offsets[s + 1]``.

    Attributes
    ----------
    weights : (n,)
    offsets : (S + 1,)
    rows : (n,)
        Of the arrays below; samples that share components have the same.
    means : (M, D)
    covariances : (M, D, D), (M, D) or None
        Full, diagonal, or none: the components are points.
    """

    weights: np.ndarray
    offsets: np.ndarray
    rows: np.ndarray
    means: np.ndarray
    covariances: np.ndarray | None

    @classmethod
    def of(cls, distributions: Mixtures | Clouds) -> Support:
        """From the distributions of samples; components of no weight are left out.

        Those that recur are listed once, if few enough for a table of the costs between all of
        them. Otherwise every sample has its own, and costs are found pair by pair.
        """
        if isinstance(distributions, Clouds):
            used = distributions.weights > 0
            offsets = np.concatenate([[0], np.cumsum(used)])[distributions.offsets]
            points = distributions.points[used]
            return cls(distributions.weights[used], offsets, np.arange(len(points)), points, None)
        used = distributions.weights > 0
        offsets = np.concatenate([[0], np.cumsum(used.sum(1))])
        weights = distributions.weights[used]
        means, spread = distributions.means[used], distributions.covariances[used]
        if distributions.shared is not None:
            numbers = distributions.shared[used]
            _, first, rows = np.unique(numbers, return_index=True, return_inverse=True)
            n_samples, different = len(distributions), len(first)
            n_pairs = n_samples * (n_samples - 1) // 2
            pays = table_pays(different, n_pairs, distributions.most)
            if pays and different <= min(RECURRING, len(rows) // 2):
                return cls(weights, offsets, rows, means[first], spread[first])
        return cls(weights, offsets, np.arange(len(means)), means, spread)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def is_shared(self) -> bool:
        """Whether samples have components in common."""
        return len(self.rows) > len(self.means)

    @property
    def sizes(self) -> np.ndarray:
        """Components of every sample, (S,)."""
        return np.diff(self.offsets)

    @property
    def masses(self) -> np.ndarray:
        """Mean weight of the components, (M,)."""
        return np.bincount(self.rows, self.weights, minlength=len(self.means)) / len(self)

    def scales(self) -> np.ndarray:
        """Standard deviations of the columns over all samples, one where a column is constant."""
        shares = self.masses
        mean = shares @ self.means
        variances = shares @ (self.means - mean) ** 2
        if self.covariances is not None:
            full = self.covariances.ndim == 3
            own = np.diagonal(self.covariances, axis1=1, axis2=2) if full else self.covariances
            variances = variances + shares @ own
        return np.sqrt(np.where(variances > 0, variances, 1.0))

    def divided_by(self, scales: np.ndarray) -> Support:
        """The same with columns in other units."""
        spread = self.covariances
        if spread is not None:
            spread = spread / (scales[:, None] * scales if spread.ndim == 3 else scales**2)
        return replace(self, means=self.means / scales, covariances=spread)

    def projected(self, W: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, Any]:
        """Means ``W m``, (M, r), covariances ``W C W'``, (M, r, r), and ``C W'``, (M, D, r)."""
        means = self.means @ W.T
        if self.covariances is None:
            return means, None, None
        full = self.covariances.ndim == 3
        half = self.covariances @ W.T if full else self.covariances[:, :, None] * W.T
        spread = W @ half
        return means, (spread + spread.swapaxes(1, 2)) / 2, half

    def pulled(
        self, of_means: np.ndarray, by_covariances: np.ndarray | None, half: Any
    ) -> np.ndarray:
        """The gradient by W, (r, D), from those by ``W m``, (M, r), and ``W C W'``, (M, r, r).

        The latter are symmetric, or none of points; `half` is ``C W'``.
        """
        found = of_means.T @ self.means
        if by_covariances is not None:
            found += 2 * np.tensordot(by_covariances, half, axes=([0, 2], [0, 2]))
        return np.asarray(found)

"""Penalties of a map: its norm, and correlations among the axes of mapped components."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lowdim.samples._map_transport import Projection

NORMS = ("fro", "l1", "nuc")
#: Share of the variances that is added to them, so that correlations of one stay finite.
RIDGE = 1e-9


@dataclass(frozen=True)
class Penalty:
    """``reg * norm(W) + mi_reg * sum_k omega_k KL(N(C_k) || N(diag C_k))``.

    The divergence is the mutual information of the axes within component k; omega are the mean
    weights of the components.

    Attributes
    ----------
    reg, mi_reg : float
    norm : {"fro", "l1", "nuc"}
    """

    reg: float
    norm: str
    mi_reg: float

    def of(
        self, W: np.ndarray, at: Projection, masses: np.ndarray
    ) -> tuple[float, np.ndarray, np.ndarray | None]:
        """The penalty of a map, its gradient, and what covariances add to that, (M, r, r) or none.

        The last is the gradient by the mapped covariances.
        """
        value, gradient = _norm(W, self.norm)
        value, gradient = self.reg * value, self.reg * gradient
        if not self.mi_reg or at.spread is None or len(W) == 1:
            return value, gradient, None
        information, slopes = mutual_information(at.spread)
        value += self.mi_reg * float(masses @ information)
        return value, gradient, self.mi_reg * masses[:, None, None] * slopes


def _norm(W: np.ndarray, norm: str) -> tuple[float, np.ndarray]:
    if norm == "l1":
        return float(np.abs(W).sum()), np.sign(W)
    if norm == "nuc":
        left, values, right = np.linalg.svd(W, full_matrices=False)
        used = values > np.finfo(float).eps * max(values.max(), np.finfo(float).tiny)
        return float(values.sum()), (left * used) @ right
    value = float(np.linalg.norm(W))
    return value, W / value if value > 0 else np.zeros_like(W)


def mutual_information(covariances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``(sum log C_ll - log det C) / 2`` of every covariance, (M,), and its slopes, (M, r, r).

    Axes without variance are independent of all others.
    """
    r = covariances.shape[-1]
    own = np.diagonal(covariances, axis1=1, axis2=2)
    there = own > 0
    variances = np.where(there, own * (1 + RIDGE), 1.0)
    ridged = covariances * (there[:, :, None] & there[:, None, :])
    ridged[:, range(r), range(r)] = variances
    value = (np.log(variances).sum(1) - np.linalg.slogdet(ridged)[1]) / 2
    slopes = -np.linalg.inv(ridged) / 2
    slopes[:, range(r), range(r)] += 1 / (2 * variances)
    slopes[:, range(r), range(r)] *= 1 + RIDGE
    return value, slopes * (there[:, :, None] & there[:, None, :])

"""Barycentres of Gaussians: the mean of distributions, in the Wasserstein distance."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from lowdim._validation import check_interval, check_positive_int
from lowdim.transport.gaussians import spectral_roots, square_roots
from lowdim.transport.plans import masses


def bures_barycenter(
    covariances: Any, weights: Any = None, *, max_iter: int = 500, tol: float = 1e-12
) -> np.ndarray:
    """The covariance S that makes ``sum_k w_k B^2(A_k, S)`` least, (d, d) or (d,).

    The fixed point of Alvarez-Esteban, del Barrio, Cuesta-Albertos and Matran (2016), A fixed-point
    approach to barycenters in Wasserstein space, on factors ``A_k = F_k F_k'`` (Masarotto,
    Panaretos and Zemel 2019, Procrustes metrics on covariance operators): ``S = M M'``, where M is
    the mean of the F_k, each turned to come nearest to M. It takes no inverse, so matrices may be
    singular. If they commute, S is the square of the mean of their roots, where it starts.

    Parameters
    ----------
    covariances : (K, d, d) or (K, d)
        Covariances, or variances, whose barycentre is ``(sum_k w_k sqrt a_k)^2``.
    weights : (K,), optional
        By default the same for all; sums are brought to one.
    max_iter : int, default=500
    tol : float, default=1e-12
        Stop when S changes by less, relative to its norm.

    Raises
    ------
    ValueError
        Shapes do not match, a matrix is no covariance, or weights are negative or none.
    """
    covariances = np.asarray(covariances, dtype=np.float64)
    if covariances.ndim not in (2, 3) or not covariances.size:
        raise ValueError(f"covariances have shape {covariances.shape}; pass (K, d, d) or (K, d).")
    shares = masses(weights, len(covariances), "weights")
    check_positive_int(max_iter, "max_iter")
    check_interval(tol, "tol", low=0.0)
    if covariances.ndim == 2:
        return np.asarray((shares @ square_roots(covariances, "covariances")) ** 2)
    roots = spectral_roots(covariances, "covariances")
    center = np.tensordot(shares, roots, 1)
    for _ in range(max_iter):
        last, center = center, np.tensordot(shares, turned(roots, center), 1)
        change = np.linalg.norm(center @ center.T - last @ last.T)
        if change <= tol * np.linalg.norm(center @ center.T):
            break
    else:
        warnings.warn(
            f"The barycentre did not converge within max_iter={max_iter}; raise it, or tol.",
            ConvergenceWarning,
            stacklevel=2,
        )
    return np.asarray(center @ center.T)


def gaussian_barycenter(
    means: Any,
    covariances: Any,
    weights: Any = None,
    *,
    max_iter: int = 500,
    tol: float = 1e-12,
) -> tuple[np.ndarray, np.ndarray]:
    """Mean, (d,), and covariance, (d, d) or (d,), of the barycentre of Gaussians.

    It makes ``sum_k w_k W2^2(N_k, N)`` least: the mean of the means, (K, d), and the
    `bures_barycenter` of the covariances, where the other arguments are described.
    """
    means = np.asarray(means, dtype=np.float64)
    spread = bures_barycenter(covariances, weights, max_iter=max_iter, tol=tol)
    shape = len(covariances), len(spread)
    if means.shape != shape or not np.isfinite(means).all():
        raise ValueError(f"means must be finite, {shape}, and have shape {means.shape}.")
    return masses(weights, len(means), "weights") @ means, spread


def turned(factors: np.ndarray, center: np.ndarray) -> np.ndarray:
    """Factors, (K, d, d), times the orthogonal matrices that bring them nearest to another one."""
    left, _, right = np.linalg.svd(factors.swapaxes(-1, -2) @ center)
    return np.asarray(factors @ (left @ right))

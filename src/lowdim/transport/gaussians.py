"""Wasserstein distances between Gaussians."""

from __future__ import annotations

from typing import Any

import numpy as np

#: Eigenvalues that are more negative than this share of the largest one are not rounding, be it
#: that of single precision; nor are entries that differ from their mirror images by more.
ROUNDING = 1e-6
#: Those that are a smaller share of it are zero: their roots would be rounding made large.
NOTHING = 1e-14


def bures_squared(first: Any, second: Any) -> np.ndarray:
    """Squared Bures distances between covariances, (Ka, Kb).

    ``B^2(A, B) = tr A + tr B - 2 tr (A^1/2 B A^1/2)^1/2``; of diagonal ones
    ``sum_l (sqrt a_l - sqrt b_l)^2``.

    Parameters
    ----------
    first, second : (Ka, d, d) and (Kb, d, d), or (Ka, d) and (Kb, d)
        Covariances, which may be singular, or variances.

    Raises
    ------
    ValueError
        Shapes do not match, or a matrix is no covariance.

    References
    ----------
    Bhatia, Jain and Lim (2019), On the Bures-Wasserstein distance between positive definite
    matrices.
    """
    first, second = np.asarray(first, float), np.asarray(second, float)
    if first.ndim not in (2, 3) or first.shape[1:] != second.shape[1:]:
        raise ValueError(
            f"first has shape {first.shape} and second {second.shape}; pass (K, d, d) or (K, d)."
        )
    if first.ndim == 2:
        roots = square_roots(first, "first"), square_roots(second, "second")
        return np.asarray(((roots[0][:, None] - roots[1]) ** 2).sum(2))
    from lowdim.transport._bures import bures_matrix

    out = np.empty((len(first), len(second)))
    bures_matrix(spectral_factors(first, "first")[0], spectral_factors(second, "second")[0], out)
    return out


def gaussian_wasserstein(
    means: Any, covariances: Any, other_means: Any, other_covariances: Any
) -> np.ndarray:
    """Wasserstein distances W2 between Gaussians, (Ka, Kb).

    ``W2^2 = |m_a - m_b|^2 + B^2(A, B)``; see `bures_squared` for the covariances.
    """
    means, other_means = np.asarray(means, float), np.asarray(other_means, float)
    apart = ((means[:, None] - other_means) ** 2).sum(2)
    return np.asarray(np.sqrt(apart + bures_squared(covariances, other_covariances)))


def square_roots(variances: np.ndarray, name: str) -> np.ndarray:
    """Standard deviations, (K, d)."""
    if not (np.isfinite(variances).all() and (variances >= 0).all()):
        raise ValueError(f"{name} has variances that are negative or not finite.")
    return np.sqrt(variances)


def spectral_factors(covariances: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Lower triangular factors, (K, d, d), and roots of the eigenvalues, ascending, (K, d).

    Covariances may be singular.
    """
    values, vectors = _spectra(covariances, name)
    roots = np.sqrt(values)
    _, upper = np.linalg.qr((vectors * roots[..., None, :]).swapaxes(-1, -2))
    return np.ascontiguousarray(upper.swapaxes(-1, -2)), roots


def spectral_roots(covariances: np.ndarray, name: str) -> np.ndarray:
    """Symmetric square roots, (K, d, d)."""
    values, vectors = _spectra(covariances, name)
    return np.asarray((vectors * np.sqrt(values)[..., None, :]) @ vectors.swapaxes(-1, -2))


def _spectra(covariances: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues, ascending and not negative, and eigenvectors."""
    if covariances.shape[-1] != covariances.shape[-2] or not np.isfinite(covariances).all():
        raise ValueError(f"{name} must hold finite covariances, (K, d, d).")
    crooked = np.abs(covariances - covariances.swapaxes(-1, -2)).max((-1, -2), initial=0.0)
    crooked = crooked > ROUNDING * np.abs(covariances).max((-1, -2), initial=0.0)
    if crooked.any():
        worst = int(crooked.reshape(-1).argmax())
        raise ValueError(f"{name} has a matrix that is not symmetric: number {worst}.")
    values, vectors = np.linalg.eigh(covariances)
    lowest, largest = values.min(-1), np.abs(values).max(-1)
    broken = lowest < -ROUNDING * largest
    if broken.any():
        worst = int(broken.reshape(-1).argmax())
        raise ValueError(
            f"{name} has a matrix that is no covariance: number {worst} has the eigenvalue "
            f"{lowest.reshape(-1)[worst]:.3g}."
        )
    return np.where(values > NOTHING * largest[..., None], values, 0.0), vectors

"""Deviance: twice the log-likelihood that is lost against a model that fits every value.

All functions return the total, with ``axis=1`` one per row and with ``axis=0`` one per column.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.special import xlogy

from lowdim._validation import check_matrix

#: Stands for a dispersion of zero.
TINY = 1e-16


def poisson_deviance(counts: Any, rates: Any, *, axis: int | None = None) -> Any:
    """Poisson deviance, ``2 sum(y log(y / mu) - y + mu)``.

    Parameters
    ----------
    counts : array-like or sparse, shape (N, J)
        Counts y.
    rates : array-like of shape (N, J)
        Expected counts mu.
    axis : {None, 0, 1}, optional
        Sum over everything, over rows (one per column) or over columns (one per row).

    Returns
    -------
    float or ndarray
        Infinite where a count that was not zero was expected to be.

    Raises
    ------
    TypeError, ValueError
        The matrices differ in shape, or hold something other than finite nonnegative numbers.
    """
    return poisson_entries(*_pair(counts, rates)).sum(axis)


def negative_binomial_deviance(
    counts: Any, rates: Any, dispersions: Any, *, axis: int | None = None
) -> Any:
    """Deviance of the negative binomial with the variance ``mu + dispersion mu^2``.

    A larger dispersion lowers the deviance of any rates: compare models at the same dispersions.

    Parameters
    ----------
    counts : array-like or sparse, shape (N, J)
    rates : array-like of shape (N, J)
    dispersions : float or array-like of shape (J,)
        Zero is Poisson.
    axis : {None, 0, 1}, optional

    Returns
    -------
    float or ndarray

    Raises
    ------
    TypeError, ValueError
        As for `poisson_deviance`, or a dispersion is negative.
    """
    y, mu = _pair(counts, rates)
    a = _numbers(dispersions, y.shape[1], "dispersions")
    return negative_binomial_entries(y, mu, a).sum(axis)


def gaussian_deviance(
    values: Any, means: Any, variances: Any = 1.0, *, axis: int | None = None
) -> Any:
    """Gaussian deviance: squared errors, each over its column's variance.

    Parameters
    ----------
    values : array-like or sparse, shape (N, J)
    means : array-like of shape (N, J)
    variances : float or array-like of shape (J,), default=1
    axis : {None, 0, 1}, optional

    Returns
    -------
    float or ndarray

    Raises
    ------
    TypeError, ValueError
        The matrices differ in shape or are not finite, or a variance is not positive.
    """
    y, mu = _pair(values, means, names=("values", "means"), nonnegative=False)
    v = _numbers(variances, y.shape[1], "variances", positive=True)
    return ((y - mu) ** 2 / v).sum(axis)


def nsf_paper_deviance(counts: Any, rates: Any) -> float:
    """The measure that the paper on nonnegative spatial factorization calls Poisson deviance.

    It is not one: ``y log(y / mu)`` is averaged over the counts that are not zero, where
    ``mu - y`` is averaged over all; entries where a count was expected to be zero are left out;
    and there is no factor of two. It serves to compare with that paper's tables only.

    Parameters
    ----------
    counts : array-like or sparse, shape (N, J)
    rates : array-like of shape (N, J)

    Returns
    -------
    float
        Infinite if no count can be used.

    Raises
    ------
    TypeError, ValueError
        As for `poisson_deviance`.

    References
    ----------
    Townes and Engelhardt (2023), Nonnegative spatial factorization applied to spatial genomics.
    """
    return nsf_paper_of(nsf_paper_sums(*_pair(counts, rates)))


def nsf_paper_sums(y: np.ndarray, mu: np.ndarray) -> np.ndarray:
    """What `nsf_paper_of` needs to know of all entries together, (4,)."""
    used = (y > 0) & (mu > 0)
    return np.array([_log_ratios(y[used], mu[used]).sum(), used.sum(), (mu - y).sum(), y.size])


def nsf_paper_of(sums: np.ndarray) -> float:
    """The measure by the sums over all entries."""
    logs, n_used, excess, n = sums.tolist()
    return logs / n_used + excess / n if n_used else float("inf")


def constant_rates(counts: Any, size_factors: Any = None) -> np.ndarray:
    """The best rate per column that does not differ between rows, for a size factor of one.

    Parameters
    ----------
    counts : array-like or sparse, shape (N, J)
    size_factors : array-like of shape (N,), optional
        One by default.

    Returns
    -------
    ndarray of shape (J,)
        Column totals over the sum of the size factors.

    Raises
    ------
    TypeError, ValueError
        An argument cannot be used.
    """
    y = check_matrix(counts, name="counts")
    sizes = _sizes(size_factors, y.shape[0])
    return np.asarray(y.sum(0), dtype=np.float64).ravel() / sizes.sum()


def deviance_explained(
    counts: Any,
    rates: Any,
    constant: Any = None,
    *,
    size_factors: Any = None,
    dispersions: Any = 0.0,
    axis: int | None = None,
) -> Any:
    """Share of the deviance of constant rates that `rates` do away with.

    Parameters
    ----------
    counts : array-like or sparse, shape (N, J)
    rates : array-like of shape (N, J)
    constant : array-like of shape (J,), optional
        The constant rates; for rows held out, the `constant_rates` of the rows that were fitted.
        By default those of these rows.
    size_factors : array-like of shape (N,), optional
        What constant rates are multiplied by in each row.
    dispersions : float or array-like of shape (J,), default=0
        Of the negative binomial; zero is Poisson.
    axis : {None, 0, 1}, optional

    Returns
    -------
    float or ndarray
        One is a perfect fit, zero no better than constant rates, and below zero is worse. nan
        where constant rates fit perfectly.

    Raises
    ------
    TypeError, ValueError
        As for `negative_binomial_deviance`.
    """
    own = negative_binomial_deviance(counts, rates, dispersions, axis=axis)
    n, j = np.shape(rates)
    sizes = _sizes(size_factors, n)
    level = constant_rates(counts, sizes) if constant is None else _numbers(constant, j, "constant")
    null = negative_binomial_deviance(counts, np.outer(sizes, level), dispersions, axis=axis)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = 1 - np.divide(own, null)
    return np.where(null > 0, share, np.nan)[()]


def poisson_entries(y: np.ndarray, mu: np.ndarray) -> np.ndarray:
    """Poisson deviance of every entry."""
    return np.asarray(2 * (_log_ratios(y, mu) - y + mu))


def negative_binomial_entries(y: np.ndarray, mu: np.ndarray, dispersions: Any) -> np.ndarray:
    """Negative binomial deviance of every entry."""
    a = np.maximum(dispersions, TINY)
    spread = (y + 1 / a) * np.log1p(a * (y - mu) / (1 + a * mu))
    return np.asarray(2 * (_log_ratios(y, mu) - spread))


def _log_ratios(y: np.ndarray, mu: np.ndarray) -> np.ndarray:
    """``y log(y / mu)``, which is zero where y is."""
    return xlogy(y, y) - xlogy(y, mu)


def _sizes(size_factors: Any, n_rows: int) -> np.ndarray:
    """Size factors, (N,), by default ones."""
    wanted = 1.0 if size_factors is None else size_factors
    return _numbers(wanted, n_rows, "size_factors", positive=True)


def _numbers(values: Any, n: int, name: str, *, positive: bool = False) -> np.ndarray:
    """One number or n of them, finite and not negative, as (n,) float64."""
    array = np.asarray(values, dtype=np.float64)
    inside = np.isfinite(array) & (array > 0 if positive else array >= 0)
    if array.shape not in ((), (n,)) or not inside.all():
        wanted = "positive" if positive else "not negative"
        raise ValueError(f"{name} must be finite and {wanted}: one number, or {n} of them.")
    return np.broadcast_to(array, n)


def _pair(
    observed: Any,
    expected: Any,
    *,
    names: tuple[str, str] = ("counts", "rates"),
    nonnegative: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Two dense matrices of one shape, float64."""
    pair = []
    for matrix, name in zip((observed, expected), names, strict=True):
        own = check_matrix(matrix, name=name)
        dense = np.asarray(own.toarray() if sp.issparse(own) else own, dtype=np.float64)
        if not np.isfinite(dense).all() or (nonnegative and (dense < 0).any()):
            wanted = "finite and not negative" if nonnegative else "finite"
            raise ValueError(f"{name} must be {wanted} everywhere.")
        pair.append(dense)
    if pair[0].shape != pair[1].shape:
        raise ValueError(
            f"{names[1]} has shape {pair[1].shape}, expected {pair[0].shape} as {names[0]} has."
        )
    return pair[0], pair[1]

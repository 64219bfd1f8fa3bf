"""What fitted factors say: shares of the rate, importance of space, columns that mark a factor.

Of nonnegative factors, the rate of column j in row i is ``sum_l f_il w_jl``. Factors may be scaled
against their loadings without a change of it; the functions below choose the scale that answers a
question. Real-valued factors have no shares: see `scaled_loadings`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lowdim._validation import check_in, check_positive_int

#: Counts that are added to both sides of a fold change, so that it is finite.
HALF_COUNT = 0.5


@dataclass(frozen=True)
class Rescaled:
    """The same rates as totals times shares.

    Attributes
    ----------
    factors : ndarray of shape (N, L)
    loadings : ndarray of shape (J, L)
    totals : ndarray of shape (N,) or (J,)
        Of every row with "lda", of every column with "spde".
    """

    factors: np.ndarray
    loadings: np.ndarray
    totals: np.ndarray


def rescale(factors: Any, loadings: Any, mode: str = "lda") -> Rescaled:
    """Nonnegative factors on the scale of shares.

    Parameters
    ----------
    factors : array-like of shape (N, L)
    loadings : array-like of shape (J, L)
    mode : {"lda", "spde"}, default="lda"
        "lda": each row is a mixture of the factors, and each factor one of the columns, as topics
        of documents are: rows of ``factors`` and columns of ``loadings`` sum to one, and the rate
        is ``totals_i sum_l factors_il loadings_jl``. "spde": each factor is a distribution over the
        rows, and each column a mixture of these, as in spatial pattern discovery: columns of
        ``factors`` and rows of ``loadings`` sum to one, and the rate is
        ``totals_j sum_l factors_il loadings_jl``.

    Returns
    -------
    Rescaled
        A row or column without any rate has the shares of all of them together.

    Raises
    ------
    ValueError
        Shapes do not match, or a value is negative.
    """
    check_in(mode, "mode", ("lda", "spde"))
    factors, loadings = _check(factors, loadings, nonnegative=True)
    if mode == "spde":
        turned = rescale(loadings, factors, "lda")
        return Rescaled(turned.loadings, turned.factors, turned.totals)
    sums = loadings.sum(0)
    amounts = factors * sums
    totals = amounts.sum(1)
    together = amounts.sum(0)
    usual = together / (together.sum() or 1.0)
    shares = np.where(totals[:, None] > 0, amounts / _divisor(totals)[:, None], usual)
    return Rescaled(shares, loadings / _divisor(sums), totals)


def spatial_importance(
    factors: Any, loadings: Any, n_spatial: int, mode: str = "lda"
) -> np.ndarray:
    """Share of the rate that spatial factors carry, the first `n_spatial` ones.

    Parameters
    ----------
    factors : array-like of shape (N, L)
    loadings : array-like of shape (J, L)
    n_spatial : int
        T.
    mode : {"lda", "spde"}, default="lda"
        Of every row, (N,), or of every column, (J,); see `rescale`.

    Returns
    -------
    Numbers from 0 to 1; what is missing to 1 is the share of the other factors.
    """
    rescaled = rescale(factors, loadings, mode)
    shares = rescaled.factors if mode == "lda" else rescaled.loadings
    n_spatial = check_positive_int(n_spatial, "n_spatial", minimum=0)
    if n_spatial > shares.shape[1]:
        raise ValueError(f"n_spatial={n_spatial} is more than the {shares.shape[1]} factors.")
    return shares[:, :n_spatial].sum(1).clip(0.0, 1.0)


@dataclass(frozen=True)
class Markers:
    """How much every column says of every factor, (J, L) each.

    Attributes
    ----------
    loading
        The column's share of the factor's rate; a factor's sum to one.
    share
        The factor's share of the column's rate; a column's sum to one.
    log2_fold_change
        Of the column's share of the factor's counts against its share of those of all other
        factors, half a count added to each.
    divergence
        What the column adds to the Kullback-Leibler divergence of the factor's profile from that of
        the others, in nats: it is large for columns that are both specific and frequent.
    """

    loading: np.ndarray
    share: np.ndarray
    log2_fold_change: np.ndarray
    divergence: np.ndarray


def markers(factors: Any, loadings: Any, size_factors: Any = None) -> Markers:
    """Measures by which columns mark nonnegative factors.

    Parameters
    ----------
    factors : array-like of shape (N, L)
    loadings : array-like of shape (J, L)
    size_factors : array-like of shape (N,), optional
        With them, ``s_i sum_l f_il w_jl`` are counts.

    Raises
    ------
    ValueError
        Shapes do not match, a value is negative, or there is one factor, and none to compare with.
    """
    profile, share = (
        rescale(factors, loadings).loadings,
        rescale(factors, loadings, "spde").loadings,
    )
    factors, loadings = np.asarray(factors), np.asarray(loadings)
    if factors.shape[1] == 1:
        raise ValueError("factors has one column, and no other factor to compare it with.")
    weights = np.ones(len(factors)) if size_factors is None else np.asarray(size_factors)
    counts = loadings * (weights @ factors)
    own = _smoothed(counts)
    others = _smoothed(counts.sum(1, keepdims=True) - counts)
    ratio = np.log(own / others)
    return Markers(profile, share, ratio / np.log(2), own * ratio)


def scaled_loadings(factors: Any, loadings: Any) -> np.ndarray:
    """Loadings times the standard deviations of their factors, (J, L), for real-valued factors.

    Their squares are what each factor adds to the variance of a column, as far as factors are
    uncorrelated.
    """
    factors, loadings = _check(factors, loadings, nonnegative=False)
    return loadings * factors.std(0)


def _smoothed(counts: np.ndarray) -> np.ndarray:
    counts = counts.clip(min=0.0) + HALF_COUNT
    return counts / counts.sum(0)


def _divisor(totals: np.ndarray) -> np.ndarray:
    """The totals, with one where they are zero."""
    return np.where(totals > 0, totals, 1.0)


def _check(factors: Any, loadings: Any, *, nonnegative: bool) -> tuple[np.ndarray, np.ndarray]:
    factors, loadings = np.asarray(factors, np.float64), np.asarray(loadings, np.float64)
    if factors.ndim != 2 or loadings.ndim != 2 or factors.shape[1] != loadings.shape[1]:
        raise ValueError(
            f"factors has shape {factors.shape} and loadings {loadings.shape}; pass (N, L) and "
            "(J, L), a column for each factor."
        )
    for name, values in (("factors", factors), ("loadings", loadings)):
        if nonnegative and values.min(initial=0.0) < 0:
            raise ValueError(
                f"{name} has negative values, and shares are those of nonnegative factors; for "
                "real-valued ones use scaled_loadings."
            )
    return factors, loadings

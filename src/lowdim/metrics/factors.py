"""Fitted factors against true ones, and how many loadings are zero."""

from __future__ import annotations

from typing import Any

import numpy as np

from lowdim._validation import check_in, check_interval, check_matrix


def match_factors(truth: Any, found: Any, *, method: str = "pearson") -> np.ndarray:
    """Which found factor is which true one, matched one to one by their correlations.

    Parameters
    ----------
    truth : array-like of shape (N, K)
    found : array-like of shape (N, L)
    method : {"pearson", "spearman"}, default="pearson"
        Correlations, of which the absolute values count.

    Returns
    -------
    ndarray of int, shape (K,)
        A column of `found` for every one of `truth`; -1 for those that are left over where L is
        less than K.

    Raises
    ------
    TypeError, ValueError
        An argument cannot be used.
    """
    return _matched(truth, found, method)[0]


def factor_correlations(truth: Any, found: Any, *, method: str = "pearson") -> np.ndarray:
    """Correlations of true factors with found ones, matched one to one.

    Matching one to one keeps a factor that was found twice from standing in for one that was not
    found.

    Parameters
    ----------
    truth : array-like of shape (N, K)
    found : array-like of shape (N, L)
    method : {"pearson", "spearman"}, default="pearson"

    Returns
    -------
    ndarray of shape (K,)
        Absolute values, in the order of `truth`; zero for a factor without a match or without
        variation.

    Raises
    ------
    TypeError, ValueError
        An argument cannot be used.
    """
    return _matched(truth, found, method)[1]


def sparsity(loadings: Any, tol: float = 1e-6) -> float:
    """Share of the loadings whose absolute value is below `tol`."""
    check_interval(tol, "tol", low=0.0, closed="neither")
    return float((np.abs(check_matrix(loadings, name="loadings")) < tol).mean())


def _matched(truth: Any, found: Any, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Matches, (K,), and their correlations, (K,)."""
    from scipy.optimize import linear_sum_assignment
    from scipy.stats import rankdata

    check_in(method, "method", ("pearson", "spearman"))
    sides = [np.asarray(check_matrix(m, name=n), dtype=np.float64)
             for m, n in ((truth, "truth"), (found, "found"))]  # fmt: skip
    if len(sides[0]) != len(sides[1]):
        raise ValueError(
            f"found has {len(sides[1])} rows, expected {len(sides[0])} as truth has: the same "
            "places in the same order."
        )
    if not all(np.isfinite(side).all() for side in sides):
        raise ValueError("truth and found must be finite everywhere.")
    if method == "spearman":
        sides = [rankdata(side, axis=0) for side in sides]
    units = []
    for side in sides:
        centred = side - side.mean(0)
        length = np.linalg.norm(centred, axis=0)
        # What rounding leaves of a constant column is not variation.
        varies = length > 1e-12 * np.linalg.norm(side, axis=0)
        units.append(np.where(varies, centred / np.where(varies, length, 1.0), 0.0))
    both = np.abs(units[0].T @ units[1])
    rows, columns = linear_sum_assignment(-both)
    match = np.full(both.shape[0], -1)
    correlations = np.zeros(both.shape[0])
    match[rows], correlations[rows] = columns, both[rows, columns]
    return match, correlations

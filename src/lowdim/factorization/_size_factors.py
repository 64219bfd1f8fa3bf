"""How deeply each row was counted."""

from __future__ import annotations

from typing import Any

import numpy as np

from lowdim._validation import check_in
from lowdim.mixture._counts.size_factors import check_size_factors

RULES = ("mean", "median")


def size_unit(wanted: Any, totals: np.ndarray) -> float:
    """Counts of a row of size factor one, where size factors follow a rule.

    Raises
    ------
    ValueError
        `wanted` is a string that is not a rule.
    """
    if not isinstance(wanted, str):
        return 1.0
    check_in(wanted, "size_factors", RULES)
    counted = np.maximum(totals, 1.0)
    return float(counted.mean() if wanted == "mean" else np.median(counted))


def size_factors_of(wanted: Any, totals: np.ndarray, unit: float) -> np.ndarray:
    """Size factors, (N,): ones, totals over a unit, or what was given.

    A row without a count gets the size of one count.

    Raises
    ------
    TypeError, ValueError
        `wanted` is none of these.
    """
    if wanted is None:
        return np.ones(len(totals))
    if isinstance(wanted, str):
        return np.maximum(totals, 1.0) / unit
    return check_size_factors(wanted, len(totals))


def totals_of(values: np.ndarray) -> np.ndarray:
    """Row totals, (N,); where values are not known (NaN), of the share of the columns that is."""
    missing = np.isnan(values)
    totals = np.nansum(values, axis=1)
    if not missing.any():
        return totals
    shares = np.nansum(values, axis=0) / np.maximum((~missing).sum(0), 1)
    known = (~missing) @ (shares / max(shares.sum(), 1e-300))
    return np.asarray(totals / np.maximum(known, 1e-12))

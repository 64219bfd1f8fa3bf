"""How deeply each row was counted."""

from __future__ import annotations

from typing import Any

import numpy as np

from lowdim._validation import check_in
from lowdim.mixture._counts.size_factors import check_size_factors

RULES = ("mean", "median")


def size_factors_of(wanted: Any, totals: np.ndarray) -> np.ndarray:
    """Size factors, (N,): ones, totals over their mean or median, or what was given.

    A row without a count gets the size of one count.

    Raises
    ------
    TypeError, ValueError
        `wanted` is none of these.
    """
    if wanted is None:
        return np.ones(len(totals))
    if isinstance(wanted, str):
        check_in(wanted, "size_factors", RULES)
        counted = np.maximum(totals, 1.0)
        unit = counted.mean() if wanted == "mean" else np.median(counted)
        return counted / unit
    return check_size_factors(wanted, len(totals))

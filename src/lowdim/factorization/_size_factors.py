"""How deeply each row was counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from lowdim._validation import check_in
from lowdim.mixture._counts.size_factors import check_size_factors

TOTALS = ("mean", "median")
RULES = (*TOTALS, "median_ratio")


def size_factors_of(wanted: Any, totals: np.ndarray, counts: Any = None) -> np.ndarray:
    """Size factors, (N,): ones, by a rule, or what was given; "median_ratio" needs the counts.

    Raises
    ------
    TypeError, ValueError
        `wanted` is none of these.
    """
    if wanted is None:
        return np.ones(len(totals))
    if isinstance(wanted, str):
        check_in(wanted, "size_factors", TOTALS if counts is None else RULES)
        if wanted == "median_ratio":
            return MedianRatios.of(counts).sizes(counts)
        return TotalUnit.of(wanted, totals).sizes(totals)
    return check_size_factors(wanted, len(totals))


def like_fitted(wanted: Any, fitted: Any, new: Any) -> np.ndarray:
    """Size factors of new rows of counts, (n,), by a rule and in the unit of the fitted rows.

    A row's own counts and those of the fitted rows decide, and no other new row.
    """
    if wanted is None:
        return np.ones(new.shape[0])
    if check_in(wanted, "size_factors", RULES) == "median_ratio":
        return MedianRatios.of(fitted).sizes(new)
    return TotalUnit.of(wanted, row_totals(fitted)).sizes(row_totals(new))


def row_totals(counts: Any) -> np.ndarray:
    """Sums of the rows of an array or a sparse matrix, (N,)."""
    return np.asarray(counts.sum(1), dtype=np.float64).ravel()


@dataclass(frozen=True)
class TotalUnit:
    """The total of a row of size factor one."""

    unit: float

    @classmethod
    def of(cls, rule: str, totals: np.ndarray) -> TotalUnit:
        """The mean or the median over the rows."""
        counted = np.maximum(totals, 1.0)
        return cls(float(counted.mean() if rule == "mean" else np.median(counted)))

    def sizes(self, totals: np.ndarray) -> np.ndarray:
        """Size factors; a row without a count gets that of one count."""
        return np.maximum(totals, 1.0) / self.unit


@dataclass(frozen=True)
class MedianRatios:
    """Ratios to a reference row, and the median of a row's ratios (Anders and Huber 2010).

    The reference is a geometric mean in which a zero counts as one, so that a column with zeros
    still has a say; a row's median is over the columns where it has a count.

    Attributes
    ----------
    reference : (J,)
        Logarithms; -inf for columns without a count.
    unit : float
        Logarithm of what rows are divided by, so that their geometric mean is one.
    """

    reference: np.ndarray
    unit: float

    @classmethod
    def of(cls, counts: Any) -> MedianRatios:
        """The reference of these rows, one for each column."""
        stored = sp.csr_array(counts)
        stored.eliminate_zeros()
        logs = np.log(stored.data)
        present = np.bincount(stored.indices, minlength=stored.shape[1]) > 0
        sums = np.bincount(stored.indices, weights=logs, minlength=stored.shape[1])
        reference = np.where(present, sums / stored.shape[0], -np.inf)
        ratios = cls(reference, 0.0)._log_medians(stored)
        known = ratios[np.isfinite(ratios)]
        return cls(reference, float(known.mean()) if len(known) else 0.0)

    def sizes(self, counts: Any) -> np.ndarray:
        """Size factors; a row without a count gets the smallest of the others."""
        ratios = self._log_medians(sp.csr_array(counts)) - self.unit
        known = ratios[np.isfinite(ratios)]
        lowest = known.min() if len(known) else 0.0
        return np.exp(np.where(np.isfinite(ratios), ratios, lowest))

    def _log_medians(self, counts: sp.csr_array) -> np.ndarray:
        """Median over a row's counts of the logarithms of their ratios; nan where there is none."""
        import pandas as pd

        stored = counts.tocoo()
        used = (stored.data > 0) & np.isfinite(self.reference[stored.col])
        values = np.log(stored.data[used]) - self.reference[stored.col[used]]
        medians = pd.Series(values).groupby(stored.row[used]).median()
        return medians.reindex(range(counts.shape[0])).to_numpy(dtype=np.float64)

"""How deeply each row was counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp

from lowdim._validation import check_in
from lowdim.factorization._file_counts import FileCounts
from lowdim.mixture._counts.size_factors import check_size_factors

RULES = ("mean", "median", "median_ratio")


class SizeRule(Protocol):
    """What gives a row its size factor, in a unit that the fitted rows have set.

    A row's own counts decide, and no other new row's. Counts that are not known are NaN.
    """

    def sizes(self, counts: Any) -> np.ndarray:
        """Size factors, (n,), of rows of an array or a sparse matrix."""
        ...


def rule_of(wanted: Any, counts: Any) -> TotalUnit | MedianRatios | None:
    """The rule of the argument `size_factors`, set by these rows; None where it is not a rule.

    Raises
    ------
    ValueError
        `wanted` is a string that is not a rule.
    """
    if not isinstance(wanted, str):
        return None
    if check_in(wanted, "size_factors", RULES) == "median_ratio":
        return MedianRatios.of(counts)
    return TotalUnit.of(wanted, counts)


def size_factors_of(wanted: Any, rule: SizeRule | None, counts: Any) -> np.ndarray:
    """Size factors, (N,): ones, by the rule, or what was given.

    Raises
    ------
    TypeError, ValueError
        `wanted` is none of these.
    """
    if rule is not None:
        return rule.sizes(counts)
    n = counts.shape[0]
    return np.ones(n) if wanted is None else check_size_factors(wanted, n)


def row_totals(counts: Any) -> np.ndarray:
    """Sums of rows, (N,); where counts are not known, over the share of the columns that is."""
    if isinstance(counts, FileCounts):
        return counts.by_row(row_totals)
    if sp.issparse(counts) or not np.isnan(counts).any():
        return np.asarray(counts.sum(1), dtype=np.float64).ravel()
    missing = np.isnan(counts)
    shares = np.nansum(counts, axis=0) / np.maximum((~missing).sum(0), 1)
    known = (~missing) @ (shares / max(shares.sum(), 1e-300))
    return np.asarray(np.nansum(counts, axis=1) / np.maximum(known, 1e-12))


@dataclass(frozen=True)
class TotalUnit:
    """Totals over that of a row of size factor one."""

    unit: float

    @classmethod
    def of(cls, rule: str, counts: Any) -> TotalUnit:
        """The mean or the median over the rows."""
        counted = np.maximum(row_totals(counts), 1.0)
        return cls(float(counted.mean() if rule == "mean" else np.median(counted)))

    def sizes(self, counts: Any) -> np.ndarray:
        """Size factors; a row without a count gets that of one count."""
        return np.maximum(row_totals(counts), 1.0) / self.unit


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
        blocks = counts.blocks() if isinstance(counts, FileCounts) else [(0, counts)]
        n, sums, known = np.sum([_logs(block) for _, block in blocks], 0)
        reference = np.where(n > 0, sums / np.maximum(known, 1), -np.inf)
        ratios = cls(reference, 0.0)._log_medians(counts)
        found = ratios[np.isfinite(ratios)]
        return cls(reference, float(found.mean()) if len(found) else 0.0)

    def sizes(self, counts: Any) -> np.ndarray:
        """Size factors; a row without a count gets the smallest of the others."""
        ratios = self._log_medians(counts) - self.unit
        known = ratios[np.isfinite(ratios)]
        lowest = known.min() if len(known) else 0.0
        return np.exp(np.where(np.isfinite(ratios), ratios, lowest))

    def _log_medians(self, counts: Any) -> np.ndarray:
        """Median over a row's counts of the logarithms of their ratios; nan where there is none."""
        import pandas as pd

        if isinstance(counts, FileCounts):
            return counts.by_row(self._log_medians)
        stored = _stored(counts).tocoo()
        used = np.isfinite(self.reference[stored.col])
        values = np.log(stored.data[used]) - self.reference[stored.col[used]]
        medians = pd.Series(values).groupby(stored.row[used]).median()
        return medians.reindex(range(counts.shape[0])).to_numpy(dtype=np.float64)


def _logs(counts: Any) -> np.ndarray:
    """Of every column how many counts are not zero, their logarithms' sum, and how many are known.

    (3, J)
    """
    stored = _stored(counts)
    j = stored.shape[1]
    known = stored.shape[0] if sp.issparse(counts) else (~np.isnan(counts)).sum(0)
    sums = np.bincount(stored.indices, weights=np.log(stored.data), minlength=j)
    return np.stack([np.bincount(stored.indices, minlength=j), sums, np.broadcast_to(known, j)])


def _stored(counts: Any) -> sp.csr_array:
    """The counts that are known and not zero."""
    stored = sp.csr_array(counts if sp.issparse(counts) else np.nan_to_num(counts), copy=True)
    stored.eliminate_zeros()  # in place, and the rows may share memory with the data
    return stored

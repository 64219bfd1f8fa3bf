"""Which size factor a row gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lowdim.mixture._counts.matrix import CountTable
from lowdim.mixture._counts.model import (
    AnyCounts,
    Mixture,
    Sizes,
    log_joint,
    next_sizes,
    responsibilities,
)

RULES = ("total", "estimate")
#: How far estimated size factors may go beyond those of the totals.
REACH = 16.0
#: Rounds in which the size factors of new rows are estimated.
ROUNDS = 12


@dataclass(frozen=True)
class SizeRule:
    """A rule for size factors.

    Attributes
    ----------
    kind : {"one", "total", "estimate", "given"}
    unit : float
        Counts of a row of size factor one.
    """

    kind: str
    unit: float

    @classmethod
    def of(cls, size_factors: Any, counts: CountTable) -> SizeRule:
        """The rule of the argument `size_factors`; "total" has the mean one over the rows."""
        if size_factors is None:
            return cls("one", 1.0)
        if not isinstance(size_factors, str):
            return cls("given", 1.0)
        unit = float(counts.weights @ counts.totals) / float(counts.weights.sum())
        return cls(size_factors, unit or 1.0)

    def start(self, counts: CountTable) -> Sizes:
        """Size factors before any is estimated; a row without a count gets that of one count."""
        if self.kind == "one":
            return Sizes.of(np.ones(counts.shape[0]))
        values = np.maximum(counts.totals, 1.0) / self.unit
        return Sizes.of(values, REACH if self.kind == "estimate" else 1.0)

    def new_rows(self, counts: AnyCounts, model: Mixture) -> Sizes:
        """Size factors of new rows: by the total, or the most likely ones under the mixture."""
        sizes = self.start(counts)
        if self.kind != "estimate":
            return sizes
        for _ in range(ROUNDS):
            _, shares = responsibilities(log_joint(counts, sizes, model))
            sizes = sizes.moved(next_sizes(counts, sizes, model, shares, 1.0))
        return sizes


def check_size_factors(values: Any, n_rows: int) -> np.ndarray:
    """Given size factors as float64, (N,).

    Raises
    ------
    TypeError
        They are not numbers.
    ValueError
        They are not one per row, not finite, or not positive.
    """
    try:
        sizes = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"size_factors holds something other than numbers: {error}; pass one per row, "
            "'total', 'estimate' or None."
        ) from error
    if sizes.shape != (n_rows,):
        raise ValueError(
            f"size_factors has shape {sizes.shape}, expected ({n_rows},); pass one per row."
        )
    bad = ~(np.isfinite(sizes) & (sizes > 0))
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(
            f"size_factors has {int(bad.sum())} value(s) that are not positive and finite, the "
            f"first {sizes[row]:g} in row {row}; drop those rows or give them another one."
        )
    return sizes

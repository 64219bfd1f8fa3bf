"""Rows of a file that are checked as they are read, where one pass is all that is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lowdim._validation import check_source
from lowdim.data.sources import RowSource

if TYPE_CHECKING:
    from lowdim._typing import Rows


class CheckedRows:
    """The rows of ``source``, as a row source that refuses values which are not finite.

    The first block that has one leads to a pass over all rows, for an error that counts them.
    """

    def __init__(self, source: RowSource) -> None:
        self.source = source
        self.n_rows, self.n_cols = source.n_rows, source.n_cols
        self.dtype = source.dtype
        self.is_sparse = source.is_sparse
        self.in_memory = source.in_memory
        self.feature_names = source.feature_names

    def rows(self, start: int, stop: int) -> Rows:
        """Rows ``start`` to ``stop``."""
        return self._checked(self.source.rows(start, stop))

    def take(self, index: np.ndarray) -> Rows:
        """Rows by number."""
        return self._checked(self.source.take(index))

    def _checked(self, rows: Rows) -> Rows:
        values = rows if isinstance(rows, np.ndarray) else rows.data
        # A finite sum proves that all terms are finite.
        with np.errstate(over="ignore", invalid="ignore"):
            suspicious = not np.isfinite(values.sum())
        if suspicious:
            check_source(self.source)
        return rows

"""Some rows of another source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lowdim.data.sources import RowSource

if TYPE_CHECKING:
    from lowdim._typing import Rows


class SubsetRows:
    """The rows of ``source`` at ``index`` (ascending, without repeats), as a row source."""

    def __init__(self, source: RowSource, index: np.ndarray) -> None:
        self.source = source
        self.index = index
        self.n_rows = len(index)
        self.n_cols = source.n_cols
        self.dtype = source.dtype
        self.is_sparse = source.is_sparse
        self.in_memory = source.in_memory
        self.feature_names = source.feature_names

    def rows(self, start: int, stop: int) -> Rows:
        """Rows ``start`` to ``stop`` of the subset."""
        return self.source.take(self.index[start:stop])

    def take(self, index: np.ndarray) -> Rows:
        """Rows of the subset by number."""
        return self.source.take(self.index[index])

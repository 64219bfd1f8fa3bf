"""What goes into a fit of factors, and what comes out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from lowdim.factorization._engine import Course
from lowdim.factorization._file_counts import FileCounts, rows_at_a_time
from lowdim.factorization._space import Space
from lowdim.factorization._state import State

if TYPE_CHECKING:
    from lowdim._typing import Rows


@dataclass(frozen=True)
class Data:
    """What was measured.

    Attributes
    ----------
    values : (N, J)
        An array, NaN where not known, CSR, or counts that stay in a file.
    sizes : (N,)
    coordinates : (N, D) or None
    codes : (N,)
        Numbers of the slides.
    """

    values: np.ndarray | sp.csr_array | FileCounts
    sizes: np.ndarray
    coordinates: np.ndarray | None
    codes: np.ndarray

    def parts(self, *, counted: bool) -> Iterator[Data]:
        """Some rows after the other, in memory, without places; the same of a file as of memory."""
        for start, rows in self._blocks():
            own = slice(start, start + rows.shape[0])
            yield Data(in_memory(rows, counted=counted), self.sizes[own], None, self.codes[own])

    def _blocks(self) -> Iterator[tuple[int, Rows]]:
        if isinstance(self.values, FileCounts):
            yield from self.values.blocks()
            return
        n, n_columns = self.values.shape
        step = rows_at_a_time(n_columns, sparse=sp.issparse(self.values))
        for start in range(0, n, step):
            yield start, self.values[start : start + step]


def in_memory(rows: Rows, *, counted: bool) -> np.ndarray | sp.csr_array:
    """Rows as models take them, float64; sparse counts stay sparse if all are known."""
    if isinstance(rows, np.ndarray):
        return np.require(rows, np.float64, ["C", "W"])  # torch warns of what it must not write
    if counted and not np.isnan(rows.data.sum()):
        return sp.csr_array(rows, dtype=np.float64)
    return np.asarray(rows.toarray(), dtype=np.float64)


@dataclass(frozen=True)
class Fitted:
    """A fit, and what is needed to ask it about other places and rows."""

    state: State
    course: Course
    space: Space | None

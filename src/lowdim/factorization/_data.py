"""What goes into a fit of factors, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from lowdim.factorization._engine import Course
from lowdim.factorization._file_counts import FileCounts
from lowdim.factorization._space import Space
from lowdim.factorization._state import State


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


@dataclass(frozen=True)
class Fitted:
    """A fit, and what is needed to ask it about other places and rows."""

    state: State
    course: Course
    space: Space | None

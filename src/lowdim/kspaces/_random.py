"""Seeds: from `random_state`, or from NumPy's global stream, which kspaces' users seed."""

from __future__ import annotations

import numpy as np
from sklearn.utils import check_random_state

from lowdim._random import generator
from lowdim._typing import RandomState


def seeded(random_state: RandomState) -> np.random.Generator:
    """A generator; without a `random_state`, its seed is drawn once from ``np.random``."""
    return generator(check_random_state(None) if random_state is None else random_state)

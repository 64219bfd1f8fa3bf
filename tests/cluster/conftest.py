"""Rows in clusters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest


@pytest.fixture(scope="session")
def blobs() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Rows around centres, and the cluster of each."""

    def make(
        n: int = 400, n_columns: int = 3, k: int = 4, spread: float = 10.0, seed: int = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        centres = spread * rng.normal(size=(k, n_columns))
        labels = rng.integers(k, size=n)
        return centres[labels] + rng.normal(size=(n, n_columns)), labels

    return make

"""Labels or responsibilities that a fit is told to begin with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def check_start(
    init: Any, name: str, kinds: Sequence[str], n_rows: int, n_components: int
) -> np.ndarray:
    """Responsibilities, (N, K), from labels (N,) or responsibilities (N, K).

    Raises
    ------
    TypeError
        They are not numbers, or labels are not integers.
    ValueError
        They have another shape, or values that labels or shares cannot have.
    """
    start = np.asarray(init)
    if start.dtype.kind not in "biuf":
        raise TypeError(
            f"{name} has dtype {start.dtype}; pass {', '.join(map(repr, kinds))}, integer labels "
            "(N,) or responsibilities (N, K)."
        )
    if start.shape == (n_rows,):
        labels = start.astype(np.int64)
        if (labels != start).any() or labels.min() < 0 or labels.max() >= n_components:
            raise ValueError(
                f"{name} holds labels other than 0 to {n_components - 1}; number the components of "
                "the rows from 0 on."
            )
        return np.eye(n_components)[labels]
    if start.shape != (n_rows, n_components):
        raise ValueError(
            f"{name} has shape {start.shape}, expected ({n_rows},) for labels or "
            f"({n_rows}, {n_components}) for responsibilities."
        )
    shares = start.astype(np.float64)
    sums = shares.sum(1)
    if not (np.isfinite(shares).all() and (shares >= 0).all() and (sums > 0).all()):
        raise ValueError(
            f"{name} holds responsibilities that are negative, not finite, or all zero in a row."
        )
    return np.asarray(shares / sums[:, None])

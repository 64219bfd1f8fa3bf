"""Which slide every row is on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd


def check_samples(samples: Any, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the rows' slides, (N,), and the slides' names.

    Raises
    ------
    ValueError
        `samples` has not one name per row, or lacks some.
    """
    if samples is None:
        return np.zeros(n_rows, dtype=np.int64), np.array([""], dtype=object)
    names = _one_per_row(samples, n_rows)
    found, codes = np.unique(names, return_inverse=True)
    return codes.astype(np.int64), found.astype(object)


def check_known_samples(samples: Any, n_rows: int, known: np.ndarray) -> np.ndarray:
    """Numbers of slides, (n,), among those of the fit.

    Raises
    ------
    ValueError
        A name is not among them, or none is given where there are several.
    """
    if samples is None:
        if len(known) > 1:
            raise ValueError(
                f"samples must say which of the {len(known)} fitted slides every row is on."
            )
        return np.zeros(n_rows, dtype=np.int64)
    names = _one_per_row(samples, n_rows)
    position = {name: code for code, name in enumerate(known)}
    strange = sorted(set(names) - set(position))
    if strange:
        raise ValueError(
            f"samples has {strange[0]!r}, which was not fitted; the slides are "
            f"{', '.join(map(repr, known[:10]))}."
        )
    return np.array([position[name] for name in names], dtype=np.int64)


def _one_per_row(samples: Any, n_rows: int) -> np.ndarray:
    array = np.asarray(samples, dtype=object)
    if array.shape != (n_rows,):
        raise ValueError(f"samples has shape {array.shape}, expected ({n_rows},).")
    unknown = pd.isna(array)
    if unknown.any():
        raise ValueError(f"samples is missing in row {int(unknown.argmax())}.")
    return array.astype(str).astype(object)

"""Checks of the weights of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim._validation.matrices import check_real_dtype

if TYPE_CHECKING:
    from lowdim._typing import Float64Array


def check_sample_weight(sample_weight: Any, n_rows: int) -> Float64Array | None:
    """Check weights of rows.

    Parameters
    ----------
    sample_weight
        One nonnegative number per row, or None.
    n_rows
        How many rows there are, N.

    Returns
    -------
    The weights as float64, (N,), a copy if they were not; None for None.

    Raises
    ------
    TypeError
        The weights are not real numbers.
    ValueError
        They are not 1-D, not one per row, not finite, negative, or all zero.
    """
    if sample_weight is None:
        return None
    weights = np.asarray(sample_weight)
    if weights.ndim != 1 or len(weights) != n_rows:
        raise ValueError(
            f"sample_weight has shape {weights.shape}, expected ({n_rows},); pass a 1D array with "
            "one weight per row."
        )
    weights = _as_float64(weights, "sample_weight")
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(
            f"sample_weight has {int(bad.sum())} value(s) that are NaN, infinite or negative, the "
            f"first {weights[row]:g} in row {row}; weights must be finite and >= 0."
        )
    if not weights.any():
        raise ValueError("sample_weight is all zero; give at least one row a positive weight.")
    return weights


def _as_float64(values: np.ndarray, name: str) -> Float64Array:
    """Return numbers as float64, turning Python objects into numbers if they are some."""
    if values.dtype.kind == "O":
        try:
            return values.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise TypeError(f"{name} holds something other than numbers: {error}.") from error
    check_real_dtype(values.dtype, name=name)
    return values.astype(np.float64, copy=False)

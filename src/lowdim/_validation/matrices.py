"""Checks of what a matrix is: its type, its dtype and its shape, not its values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import Any

import numpy as np


def check_matrix(X: Any, *, name: str = "X") -> Any:
    """Check that something array-like is a nonempty real matrix; its values are not looked at.

    Parameters
    ----------
    X
        A 2-D array, a list of lists, a pandas DataFrame or a scipy.sparse matrix or array.
    name
        What errors call it.

    Returns
    -------
    A real ndarray, or CSR if `X` is sparse, (N, D). `X` itself where it is one already: no copy,
    no change of dtype except that Python objects become float64.

    Raises
    ------
    TypeError
        `X` is no array, is masked, or holds something other than real numbers.
    ValueError
        `X` is not 2-D, has no rows or no columns, is complex or cannot be read as numbers.
    """
    if type(X) is np.ndarray and X.ndim == 2 and X.dtype.kind in "biuf":  # all else is right
        check_shape(X.shape, name=name)
        return X
    from sklearn.utils import check_array

    if X is None:
        raise TypeError(f"{name} is None; pass a matrix with observations as rows.")
    if isinstance(X, (Mapping, Set, Iterator)):
        raise TypeError(
            f"{name} is a {type(X).__name__}, not a matrix; pass an array, a list of rows, a "
            "sparse matrix, a tensor, a DataFrame, an AnnData or the path of a .h5ad file."
        )
    if isinstance(X, np.ma.MaskedArray):
        raise TypeError(
            f"{name} is a masked array, whose mask would be ignored; fill or drop the masked "
            "values first."
        )
    _check_frame_columns(X, name)
    matrix = check_array(
        X, accept_sparse="csr", dtype="numeric", ensure_all_finite=False, input_name=name
    )
    check_real_dtype(matrix.dtype, name=name)
    return matrix


def check_real_dtype(dtype: np.dtype, *, name: str = "X") -> None:
    """Raise unless `dtype` is boolean, integer or real.

    Raises
    ------
    TypeError
        It holds text, dates, objects or records.
    ValueError
        It is complex.
    """
    if dtype.kind == "c":
        raise ValueError(
            f"Complex data not supported: {name} has dtype {dtype}; pass its real part, or real "
            "and imaginary parts as separate columns."
        )
    if dtype.kind not in "biuf":
        raise TypeError(
            f"{name} has dtype {dtype}, which is not numeric; convert it, for example with "
            ".astype(float)."
        )


def check_shape(shape: tuple[int, ...], *, name: str = "X", min_rows: int = 1) -> None:
    """Raise ValueError unless `shape` is 2-D with `min_rows` rows or more and a column."""
    if len(shape) != 2:
        raise ValueError(
            f"Expected 2D array, got {len(shape)}D array instead: {name} has shape {shape}. "
            "Reshape your data using array.reshape(-1, 1) if it has a single column, or "
            "array.reshape(1, -1) if it has a single row."
        )
    n_rows, n_cols = shape
    if n_rows < min_rows:
        raise ValueError(
            f"Found array with {n_rows} sample(s) (shape={shape}) while a minimum of {min_rows} "
            f"is required. Pass more rows in {name}."
        )
    if n_cols < 1:
        raise ValueError(
            f"Found array with 0 feature(s) (shape={shape}) while a minimum of 1 is required. "
            f"Pass at least one column in {name}."
        )


def _check_frame_columns(X: Any, name: str) -> None:
    """Raise TypeError if `X` is a DataFrame with columns that are not numbers."""
    dtypes = getattr(X, "dtypes", None)
    if dtypes is None or not hasattr(X, "columns"):
        return
    kinds = zip(X.columns, dtypes, strict=True)
    bad = [str(column) for column, dtype in kinds if getattr(dtype, "kind", "O") not in "biufc"]
    if bad:
        shown = ", ".join(repr(column) for column in bad[:5]) + (", ..." if len(bad) > 5 else "")
        raise TypeError(
            f"{name} has {len(bad)} column(s) that are not numeric: {shown}. Drop them, for "
            f"example with {name}.select_dtypes('number'), or convert them with .astype(float)."
        )

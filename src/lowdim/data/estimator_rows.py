"""The rows that an estimator is fitted to, and those that it is asked about later."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import torch

from lowdim._device import resolve_device, resolve_dtype
from lowdim._validation import check_source
from lowdim.data.checked_rows import CheckedRows
from lowdim.data.dask_rows import DaskRows
from lowdim.data.sources import RowSource, as_rows
from lowdim.data.standardized import StandardizedRows

_logger = logging.getLogger("lowdim")


def read_rows(
    model: Any, X: Any, *, reset: bool = True, counts: bool = False, allow_nan: bool = False
) -> RowSource:
    """The checked rows of a fit; remembers the number and names of the columns.

    With `counts`, values other than nonnegative whole numbers are refused; with `allow_nan`, NaN is
    not.
    """
    source = as_rows(X)
    if reset:
        model.n_features_in_ = source.n_cols
        remember_names(model, source)
    check_source(source, nonnegative=counts, integer=counts, allow_nan=allow_nan)
    if not reset:
        check_columns(model, source)
    return source


def remember_names(model: Any, source: Any) -> None:
    """Give a model the names of the columns that it is fitted to, or none."""
    names = getattr(source, "feature_names", None)
    if names is not None:
        model.feature_names_in_ = np.asarray(names, dtype=object)
    elif hasattr(model, "feature_names_in_"):
        del model.feature_names_in_


def read_new_rows(
    model: Any, X: Any, moments: tuple[np.ndarray, float], *, dtype: Any = None
) -> StandardizedRows:
    """New rows in a fitted model's units, for one pass; see `standardized`.

    They are checked: those of a file as they are read, so that it is read once.
    """
    source = as_rows(X)
    check_columns(model, source)
    if source.in_memory or (isinstance(source, DaskRows) and source.client is not None):
        check_source(source)
    else:
        source = CheckedRows(source)
    return standardized(model, source, moments=moments, dtype=dtype)


def standardized(
    model: Any,
    source: RowSource,
    weight: np.ndarray | None = None,
    *,
    moments: tuple[np.ndarray, float] | None = None,
    dtype: Any = None,
) -> StandardizedRows:
    """Rows where and as a model computes with them; in `dtype` where it names no precision."""
    return standardized_rows(
        source,
        device=resolve_device(model.device),
        dtype=resolve_dtype(dtype if model.dtype is None else model.dtype, source.dtype),
        sample_weight=weight,
        block_rows=model.batch_size,
        moments=moments,
    )


def standardized_rows(
    source: RowSource,
    *,
    device: torch.device,
    dtype: torch.dtype,
    sample_weight: np.ndarray | None = None,
    block_rows: int | None = None,
    moments: tuple[np.ndarray, float] | None = None,
) -> StandardizedRows:
    """`StandardizedRows`; those of a Dask array stay on the workers where a client is active."""
    if not isinstance(source, DaskRows) or source.client is None:
        return StandardizedRows(
            source,
            device=device,
            dtype=dtype,
            sample_weight=sample_weight,
            block_rows=block_rows,
            moments=moments,
        )
    from lowdim.data.worker_rows import WorkerRows

    if device.type != "cpu":
        _logger.warning("Dask workers compute on processors; device %s is not used.", device)
    return WorkerRows(
        source, dtype=dtype, sample_weight=sample_weight, block_rows=block_rows, moments=moments
    )


def check_columns(model: Any, source: RowSource) -> None:
    """Raise ValueError unless the rows have the columns of the fit."""
    names = getattr(model, "feature_names_in_", None)
    if source.n_cols != model.n_features_in_:
        raise ValueError(
            f"X has {source.n_cols} features, but {type(model).__name__} is expecting "
            f"{model.n_features_in_} features as input."
        )
    new = source.feature_names
    if names is not None and new is not None and list(names) != list(new):
        raise ValueError(
            "The feature names should match those that were passed during fit: select the "
            "same columns in the same order."
        )


def dense_rows(source: RowSource, index: np.ndarray) -> np.ndarray:
    """Some rows as an array, float64."""
    rows = source.take(index)
    return np.asarray(rows if isinstance(rows, np.ndarray) else rows.toarray(), dtype=np.float64)

"""Answers about the rows of a Dask array: Dask arrays, too, computed when they are asked for."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast
from uuid import uuid4

import numpy as np
import scipy.sparse as sp

from lowdim.data.dask_rows import DaskRows, dask_array, one_chunk_of_columns
from lowdim.data.estimator_rows import check_columns
from lowdim.data.sources import as_rows

Method = TypeVar("Method", bound=Callable[..., Any])


def lazy(method: Method) -> Method:
    """For methods that say something of each row: of a Dask array they say it chunk by chunk.

    Given a Dask array, or an AnnData whose `X` is one, the method returns a Dask array with the
    same chunks of rows, which holds a copy of the fitted model. Given a row source over a Dask
    array it computes that, where chunks lie. Anything else is the method's own.
    """

    @wraps(method)
    def answer(self: Any, X: Any, *args: Any, **kwargs: Any) -> Any:
        array = dask_array(X)
        by_row = any(np.ndim(value) for value in (*args, *kwargs.values()))
        if by_row:  # such as size factors: chunks would have to be told theirs
            return method(self, X, *args, **kwargs)
        if array is not None:
            return _by_chunks(method, self, X, array, *args, **kwargs)
        if isinstance(X, DaskRows):
            return _by_chunks(method, self, X, X.array, *args, **kwargs).compute()
        return method(self, X, *args, **kwargs)

    return cast(Method, answer)


def like_rows(X: Any, values: np.ndarray) -> Any:
    """Values of the rows, in a Dask array with its chunks if `X` is a Dask array."""
    array = dask_array(X)
    if array is None:
        return values
    from dask.array import from_array

    return from_array(values, chunks=(array.chunks[0], *((n,) for n in values.shape[1:])))


def _by_chunks(
    method: Callable[..., Any], model: Any, X: Any, array: Any, *args: Any, **kwargs: Any
) -> Any:
    """The method's answers to the chunks of an array."""
    from dask.delayed import delayed

    array = one_chunk_of_columns(array, "X")
    probe = np.zeros((1, array.shape[1]), array.dtype)
    rows = sp.csr_matrix(probe) if sp.issparse(array._meta) else probe
    said = method(model, rows, *args, **kwargs)  # raises what is to be raised, at once
    check_columns(model, as_rows(X))
    own = copy.copy(model)
    for name, value in vars(model).items():
        if dask_array(value) is not None:  # what a fit to another array said of its rows
            delattr(own, name)
    return array.map_blocks(
        _answer,
        delayed(own, pure=False, traverse=False),
        method.__name__,
        args,
        kwargs,
        drop_axis=None if said.ndim == 2 else 1,
        chunks=None if said.ndim == 1 else (array.chunks[0], said.shape[1:]),
        dtype=said.dtype,
        meta=said[:0],
        name=f"lowdim-{method.__name__}-{uuid4().hex}",
    )


def _answer(rows: Any, model: Any, name: str, args: Any, kwargs: Any) -> Any:
    method = getattr(model, name)
    if not rows.shape[0]:
        return method(np.zeros((1, rows.shape[1]), rows.dtype), *args, **kwargs)[:0]
    return method(rows, *args, **kwargs)

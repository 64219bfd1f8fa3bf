"""Places of the rows of a file, which are never in memory together."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np
from sklearn.utils.validation import check_is_fitted

from lowdim.data.estimator_rows import read_rows
from lowdim.data.sources import as_rows
from lowdim.embedding._spectral.centred_rows import blocks

Method = TypeVar("Method", bound=Callable[..., Any])


def by_blocks(transform: Method) -> Method:
    """For a `transform` that places every row by itself: rows of a file come block by block."""

    @wraps(transform)
    def answer(self: Any, X: Any, *args: Any, **kwargs: Any) -> np.ndarray:
        check_is_fitted(self)
        source = as_rows(X)
        if source.in_memory:
            return np.asarray(transform(self, X, *args, **kwargs))
        source = read_rows(self, source, reset=False)  # which names a row that cannot be used
        return np.concatenate([transform(self, rows, *args, **kwargs) for rows in blocks(source)])

    return cast(Method, answer)

"""How many threads a fit is given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

_SMALL = 2_000_000
"""Entries of a matrix up to which threads wait for each other longer than they compute."""


@contextmanager
def threads_for(n_values: int) -> Iterator[None]:
    """Compute with one thread if the matrix has few entries, else as torch sees fit.

    NumPy's own threads are off in either case: its products here are small ones, which torch's
    threads or ours already run side by side.
    """
    import torch

    before = torch.get_num_threads()
    if n_values <= _SMALL:
        torch.set_num_threads(1)
    try:
        with _controller().limit(limits=1, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)


@lru_cache(maxsize=1)
def _controller() -> Any:
    import numpy.linalg  # noqa: F401  the libraries must be loaded to be found
    import scipy.linalg  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()

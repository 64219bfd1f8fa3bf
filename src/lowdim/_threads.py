"""How many threads a fit is given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_SMALL = 2_000_000
"""Entries of a matrix up to which threads wait for each other longer than they compute."""


@contextmanager
def threads_for(n_values: int) -> Iterator[None]:
    """Compute with one thread if the matrix has few entries, else as torch sees fit.

    On a busy machine of two cores, a search in a 700 x 10 matrix took a sixth of the processor
    time with one thread.
    """
    import torch

    before = torch.get_num_threads()
    if n_values <= _SMALL:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)

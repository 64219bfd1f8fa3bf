"""Threads for the compiled steps of a fit; how many there are does not change a bit of its result.

Work is always split into the same number of parts, and every number is summed within a part or in
the order of the parts. Threads only share the parts out.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any, Self

import numpy as np

from lowdim._threads import check_n_threads

#: Parts that all work over points is split into, and so the most threads that can help.
PARTS = 16


class Crew:
    """Threads that stay while a fit runs its many short steps.

    Parameters
    ----------
    n_jobs : int or None, default=None
        Threads: as many as torch has for None, one per core for -1.

    Raises
    ------
    TypeError, ValueError
        `n_jobs` is no integer, or is 0.
    """

    def __init__(self, n_jobs: Any = None) -> None:
        self.n_threads = check_n_threads(n_jobs)
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        if self.n_threads > 1:
            self._pool = ThreadPoolExecutor(min(self.n_threads, PARTS) - 1)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def run(self, function: Callable[..., Any], *arguments: Any, n_parts: int = PARTS) -> None:
        """Call ``function(first, last, *arguments)`` until it has seen all parts, 0 to `n_parts`.

        The function leaves the interpreter to others while it runs, and returns nothing.
        """
        if self._pool is None:
            function(0, n_parts, *arguments)
            return
        share = min(self.n_threads, n_parts)
        edges = [n_parts * k // share for k in range(share + 1)]
        others = [
            self._pool.submit(function, edges[k], edges[k + 1], *arguments) for k in range(1, share)
        ]
        try:
            function(0, edges[1], *arguments)
        finally:
            wait(others)
        for other in others:
            other.result()


def part_bounds(n: int) -> np.ndarray:
    """Where the parts of n points begin and end, (PARTS + 1,), int64."""
    return np.arange(PARTS + 1, dtype=np.int64) * n // PARTS

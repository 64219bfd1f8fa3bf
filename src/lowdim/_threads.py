"""How many threads a fit is given."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from itertools import pairwise
from numbers import Integral
from typing import Any, TypeVar

from joblib import cpu_count

from lowdim._validation import check_positive_int

Task = TypeVar("Task")
Result = TypeVar("Result")

_SMALL = 2_000_000
"""Entries of a matrix up to which threads wait for each other longer than they compute."""
_PART_ROWS = 512
"""A thread's share of rows has at least so many, since each share makes all sums anew."""


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


@contextmanager
def serial_blas() -> Iterator[None]:
    """Products of NumPy take one thread each: others of ours run beside them."""
    with _controller().limit(limits=1, user_api="blas"):
        yield


def check_n_threads(n_jobs: Any) -> int:
    """The number of threads that `n_jobs` asks for: torch's for None, one per core for -1.

    Raises
    ------
    TypeError, ValueError
        It is no integer, or 0.
    """
    if n_jobs is None:
        import torch

        return torch.get_num_threads()
    if isinstance(n_jobs, Integral) and not isinstance(n_jobs, bool) and n_jobs < 0:
        return max(1, cpu_count() + 1 + int(n_jobs))
    return check_positive_int(n_jobs, "n_jobs")


def in_threads(
    function: Callable[[Task], Result], tasks: Iterable[Task], *, n_threads: int | None = None
) -> list[Result]:
    """Results in the order of the tasks, run by as many threads as torch has at present.

    For compiled functions, which leave the interpreter to the others while they run. `n_threads`
    asks for another number of them.
    """
    n_threads = check_n_threads(n_threads)
    if n_threads == 1:
        return [function(task) for task in tasks]
    with ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(function, tasks))


def side_by_side(
    tasks: Iterable[Callable[[], Result]], n_threads: int
) -> Generator[Result, None, None]:
    """Results in the order of the tasks, whichever ends first; so many are worked on at a time.

    They share the threads that torch has at present, for the main thread only: until the iterator
    is closed (`contextlib.closing`) all threads that are new have fewer.
    """
    if n_threads == 1:
        for task in tasks:
            yield task()
            del task
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(max(1, before // n_threads))  # here, and of threads that are new
    pool, results = ThreadPoolExecutor(n_threads), deque[Future[Result]]()
    try:
        for task in tasks:
            results.append(pool.submit(task))
            del task
            if len(results) > n_threads:  # one waits, lest a thread does
                yield results.popleft().result()
        while results:
            yield results.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)


def row_parts(n_rows: int, worth: int) -> list[slice]:
    """Rows split for `in_threads`, into no more parts than the work is worth."""
    import torch

    n_parts = max(1, min(torch.get_num_threads(), worth, n_rows // _PART_ROWS))
    edges = [n_rows * part // n_parts for part in range(n_parts + 1)]
    return [slice(*edge) for edge in pairwise(edges)]


@lru_cache(maxsize=1)
def _controller() -> Any:
    import numpy.linalg  # noqa: F401  the libraries must be loaded to be found
    import scipy.linalg  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()

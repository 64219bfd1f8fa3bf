"""Independent fits side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from numbers import Integral
from typing import Any, TypeVar

import torch
from joblib import Parallel, cpu_count, delayed

from lowdim._interrupts import undivided
from lowdim._progress import progress
from lowdim._validation import check_positive_int

Task = TypeVar("Task")
Result = TypeVar("Result")


def in_jobs(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    *,
    n_jobs: int | None,
    description: str,
    verbose: int,
) -> Iterator[Result]:
    """Results in the order of the tasks, one after the other, by joblib's workers.

    They are threads, which share the data and divide those that torch has at present among them, or
    what joblib's configuration names, such as a Dask cluster, which the data are sent to.
    """
    n_workers = min(check_n_jobs(n_jobs), len(tasks))
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, before // n_workers))
    # The results come as a generator, so that what is large in them can be summed up at once.
    parallel = Parallel(n_jobs=n_workers, prefer="threads", return_as="generator")
    try:
        bars = progress(len(tasks), description=description, enabled=verbose > 0)
        with undivided(), bars as bar:
            for result in parallel(delayed(function)(task) for task in tasks):
                bar.update()
                yield result
    finally:
        torch.set_num_threads(before)


def check_no_checkpoint(estimator: Any) -> None:
    """Raise ValueError for an estimator that keeps its fit in a file, where there are many fits."""
    path = getattr(estimator, "checkpoint", None)
    if path is not None:
        raise ValueError(
            f"checkpoint={str(path)!r} keeps a single fit, and this makes many; set it to None, or "
            "name one size."
        )


def check_n_jobs(n_jobs: Any) -> int:
    """The number of workers that `n_jobs` asks for: 1 for None, one per core for -1."""
    if n_jobs is None:
        return 1
    if isinstance(n_jobs, Integral) and n_jobs < 0:
        return max(1, cpu_count() + 1 + int(n_jobs))
    return check_positive_int(n_jobs, "n_jobs")

"""Independent fits side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from numbers import Integral
from typing import Any, TypeVar

import numpy as np
import torch
from joblib import Parallel, cpu_count, delayed

from lowdim._interrupts import undivided
from lowdim._journal import Journal
from lowdim._packing import as_arrays, of_arrays
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
    in_threads: bool = False,
) -> Iterator[Result]:
    """Results in the order of the tasks, one after the other, by joblib's workers.

    They are threads, which share the data and divide those that torch has at present among them, or
    what joblib's configuration names, such as a Dask cluster, which the data are sent to, unless
    they shall be threads in any case.
    """
    n_workers = min(check_n_jobs(n_jobs), len(tasks))
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, before // n_workers))
    # The results come as a generator, so that what is large in them can be summed up at once.
    kind = {"require": "sharedmem"} if in_threads else {"prefer": "threads"}
    parallel = Parallel(n_jobs=n_workers, return_as="generator", **kind)
    try:
        bars = progress(len(tasks), description=description, enabled=verbose > 0)
        with undivided(), bars as bar:
            for result in parallel(delayed(function)(task) for task in tasks):
                bar.update()
                yield result
    finally:
        torch.set_num_threads(before)


def in_kept_jobs(
    function: Callable[[Task, Journal], Result],
    tasks: Sequence[Task],
    journal: Journal,
    *,
    pack: Callable[[Result], Any] = lambda found: found,
    unpack: Callable[[Any], Result] = lambda kept: kept,
    n_jobs: int | None,
    description: str,
    verbose: int,
) -> Iterator[Result]:
    """`in_jobs`, each result kept by a journal when it is there; with a file, in threads.

    Parameters
    ----------
    function
        Of a task and a journal of its own. What it draws, it draws by the task.
    tasks, n_jobs, description, verbose
    journal
    pack, unpack
        Make nested values that `lowdim._packing` knows of a result, and a result of these.
    """
    journals = journal.split([np.random.default_rng(0) for _ in tasks])

    def run(number: int) -> Result:
        return journals[number].once(
            partial(function, tasks[number]),
            lambda found: as_arrays(pack(found)),
            lambda arrays: unpack(of_arrays(arrays)),
        )

    yield from in_jobs(
        run,
        range(len(tasks)),
        n_jobs=n_jobs,
        description=description,
        verbose=verbose,
        in_threads=journal.checkpoint is not None,
    )


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

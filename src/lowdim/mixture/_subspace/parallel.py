"""Restarts split over joblib's workers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lowdim._random import generator
from lowdim._threads import threads_for
from lowdim.data.standardized import StandardizedRows
from lowdim.mixture._subspace.arguments import Arguments
from lowdim.mixture._subspace.fit import SubspaceFit
from lowdim.mixture._subspace.train import fit_rows


def fit_starts(
    arguments: Arguments, data: StandardizedRows, rng: np.random.Generator
) -> SubspaceFit:
    """The best of all restarts, by as many workers as the arguments ask for."""
    if arguments.n_workers == 1:
        return fit_rows(arguments, data, rng)
    return fit_in_parallel(arguments, data, rng.integers(2**31, size=arguments.n_workers).tolist())


def fit_in_parallel(arguments: Arguments, data: StandardizedRows, seeds: list[int]) -> SubspaceFit:
    """The best of all restarts, by one worker per seed.

    Workers are threads that share the rows, or what joblib's configuration names. Starts are
    dealt to them in turn, beginning with the one that was given, if any.
    """
    from joblib import Parallel, delayed

    n = len(seeds)
    n_given = int(arguments.start is not None)
    n_starts = n_given + len(arguments.strategies)
    shares = [np.arange(worker, n_starts, n) for worker in range(n)]
    tasks = [
        replace(
            arguments,
            strategies=[arguments.strategies[i - n_given] for i in share if i >= n_given],
            start=arguments.start if worker == 0 else None,
        )
        for worker, share in enumerate(shares)
    ]
    next(iter(data))  # blocks that are kept are made once, and not by every thread
    with threads_for(0):  # a core per worker
        fits = Parallel(n_jobs=n, prefer="threads")(
            delayed(_work)(task, data, seed) for task, seed in zip(tasks, seeds, strict=True)
        )
    best = max(fits, key=_rank)
    objectives = np.empty(n_starts)
    for share, fit in zip(shares, fits, strict=True):
        objectives[share] = fit.restart_objectives
    return replace(best, restart_objectives=objectives)


def _work(arguments: Arguments, data: StandardizedRows, seed: int) -> SubspaceFit:
    with threads_for(0):  # in another process too
        return fit_rows(arguments, data, generator(seed))


def _rank(fit: SubspaceFit) -> tuple[bool, bool, float]:
    """For choosing among workers' results, as `EMResult.best` does among restarts."""
    finite = bool(np.isfinite(fit.objective))
    return finite and not fit.degenerate, finite, fit.objective if finite else -np.inf

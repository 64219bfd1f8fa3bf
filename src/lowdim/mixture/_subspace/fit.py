"""From rows to the best of several fitted restarts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lowdim._journal import Journal
from lowdim._results import StopReason
from lowdim.data.blocks import Rows
from lowdim.data.standardized import StandardizedRows
from lowdim.mixture._em import EMOptions, EMResult, expectation, run_em
from lowdim.mixture._family import concatenate, log_likelihood
from lowdim.mixture._subspace.family import SubspaceFamily
from lowdim.mixture._subspace.initialize import Starter, sample_index
from lowdim.mixture._subspace.parallel import Run, in_workers, worth_splitting
from lowdim.mixture._subspace.parameters import SubspaceParameters

#: Restarts are batched as long as their parameters and statistics stay below this.
BATCH_BYTES = 2**28


@dataclass(frozen=True)
class SubspaceFit:
    """The kept restart and how it compares with the others.

    Attributes
    ----------
    parameters : SubspaceParameters
        One restart, standardised units, components in the order of the requested dimensions.
    objective : float
        Mean objective per row weight, standardised units.
    log_likelihood : float
        Mean observed log-likelihood per row weight, standardised units.
    trace : ndarray
        Accepted objectives of the kept restart.
    n_iter : int
    reason : StopReason
    restart_objectives : ndarray of shape (n_init,)
    degenerate : bool
        Whether even the kept restart has a component on the variance floor or without rows.
    """

    parameters: SubspaceParameters
    objective: float
    log_likelihood: float
    trace: np.ndarray
    n_iter: int
    reason: StopReason
    restart_objectives: np.ndarray
    degenerate: bool


@dataclass(frozen=True)
class Sifted:
    """Which restarts a stage of the fit lets go on, and what all had reached by then.

    Attributes
    ----------
    objectives : ndarray of shape (n_init,)
        Mean objective of every restart at the end of the stage.
    place : ndarray of shape (n_init,)
        Which of the restarts that go on each one goes on as; -1 for those that do not.
    reference : int, optional
        Which of the restarts that go on the objectives are differences from, if they are.
    """

    objectives: np.ndarray
    place: np.ndarray
    reference: int | None = None

    def objectives_after(self, objectives: np.ndarray) -> np.ndarray:
        """Objectives of every restart, given those of the ones that went on."""
        base = 0.0 if self.reference is None else objectives[self.reference]
        return np.where(self.place < 0, base + self.objectives, objectives[self.place])

    def after(self, n: int) -> Sifted:
        """The same where `n` further restarts come first and all go on."""
        place = np.where(self.place < 0, -1, self.place + n)
        return Sifted(
            np.concatenate([np.full(n, np.nan), self.objectives]),
            np.concatenate([np.arange(n), place]),
            None if self.reference is None else self.reference + n,
        )


def make_starter(
    data: StandardizedRows, max_dim: int, rng: np.random.Generator, *, shared_noise: bool = False
) -> tuple[Starter, np.ndarray]:
    """A starter on a random sample of the rows, and the sample's row indices."""
    index = sample_index(data, rng)
    return Starter(data.subset(index), rng, data.n_columns, max_dim, shared_noise), index


def run_restarts(
    family: SubspaceFamily,
    data: Rows,
    starts: list[SubspaceParameters],
    options: EMOptions,
    report: Callable[[int, float], None] | None = None,
    n_workers: int = 1,
    journal: Journal | None = None,
) -> EMResult[SubspaceParameters]:
    """EM from all starts."""
    report = report if n_workers == 1 else None  # a bar cannot be sent to other processes
    run = partial(_run_em, options=options, report=report)
    return in_batches(run, family, data, starts, n_workers, journal)


def _run_em(
    family: SubspaceFamily,
    data: Rows,
    start: SubspaceParameters,
    journal: Journal,
    *,
    options: EMOptions,
    report: Callable[[int, float], None] | None,
) -> EMResult[SubspaceParameters]:
    return run_em(family, data, start, options, report, journal)


def in_batches(
    run: Run,
    family: SubspaceFamily,
    data: Rows,
    starts: list[SubspaceParameters],
    n_workers: int = 1,
    journal: Journal | None = None,
) -> EMResult[SubspaceParameters]:
    """Run all starts, by workers or as many at a time as memory allows, and join their results.

    The list is emptied, since what is in it is as large as what is learned from it.
    """
    journal = journal or Journal()
    start = concatenate(starts)
    starts.clear()
    if n_workers > 1 and data.local and worth_splitting(family.n_rows, start):
        run = partial(_in_memory, run)
        return _joined(in_workers(run, family, data, start, n_workers, journal))
    return _in_memory(run, family, data, start, journal)


def _in_memory(
    run: Run, family: SubspaceFamily, data: Rows, start: SubspaceParameters, journal: Journal
) -> EMResult[SubspaceParameters]:
    """Run as many starts at a time as memory allows."""
    size, n = restarts_per_batch(start), start.n_restarts
    batches = [start]
    if size < n:
        batches = [start.select(torch.arange(i, min(i + size, n))) for i in range(0, n, size)]
    del start
    results = []
    while batches:
        results.append(run(family, data, batches.pop(0), journal))
    return _joined(results)


def _joined(results: list[EMResult[SubspaceParameters]]) -> EMResult[SubspaceParameters]:
    if len(results) == 1:
        return results[0]
    return EMResult(
        parameters=concatenate([result.parameters for result in results]),
        objective=np.concatenate([result.objective for result in results]),
        traces=[trace for result in results for trace in result.traces],
        n_iter=np.concatenate([result.n_iter for result in results]),
        reasons=[reason for result in results for reason in result.reasons],
        degenerate=np.concatenate([result.degenerate for result in results]),
    )


def restarts_per_batch(start: SubspaceParameters) -> int:
    """How many restarts may share a pass within the memory budget."""
    _, k, d = start.shape
    width = d if start.sketch is None else start.sketch.shape[-2]
    # Parameters, old and new, and what each thread sums up.
    numbers = (3 + torch.get_num_threads()) * width + 2 * start.bases.shape[2] + 2
    return max(1, BATCH_BYTES // (8 * k * d * numbers))


def ranked(
    family: SubspaceFamily,
    data: Rows,
    result: EMResult[SubspaceParameters],
    options: EMOptions,
) -> EMResult[SubspaceParameters]:
    """The restarts with the objective that one of them is chosen by."""
    if not options.by_likelihood or options.assignment == "soft":
        return result
    parameters = result.parameters
    if options.assignment == "closest":
        parameters = _pooled(family, data, parameters)
    return replace(result, objective=log_likelihood(family, data, parameters).cpu().numpy())


def keep_best(
    family: SubspaceFamily,
    data: Rows,
    result: EMResult[SubspaceParameters],
    options: EMOptions,
    requested: Tensor | None,
) -> SubspaceFit:
    """The best restart, its components in the order of the requested dimensions."""
    result = ranked(family, data, result, options)
    best = result.best()
    parameters = result.parameters.select(torch.tensor([best], device=data.device))
    if options.assignment == "closest":
        parameters = _pooled(family, data, parameters)
    if requested is not None:
        order = requested_order(parameters.dims[0], requested)
        parameters = reorder(parameters, order)
    objective = observed = float(result.objective[best])
    if options.assignment != "soft":
        observed = float(log_likelihood(family, data, parameters)[0])
    return SubspaceFit(
        parameters=parameters,
        objective=objective,
        log_likelihood=observed,
        trace=result.traces[best],
        n_iter=int(result.n_iter[best]),
        reason=result.reasons[best],
        restart_objectives=result.objective,
        degenerate=bool(result.degenerate[best]),
    )


def _pooled(
    family: SubspaceFamily, data: Rows, parameters: SubspaceParameters
) -> SubspaceParameters:
    """Nearest-flat assignment fits flats; give them one noise variance and weights at the end."""
    statistics, _ = expectation(family, data, parameters, "closest")
    final = replace(family, shared_noise=True, reassign=False, dim_penalty=None)
    return final.maximize(statistics, parameters)


def requested_order(dims: Tensor, requested: Tensor) -> list[int]:
    """Positions of components such that their dimensions come as requested; ties keep order."""
    left = list(range(len(dims)))
    order = []
    for d in requested.tolist():
        position = next(k for k in left if int(dims[k]) == d)
        left.remove(position)
        order.append(position)
    return order + left


def reorder(parameters: SubspaceParameters, order: list[int]) -> SubspaceParameters:
    """Components in another order."""
    index = torch.tensor(order, device=parameters.device)
    changes: dict[str, Any] = {name: value[:, index] for name, value in parameters._tensors()}
    return replace(parameters, **changes)

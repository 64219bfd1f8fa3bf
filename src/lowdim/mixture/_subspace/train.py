"""Fit a mixture on standardised rows, stage by stage."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import torch

from lowdim._journal import Journal
from lowdim._progress import Report, reports
from lowdim.data.standardized import StandardizedRows
from lowdim.mixture._em import EMOptions
from lowdim.mixture._subspace.arguments import Arguments
from lowdim.mixture._subspace.compact import COARSE, compact_rows, refine
from lowdim.mixture._subspace.family import SubspaceFamily
from lowdim.mixture._subspace.fit import (
    Sifted,
    SubspaceFit,
    in_batches,
    keep_best,
    make_starter,
    ranked,
    run_restarts,
)
from lowdim.mixture._subspace.given import build_constraints
from lowdim.mixture._subspace.initialize import Starter
from lowdim.mixture._subspace.minibatch import run_minibatches
from lowdim.mixture._subspace.parallel import BUSY_VALUES
from lowdim.mixture._subspace.parameters import SubspaceParameters
from lowdim.mixture._subspace.sift import FEWER_OF_FEW_VALUES, sift, worth_sifting
from lowdim.mixture._subspace.starts import first_parameters, start_at

#: Share of the tolerance to which EM goes on from where the sample led it.
FINE = 0.1


def make_family(arguments: Arguments, data: StandardizedRows, starter: Starter) -> SubspaceFamily:
    """The family that the arguments ask for."""
    constraints = build_constraints(arguments.given, data, starter.retained)
    if constraints is not None:
        starter = replace(starter, known=constraints.flats())
    return SubspaceFamily(
        starter=starter,
        n_rows=data.n_rows,
        total_weight=data.total_weight,
        floor=arguments.reg_covar,
        reassign=arguments.reassign,
        shared_noise=arguments.shared_noise,
        constraints=constraints,
    )


def prepare(
    arguments: Arguments, data: StandardizedRows, rng: np.random.Generator
) -> tuple[SubspaceFamily, np.ndarray]:
    """The family, and which rows its starts are made from."""
    largest = max([*arguments.dims, *(len(given.basis) for given in arguments.given)])
    starter, index = make_starter(data, largest, rng, shared_noise=arguments.shared_noise)
    return make_family(arguments, data, starter), index


def fit_rows(
    arguments: Arguments,
    data: StandardizedRows,
    rng: np.random.Generator,
    journal: Journal | None = None,
) -> SubspaceFit:
    """The best of all restarts.

    EM with all rows and columns comes last. Before it, strategies' starts may go through EM
    with a sample, by workers, and among the leading directions, and all through minibatches, of
    which the best goes on.
    """
    journal = journal or Journal(rng)
    family, index = prepare(arguments, data, rng)
    stages: list[Sifted] = []
    trace, rounds = np.zeros(0), 0
    limit, shown = arguments.options.max_iter, arguments.verbose > 0
    with reports(limit, description="EM", enabled=shown) as report:
        starts, options = _begin(arguments, data, family, index, stages, report, journal)
        if arguments.minibatches is not None:
            starts, trace, rounds = _step(
                arguments, starts, options, data, family, stages, report, journal
            )
            left = max(1, options.max_iter - rounds)
            options = replace(options, annealing=None, max_iter=left)
        # Where workers have sifted the starts already, threads share what is left.
        n_workers = 1 if stages else arguments.n_workers
        result = run_restarts(family, data, starts, options, report, n_workers, journal)
    requested = torch.tensor(arguments.dims, device=data.device)
    fit = keep_best(family, data, result, options, requested)
    objectives = fit.restart_objectives
    for stage in reversed(stages):
        objectives = stage.objectives_after(objectives)
    return replace(
        fit,
        restart_objectives=objectives,
        trace=np.concatenate([trace, fit.trace]),
        n_iter=rounds + fit.n_iter,
    )


def _begin(
    arguments: Arguments,
    data: StandardizedRows,
    family: SubspaceFamily,
    index: np.ndarray,
    stages: list[Sifted],
    report: Report | None,
    journal: Journal,
) -> tuple[list[SubspaceParameters], EMOptions]:
    """Where all restarts begin, and how to go on, after EM on less than all there is."""
    starter, options = family.starter, arguments.options
    starts: list[SubspaceParameters] = []
    if arguments.start is not None:
        starts.append(start_at(*arguments.start, family, data))
        if not arguments.strategies:
            return starts, options
    compact, sifting = None, worth_sifting(arguments, starter.sample)
    # Given components need not lie among the directions, so they would miss the annealing there.
    if family.constraints is None and not (starts and options.annealing):
        n_starts = len(starts) + len(arguments.strategies)
        compact = compact_rows(data, starter, list(arguments.dims), n_starts, of_sample=sifting)
    if compact is None and data.n_rows * data.n_columns <= BUSY_VALUES:
        sifting = worth_sifting(arguments, starter.sample, FEWER_OF_FEW_VALUES)
    own = family if compact is None else compact.family(family)
    first = first_parameters(arguments, compact or data, own, index)
    if sifting:
        near = options if compact is None else replace(options, tol=COARSE * options.tol)
        first, sifted = sift(own, first, near, arguments.n_workers, journal)
        stages.append(sifted.after(len(starts)))
        # So near a maximum, steps are small from the first on.
        options = replace(options, tol=FINE * options.tol) if compact is None else options
    if compact is None:
        return [*starts, first], options
    if sifting and first.n_restarts == 1:
        lifted = compact.lift(first)
    else:
        n_workers = 1 if stages else arguments.n_workers
        lifted, refined = refine(own, compact, first, options, report, n_workers, journal)
        stages.append(refined.after(len(starts)))
    return [*starts, starter.with_sketch(lifted)], replace(options, annealing=None)


def _step(
    arguments: Arguments,
    starts: list[SubspaceParameters],
    options: EMOptions,
    data: StandardizedRows,
    family: SubspaceFamily,
    stages: list[Sifted],
    report: Report | None,
    journal: Journal,
) -> tuple[list[SubspaceParameters], np.ndarray, int]:
    """The best restart after its minibatches, the trace of its rounds, and their number."""
    n_workers = 1 if stages else arguments.n_workers
    report = report if n_workers == 1 else None
    assert arguments.minibatches is not None
    run = partial(run_minibatches, options=options, plan=arguments.minibatches, report=report)
    result = in_batches(run, family, data, starts, n_workers, journal)
    result = ranked(family, data, result, options)
    best = result.best()
    stages.append(Sifted(result.objective, np.where(np.arange(len(result.traces)) == best, 0, -1)))
    kept = result.parameters.select(torch.tensor([best], device=data.device))
    return [kept], result.traces[best], int(result.n_iter[best])

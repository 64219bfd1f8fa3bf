"""Fit or update a mixture on standardised rows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from lowdim._progress import progress
from lowdim._results import StopReason
from lowdim.data.blocks import Rows
from lowdim.data.standardized import StandardizedRows
from lowdim.mixture._em import expectation
from lowdim.mixture._family import Statistics, add_statistics
from lowdim.mixture._subspace.arguments import Arguments
from lowdim.mixture._subspace.compact import compact_rows, refine
from lowdim.mixture._subspace.family import SubspaceFamily
from lowdim.mixture._subspace.fit import (
    SubspaceFit,
    keep_best,
    make_starter,
    run_restarts,
    with_constraints,
)
from lowdim.mixture._subspace.given import build_constraints
from lowdim.mixture._subspace.initialize import Starter
from lowdim.mixture._subspace.online import blend, per_weight, rebase, step_size
from lowdim.mixture._subspace.parameters import SubspaceParameters


@dataclass(frozen=True)
class OnlineState:
    """Running statistics of `partial_fit`, per unit of weight, and the units they are in."""

    statistics: Statistics
    parameters: SubspaceParameters
    n_pieces: int
    units: tuple[np.ndarray, float]


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


def fit_rows(arguments: Arguments, data: StandardizedRows, rng: np.random.Generator) -> SubspaceFit:
    """The best of all restarts."""
    largest = max([*arguments.dims, *(len(given.basis) for given in arguments.given)])
    starter, index = make_starter(data, largest, rng, shared_noise=arguments.shared_noise)
    family = make_family(arguments, data, starter)
    requested = torch.tensor(arguments.dims, device=data.device)
    options, refined = arguments.options, None
    compact = None
    if family.constraints is None:
        compact = compact_rows(data, starter, list(arguments.dims), len(arguments.strategies))
    with progress(
        arguments.options.max_iter, description="EM", enabled=arguments.verbose > 0
    ) as bar:

        def report(iteration: int, objective: float) -> None:
            bar.update()
            bar.set_postfix_str(f"objective {objective:.6g}")

        told = report if arguments.verbose > 0 else None
        if compact is None:
            start = first_parameters(arguments, data, family, index, requested)
        else:
            small = compact.family(family)
            first = first_parameters(arguments, compact, small, index, requested)
            refined = refine(small, compact, first, options, told)
            start = starter.with_sketch(refined.parameters)
            options = replace(options, annealing=None)  # that is done
        result = run_restarts(family, data, [start], options, told)
    fit = keep_best(family, data, result, options, requested)
    if refined is None:
        return fit
    return replace(fit, restart_objectives=refined.objectives_after(fit.restart_objectives))


def first_parameters(
    arguments: Arguments,
    data: Rows,
    family: SubspaceFamily,
    index: np.ndarray,
    requested: torch.Tensor,
) -> SubspaceParameters:
    """Starting parameters of all restarts."""
    starter = family.starter
    if arguments.strategies:
        dims = requested.expand(len(arguments.strategies), -1).clone()
        return with_constraints(starter.start(arguments.strategies, dims), family.constraints)
    shares = arguments.responsibilities
    if shares is None:
        assert arguments.labels is not None
        shares = np.eye(len(arguments.dims))[arguments.labels]
    if starter.exact:
        free = starter.blank(requested[None])
    else:
        free = starter.from_labels(shares[index].argmax(1), requested[None])
    return from_responsibilities(replace(family, reassign=False), data, shares, free)


def from_responsibilities(
    family: SubspaceFamily,
    data: Rows,
    shares: np.ndarray,
    free: SubspaceParameters,
) -> SubspaceParameters:
    """The M-step of given responsibilities, (N, K); `free` is where a sketch looks for axes."""
    learned = replace(family, constraints=None)
    total: Statistics | None = None
    for block in data:
        own = torch.from_numpy(shares[block.start : block.start + block.n_rows].T)[None]
        own = own.to(data.device).contiguous()
        if block.weights is not None:
            own = own * block.weights
        total = add_statistics(total, learned.statistics(block, own, free))
    assert total is not None
    return with_constraints(learned.maximize(total, free), family.constraints)


def update_rows(
    arguments: Arguments,
    data: StandardizedRows,
    rng: np.random.Generator,
    state: OnlineState | SubspaceParameters | None,
) -> tuple[SubspaceFit, OnlineState]:
    """One step of stepwise EM; without a state, a whole fit of the first piece."""
    largest = max([*arguments.dims, *(len(given.basis) for given in arguments.given)])
    starter, _ = make_starter(data, largest, rng, shared_noise=arguments.shared_noise)
    family = replace(make_family(arguments, data, starter), total_weight=1.0)
    fit = None
    if state is None:
        fit = fit_rows(arguments, data, rng)
        before = fit.parameters
    else:
        known = state.parameters if isinstance(state, OnlineState) else state
        before = starter.with_sketch(known)
    statistics, objective = expectation(family, data, before, arguments.options.assignment)
    piece = per_weight(statistics)
    past = state if isinstance(state, OnlineState) else None
    n_pieces = 0 if past is None else past.n_pieces
    if past is not None:
        piece = blend(past.statistics, piece, step_size(n_pieces))
    after = replace(family, reassign=False).maximize(
        piece, before, closest=arguments.options.assignment == "closest"
    )
    online = OnlineState(rebase(piece, before, after), after, n_pieces + 1, (data.mean, data.scale))
    value = float(objective[0])
    if fit is not None:
        return replace(fit, parameters=after), online
    return (
        SubspaceFit(
            parameters=after,
            objective=value,
            log_likelihood=value,
            trace=np.array([value]),
            n_iter=1,
            reason=StopReason.CONVERGED,
            restart_objectives=np.array([value]),
            degenerate=bool(family.collapsed(after)[0]),
        ),
        online,
    )

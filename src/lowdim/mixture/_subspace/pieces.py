"""Update a mixture with rows that come in pieces: `partial_fit`."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lowdim._results import StopReason
from lowdim.data.standardized import StandardizedRows
from lowdim.mixture._em import expectation
from lowdim.mixture._family import Statistics
from lowdim.mixture._subspace.arguments import Arguments
from lowdim.mixture._subspace.fit import SubspaceFit
from lowdim.mixture._subspace.online import blend, rebase, reweighted, step_size
from lowdim.mixture._subspace.parameters import SubspaceParameters
from lowdim.mixture._subspace.train import fit_rows, prepare


@dataclass(frozen=True)
class OnlineState:
    """Running statistics of `partial_fit`, per unit of weight, and the units they are in."""

    statistics: Statistics
    parameters: SubspaceParameters
    n_pieces: int
    units: tuple[np.ndarray, float]


def update_rows(
    arguments: Arguments,
    data: StandardizedRows,
    rng: np.random.Generator,
    state: OnlineState | SubspaceParameters | None,
) -> tuple[SubspaceFit, OnlineState]:
    """One step of stepwise EM; without a state, a whole fit of the first piece."""
    family, _ = prepare(arguments, data, rng)
    family = replace(family, total_weight=1.0)
    fit = None
    if state is None:
        fit = fit_rows(arguments, data, rng)
        before = fit.parameters
    else:
        known = state.parameters if isinstance(state, OnlineState) else state
        before = family.starter.with_sketch(known)
    statistics, objective = expectation(family, data, before, arguments.options.assignment)
    piece = reweighted(statistics, 1 / data.total_weight)
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

"""EM steps on random rows whose statistics blend by decaying steps, so that they converge.

Stepwise EM (Cappe and Moulines 2009): see `lowdim.mixture._subspace.online`. The last steps take
all rows, which removes what is left of the sampling noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from lowdim._results import StopReason
from lowdim.data import as_rows
from lowdim.data.standardized import StandardizedRows
from lowdim.mixture._em import EMResult, expectation
from lowdim.mixture._family import Statistics, scale_statistics
from lowdim.mixture._subspace.family import SubspaceFamily
from lowdim.mixture._subspace.online import blend, rebase, step_size
from lowdim.mixture._subspace.parameters import SubspaceParameters

#: EM steps on all rows at the end.
LAST_STEPS = 2


@dataclass(frozen=True)
class Minibatches:
    """How to take them: rows per step, with or without replacement, and the steps' betas."""

    size: int
    replace: bool
    betas: list[float]
    assignment: str

    def rows(
        self, data: StandardizedRows, rng: np.random.Generator
    ) -> Iterator[tuple[StandardizedRows, float]]:
        """The rows of each step, in the units of all rows, and the step's beta."""
        for beta in self.betas:
            index = rng.choice(data.n_rows, self.size, replace=self.replace)
            index, counts = np.unique(index, return_counts=True)
            yield (
                StandardizedRows(
                    as_rows(data.source.take(index)),
                    device=data.device,
                    dtype=data.dtype,
                    sample_weight=counts.astype(np.float64) if self.replace else None,
                    moments=(data.mean, data.scale),
                ),
                beta,
            )


def run_minibatches(
    family: SubspaceFamily,
    data: StandardizedRows,
    start: SubspaceParameters,
    plan: Minibatches,
    rng: np.random.Generator,
) -> EMResult[SubspaceParameters]:
    """Take all steps with all restarts, which share the rows of each."""
    per_row = replace(family, total_weight=1.0)
    closest = plan.assignment == "closest"
    now, past = start, None
    for t, (piece, beta) in enumerate(plan.rows(data, rng)):
        statistics, _ = expectation(per_row, piece, now, plan.assignment, beta)
        statistics = scale_statistics(statistics, 1 / piece.total_weight)
        if past is not None:
            statistics = blend(past, statistics, step_size(t))
        after = per_row.maximize(statistics, now, closest=closest)
        if t < len(plan.betas) // 2:  # later, a new component would have no time to settle
            after = _reseeded(per_row, statistics, after)
        past, now = rebase(statistics, now, after), after
    for _ in range(LAST_STEPS):
        statistics, _ = expectation(family, data, now, plan.assignment)
        starved = family.starved(statistics, now)
        now = family.maximize(statistics, now, closest=closest)
    _, value = expectation(family, data, now, plan.assignment)
    objective = value.cpu().numpy()
    degenerate = family.collapsed(now).cpu() | starved.any(1)
    n = now.n_restarts
    return EMResult(
        parameters=now,
        objective=objective,
        traces=[objective[r : r + 1] for r in range(n)],
        n_iter=np.full(n, len(plan.betas) + LAST_STEPS),
        reasons=[StopReason.CONVERGED] * n,
        degenerate=degenerate.numpy(),
    )


def _reseeded(
    family: SubspaceFamily, statistics: Statistics, after: SubspaceParameters
) -> SubspaceParameters:
    # The family's test is one of sums over all rows; these are means.
    sums = {**statistics, "squares": statistics["squares"] / family.n_rows}
    starved = family.starved(sums, after)
    return family.reseed(after, starved.to(torch.bool)) if bool(starved.any()) else after

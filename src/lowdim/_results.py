"""What a fit leaves behind: how its objective went, and why it stopped."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from lowdim._typing import Float64Array


class StopReason(StrEnum):
    """Why an iterative fit stopped. The value is short, for tables; `sentence` is for people."""

    CONVERGED = "converged"
    ITERATION_LIMIT = "iteration_limit"
    OUTPACED = "outpaced"
    NOT_FINITE = "not_finite"
    FAILED = "failed"
    INTERRUPTED = "interrupted"

    @property
    def sentence(self) -> str:
        """What happened and what to do about it, as a sentence or two."""
        return _SENTENCES[self]


_SENTENCES = {
    StopReason.CONVERGED: "The objective changed by less than tol per iteration.",
    StopReason.ITERATION_LIMIT: (
        "The fit reached max_iter before the objective settled. "
        "Increase max_iter, or loosen tol if the trace is already flat."
    ),
    StopReason.OUTPACED: (
        "Another restart had converged far above, beyond what this one's gains could still reach."
    ),
    StopReason.NOT_FINITE: (
        "The objective was no longer a finite number. "
        "Scale the columns, increase reg_covar, or compute in float64."
    ),
    StopReason.FAILED: (
        "A numerical step failed, such as a decomposition that did not converge. "
        "Increase reg_covar, or ask for fewer components or dimensions."
    ),
    StopReason.INTERRUPTED: "The fit was interrupted; the result is that of the last iteration.",
}


@dataclass(frozen=True, eq=False)
class FitTrace:
    """The course of one fit.

    Parameters
    ----------
    objective
        The objective after each iteration, (n_iter,) or longer where a start value is
        kept too; copied to float64 and read-only.
    n_iter
        Iterations done.
    converged
        Whether the objective settled within the tolerance.
    reason
        Why the fit stopped; a `StopReason` or its value.

    Raises
    ------
    ValueError
        The objective is not one-dimensional, `n_iter` is negative, `reason` is unknown, or
        `converged` and `reason` contradict each other.
    """

    objective: Float64Array
    n_iter: int
    converged: bool
    reason: StopReason

    def __post_init__(self) -> None:
        objective = np.array(self.objective, dtype=np.float64)
        if objective.ndim != 1:
            raise ValueError(f"objective must be one-dimensional, got shape {objective.shape}.")
        if self.n_iter < 0:
            raise ValueError(f"n_iter={self.n_iter} is negative; count the iterations done.")
        reason = StopReason(self.reason)
        if self.converged != (reason is StopReason.CONVERGED):
            raise ValueError(
                f"converged={self.converged} contradicts reason={reason.value!r}; "
                "a fit converged exactly when that is why it stopped."
            )
        objective.flags.writeable = False
        object.__setattr__(self, "objective", objective)
        object.__setattr__(self, "reason", reason)

    @property
    def final(self) -> float:
        """The last value of the objective; nan if there is none."""
        return float(self.objective[-1]) if self.objective.size else float("nan")

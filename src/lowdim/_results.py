"""Why a fit stopped."""

from __future__ import annotations

from enum import StrEnum


class FitFailed(ValueError):
    """No restart of a fit succeeded; the message says why, and what to do about it."""


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

"""What a user should know of a fit's numerics."""

from __future__ import annotations

from collections.abc import Iterator

from lowdim.factorization._data import Fitted
from lowdim.factorization._inducing import JITTER


def trouble(fit: Fitted) -> Iterator[str]:
    """What was done about rounding, and what would help."""
    if fit.state.jitter > JITTER:
        yield (
            "Rounding made covariances of the factors indefinite, and up to "
            f"{fit.state.jitter:.0e} of their variance was added to the diagonals (jitter_). A "
            "larger nugget would help, fewer or better spread inducing points, or the same "
            "coordinates for places that almost coincide."
        )
    if fit.course.stuck and not fit.course.converged:
        yield (
            "Every step of the factors was refused in the last round, since it lowered the bound, "
            "which had not settled (n_refused_)."
        ) + (" A larger nugget would help, or a smaller amplitude." if fit.space else "")

"""When the bound has settled."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

#: Rounds that the cubic looks back on, and how often in turn it must be flat.
SPAN, FLAT = 12, 2


def by_gain(tol: float) -> Callable[[list[float]], bool]:
    """Two rounds in turn have gained less than a share `tol` of the bound."""

    def settled(bounds: list[float]) -> bool:
        if len(bounds) < 3:
            return False
        gains = np.diff(bounds[-3:])
        return bool((gains < tol * (np.abs(bounds[-3:-1]) + 1)).all())

    return settled


def by_cubic(tol: float, span: int = SPAN) -> Callable[[list[float]], bool]:
    """The last bounds' cubic trend is flat at its end, twice in turn.

    Townes and Engelhardt (2023) smooth the noisy losses of stochastic gradients so, over spans of
    a hundred; rounds here are few and without noise.
    """

    def flat(bounds: list[float]) -> bool:
        t = np.linspace(-1, 1, span)
        smooth = np.polynomial.Polynomial.fit(t, bounds, 3)(t)
        return bool(abs(smooth[-1] - smooth[-2]) < tol * (0.1 + abs(smooth[-2])))

    def settled(bounds: list[float]) -> bool:
        if len(bounds) < span + FLAT - 1:
            return False
        ends = [len(bounds) - k for k in range(FLAT)]
        return all(flat(bounds[end - span : end]) for end in ends)

    return settled


CHECKS = {"bound": by_gain, "cubic": by_cubic}

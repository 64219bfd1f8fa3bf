"""Optimal transport between discrete measures: exact, and with an entropic penalty."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from lowdim._validation import check_interval, check_positive_int


def transport_plan(cost: Any, supply: Any = None, demand: Any = None) -> np.ndarray:
    """The plan of least cost, (n, m).

    Parameters
    ----------
    cost : (n, m)
    supply : (n,), optional
        Mass of the rows, by default the same for all; sums are brought to one.
    demand : (m,), optional
        Of the columns.

    Raises
    ------
    ValueError
        A cost is not finite, or masses are negative or none.
    """
    from lowdim.transport._exact import near_tree, optimize

    cost, supply, demand = _checked(cost, supply, demand)
    rows, columns = np.flatnonzero(supply), np.flatnonzero(demand)
    part, own = (
        np.empty((len(rows), len(columns))),
        np.ascontiguousarray(cost[np.ix_(rows, columns)]),
    )
    optimize(own, near_tree(own, supply[rows], demand[columns]), part)
    plan = np.zeros(cost.shape)
    plan[np.ix_(rows, columns)] = part
    return plan


def entropic_plan(
    cost: Any,
    supply: Any = None,
    demand: Any = None,
    *,
    strength: float = 0.05,
    max_iter: int = 1000,
    tol: float = 1e-9,
) -> np.ndarray:
    """The plan of least cost plus ``strength * mean cost * sum P (log P - 1)``, (n, m).

    Sinkhorn's steps, stabilized (Peyré and Cuturi 2019, Computational Optimal Transport, section
    4.4), and Newton's where these take too long.

    Parameters
    ----------
    cost, supply, demand
        As of `transport_plan`.
    strength : float, default=0.05
        Of the penalty, relative to the mean size of costs between points that have mass.
    max_iter : int, default=1000
    tol : float, default=1e-9
        Stop when no more mass is where it does not belong.
    """
    from lowdim.transport._entropic import sinkhorn

    cost, supply, demand = _checked(cost, supply, demand)
    check_interval(strength, "strength", low=0.0, closed="neither")
    check_positive_int(max_iter, "max_iter")
    rows, columns = np.flatnonzero(supply), np.flatnonzero(demand)
    own = np.ascontiguousarray(cost[np.ix_(rows, columns)])
    part, penalty = np.empty(own.shape), strength * float(np.abs(own).mean())
    found = sinkhorn(own, supply[rows], demand[columns], penalty, part, max_iter, tol)[1]
    if not found:
        warnings.warn(
            f"The entropic plan did not converge within max_iter={max_iter}; raise it, or "
            "strength.",
            ConvergenceWarning,
            stacklevel=2,
        )
    plan = np.zeros(cost.shape)
    plan[np.ix_(rows, columns)] = part
    return plan


def _checked(cost: Any, supply: Any, demand: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    cost = np.asarray(cost, dtype=np.float64)
    if cost.ndim != 2 or not cost.size or not np.isfinite(cost).all():
        raise ValueError(f"cost must be finite numbers, (n, m), and has shape {cost.shape}.")
    n, m = cost.shape
    return cost, masses(supply, n, "supply"), masses(demand, m, "demand")


def masses(values: Any, n: int, name: str) -> np.ndarray:
    """Checked, brought to the sum one, and by default all the same, (n,)."""
    if values is None:
        return np.full(n, 1.0 / n)
    own = np.asarray(values, dtype=np.float64)
    if own.shape != (n,):
        raise ValueError(f"{name} has shape {own.shape}, expected ({n},).")
    if not (np.isfinite(own).all() and (own >= 0).all() and own.sum() > 0):
        raise ValueError(f"{name} must be finite, not negative, and not all zero.")
    return own / own.sum()

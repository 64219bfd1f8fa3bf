"""How the cost of an entropic plan changes with costs, compiled. Import on first use only."""

from __future__ import annotations

import numpy as np

from lowdim._compile import compiled, compiled_exact
from lowdim.transport._entropic import sinkhorn


@compiled
def entropic_slopes(cost, supply, demand, strength):
    """Slopes of ``<P, C>`` by C, (n, m), where P has the penalty ``strength * mean cost``.

    The plan changes as well: with the penalty e, ``P = exp((f_i + g_j - C_ij) / e)`` and its sums
    are held, so ``dP = -P (dc - a_i - b_j)`` for ``c = C / e`` and the a and b that leave sums as
    they are. The adjoint needs one set of linear equations: u and v that make
    ``P (C - u_i - v_j)`` sum to zero in all rows and columns.
    """
    n, m = cost.shape
    plan = np.empty((n, m))
    penalty = strength * cost.mean()
    sinkhorn(cost, supply, demand, penalty, plan)
    u, v = _explained(cost, plan)
    slopes, spread = np.empty((n, m)), 0.0
    for i in range(n):
        for j in range(m):
            rest = plan[i, j] * (cost[i, j] - u[i] - v[j])
            slopes[i, j] = plan[i, j] - rest / penalty
            spread += rest * cost[i, j]
    # The penalty grows with the mean of the costs.
    return slopes + spread * strength / (penalty * penalty * n * m)


@compiled_exact
def _explained(cost, plan):
    """The u, (n,), and v, (m,), for which ``u_i + v_j`` is nearest to the cost, by mass."""
    of_rows, of_columns = plan.sum(1), plan.sum(0)
    rows, columns = (plan * cost).sum(1), (plan * cost).sum(0)
    shares = plan / of_rows.reshape(len(plan), 1)
    # Of u + t and v - t take those whose v has no mean.
    matrix = np.diag(of_columns) - plan.T @ shares + np.outer(of_columns, of_columns)
    v = np.linalg.solve(matrix, columns - rows @ shares)
    return (rows - plan @ v) / of_rows, v

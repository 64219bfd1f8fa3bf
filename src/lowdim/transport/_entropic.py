"""Transport with an entropic penalty, compiled: Sinkhorn's steps. Import on first use only.

The kernel is kept relative to potentials: scalings that grow large go into these (Schmitzer 2019,
Stabilized sparse scaling algorithms for entropy regularized transport problems). So nothing
overflows however weak the penalty, and yet a step is two products with a matrix.
"""

from __future__ import annotations

import math

import numpy as np

from lowdim._compile import compiled_exact, compiled_fast, inlined
from lowdim.transport._dual import newton

#: Rounds at most.
ROUNDS = 1000
#: Mass that may be in the wrong rows at the end.
OFF = 1e-9
#: Scalings that are larger, or smaller than its inverse, go into the potentials.
LARGE = 1e30
#: From a strong penalty to the one that is asked for, by this factor; on the way, mass may be off.
FACTOR = 4.0
OFF_ON_THE_WAY = 1e-2
#: Rounds after which it is looked how fast errors fall, and the most that steps are overdone by.
WINDOW, MOST_RELAXED = 20, 1.98


@inlined
def entropic_cost(cost, supply, demand, penalty):
    """``<P, C>`` of the plan with a penalty, whether it is found, and the penalty.

    A penalty below zero is minus the share of the mean cost that it is.
    """
    if penalty < 0.0:
        total = 0.0
        for i in range(len(supply)):
            for j in range(len(demand)):
                total += cost[i, j]
        penalty *= -total / cost.size
    own, found = sinkhorn(cost, supply, demand, penalty, np.empty(cost.shape), ROUNDS, OFF)
    return own, found, penalty


@inlined
def sinkhorn(cost, supply, demand, penalty, plan, rounds, off):
    """Write the plan of least ``<P, C> + penalty * sum P (log P - 1)``, (n, m).

    Parameters
    ----------
    cost : (n, m)
    supply, demand : (n,) and (m,)
        Positive, with equal sums.
    penalty : float
    plan : (n, m)
    rounds : int
        Of Sinkhorn's steps at each penalty on the way to this one, then of Newton's, at most.
    off : float
        Stop when no more mass is where it does not belong.

    Returns
    -------
    float, bool
        ``<P, C>``, and whether masses are right.
    """
    n, m = cost.shape
    penalty = max(penalty, 1e-300)
    rows, columns = np.empty(n), np.full(m, np.inf)
    largest = 0.0
    for i in range(n):
        rows[i] = np.inf
        for j in range(m):
            rows[i] = min(rows[i], cost[i, j])
        for j in range(m):
            columns[j] = min(columns[j], cost[i, j] - rows[i])
            largest = max(largest, cost[i, j])
    now = penalty
    while now * FACTOR < largest:
        now *= FACTOR
    while now > penalty * (1.0 + 1e-12):
        _balance(cost, supply, demand, now, rows, columns, plan, rounds, OFF_ON_THE_WAY)
        now = max(now / FACTOR, penalty)
    found = _balance(cost, supply, demand, penalty, rows, columns, plan, rounds, off)
    if not found:
        found = newton(cost, supply, demand, penalty, rows, columns, plan, rounds, off)
    total = 0.0
    for i in range(n):
        for j in range(m):
            total += plan[i, j] * cost[i, j]
    return total, found


@compiled_exact
def _balance(cost, supply, demand, penalty, rows, columns, plan, rounds, off):
    """Bring potentials and plan to the right masses; whether that was possible in time."""
    n, m = cost.shape
    left, right, sums = np.ones(n), np.ones(m), np.empty(max(n, m))
    _kernel(cost, rows, columns, penalty, plan)
    found, plain = False, False
    factor, before = 1.0, np.inf
    for round_ in range(rounds):
        _row_sums(plan, right, sums)
        wrong = 0.0
        for i in range(n):
            wrong += abs(left[i] * sums[i] - supply[i])
        if plain and wrong <= off:  # and columns are right to rounding
            found = True
            break
        if round_ % WINDOW == 0:
            factor, before = _relaxation(factor, (wrong / before) ** (1.0 / WINDOW)), wrong
        plain = wrong <= off or factor == 1.0
        now = 1.0 if plain else factor
        largest = _scale(left, supply, sums, now)
        _column_sums(plan, left, sums)
        largest = max(largest, _scale(right, demand, sums, now))
        if not largest < LARGE:
            _absorb(rows, left, penalty)
            _absorb(columns, right, penalty)
            _kernel(cost, rows, columns, penalty, plan)
    for i in range(n):
        for j in range(m):
            plan[i, j] *= left[i] * right[j]
    _absorb(rows, left, penalty)
    _absorb(columns, right, penalty)
    return found


@inlined
def _relaxation(factor, rate):
    """By how much to overdo the steps, from how fast errors fell with the last factor.

    Young's relation between the two, as for linear equations (Thibault, Chizat, Dossal and
    Papadakis 2021, Overrelaxed Sinkhorn-Knopp algorithm for regularized optimal transport).
    """
    if not 0.0 < rate < 1.0:
        return 1.0
    plain = (rate + factor - 1.0) ** 2 / (rate * factor * factor)
    return min(2.0 / (1.0 + math.sqrt(max(1.0 - plain, 0.0))), MOST_RELAXED)


@compiled_exact
def _scale(scaling, masses, sums, factor):
    """Make scalings such that sums become masses, or overdo it; how far they are from one."""
    largest = 1.0
    for i in range(len(scaling)):
        ratio = masses[i] / (scaling[i] * sums[i])
        scaling[i] *= ratio if factor == 1.0 else ratio**factor
        largest = max(largest, scaling[i], 1.0 / scaling[i])
    return largest


@compiled_exact
def _kernel(cost, rows, columns, penalty, out):
    for i in range(len(rows)):
        for j in range(len(columns)):
            out[i, j] = math.exp((rows[i] + columns[j] - cost[i, j]) / penalty)


@compiled_exact
def _absorb(potential, scaling, penalty):
    for i in range(len(scaling)):
        potential[i] += penalty * math.log(scaling[i])
        scaling[i] = 1.0


@compiled_fast
def _row_sums(kernel, right, out):
    for i in range(kernel.shape[0]):
        row, total = kernel[i], 0.0
        for j in range(len(right)):
            total += row[j] * right[j]
        out[i] = total


@compiled_fast
def _column_sums(kernel, left, out):
    out[:] = 0.0
    for i in range(len(left)):
        row, scale = kernel[i], left[i]
        for j in range(len(row)):
            out[j] += row[j] * scale

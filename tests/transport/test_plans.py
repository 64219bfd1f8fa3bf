"""Plans between discrete measures: against linear programs, and their invariants."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment, linprog
from sklearn.exceptions import ConvergenceWarning

from lowdim.transport import entropic_plan, transport_plan


def by_linear_program(cost: np.ndarray, supply: np.ndarray, demand: np.ndarray) -> float:
    n, m = cost.shape
    sums = np.vstack([np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))])
    return float(linprog(cost.ravel(), A_eq=sums, b_eq=np.r_[supply, demand]).fun)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 10**6), st.booleans(), st.booleans())
def test_no_plan_costs_less(n: int, m: int, seed: int, tied: bool, even: bool) -> None:
    rng = np.random.default_rng(seed)
    cost = rng.integers(0, 4, size=(n, m)).astype(float) if tied else rng.normal(size=(n, m))
    supply = np.full(n, 1 / n) if even else rng.dirichlet(np.full(n, 0.5))
    demand = np.full(m, 1 / m) if even else rng.dirichlet(np.full(m, 0.5))
    plan = transport_plan(cost, supply, demand)
    assert (plan >= 0).all()
    np.testing.assert_allclose(plan.sum(1), supply, atol=1e-13)
    np.testing.assert_allclose(plan.sum(0), demand, atol=1e-13)
    assert (plan > 0).sum() <= n + m - 1  # a corner
    expected = by_linear_program(cost, supply, demand)
    assert float((plan * cost).sum()) == pytest.approx(expected, abs=1e-7)


def test_many_points_are_matched_as_an_assignment_does() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(2, 120, 3))
    cost = ((points[0][:, None] - points[1]) ** 2).sum(2)
    plan = transport_plan(cost)
    rows, columns = linear_sum_assignment(cost)
    assert float((plan * cost).sum()) == pytest.approx(cost[rows, columns].mean(), rel=1e-12)


def test_points_without_mass_are_left_out() -> None:
    plan = transport_plan(np.ones((3, 2)), [0.0, 2.0, 0.0], [1.0, 0.0])
    np.testing.assert_array_equal(plan, [[0, 0], [1, 0], [0, 0]])


def test_a_weak_penalty_is_almost_exact_and_a_strong_one_forgets_the_cost() -> None:
    rng = np.random.default_rng(0)
    cost = rng.random((8, 6))
    supply, demand = rng.dirichlet(np.ones(8)), rng.dirichlet(np.ones(6))
    best = float((transport_plan(cost, supply, demand) * cost).sum())
    close = entropic_plan(cost, supply, demand, strength=0.01, max_iter=100_000)
    np.testing.assert_allclose(close.sum(0), demand, atol=1e-12)
    np.testing.assert_allclose(close.sum(1), supply, atol=1e-8)
    assert best <= float((close * cost).sum()) + 1e-8 < best * 1.02
    loose = entropic_plan(cost, supply, demand, strength=1e6)
    np.testing.assert_allclose(loose, np.outer(supply, demand), atol=1e-6)
    # Costs in other units, and zero masses, change nothing else.
    other = entropic_plan(1e8 * cost, supply, demand, strength=0.01, max_iter=100_000)
    np.testing.assert_allclose(other, close, atol=1e-9)
    assert (entropic_plan(cost, [1, 0, 1, 0, 1, 0, 1, 0], strength=1.0)[1::2] == 0).all()
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        entropic_plan(cost, strength=0.01, max_iter=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[np.nan]],), "cost must be finite"),
        ((np.ones(3),), "cost must be finite numbers"),
        ((np.ones((2, 2)), [1.0]), "supply has shape"),
        ((np.ones((2, 2)), None, [1.0, -1.0]), "demand must be finite, not negative"),
        ((np.ones((2, 2)), [0.0, 0.0]), "supply must be"),
    ],
)
def test_bad_input_is_named(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        transport_plan(*arguments)

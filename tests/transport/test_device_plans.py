"""Batches of costs and entropic plans by torch: against formulas, the compiled ones, and alone."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from accelerator import pretended
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from lowdim.transport import (
    Clouds,
    Mixtures,
    bures_squared,
    cloud_distances,
    entropic_plan,
    mixture_distances,
)
from lowdim.transport import _device_plans as plans_there
from lowdim.transport._device_costs import Components, between, polar
from lowdim.transport._device_plans import Problem, solve_graph


def problems(n: int, m: int, B: int = 6, seed: int = 0) -> Problem:
    """Costs and masses of pairs of which one has a row and a column less, and zeros there."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(B, n, 3)), rng.normal(size=(B, m, 3)) + 2 * rng.normal(size=(B, 1, 3))
    cost = np.linalg.norm(x[:, :, None] - y[:, None], axis=3)
    supply, demand = rng.dirichlet(np.ones(n), B), rng.dirichlet(np.ones(m), B)
    supply[0, -1] = demand[0, -1] = 0.0
    supply, demand = (own / own.sum(1, keepdims=True) for own in (supply, demand))
    cost[0, -1], cost[0, :, -1] = 0.0, 0.0
    return Problem(*map(torch.from_numpy, (cost, supply, demand)))


@pytest.mark.parametrize("strength", [1.0, 0.1, 0.01, 0.002])
@pytest.mark.parametrize(("n", "m"), [(2, 2), (7, 3), (12, 15)])
def test_plans_have_the_right_masses_and_form(n: int, m: int, strength: float) -> None:
    problem = problems(n, m)
    shares = torch.full((len(problem.cost),), -strength, dtype=torch.float64)
    plans = problem.plans(shares, strength)
    assert plans.found.all()
    mass = plans.mass(problem).numpy()
    np.testing.assert_allclose(mass.sum(2), problem.supply, atol=1e-12)
    np.testing.assert_allclose(mass.sum(1), problem.demand, atol=2e-11)
    for k, (cost, supply, demand) in enumerate(
        zip(*(part.numpy() for part in (problem.cost, problem.supply, problem.demand)), strict=True)
    ):
        used = np.ix_(supply > 0, demand > 0)
        assert plans.penalties[k] == pytest.approx(strength * cost[used].mean(), rel=1e-14)
        expected = entropic_plan(cost, supply, demand, strength=strength)
        np.testing.assert_allclose(mass[k], expected, atol=1e-8)
        told = float(plans.costs(problem)[k])
        assert told == pytest.approx(float((expected * cost).sum()), rel=1e-7)


def test_a_plan_does_not_depend_on_its_batch() -> None:
    problem = problems(9, 8, B=12)
    shares = torch.full((12,), -0.004, dtype=torch.float64)
    together = problem.plans(shares, 0.004)
    for k in range(12):
        own = slice(k, k + 1)
        alone = Problem(problem.cost[own], problem.supply[own], problem.demand[own])
        plan = alone.plans(shares[own], 0.004)
        np.testing.assert_allclose(
            plan.mass(alone)[0], together.mass(problem)[k], rtol=1e-9, atol=1e-13
        )


def test_costs_that_are_all_zero_move_mass_anyhow() -> None:
    problem = problems(4, 3)
    problem = Problem(torch.zeros_like(problem.cost), problem.supply, problem.demand)
    shares = torch.full((len(problem.cost),), -0.1, dtype=torch.float64)
    plans = problem.plans(shares, 0.1)
    np.testing.assert_allclose(
        plans.mass(problem), problem.supply[:, :, None] * problem.demand[:, None], atol=1e-15
    )
    assert torch.isfinite(plans_there.cost_slopes(problem, plans, 0.1)).all()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 7), st.floats(0, 12))
def test_potentials_on_a_graph(seed: int, m: int, spread: float) -> None:
    """However weak the links, as those of a tree, for which the answer is known."""
    rng = np.random.default_rng(seed)
    graph, expected = np.zeros((2, m, m)), np.zeros((2, m))
    values = np.zeros((2, m))
    for k in range(2):
        for j in range(1, m):
            i, weight, gap = rng.integers(j), 10.0 ** -rng.uniform(0, spread), rng.normal()
            graph[k, i, j] = graph[k, j, i] = weight
            expected[k, j] = expected[k, i] + gap
            values[k, j] += weight * gap
            values[k, i] -= weight * gap
    found = solve_graph(torch.from_numpy(graph), torch.from_numpy(values)).numpy()
    rounding = 1e-15 * 10.0**spread * np.abs(values).max(initial=1.0)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=m * m * rounding + 1e-12)


@pytest.mark.parametrize("r", [2, 3, 5, 8])
def test_polar_factors(r: int) -> None:
    rng = np.random.default_rng(0)
    matrices = rng.normal(size=(40, r, r)) * np.exp(rng.normal(size=(40, r, 1)) * 3)
    turns, sums = (part.numpy() for part in polar(torch.from_numpy(matrices)))
    for own, turn, total in zip(matrices, turns, sums, strict=True):
        np.testing.assert_allclose(turn, scipy.linalg.polar(own)[0], atol=1e-9)
        assert total == pytest.approx(np.linalg.svd(own)[1].sum(), rel=1e-12)
    flat = rng.normal(size=(300, r, 1)) @ rng.normal(size=(300, 1, r))  # of rank one
    axes = np.zeros((2, r, r))
    axes[1, 0, 1] = 3.0
    flat = np.concatenate([flat, axes])
    turns, sums = (part.numpy() for part in polar(torch.from_numpy(flat)))
    np.testing.assert_allclose(sums, np.linalg.norm(flat, axis=(1, 2)), rtol=1e-12)
    unit = np.broadcast_to(np.eye(r), turns.shape)
    np.testing.assert_allclose(turns.swapaxes(1, 2) @ turns, unit, atol=1e-13)


@pytest.mark.parametrize("d", [2, 4])
def test_costs_of_covariances(d: int) -> None:
    """Also of singular ones, and of those that are nearly the same."""
    rng = np.random.default_rng(1)
    roots = rng.normal(size=(6, d, d))
    roots[2] = roots[1] * (1 + 1e-7)
    roots[3, :, 1:] = 0.0
    roots[4] = 0.0
    covariances = roots @ roots.swapaxes(1, 2)
    means = torch.zeros(1, 6, d, dtype=torch.float64)
    own = Components(means, None, torch.from_numpy(roots)[None])
    found = between(own, own, 2)[0].numpy()
    np.testing.assert_allclose(
        found, bures_squared(covariances, covariances), rtol=1e-9, atol=1e-13
    )
    assert np.diagonal(found).max() < 1e-13
    # Along a line of scales the distance is that of the scales.
    assert found[1, 2] == pytest.approx(1e-14 * np.trace(covariances[1]), rel=1e-5)


def mixtures(*, shared: bool = False, full: bool = True, seed: int = 0) -> Mixtures:
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(4, 2.0), size=6)
    weights[1, 0] = 0.0
    weights /= weights.sum(1, keepdims=True)
    means, roots = 2 * rng.normal(size=(6, 4, 3)), rng.normal(size=(6, 4, 3, 4))
    if shared:
        means[:], roots[:] = means[0], roots[0]
    covariances = roots @ roots.swapaxes(-1, -2)
    if not full:
        covariances = np.diagonal(covariances, axis1=2, axis2=3).copy()
    return Mixtures.of(weights, means, covariances)


def clouds() -> Clouds:
    rng = np.random.default_rng(2)
    parts = [rng.normal(size=(5 + 3 * s, 2)) + rng.normal(size=2) for s in range(6)]
    return Clouds.of(parts, [rng.dirichlet(np.ones(len(part))) for part in parts])


PAIRS = np.array([[3, 1], [0, 5], [2, 2], [1, 4]])


@pytest.mark.parametrize(
    ("free_bytes", "pairs", "debiased"),
    [(2**34, None, False), (2**34, PAIRS, True), (40_000, PAIRS, False)],
)
def test_distances_are_those_of_the_host(
    free_bytes: int, pairs: np.ndarray | None, debiased: bool
) -> None:
    """All pairs in a batch, and in several."""
    plans = {"entropic": 0.1, "debiased": debiased}
    measured = [
        *((mixture_distances, own, "mw2") for own in (mixtures(), mixtures(full=False))),
        (mixture_distances, mixtures(shared=True), "mixed"),
        (cloud_distances, clouds(), "w1"),
    ]
    for distances, measures, cost in measured:
        expected = distances(measures, pairs, cost=cost, **plans)
        with pretended(free_bytes):
            found = distances(measures, pairs, cost=cost, device="cuda", **plans)
        np.testing.assert_allclose(found**2, expected**2, rtol=1e-7, atol=1e-8)


def test_exact_distances_are_found_on_the_host() -> None:
    with pretended() as log:
        found = mixture_distances(mixtures(), device="cuda")
        on_a_line = cloud_distances(clouds().mapped(np.ones((1, 2))), device="cuda")
        assert not log.calls
    np.testing.assert_array_equal(found, mixture_distances(mixtures()))
    np.testing.assert_array_equal(on_a_line, cloud_distances(clouds().mapped(np.ones((1, 2)))))


def test_plans_that_are_not_found_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans_there, "STEPS", 1)
    monkeypatch.setattr(plans_there, "LOOK", 1)
    monkeypatch.setattr(plans_there, "ROUNDS", 1)
    with pretended(), pytest.warns(ConvergenceWarning, match="raise entropic=0.002"):
        mixture_distances(mixtures(), entropic=0.002, device="cuda")


def test_devices_that_are_not_there_are_named() -> None:
    for device in ("cuda", "quantum"):
        if device == "cuda" and torch.cuda.is_available():
            continue
        with pytest.raises(ValueError, match=f"device='{device}'"):
            mixture_distances(mixtures(), device=device)
        with pytest.raises(ValueError, match=f"device='{device}'"):
            cloud_distances(clouds(), device=device)

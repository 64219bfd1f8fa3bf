"""Entropic costs: plans in plain formulas, limits of the penalty, and what debiasing does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.exceptions import ConvergenceWarning

from lowdim.transport import (
    Clouds,
    Mixtures,
    bures_squared,
    cloud_distances,
    entropic_plan,
    mixture_distances,
)


def clouds(S: int = 4, n: int = 15, d: int = 2, seed: int = 0) -> Clouds:
    rng = np.random.default_rng(seed)
    parts = [rng.normal(size=(n + s, d)) + 2 * rng.normal(size=d) for s in range(S)]
    return Clouds.of(parts, [rng.dirichlet(np.full(len(part), 3.0)) for part in parts])


def mixtures(S: int = 4, K: int = 4, d: int = 3, *, full: bool = True) -> Mixtures:
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(S, K, d, d))
    covariances = roots @ roots.swapaxes(-1, -2)
    if not full:
        covariances = np.diagonal(covariances, axis1=2, axis2=3).copy()
    means = 2 * rng.normal(size=(S, K, d))
    return Mixtures.of(rng.dirichlet(np.full(K, 3.0), size=S), means, covariances)


def plain_cost(
    cost: np.ndarray, supply: np.ndarray, demand: np.ndarray, penalty: float, rounds: int = 3000
) -> float:
    rows, columns = np.zeros(len(supply)), np.zeros(len(demand))
    for _ in range(rounds):
        rows = np.log(supply) - logsumexp(columns - cost / penalty, axis=1)
        columns = np.log(demand) - logsumexp(rows[:, None] - cost / penalty, axis=0)
    return float((np.exp(rows[:, None] + columns - cost / penalty) * cost).sum())


@pytest.mark.parametrize("strength", [1.0, 0.1, 0.05])
def test_costs_are_those_of_plain_steps(strength: float) -> None:
    own = clouds()
    a, b = own.rows(0), own.rows(1)
    cost = ((own.points[a, None] - own.points[b]) ** 2).sum(2)
    expected = plain_cost(cost, own.weights[a], own.weights[b], strength * cost.mean())
    found = cloud_distances(own, [[0, 1]], entropic=strength)[0]
    assert found**2 == pytest.approx(expected, rel=1e-7)
    plan = entropic_plan(cost, own.weights[a], own.weights[b], strength=strength, max_iter=5000)
    assert float((plan * cost).sum()) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize(("cost", "power"), [("mw2", 2), ("mixed", 1)])
def test_costs_of_mixtures(full: bool, cost: str, power: int) -> None:
    m = mixtures(full=full)
    apart = np.linalg.norm(m.means[0, :, None] - m.means[1], axis=2) ** power
    costs = apart + bures_squared(m.covariances[0], m.covariances[1])
    expected = plain_cost(costs, m.weights[0], m.weights[1], 0.1 * costs.mean()) ** (1 / power)
    assert mixture_distances(m, [[0, 1]], cost=cost, entropic=0.1)[0] == pytest.approx(
        expected, rel=1e-7
    )


def both(strength: float, **arguments: Any) -> list[np.ndarray]:
    return [
        cloud_distances(clouds(), entropic=strength, **arguments),
        mixture_distances(mixtures(), entropic=strength, **arguments),
    ]


def test_weak_penalties_tend_to_the_exact_cost_from_above() -> None:
    upper = np.triu_indices(4, 1)
    for exact, *weaker in zip(both(0.0), both(0.1), both(0.03), both(0.01), strict=True):
        excess = [np.abs(own[upper] / exact[upper] - 1) for own in weaker]
        assert (excess[0] >= excess[1]).all() and (excess[1] >= excess[2] - 1e-9).all()
        assert excess[2].max() < 0.02
        assert all((own[upper] >= exact[upper] * (1 - 1e-7)).all() for own in weaker)


def test_a_strong_penalty_forgets_the_cost() -> None:
    own = clouds()
    a, b = own.rows(2), own.rows(3)
    cost = np.linalg.norm(own.points[a, None] - own.points[b], axis=2)
    found = cloud_distances(own, [[2, 3]], cost="w1", entropic=1e6)[0]
    assert found == pytest.approx(own.weights[a] @ cost @ own.weights[b], rel=1e-5)


def test_samples_are_off_themselves_unless_debiased() -> None:
    for found, debiased in zip(both(0.2), both(0.2, debiased=True), strict=True):
        np.testing.assert_array_equal(found, found.T)
        assert (np.diagonal(found) > 0.05 * np.median(found)).all()
        np.testing.assert_array_equal(np.diagonal(debiased), 0)
        assert (debiased[np.triu_indices(4, 1)] > 0).all()
    each = np.repeat(np.arange(4), 2).reshape(4, 2)
    np.testing.assert_array_equal(cloud_distances(clouds(), each, entropic=0.2, debiased=True), 0)
    np.testing.assert_allclose(
        cloud_distances(clouds(), each, entropic=0.2), np.diagonal(both(0.2)[0]), rtol=1e-12
    )


def test_debiased_costs_take_off_what_either_costs_to_itself() -> None:
    own = clouds()
    a, b = own.rows(0), own.rows(1)
    points, masses = (own.points[a], own.points[b]), (own.weights[a], own.weights[b])
    costs = [[((x[:, None] - y) ** 2).sum(2) for y in points] for x in points]
    penalty = 0.2 * costs[0][1].mean()
    parts = [
        [plain_cost(costs[i][j], masses[i], masses[j], penalty, 500) for j in range(2)]
        for i in range(2)
    ]
    expected = parts[0][1] - (parts[0][0] + parts[1][1]) / 2
    found = cloud_distances(own, [[0, 1]], entropic=0.2, debiased=True)[0]
    assert found**2 == pytest.approx(expected, rel=1e-6)


def test_units_scale_entropic_distances() -> None:
    own = clouds()
    for s in (1e-6, 1e6):
        scaled = Clouds(s * own.points, own.offsets, own.weights)
        for debiased in (False, True):
            np.testing.assert_allclose(
                cloud_distances(scaled, entropic=0.1, debiased=debiased),
                s * cloud_distances(own, entropic=0.1, debiased=debiased),
                rtol=1e-8,
            )


def test_points_in_one_place_cost_nothing() -> None:
    same = Clouds.of([np.ones((3, 2)), np.ones((4, 2))])
    np.testing.assert_array_equal(cloud_distances(same, entropic=0.1), 0)


def test_groups_that_hardly_exchange_mass_are_balanced() -> None:
    # Two places far apart that hold different masses: what is left over must go the long way.
    rng = np.random.default_rng(0)
    groups = [np.r_[rng.normal(size=(n, 2)), 40 + rng.normal(size=(30 - n, 2))] for n in (14, 16)]
    pair = Clouds.of(groups)
    a, b = pair.rows(0), pair.rows(1)
    cost = ((pair.points[a, None] - pair.points[b]) ** 2).sum(2)
    plan = entropic_plan(cost, strength=1e-3)
    np.testing.assert_allclose(plan.sum(1), 1 / 30, atol=1e-9)
    np.testing.assert_allclose(plan.sum(0), 1 / 30, atol=1e-9)
    exact, found = (cloud_distances(pair, [[0, 1]], entropic=e)[0] for e in (0.0, 1e-3))
    assert exact * (1 - 1e-9) <= found < 1.01 * exact


def test_pairs_that_were_not_found_are_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped_early(*arguments: Any) -> None:
        out, found = arguments[-2:]
        out[:], found[:] = 4.0, np.arange(len(found)) > 1

    monkeypatch.setattr("lowdim.transport._clouds.entropic_costs", stopped_early)
    with pytest.warns(ConvergenceWarning, match=r"for 2 of 10 pairs; raise entropic=0.1") as told:
        found = cloud_distances(clouds(), entropic=0.1)
    assert len(told) == 1
    np.testing.assert_array_equal(found, 2.0)


def test_masses_next_to_nothing_count_as_nothing() -> None:
    means = np.array([[[0.0], [9.0]], [[1.0], [9.0]]])
    weights = np.array([[1.0, 1e-100], [0.5, 0.5]])
    mixtures = Mixtures.of(weights, means, np.ones((2, 2, 1)))
    assert mixtures.sizes.tolist() == [1, 2]
    found = mixture_distances(mixtures, entropic=0.05)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[0, 1], np.sqrt(0.5 * 1.0 + 0.5 * 81.0))
    clouds = Clouds.of(list(means), list(weights))
    np.testing.assert_allclose(cloud_distances(clouds, entropic=0.05)[0, 1], found[0, 1])

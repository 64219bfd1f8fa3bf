"""Distances between clouds of points: linear programs, closed forms, and the laws of distances."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.stats import wasserstein_distance

from lowdim.transport import Clouds, Mixtures, cloud_distances, mixture_distances


def drawn(sizes: tuple[int, ...], d: int, seed: int = 0, *, even: bool = False) -> Clouds:
    rng = np.random.default_rng(seed)
    parts = [rng.normal(size=(n, d)) + rng.normal(size=d) for n in sizes]
    return Clouds.of(parts, None if even else [rng.dirichlet(np.ones(n)) for n in sizes])


def by_linear_program(clouds: Clouds, i: int, j: int, power: int) -> float:
    a, b = clouds.rows(i), clouds.rows(j)
    cost = np.linalg.norm(clouds.points[a, None] - clouds.points[b], axis=2) ** power
    n, m = cost.shape
    sums = np.vstack([np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))])
    masses = np.r_[clouds.weights[a], clouds.weights[b]]
    return float(linprog(cost.ravel(), A_eq=sums, b_eq=masses).fun) ** (1 / power)


@given(
    st.lists(st.integers(1, 9), min_size=2, max_size=2),
    st.integers(1, 3),
    st.integers(0, 10**6),
    st.sampled_from([("w1", 1), ("w2", 2)]),
)
def test_no_plan_costs_less(sizes: list[int], d: int, seed: int, cost: tuple[str, int]) -> None:
    clouds = drawn(tuple(sizes), d, seed)
    found = cloud_distances(clouds, [[0, 1]], cost=cost[0])[0]
    assert found == pytest.approx(by_linear_program(clouds, 0, 1, cost[1]), rel=1e-6, abs=1e-6)


def test_costs_are_those_of_pot() -> None:
    ot = pytest.importorskip("ot")
    clouds = drawn((150, 90, 150), 4)
    clouds = Clouds.of(
        [clouds.points[clouds.rows(s)] for s in range(3)],
        [np.ones(150), clouds.weights[clouds.rows(1)], np.ones(150)],
    )
    for cost, metric, root in (("w1", "euclidean", 1.0), ("w2", "sqeuclidean", 0.5)):
        for i, j in ((0, 1), (0, 2)):
            a, b = clouds.rows(i), clouds.rows(j)
            costs = ot.dist(clouds.points[a], clouds.points[b], metric)
            best = ot.emd2(clouds.weights[a], clouds.weights[b], costs, numItermax=10**6)
            found = cloud_distances(clouds, [[i, j]], cost=cost)[0] ** (1 / root)
            assert found == pytest.approx(float(best), rel=1e-12)


def test_points_on_a_line_are_matched_in_order() -> None:
    line = drawn((40, 25, 1), 1)
    flat = Clouds(np.hstack([line.points, np.zeros_like(line.points)]), line.offsets, line.weights)
    for cost in ("w1", "w2"):
        np.testing.assert_allclose(
            cloud_distances(line, cost=cost), cloud_distances(flat, cost=cost), rtol=1e-12
        )
    x, y = line.rows(0), line.rows(1)
    expected = wasserstein_distance(
        line.points[x, 0], line.points[y, 0], line.weights[x], line.weights[y]
    )
    assert cloud_distances(line, [[0, 1]], cost="w1")[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("cost", ["w1", "w2"])
@pytest.mark.parametrize("d", [1, 3])
def test_the_laws_of_distances(cost: str, d: int) -> None:
    clouds = drawn((12, 7, 20, 12, 15, 9), d, even=True)
    found = cloud_distances(clouds, cost=cost)
    np.testing.assert_array_equal(found, found.T)
    assert (found <= (found[:, :, None] + found[None]).min(1) + 1e-9).all()
    each = np.repeat(np.arange(6), 2).reshape(6, 2)
    assert cloud_distances(clouds, each, cost=cost).max() < 1e-6 * np.median(found)
    turned = np.array([[j, i] for i in range(6) for j in range(6)])
    np.testing.assert_allclose(
        cloud_distances(clouds, turned, cost=cost).reshape(6, 6), found, atol=1e-6
    )
    for s in (1e-6, 1e6):
        scaled = Clouds(s * clouds.points, clouds.offsets, clouds.weights)
        np.testing.assert_allclose(cloud_distances(scaled, cost=cost), s * found, rtol=1e-8)
    moved = Clouds(clouds.points + 1e3, clouds.offsets, clouds.weights)
    np.testing.assert_allclose(cloud_distances(moved, cost=cost), found, rtol=1e-9)


def test_a_shift_costs_its_length() -> None:
    cloud = drawn((30,), 3).points
    pair = Clouds.of([cloud, cloud[::-1] + np.array([3.0, 4.0, 0.0])])
    assert cloud_distances(pair)[0, 1] == pytest.approx(5.0, rel=1e-12)
    assert cloud_distances(pair, cost="w1")[0, 1] == pytest.approx(5.0, rel=1e-12)


def test_narrow_components_are_points() -> None:
    clouds = drawn((5, 5, 5), 3)
    means, weights = clouds.points.reshape(3, 5, 3), clouds.weights.reshape(3, 5)
    narrow = Mixtures.of(weights, means, np.full((3, 5, 3), 1e-14))
    np.testing.assert_allclose(cloud_distances(clouds), mixture_distances(narrow), rtol=1e-10)
    np.testing.assert_allclose(
        cloud_distances(clouds, cost="w1"), mixture_distances(narrow, cost="mixed"), rtol=1e-10
    )


def test_points_without_mass_and_points_twice_change_nothing() -> None:
    clouds = drawn((8, 6), 2)
    parts = [clouds.points[clouds.rows(s)] for s in range(2)]
    masses = [clouds.weights[clouds.rows(s)] for s in range(2)]
    more = Clouds.of(
        [np.vstack([parts[0], [[9.0, 9.0]]]), np.vstack([parts[1], parts[1]])],
        [np.r_[masses[0], 0.0], np.r_[masses[1], masses[1]] / 2],
    )
    for entropic in (0.0, 0.2):
        whole = cloud_distances(clouds, [[0, 1]], entropic=entropic)
        np.testing.assert_allclose(
            cloud_distances(more, [[0, 1]], entropic=entropic), whole, rtol=1e-7
        )


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"cost": "w3"}, ValueError, "cost='w3' is not a choice"),
        ({"pairs": [[0, 5]]}, ValueError, "pairs has sample 5, and there are 3"),
        ({"pairs": [[-1, 0]]}, ValueError, "pairs has sample -1"),
        ({"pairs": [0, 1]}, ValueError, "pairs must be integers"),
        ({"pairs": [[0.0, 1.0]]}, ValueError, "pairs must be integers"),
        ({"entropic": -1.0}, ValueError, "entropic=-1.0 is out of range"),
        ({"debiased": 1}, ValueError, "debiased=1 is not a choice"),
    ],
)
def test_bad_input_is_named(arguments: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        cloud_distances(drawn((3, 3, 3), 2), **arguments)

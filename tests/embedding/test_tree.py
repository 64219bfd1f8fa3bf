"""Repulsion in space by a tree, and its nodes, against sums in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lowdim.embedding._crew import Crew
from lowdim.embedding._tsne.repulsion_tree import TreeRepulsion, opened, opening_for
from lowdim.embedding._tsne.tree_nodes import LEAF, Nodes, depth_for, nodes_of

#: Coordinates of which many are equal.
CLOUDS = hnp.arrays(
    np.float32,
    st.tuples(st.integers(2, 300), st.just(3)),
    elements=st.sampled_from([-3.0, -0.5, 0.0, 1e-3, 0.25, 2.0, 40.0]),
)


@pytest.fixture(scope="module")
def crew():
    with Crew(2) as crew:
        yield crew


@pytest.fixture(scope="module")
def clumps() -> np.ndarray:
    """Points in groups of all sizes, dense and sparse, with a range of one."""
    rng = np.random.default_rng(0)
    centres = rng.uniform(size=(30, 3))
    spread = rng.uniform(0.002, 0.1, size=(30, 1))
    which = rng.integers(30, size=1500)
    Y = centres[which] + spread[which] * rng.normal(size=(1500, 3))
    return (Y - Y.mean(0)) / np.ptp(Y, axis=0).max()


@pytest.fixture
def small_leaves(monkeypatch) -> None:
    """So that a tree of few points has as many nodes as one of many."""
    monkeypatch.setattr("lowdim.embedding._tsne.tree_nodes.LEAF", 8)


def found_by(crew: Crew, Y: np.ndarray, dof: float = 1.0, **options) -> tuple[np.ndarray, float]:
    force = np.full_like(Y, np.nan)
    return force, TreeRepulsion(dof, crew, **options)(Y, np.empty(0), force)


def error(found: np.ndarray, true: np.ndarray) -> float:
    return float(np.linalg.norm(found - true) / np.linalg.norm(true))


def members(nodes: Nodes, level: int, q: int) -> np.ndarray:
    n = len(nodes.points)
    return nodes.points[n * q >> level : n * (q + 1) >> level, :3].astype(np.float64)


@pytest.mark.parametrize("span", [6e-4, 0.3, 2.0, 12.0, 60.0, 200.0])
@pytest.mark.parametrize("dof", [1.0, 0.5, 2.0])
def test_forces_are_within_a_hundredth(crew, clumps, span: float, dof: float, repulsion_of) -> None:
    Y = (span * clumps).astype(np.float32)
    found, total = found_by(crew, Y, dof)
    true, weights = repulsion_of(Y, dof)
    assert error(found, true) < 0.01
    assert total == pytest.approx(weights, rel=2e-3)


@pytest.mark.usefixtures("small_leaves")
@pytest.mark.parametrize("dof", [1.0, 0.6])
def test_errors_fall_as_the_third_power_of_the_angle(
    crew, clumps, dof: float, repulsion_of
) -> None:
    Y = (20 * clumps).astype(np.float32)
    true, weights = repulsion_of(Y, dof)
    angles = (0.9, 0.45, 0.225)
    found = [found_by(crew, Y, dof, angle=angle) for angle in angles]
    errors = [error(force, true) for force, _ in found]
    assert errors[1] < errors[0] / 4
    assert errors[2] < errors[1] / 4
    assert found[2][1] == pytest.approx(weights, rel=2e-5)


@pytest.mark.parametrize("dof", [1.0, 0.7])
def test_an_angle_of_zero_leaves_all_pairs(crew, clumps, dof: float, repulsion_of) -> None:
    Y = (5 * clumps[:500]).astype(np.float32)
    found, total = found_by(crew, Y, dof, angle=0.0)
    true, weights = repulsion_of(Y, dof)
    assert error(found, true) < 3e-6
    assert total == pytest.approx(weights, rel=2e-6)


@settings(max_examples=60, deadline=None)
@given(CLOUDS)
def test_clouds_with_duplicates(Y: np.ndarray) -> None:
    gaps = Y[:, None].astype(np.float64) - Y[None]
    weights = 1 / (1 + (gaps**2).sum(-1))
    true = (weights[..., None] ** 2 * gaps).sum(1)
    with Crew(1) as crew:
        found, total = found_by(crew, Y)
    scale = np.sqrt((weights**2 * np.sqrt((gaps**2).sum(-1))).sum(1).mean())
    assert np.abs(found - true).max() <= 0.02 * scale * np.sqrt(len(Y)) + 1e-6
    assert total == pytest.approx(weights.sum() - len(Y), rel=2e-3, abs=1e-3 * len(Y))


def test_all_points_in_one_place_are_not_moved(crew) -> None:
    Y = np.full((1000, 3), 7.3, np.float32)
    found, total = found_by(crew, Y)
    assert not found.any()
    assert total == 1000 * 999


def test_points_on_each_other_far_from_others_do_not_push_themselves(crew) -> None:
    Y = np.repeat(1e4 * np.eye(3, dtype=np.float32), 200, axis=0)
    found, total = found_by(crew, Y)
    assert np.abs(found).max() < 1e-8
    assert total == pytest.approx(3 * 200 * 199, rel=1e-6)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_layout_on_a_line_stays_on_it(crew, axis: int, repulsion_of) -> None:
    Y = np.zeros((700, 3), np.float32)
    Y[:, axis] = np.random.default_rng(0).uniform(-100, 100, size=700)
    found, total = found_by(crew, Y)
    true, weights = repulsion_of(Y)
    assert error(found, true) < 0.01
    assert not np.delete(found, axis, axis=1).any()
    assert total == pytest.approx(weights, rel=1e-3)


@pytest.mark.parametrize("n", [2, 3, LEAF, LEAF + 1, 130])
def test_few_points(crew, n: int, repulsion_of) -> None:
    Y = np.random.default_rng(n).normal(scale=3, size=(n, 3)).astype(np.float32)
    found, total = found_by(crew, Y)
    true, weights = repulsion_of(Y)
    assert error(found, true) < 0.01
    assert total == pytest.approx(weights, rel=2e-3)


def test_huge_spreads(crew, repulsion_of) -> None:
    rng = np.random.default_rng(0)
    Y = (10.0 ** rng.uniform(-3, 8, size=(800, 1)) * rng.normal(size=(800, 3))).astype(np.float32)
    found, total = found_by(crew, Y)
    true, weights = repulsion_of(Y)
    assert error(found, true) < 0.01
    assert total == pytest.approx(weights, rel=2e-3)


def test_layouts_that_are_not_finite_come_to_an_end(crew) -> None:
    Y = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32)
    Y[::7] = np.nan
    Y[3] = np.inf
    assert not np.isfinite(found_by(crew, Y)[1])


def test_neither_threads_nor_order_matter(clumps, repulsion_of) -> None:
    Y = (40 * clumps).astype(np.float32)
    made = []
    for n_jobs in (1, 2, 3, 16):
        with Crew(n_jobs) as crew:
            made.append(found_by(crew, Y))
    assert all(np.array_equal(made[0][0], force) for force, _ in made[1:])
    assert len({total for _, total in made}) == 1
    order = np.random.default_rng(0).permutation(len(Y))
    with Crew(1) as crew:
        force, total = found_by(crew, Y[order])
    np.testing.assert_allclose(force, made[0][0][order], rtol=1e-3, atol=1e-4)
    assert total == pytest.approx(made[0][1], rel=1e-5)


@pytest.mark.parametrize("n", [1, 40, 65, 1000])
def test_nodes_are_what_they_say_of_their_points(crew, clumps: np.ndarray, n: int) -> None:
    Y = (3 * clumps[:n]).astype(np.float32)
    nodes = nodes_of(Y, crew)
    np.testing.assert_array_equal(nodes.points[:, :3], Y[nodes.numbers])
    assert sorted(nodes.numbers) == list(range(n))
    depth = depth_for(n)
    assert LEAF / 2 < n / 2**depth <= LEAF or depth == 0
    for level in range(depth + 1):
        for q in range(1 << level):
            own, v = members(nodes, level, q), (1 << level) + q
            gaps = own - own.mean(0)
            np.testing.assert_allclose(nodes.balls[v, :3], own.mean(0), atol=1e-6)
            moments = np.einsum("ia,ib->ab", gaps, gaps)
            pairs = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
            expected = [len(own), *(moments[a, b] for a, b in pairs)]
            np.testing.assert_allclose(nodes.moments[v], expected, rtol=1e-4, atol=1e-4)
            farthest = np.linalg.norm(gaps, axis=1).max()
            assert farthest - 1e-6 <= nodes.balls[v, 3] <= 3 * farthest + 1e-6


def test_nodes_are_halved_along_their_widest_axis(crew, clumps: np.ndarray) -> None:
    nodes = nodes_of(clumps.astype(np.float32), crew)
    for level in range(depth_for(len(clumps))):
        for q in range(1 << level):
            less, more = (members(nodes, level + 1, 2 * q + side) for side in (0, 1))
            axis = np.ptp(np.concatenate([less, more]), axis=0).argmax()
            assert less[:, axis].max() <= more[:, axis].min()


@pytest.mark.usefixtures("small_leaves")
def test_lists_have_every_point_once(crew, clumps: np.ndarray) -> None:
    nodes = nodes_of((60 * clumps).astype(np.float32), crew)
    n_leaves = len(nodes.balls) // 2
    far, near = np.empty(2 * n_leaves, np.int64), np.empty(n_leaves, np.int64)
    shares = []
    for q in range(n_leaves):
        ball = nodes.balls[n_leaves + q]
        means, points = opened(nodes, ball, opening_for(1.0), far, near)
        there = points[:, points[0] < 1e10]
        assert means[3].sum() + there.shape[1] == len(clumps)
        mean = (means[:3] * means[3]).sum(1) + there.sum(1)
        np.testing.assert_allclose(mean / len(clumps), 0, atol=1e-3)
        shares.append(there.shape[1] / len(clumps))
    assert np.mean(shares) < 0.3

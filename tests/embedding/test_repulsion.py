"""Repulsion of all pairs: exact and by a mesh, against sums in float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lowdim.embedding._crew import Crew
from lowdim.embedding._tsne.mesh_grids import MOST, Level, Levels, grid_for
from lowdim.embedding._tsne.mesh_levels import phases, prolong, restrict
from lowdim.embedding._tsne.mesh_spectra import Grid, _share, spectra
from lowdim.embedding._tsne.repulsion_exact import ExactRepulsion
from lowdim.embedding._tsne.repulsion_mesh import MeshRepulsion


@pytest.fixture(scope="module")
def forces(extent_of) -> Callable[..., tuple[np.ndarray, float]]:
    def made(repulsion, Y: np.ndarray) -> tuple[np.ndarray, float]:
        out = np.empty_like(Y)
        return out, repulsion(Y, extent_of(Y), out)

    return made


def error(found: np.ndarray, true: np.ndarray) -> float:
    return float(np.linalg.norm(found - true) / np.linalg.norm(true))


@pytest.fixture(scope="module")
def crew():
    with Crew(2) as crew:
        yield crew


@pytest.fixture(scope="module")
def clumps() -> np.ndarray:
    """Points in groups of all sizes, dense and sparse, with a range of one."""
    rng = np.random.default_rng(0)
    centres = rng.uniform(size=(40, 2))
    spread = rng.uniform(0.002, 0.05, size=(40, 1))
    which = rng.integers(40, size=2500)
    Y = centres[which] + spread[which] * rng.normal(size=(2500, 2))
    return (Y - Y.mean(0)) / np.ptp(Y, axis=0).max()


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("dof", [1.0, 0.5])
def test_exact_forces(crew, d: int, dof: float, repulsion_of, forces) -> None:
    Y = np.random.default_rng(0).normal(scale=3, size=(301, d)).astype(np.float32)
    found, total = forces(ExactRepulsion(dof, crew), Y)
    true, weights = repulsion_of(Y, dof)
    assert error(found, true) < 2e-6
    assert total == pytest.approx(weights, rel=1e-6)


@pytest.mark.parametrize("span", [6e-4, 0.05, 0.15, 0.5, 2.0, 12.0])
def test_mesh_forces_of_small_layouts_lose_nothing_to_cancellation(
    crew, clumps: np.ndarray, span: float, repulsion_of, forces
) -> None:
    Y = (span * clumps).astype(np.float32)
    found, total = forces(MeshRepulsion(1.0, crew), Y)
    true, weights = repulsion_of(Y)
    assert error(found, true) < 2e-4 * max(1.0, span / 2)
    assert total == pytest.approx(weights, rel=1e-5)


@pytest.mark.parametrize(("span", "dof"), [(40, 1.0), (150, 1.0), (60, 0.5), (60, 2.0)])
def test_mesh_forces_are_within_a_hundredth(
    crew, clumps, span: float, dof: float, repulsion_of, forces
) -> None:
    Y = (span * clumps).astype(np.float32)
    found, total = forces(MeshRepulsion(dof, crew), Y)
    true, weights = repulsion_of(Y, dof)
    assert error(found, true) < 0.01
    assert total == pytest.approx(weights, rel=1e-3)


def test_a_finer_mesh_is_nearer(crew, clumps: np.ndarray, repulsion_of, forces) -> None:
    Y = (150 * clumps).astype(np.float32)
    true, _ = repulsion_of(Y)
    errors = [error(forces(MeshRepulsion(1.0, crew, spacing=h), Y)[0], true) for h in (0.5, 0.25)]
    assert errors[1] < errors[0] / 10


def test_points_do_not_push_themselves_nor_those_they_lie_on(crew, repulsion_of, forces) -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        here = rng.uniform(-5, 5, size=2)
        Y = np.array([[-90, -90], here, here, [90, 90]], np.float32)
        found, total = forces(MeshRepulsion(1.0, crew), Y)
        true, weights = repulsion_of(Y)
        np.testing.assert_allclose(found, true, atol=1e-6)
        assert total == pytest.approx(weights, abs=2e-2)  # the pair is two, the others nothing


def test_forces_add_up_to_nothing(crew, clumps: np.ndarray, forces) -> None:
    Y = (80 * clumps).astype(np.float32)
    found, _ = forces(MeshRepulsion(1.0, crew), Y)
    net = np.linalg.norm(found.sum(0, dtype=np.float64))
    assert net < 1e-6 * np.linalg.norm(found, axis=1).sum()


def test_a_layout_on_a_line_stays_on_it(crew, repulsion_of, forces) -> None:
    Y = np.zeros((400, 2), np.float32)
    Y[:, 0] = np.random.default_rng(0).uniform(-100, 100, size=400)
    found, total = forces(MeshRepulsion(1.0, crew), Y)
    true, weights = repulsion_of(Y)
    assert error(found, true) < 0.01
    assert np.abs(found[:, 1]).max() < 1e-4 * np.abs(found[:, 0]).max()
    assert total == pytest.approx(weights, rel=1e-3)


def test_a_coarse_mesh_has_the_forces_of_far_points(crew, clumps: np.ndarray, forces) -> None:
    Y = (150 * clumps).astype(np.float32)
    Y[:, 1] *= 0.6
    both = MeshRepulsion(1.0, crew)
    found, total = forces(both, Y)
    assert both._levels.coarse is not None
    single = MeshRepulsion(1.0, crew)
    grid = grid_for(np.ptp(Y, axis=0), 0.35)
    single._grid, single._levels = grid, Levels(Level(grid, spectra(grid, 1.0)), None)
    alone, weights = forces(single, Y)
    assert error(found, alone) < 1e-3
    assert total == pytest.approx(weights, rel=2e-4)
    near = 48 * grid.spacing * 0.25  # forces within are those of the fine mesh alone
    share = _share(np.array([0.0, 0.25, 0.6, 1.0, 2.0]))
    assert share.tolist()[:2] == [1.0, 1.0]
    assert 0 < share[2] < 1
    assert share.tolist()[3:] == [0.0, 0.0]
    far = np.array([[0, 0], [0.7 * near, 0], [100, 60]], np.float32)
    gaps = far[:, None].astype(np.float64) - far
    true = (gaps / (1 + (gaps**2).sum(-1, keepdims=True)) ** 2).sum(1)
    assert error(forces(MeshRepulsion(1.0, crew), far)[0], true) < 0.01


def test_restriction_and_prolongation_are_adjoint() -> None:
    rng = np.random.default_rng(0)
    table, wide = phases(8), 37
    points, fine = rng.normal(size=(45, 40)).astype(np.float32), np.zeros((1, 45, 40), np.float32)
    own = np.empty((9, 10), np.float32)
    restrict(0, 16, 16, points, wide, table, own)
    assert own.sum() == pytest.approx(points[:, :wide].sum(), rel=1e-4)
    coarse = rng.normal(size=(1, 9, 10)).astype(np.float32)
    prolong(0, 16, 16, coarse, table, wide, fine)
    assert (own * coarse[0]).sum() == pytest.approx((points * fine[0]).sum(), rel=1e-3)
    assert not fine[0, :, wide:].any()
    again = np.zeros_like(fine)
    prolong(0, 5, 16, coarse, table, wide, again)
    prolong(5, 16, 16, coarse, table, wide, again)
    assert np.array_equal(fine, again)


def test_very_wide_layouts_have_a_wider_spacing(crew, forces) -> None:
    grid = grid_for(np.array([1e5, 3e4]), 0.4)
    assert max(grid.n_points) <= MOST
    assert grid.spacing * grid.n_points[0] > 1e5
    Y = np.array([[-5e4, 0], [5e4, 0], [0, 10]], np.float32)
    assert np.isfinite(forces(MeshRepulsion(1.0, crew), Y)[0]).all()


def test_all_points_in_one_place_are_not_moved(crew, forces) -> None:
    Y = np.zeros((30, 2), np.float32)
    found, total = forces(MeshRepulsion(1.0, crew), Y)
    assert np.abs(found).max() < 1e-12
    assert total == pytest.approx(30 * 29, rel=1e-5)


def test_spectra_are_those_of_the_whole_mesh() -> None:
    grid = Grid((8, 6), (32, 24), 0.5)
    own = spectra(grid, 1.0)
    x, y = (0.5 * np.minimum(np.arange(n), n - np.arange(n)) for n in grid.n_nodes)
    sign = np.where(np.arange(32) < 16, 1.0, -1.0)
    sign[[0, 16]] = 0.0
    inverse = 1 / (1 + x[:, None] ** 2 + y**2)
    force = (sign * x)[:, None] * inverse**2
    ratio = np.fft.fft2(inverse).real[:17, :13] / own.weight
    whole = 1j * np.fft.fft2(force)[:17, :13]
    np.testing.assert_allclose(whole.imag, 0, atol=1e-12)
    np.testing.assert_allclose(whole.real, own.along * ratio, atol=1e-5)

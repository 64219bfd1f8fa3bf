"""Simulated subspaces: what was planted is what the rows show."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowdim.data import SimulatedSubspaces, subspaces, toy


def check_consistent(sim: SimulatedSubspaces, dims: list[int]) -> None:
    n_columns = sim.X.shape[1]
    assert len(sim.labels) == len(sim.X)
    assert sim.weights.shape == sim.noise_variances.shape == (len(dims),)
    assert sim.weights.sum() == pytest.approx(1)
    assert sim.means.shape == (len(dims), n_columns)
    parts = zip(sim.bases, sim.latent_variances, sim.noise_variances, dims, strict=True)
    for basis, latent, noise, d in parts:
        assert basis.shape == (d, n_columns)
        np.testing.assert_allclose(basis @ basis.T, np.eye(d), atol=1e-12)
        assert latent.shape == (d,)
        assert (np.diff(latent) <= 0).all()
        assert (latent > noise).all()


@given(
    dims=st.lists(st.integers(0, 4), min_size=1, max_size=4),
    n_columns=st.integers(5, 9),
    n_rows=st.integers(1, 50),
    seed=st.integers(0, 2**32),
)
def test_all_parts_have_their_shapes(
    dims: list[int], n_columns: int, n_rows: int, seed: int
) -> None:
    sim = subspaces(n_rows, dims, n_columns, random_state=seed)
    assert sim.X.shape == (n_rows, n_columns)
    check_consistent(sim, dims)


def test_rows_have_the_planted_moments() -> None:
    counts = [40_000, 30_000]
    sim = subspaces(counts, [2, 0], 4, noise=[0.5, 2.0], latent=[[3.0, 6.0], []], random_state=0)
    np.testing.assert_allclose(sim.latent_variances[0], [36.25, 9.25])
    np.testing.assert_allclose(sim.noise_variances, [0.25, 4.0])
    for k, count in enumerate(counts):
        rows = sim.X[sim.labels == k]
        assert len(rows) == count
        V, latent, noise = sim.bases[k], sim.latent_variances[k], sim.noise_variances[k]
        covariance = noise * np.eye(4) + (V.T * (latent - noise)) @ V
        scale = covariance.diagonal().max()
        np.testing.assert_allclose(rows.mean(0), sim.means[k], atol=5 * np.sqrt(scale / count))
        np.testing.assert_allclose(np.cov(rows.T), covariance, atol=5 * scale * np.sqrt(2 / count))


def test_labels_follow_the_weights() -> None:
    sim = subspaces(20_000, [1, 1, 0], 3, weights=[1, 2, 7], random_state=1)
    np.testing.assert_allclose(sim.weights, [0.1, 0.2, 0.7])
    np.testing.assert_allclose(np.bincount(sim.labels) / 20_000, sim.weights, atol=0.015)


def test_separation_is_the_distance_between_means() -> None:
    sim = subspaces([1] * 400, [1] * 400, 20, separation=7.0, random_state=2)
    squares = ((sim.means[::2] - sim.means[1::2]) ** 2).sum(1)
    assert np.sqrt(squares.mean()) == pytest.approx(7, rel=0.1)


def test_the_seed_decides_everything() -> None:
    first, again = (subspaces(30, [1, 2], 5, random_state=3) for _ in range(2))
    other = subspaces(30, [1, 2], 5, random_state=4)
    np.testing.assert_array_equal(first.X, again.X)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert not np.allclose(first.X, other.X)
    np.testing.assert_array_equal(toy().X, toy(0).X)
    assert not np.allclose(toy(1).X, toy(0).X)


def test_results_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        toy().X = np.zeros(3)  # type: ignore[misc]


def test_toy_is_a_plane_two_lines_and_a_blob() -> None:
    sim = toy()
    assert sim.X.shape == (4600, 3)
    assert np.bincount(sim.labels).tolist() == [4000, 200, 100, 300]
    check_consistent(sim, [2, 1, 0, 1])
    normal = np.array([0, -0.3, 1]) / np.hypot(1, 0.3)
    heights = (sim.X[sim.labels == 0] - sim.means[0]) @ normal
    assert heights.std() == pytest.approx(0.1, rel=0.05)
    line = sim.X[sim.labels == 1] - sim.means[1]
    assert (line @ np.ones(3) / np.sqrt(3)).std() == pytest.approx(6, rel=0.15)
    assert sim.X[sim.labels == 2].std(0) == pytest.approx(2, rel=0.3)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"dims": [3]}, ValueError, "below n_columns=3"),
        ({"dims": []}, ValueError, "dims="),
        ({"dims": [-1]}, ValueError, "dims=-1"),
        ({"dims": [1.5]}, TypeError, "dims=1.5"),
        ({"n_rows": 0}, ValueError, "n_rows=0"),
        ({"n_rows": 2.0}, TypeError, "n_rows=2.0"),
        ({"n_rows": [1, 2, 3]}, ValueError, "one count for each of the 2 dims"),
        ({"n_rows": [0, 0]}, ValueError, "not all"),
        ({"n_rows": [1, 2], "weights": [1, 2]}, ValueError, "leave weights out"),
        ({"weights": [1, 0]}, ValueError, "weights=0"),
        ({"noise": -1}, ValueError, "noise=-1"),
        ({"noise": [1, 2, 3]}, ValueError, "noise="),
        ({"latent": 0}, ValueError, "latent=0"),
        ({"latent": [1]}, ValueError, "one per dims"),
        ({"latent": [[1, 2], 1]}, ValueError, "one number or 1"),
        ({"separation": np.nan}, ValueError, "separation=nan"),
        ({"random_state": "x"}, TypeError, "random_state"),
    ],
)
def test_wrong_arguments_are_named(changes: dict, error: type[Exception], message: str) -> None:
    arguments = {"n_rows": 10, "dims": [1, 2], "n_columns": 3} | changes
    with pytest.raises(error, match=message):
        subspaces(**arguments)

"""PHATE's potential: against its definition, and along a branch."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist
from scipy.stats import spearmanr

from lowdim.affinities import DiffusionPotential
from lowdim.affinities.diffusion import knee


def test_the_potential_is_that_of_the_definition() -> None:
    X = np.random.default_rng(0).normal(size=(60, 3))
    distances = cdist(X, X)
    scales = np.sort(distances, axis=1)[:, 4]
    kernel = np.exp(-((distances / scales[:, None]) ** 6.0))
    kernel[kernel < 1e-4] = 0  # as small weights are left out
    kernel = (kernel + kernel.T) / 2
    steps = kernel / kernel.sum(1, keepdims=True)
    expected = -np.log(np.linalg.matrix_power(steps, 3) + 1e-7)
    made = DiffusionPotential(4, decay=6.0, n_steps=3).potential(X)
    np.testing.assert_allclose(made.values, expected, rtol=1e-4, atol=1e-4)
    assert made.n_steps == 3 and made.interpolation is None and made.entropy is None


def test_the_number_of_steps_is_at_the_knee() -> None:
    line = np.concatenate([np.linspace(10, 2, 9), np.linspace(2, 1, 40)[1:]])
    assert abs(knee(line) - 9) <= 1
    t = np.sort(np.random.default_rng(0).random(150))
    X = np.c_[np.cos(3 * t), np.sin(3 * t)] + 0.01 * np.random.default_rng(1).normal(size=(150, 2))
    made = DiffusionPotential().potential(X)
    assert made.entropy.shape == (100,) and (np.diff(made.entropy) <= 1e-9).all()
    assert made.n_steps == knee(made.entropy) > 1
    along = pdist(t[:, None])
    assert spearmanr(pdist(made.values), along).statistic > 0.8


def test_landmarks_stand_for_the_rows_around_them() -> None:
    rng = np.random.default_rng(0)
    t = rng.random(600)
    X = np.c_[np.cos(3 * t), np.sin(3 * t)] + 0.02 * rng.normal(size=(600, 2))
    made = DiffusionPotential(n_steps=40, n_landmarks=60).potential(X, random_state=0)
    again = DiffusionPotential(n_steps=40, n_landmarks=60).potential(X, random_state=0)
    np.testing.assert_array_equal(made.values, again.values)
    assert made.values.shape == (60, 60) and made.interpolation.shape == (600, 60)
    np.testing.assert_allclose(np.asarray(made.interpolation.sum(1)).ravel(), 1, rtol=1e-6)
    rows = made.interpolation @ made.values
    chosen = rng.choice(600, 150, replace=False)
    assert spearmanr(pdist(rows[chosen]), pdist(t[chosen, None])).statistic > 0.9


def test_parts_without_a_way_between_them_and_copies_are_finite() -> None:
    rng = np.random.default_rng(0)
    X = np.concatenate(
        [rng.normal(size=(50, 2)), rng.normal(size=(50, 2)) + 1e4, np.zeros((30, 2))]
    )
    assert np.isfinite(DiffusionPotential().potential(X).values).all()
    made = DiffusionPotential(n_landmarks=10).potential(X, random_state=0)
    assert np.isfinite(made.values).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale_neighbor": 40}, "n_neighbors=40, but there are 29"),
        ({"decay": 0.0}, "decay=0.0"),
        ({"n_steps": 0}, "n_steps=0"),
        ({"n_landmarks": 1}, "n_landmarks=1"),
    ],
)
def test_bad_input_is_named(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DiffusionPotential(**arguments).potential(np.random.default_rng(0).normal(size=(30, 2)))

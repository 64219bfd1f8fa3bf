"""Affine subspaces as objects, criteria, and synthetic data."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from lowdim.kspaces import (
    affine_subspace,
    bg_space,
    fixed_space,
    generate,
    generate_points_subspace,
    get_df,
    get_entropy,
    get_ICL,
    model_selection,
    total_log_likelihood,
)


@pytest.fixture
def plane() -> affine_subspace:
    return affine_subspace([[1, 0, 0], [0, 1, 0]], [1, 2, 3], 0.5, [3, 2], 0.4)


def test_attributes_and_text(plane: affine_subspace) -> None:
    assert (plane.d, plane.D, plane.sigma, plane.prior) == (2, 3, 0.5, 0.4)
    for name in ("vectors", "translation", "latent_sigmas"):
        assert getattr(plane, name).dtype == np.float64
    text = str(plane)
    assert text.startswith("affine_subspace: 2 of 3 dimensions")
    assert "sigma: 0.5" in text
    assert str(fixed_space([], [0], 1, [], 1)).startswith("fixed_space")


def test_copies_share_nothing(plane: affine_subspace) -> None:
    for copy in (plane.copy(), pickle.loads(pickle.dumps(plane))):
        copy.translation[:] = 9
        copy.vectors[:] = 9
        copy.sigma = 9
    assert plane.translation.tolist() == [1, 2, 3]
    assert plane.vectors[0].tolist() == [1, 0, 0]
    assert plane.sigma == 0.5


def test_what_was_passed_is_not_shared() -> None:
    translation, latent = np.zeros(2), np.ones(1)
    space = affine_subspace([[1.0, 0.0]], translation, 1.0, latent, 1.0)
    translation[:] = 5
    latent[:] = 5
    assert space.translation.tolist() == [0, 0]
    assert space.latent_sigmas.tolist() == [1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1, 0]], [0, 0], -1, [1], 1), "sigma"),
        (([[1, 0]], [0, 0], np.nan, [1], 1), "sigma"),
        (([[1, 0]], [0, 0], 1, [1, 2], 1), "latent_sigmas has shape"),
        (([[1, 0]], [0, 0], 1, [-1], 1), "latent_sigmas must not be negative"),
        (([[1, 0]], [0, 0], 1, [1], -1), "prior"),
        (([[1, 0]], [0, np.nan], 1, [1], 1), "translation"),
        (([[1, 0]], [[0, 0]], 1, [1], 1), "translation"),
        (([], [], 1, [], 1), "translation"),
    ],
)
def test_bad_spaces_are_named(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        affine_subspace(*arguments)


def test_zero_noise_has_no_density() -> None:
    space = affine_subspace([[1, 0]], [0, 0], 0, [1], 1)
    for call in (space.probability, lambda x: total_log_likelihood(x, [space])):
        with pytest.raises(ValueError, match="has no density"):
            call(np.ones((2, 2)))


def test_updates(plane: affine_subspace) -> None:
    plane.update_vectors([[0, 2, 0], [0, 0, 3]])
    np.testing.assert_array_equal(plane.vectors, [[0, 1, 0], [0, 0, 1]])
    with pytest.raises(ValueError, match="expected d=2"):
        plane.update_vectors([[0, 2, 0]])
    np.testing.assert_array_equal(plane.vectors_to_orthonormal_basis([[5.0, 0, 0]]), [[1.0, 0, 0]])
    plane.update_sigma(None, None, False, sigma=2.0)
    assert plane.sigma == 2.0
    plane.update_sigma([[2.0, 0, 0], [4.0, 0, 0]], [1, 3], False)
    assert plane.sigma == pytest.approx(np.sqrt((1 + 3 * 9) / 4))


def test_what_fits_learn_of_held_spaces(plane: affine_subspace) -> None:
    rng = np.random.default_rng(0)
    points = plane.generate(4000, random_state=rng)
    weights = rng.uniform(size=4000)
    held = fixed_space(plane.vectors, plane.translation, 9.0, [1, 1], 1)
    assert held.fit(points, weights, False) is held
    assert held.sigma == pytest.approx(0.5, rel=0.05)
    assert held.latent_sigmas.tolist() == [1, 1]
    held.learns_latent_sigmas = True
    held.fit(points, weights, False)
    np.testing.assert_allclose(held.latent_sigmas, [3, 2], rtol=0.05)
    background = bg_space([], plane.translation, 9.0, [], 1)
    assert background.fit(points, weights, False).sigma == 9.0
    for bad in (-weights, weights[:5], 0 * weights):
        with pytest.raises(ValueError, match="sample_weight"):
            held.fit(points, bad, False)


def test_draws_have_the_moments_of_their_space(plane: affine_subspace) -> None:
    rows = plane.generate(50_000, random_state=0)
    np.testing.assert_allclose(rows.mean(0), plane.translation, atol=0.05)
    np.testing.assert_allclose(np.cov(rows.T), np.diag([9, 4, 0.25]), atol=0.1)
    assert plane.generate().shape == (1, 3)
    assert plane.generate(0).shape == (0, 3)


def test_draws_of_a_mixture(plane: affine_subspace) -> None:
    far = affine_subspace([], [90, 90, 90], 1, [], 1.2)  # priors need not sum to one
    rows = generate([plane, far], 4000, seed=1)
    assert (rows[:, 0] > 50).mean() == pytest.approx(0.75, abs=0.03)
    assert generate(plane, 3).shape == (3, 3)
    with pytest.raises(ValueError, match="priors"):
        generate(affine_subspace([], [0], 1, [], 0))
    with pytest.raises(ValueError, match="different D"):
        generate([plane, affine_subspace([], [0], 1, [], 1)])
    with pytest.raises(TypeError, match="spaces"):
        generate("plane")


def test_draws_around_a_flat() -> None:
    rows = generate_points_subspace([1, 2], [[3, 4]], 20_000, 2.0, 0.5, random_state=0)
    along = (rows - [1, 2]) @ [0.6, 0.8]
    assert along.std() == pytest.approx(np.sqrt(4.25), rel=0.03)
    assert ((rows - [1, 2]) @ [-0.8, 0.6]).std() == pytest.approx(0.5, rel=0.03)
    for bad in ({"vectors": [[0, 0]]}, {"dist_std": -1}, {"size": -1}, {"translation": [np.nan]}):
        arguments = {"translation": [1, 2], "vectors": [[3, 4]], "size": 5, **bad}
        with pytest.raises(ValueError, match=next(iter(bad))):
            generate_points_subspace(**arguments)


def test_parameters_are_counted(plane: affine_subspace) -> None:
    held = fixed_space([[1, 0, 0]], [0, 0, 0], 1, [1], 0.1)
    learns = held.copy()
    learns.learns_latent_sigmas = True
    background = bg_space([[1, 0, 0]], [0, 0, 0], 1, [1], 0.1)
    full = affine_subspace(np.eye(3), [0, 0, 0], 1, [3, 2, 1], 0.1)
    own = {"plane": 3 + 3 + 2 + 1, "full": 3 + 6}
    assert get_df(plane, False) == own["plane"]
    assert get_df(full, False) == own["full"]
    assert get_df([plane, held], False) == own["plane"] + 1 + 1
    assert get_df([plane, learns], False) == own["plane"] + 2 + 1
    assert get_df([plane, background], False) == own["plane"] + 1
    assert get_df([plane, full, plane], True) == 2 * (own["plane"] - 1) + own["full"] + 1 + 2
    assert get_df(full, True) == own["full"]


def test_entropy() -> None:
    assert get_entropy([[0.5, 0.5], [1.0, 0.0]]) == pytest.approx(np.log(2))


def test_selection_prints_what_it_compares(
    plane: affine_subspace, capsys: pytest.CaptureFixture[str]
) -> None:
    model, null = plane.copy(), affine_subspace([], [1, 2, 3], 3, [], 1)
    model.prior = 1.0
    points = model.generate(300, random_state=0)
    assert model_selection(points, model, null, print_solution=True, test="ICL") == "model"
    out = capsys.readouterr().out
    assert out.count("affine_subspace: ") == 2
    assert "ICL of the model" in out
    assert model_selection(points, null, null) == "null"  # a tie
    probs = np.ones((300, 1))
    assert get_ICL(probs, points, [model], False) < get_ICL(probs, points, [null], False)
    capsys.readouterr()
    total_log_likelihood(points, [model], print_solution=True)
    assert "affine_subspace: 2 of 3" in capsys.readouterr().out

"""Calls that kspaces 0.1.5 answers wrongly or not at all, by the numbers of the study."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import kspaces
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

import lowdim
from lowdim.data import SimulatedSubspaces
from lowdim.kspaces import (
    E_step,
    affine_subspace,
    bg_space,
    ensure_vector_directions,
    fixed_space,
    generate,
    generate_points_subspace,
    model_selection,
    run_EM,
    run_EM_parallelized,
    total_log_likelihood,
)

NAMES = ("vectors", "translation", "latent_sigmas", "sigma", "prior")


def fit(points: Any, kd: Any, **options: Any) -> tuple[list[affine_subspace], np.ndarray]:
    return run_EM(points, kd, **{"silent": True, "random_state": 0, **options})


def state(space: affine_subspace) -> list[np.ndarray]:
    return [np.array(getattr(space, name)) for name in NAMES]


def assert_held(space: affine_subspace, given: affine_subspace, *names: str) -> None:
    for name in names:
        np.testing.assert_array_equal(getattr(space, name), getattr(given, name))


# Fixed spaces and given starts --------------------------------------------------------------------


@pytest.fixture(scope="module")
def known() -> tuple[np.ndarray, fixed_space]:
    """400 rows around a line that is known, and 200 around a point that is not, D = 3."""
    line = fixed_space([[1.0, 0, 0]], [0.0, 0, 0], 0.2, [3.0], 2 / 3)
    point = affine_subspace([], [0.0, 5, 5], 0.5, [], 1 / 3)
    rng = np.random.default_rng(0)
    rows = [line.generate(400, random_state=rng), point.generate(200, random_state=rng)]
    return np.concatenate(rows), line


def test_b9_fixed_spaces_may_be_objects(
    known: tuple[np.ndarray, fixed_space], as_old: Callable, quietly: Callable
) -> None:
    points, line = known
    with pytest.raises(AttributeError):
        quietly(kspaces.run_EM, points, [0], fixed_spaces=as_old([line]))
    spaces, shares = fit(points, [0], fixed_spaces=[line])
    assert [type(space) for space in spaces] == [affine_subspace, fixed_space]
    assert_held(spaces[1], line, "vectors", "translation", "latent_sigmas")
    assert spaces[1].sigma == pytest.approx(0.2, rel=0.1)
    assert spaces[1].prior == pytest.approx(2 / 3, rel=0.1)
    np.testing.assert_array_equal(shares.argmax(1), np.repeat([1, 0], [400, 200]))
    assert line.prior == 2 / 3
    description = {"vec": [[1, 0, 0]], "tr": [0, 0, 0], "sigma": 0.3}
    with pytest.raises(AttributeError):
        quietly(
            kspaces.run_EM_parallelized, points, [0], initializations=1, fixed_spaces=[description]
        )
    spaces, _ = run_EM_parallelized(
        points, [0], initializations=2, fixed_spaces=[description], random_state=0
    )
    assert type(spaces[1]) is bg_space
    assert spaces[1].sigma == 0.3


def test_b21_fixed_spaces_may_be_lines_and_planes(
    known: tuple[np.ndarray, fixed_space], quietly: Callable
) -> None:
    points = known[0]
    plane = {"vec": [[1, 0, 0], [0, 1, 0]], "tr": [0, 0, 0]}
    with pytest.raises(ValueError, match="broadcast"):
        quietly(kspaces.run_EM, points, [0], fixed_spaces=[plane])
    line = {"vec": [[1, 0, 0]], "tr": [0, 0, 0]}
    old, _ = quietly(kspaces.run_EM, points, [0], fixed_spaces=[line], initializations=1)
    assert len(old[1].latent_sigmas) == 3
    for description, d in ((line, 1), (plane, 2)):
        spaces, _ = fit(points, [0], fixed_spaces=[description])
        assert spaces[1].latent_sigmas.shape == (d,)
        np.testing.assert_array_equal(spaces[1].vectors, np.eye(3)[:d])
        # It was not given, so it is learned.
        assert spaces[1].latent_sigmas[0] == pytest.approx(3.0, rel=0.1)
    given = {**line, "latent_sigmas": [2.5]}
    assert fit(points, [0], fixed_spaces=[given])[0][1].latent_sigmas.tolist() == [2.5]


def test_b22_starts_and_fixed_spaces_go_together(
    known: tuple[np.ndarray, fixed_space], as_old: Callable, quietly: Callable
) -> None:
    points, line = known
    start = [affine_subspace([], [0.0, 4, 4], 1.0, [], 1.0)]
    background = {"vec": [], "tr": [0, 0, 0], "sigma": 5.0}
    options: dict[str, Any] = {"initializations": 1, "max_additional_init": 0}
    both = [*start, affine_subspace([[1.0, 0, 0]], [0.0, 0, 0], 0.3, [3.0], 1.0)]
    with pytest.raises(np.linalg.LinAlgError):
        without = {"vec": [], "tr": [0, 0, 0]}
        old = as_old(both)
        quietly(kspaces.run_EM, points, [], init_spaces=old, fixed_spaces=[without], **options)
    old = as_old(both)
    old, _ = quietly(
        kspaces.run_EM, points, [], init_spaces=old, fixed_spaces=[background], **options
    )
    assert old[2].sigma < 1
    for n_starts in (1, 4):
        spaces, _ = fit(
            points,
            [],
            init_spaces=[*start, line],
            fixed_spaces=[{"vec": [[1, 0, 0]], "tr": [0, 9, 9]}, background],
            initializations=n_starts,
        )
        kinds = [affine_subspace, fixed_space, bg_space, fixed_space]
        assert [type(space) for space in spaces] == kinds
        assert spaces[2].sigma == 5.0
        np.testing.assert_array_equal(spaces[1].translation, [0, 9, 9])
        assert_held(spaces[3], line, "vectors", "translation", "latent_sigmas")
        assert sum(space.prior for space in spaces) == pytest.approx(1)
    mixed = [line, fixed_space([[0, 0, 1.0]], [9.0, 9, 0], 0.5, [1.0], 0.1), *start]
    old, _ = quietly(kspaces.run_EM, points, [], init_spaces=as_old(mixed), **options)
    assert type(old[-2]).__name__ == "affine_subspace"  # only one of two was moved to the end
    spaces, _ = fit(points, [], init_spaces=mixed)
    assert [type(space) for space in spaces] == [affine_subspace, fixed_space, fixed_space]


def test_b23_what_was_given_is_not_changed(
    planted: SimulatedSubspaces, truth: list, as_old: Callable, quietly: Callable
) -> None:
    fixed = {"vec": [], "tr": [0.0] * 5}
    old = as_old(truth)
    before = [state(space) for space in old]
    quietly(kspaces.run_EM, planted.X, [], init_spaces=old, initializations=1)
    assert any((a[1] != b[1]).any() for a, b in zip(before, map(state, old), strict=True))

    start, kd, rows = [*truth], [1, 1, 2], planted.X.copy()
    before = [state(space) for space in start]
    held = fixed_space([], [0.0] * 5, 1.0, [], 0.3)
    fit(rows, kd, init_spaces=start, fixed_spaces=[fixed, held], initializations=2)
    assert start == truth
    for was, now in zip(before, map(state, start), strict=True):
        for a, b in zip(was, now, strict=True):
            np.testing.assert_array_equal(a, b)
    assert fixed == {"vec": [], "tr": [0.0] * 5}
    assert (held.sigma, held.prior, kd) == (1.0, 0.3, [1, 1, 2])
    np.testing.assert_array_equal(rows, planted.X)


# Points -------------------------------------------------------------------------------------------


def test_b19_points_may_be_anything_that_holds_numbers(
    planted: SimulatedSubspaces, quietly: Callable
) -> None:
    rows = np.where(planted.X < 0, 0, planted.X).round(3)
    forms = {
        "csr": sparse.csr_matrix(rows),
        "frame": pd.DataFrame(rows, columns=list("abcde")),
        "list": rows.tolist(),
        "tensor": torch.from_numpy(rows),
    }
    expected, shares = fit(rows, [1, 1, 2])
    for name, form in forms.items():
        with pytest.raises((TypeError, KeyError, AttributeError)):
            quietly(kspaces.run_EM, form, [1, 1, 2])
        spaces, own = fit(form, [1, 1, 2])
        np.testing.assert_allclose(own, shares, atol=1e-5, err_msg=name)
        for space, there in zip(spaces, expected, strict=True):
            np.testing.assert_allclose(space.translation, there.translation, atol=1e-6)
            np.testing.assert_allclose(
                space.probability(form, log=True), space.probability(rows, log=True), rtol=1e-12
            )
            np.testing.assert_allclose(space.transform(form), space.transform(rows), atol=1e-12)
        np.testing.assert_allclose(
            E_step(form, spaces, "soft"), E_step(rows, spaces, "soft"), atol=1e-12
        )
    single = fit(rows.astype(np.float32), [1, 1, 2])[0]
    assert total_log_likelihood(rows, single) == pytest.approx(
        total_log_likelihood(rows, expected), rel=1e-4
    )


def test_b19_few_points_and_bad_ones(quietly: Callable) -> None:
    rng = np.random.default_rng(0)
    few = rng.normal(size=(5, 3))
    with pytest.raises(ValueError, match="n_samples"):
        quietly(kspaces.run_EM, few, [2, 2])
    spaces, shares = fit(few, [2, 2])
    assert len(spaces) == 2
    assert shares.shape == (5, 2)
    bad = few.copy()
    bad[3, 1] = np.nan
    for call in (
        lambda points: run_EM(points, [1]),
        lambda points: run_EM_parallelized(points, [1]),
        lambda points: E_step(points, spaces),
        lambda points: total_log_likelihood(points, spaces),
        lambda points: spaces[0].probability(points),
        lambda points: spaces[0].transform(points),
    ):
        with pytest.raises(ValueError, match="points contains NaN"):
            call(bad)
    with pytest.raises(ValueError, match="points has 2 columns"):
        E_step(few[:, :2], spaces)


def test_b20_far_points_belong_somewhere(quietly: Callable, as_old: Callable) -> None:
    spaces = [
        affine_subspace([], [0.0, 0.0], 1e-5, [], 0.5),
        affine_subspace([[1.0, 0.0]], [3.0, 0.0], 1.0, [2.0], 0.5),
    ]
    far = np.array([[1e200, 0.0], [-1e300, 1e300], [0.0, 0.0]])
    assert np.isnan(quietly(kspaces.E_step, far, as_old(spaces), "soft")).any()
    for assignment in ("soft", "hard", "closest"):
        shares = E_step(far, spaces, assignment)
        np.testing.assert_allclose(shares.sum(1), 1)
        np.testing.assert_array_equal(shares.argmax(1), [1, 1, 0])
    with pytest.raises(ValueError, match="infinity"):
        E_step([[np.inf, 0.0]], spaces)


# Arguments ----------------------------------------------------------------------------------------


def test_b15_an_unknown_assignment_is_an_error(
    planted: SimulatedSubspaces, quietly: Callable
) -> None:
    assert quietly(kspaces.run_EM, planted.X, [1, 1], "sof", initializations=1)[1] is None
    with pytest.raises(ValueError, match="assignment"):
        run_EM(planted.X, [1, 1], "sof")
    with pytest.raises(ValueError, match="assignment"):
        E_step(planted.X, fit(planted.X, [1])[0], "sof")


def test_b24_vectors_are_made_orthonormal(as_old: Callable) -> None:
    slanted = [[1.0, 0, 0], [np.sqrt(0.5), np.sqrt(0.5), 0]]
    old = kspaces.affine_subspace(slanted, [0.0, 0, 0], 1.0, [5.0, 1.0], 1.0)
    assert abs(old.vectors @ old.vectors.T - np.eye(2)).max() > 0.7
    space = affine_subspace(slanted, [0.0, 0, 0], 1.0, [5.0, 1.0], 1.0)
    np.testing.assert_allclose(space.vectors @ space.vectors.T, np.eye(2), atol=1e-15)
    # Both turn by the same 22.5 degrees, so each latent sigma is still its own vector's.
    np.testing.assert_allclose((space.vectors * slanted).sum(1), np.cos(np.pi / 8))
    np.testing.assert_allclose(space.vectors[:, 2], 0, atol=1e-15)
    rows = [[1.0, 0, 0], [0, 2.0, 0]]
    swapped = kspaces.affine_subspace(rows, [0.0, 0, 0], 1.0, [5.0, 1.0], 1.0)
    np.testing.assert_allclose(np.abs(swapped.vectors[0]), [0, 1, 0])
    kept = affine_subspace(rows, [0.0, 0, 0], 1.0, [5.0, 1.0], 1.0)
    np.testing.assert_array_equal(kept.vectors, [[1, 0, 0], [0, 1, 0]])
    for bad in ([[0.0, 0, 0]], [[1.0, 0, 0], [2.0, 0, 0]], [[np.nan, 0, 0]], [[1.0, 0]]):
        with pytest.raises(ValueError, match="vectors"):
            affine_subspace(bad, [0.0, 0, 0], 1.0, [1.0] * len(bad), 1.0)


def test_b25_a_seed_makes_all_of_a_draw_repeat() -> None:
    space = affine_subspace([[1.0, 0.0]], [0.0, 0.0], 0.1, [2.0], 1.0)
    old = kspaces.affine_subspace([[1.0, 0.0]], [0.0, 0.0], 0.1, [2.0], 1.0)
    assert (kspaces.generate(old, 5, seed=0) != kspaces.generate(old, 5, seed=0)).any()
    np.random.seed(7)
    before = np.random.get_state()[1].copy()
    for draw in (
        lambda seed: generate(space, 5, seed),
        lambda seed: space.generate(5, random_state=seed),
        lambda seed: generate_points_subspace([0, 0], [[1, 0]], 5, random_state=seed),
        lambda seed: run_EM([[0.0], [1], [2], [5]], [0], silent=True, random_state=seed)[1],
    ):
        np.testing.assert_array_equal(draw(0), draw(0))
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    for draw in (
        lambda: generate(space, 5),
        lambda: space.generate(5),
        lambda: generate_points_subspace([0, 0], [[1, 0]], 5),
    ):
        np.random.seed(3)
        first = draw()
        second = draw()
        np.random.seed(3)
        np.testing.assert_array_equal(draw(), first)
        assert (first != second).all()


def test_b26_shapes_follow_those_of_the_points(as_old: Callable) -> None:
    point = affine_subspace([], [1.0, 2, 3], 0.5, [], 1.0)
    plane = affine_subspace(np.eye(3)[:2], [1.0, 2, 3], 0.5, [2.0, 1.0], 1.0)
    rows = np.random.default_rng(0).normal(size=(4, 3))
    old = as_old([point, plane])
    assert old[0].projection(rows).shape == (3,)
    with pytest.raises(np.exceptions.AxisError):
        old[1].probability(rows[0])
    for space, d in ((point, 0), (plane, 2)):
        assert space.vectors.shape == (d, 3)
        for points, lead in ((rows, (4,)), (rows[0], ()), (rows[0].tolist(), ())):
            assert space.projection(points).shape == (*lead, 3)
            assert space.transform(points).shape == (*lead, d)
            assert space.displacement(points).shape == (*lead, d)
            for log in (False, True):
                assert np.shape(space.probability(points, log=log)) == lead
            assert np.shape(space.orthogonal_distance(points)) == lead
        assert E_step(rows[0], [space], "soft").tolist() == [[1.0]]
        assert total_log_likelihood(rows[0], [space]) == pytest.approx(
            space.probability(rows[0], log=True, true_val=True)
        )


def test_b27_names_and_choices_are_as_promised(truth: list, as_old: Callable) -> None:
    rows = np.random.default_rng(0).normal(size=(9, 5))
    old = as_old(truth)
    assert not hasattr(old[0], "project")
    np.testing.assert_array_equal(truth[0].project(rows), truth[0].projection(rows))
    assert kspaces.ensure_vector_directions(old) is None
    spaces = [space.copy() for space in truth]
    assert ensure_vector_directions(spaces)[0] is spaces[0]
    assert all((space.vectors.sum(1) >= 0).all() for space in spaces)
    copies = ensure_vector_directions(spaces, inplace=False)
    assert copies[0] is not spaces[0]
    assert kspaces.model_selection(rows, old, old[:2], test="AIC") is None
    with pytest.raises(ValueError, match="test='AIC'"):
        model_selection(rows, truth, truth[:2], test="AIC")
    assert kspaces.__version__ == "0.1.0"
    assert lowdim.kspaces.__version__ == lowdim.__version__


def test_b28_silent_is_silent(
    planted: SimulatedSubspaces,
    truth: list,
    as_old: Callable,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = {"init_spaces": truth, "initializations": 1, "tol": 1e3, "silent": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kspaces.run_EM(planted.X, [1], **{**options, "init_spaces": as_old(truth)})
    assert "kd argument will be ignored" in capsys.readouterr().out
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        kspaces.run_EM(planted.X, [], **{**options, "init_spaces": as_old(truth), "silent": False})
    assert any("empty slice" in str(warning.message) for warning in caught)  # it converged at once
    capsys.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run_EM(planted.X, [1], verbose=True, print_solution=True, **options)
        run_EM(planted.X, [1, 1, 2], max_iter=1, silent=True, min_variance=1e3)
        captured = capsys.readouterr()
        assert captured.out == captured.err == ""
        run_EM(planted.X, [], **{**options, "silent": False})
    assert "1 starts" in capsys.readouterr().out

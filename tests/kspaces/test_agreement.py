"""Where kspaces 0.1.5 is right, results are equal; fits are no less likely."""

from __future__ import annotations

import contextlib
import io
import warnings
from typing import Any

import kspaces
import numpy as np
import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st
from scipy.special import logsumexp

from lowdim import kspaces as new
from lowdim.kspaces import affine_subspace

DETERMINISTIC = settings(derandomize=True, deadline=None, max_examples=60)
EXACT = {"rtol": 1e-10, "atol": 1e-10}


def make_spaces(rng: np.random.Generator, n_columns: int, dims: list[int]) -> list[affine_subspace]:
    spaces = []
    for d in dims:
        axes = np.linalg.qr(rng.normal(size=(n_columns, d)))[0].T
        latent = np.sort(rng.uniform(0.5, 5.0, d))[::-1]
        spaces.append(
            affine_subspace(
                axes, rng.normal(size=n_columns) * 3, rng.uniform(0.1, 1.0), latent, rng.uniform()
            )
        )
    return spaces


def to_old(spaces: list[affine_subspace]) -> list[Any]:
    return [
        kspaces.affine_subspace(
            s.vectors.copy(), s.translation.copy(), s.sigma, s.latent_sigmas.copy(), s.prior
        )
        for s in spaces
    ]


def draw_rows(rng: np.random.Generator, spaces: list[affine_subspace], n: int) -> np.ndarray:
    """Rows near every space and a few far from all."""
    near = [space.generate(n, random_state=rng) for space in spaces]
    return np.concatenate([*near, rng.normal(size=(5, spaces[0].D)) * 20])


@st.composite
def mixtures(draw: st.DrawFn) -> tuple[list[affine_subspace], np.ndarray]:
    n_columns = draw(st.integers(1, 30))
    dims = draw(st.lists(st.integers(0, min(4, n_columns - 1)), min_size=1, max_size=5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    spaces = make_spaces(rng, n_columns, dims)
    return spaces, draw_rows(rng, spaces, draw(st.integers(1, 40)))


@DETERMINISTIC
@given(mixtures())
def test_spaces_say_the_same_of_rows(mixture: tuple[list[affine_subspace], np.ndarray]) -> None:
    spaces, rows = mixture
    for here, there in zip(spaces, to_old(spaces), strict=True):
        np.testing.assert_allclose(
            here.probability(rows, log=True), there.probability(rows, log=True), **EXACT
        )
        np.testing.assert_allclose(here.probability(rows), there.probability(rows), **EXACT)
        for squared in (False, True):
            np.testing.assert_allclose(
                here.orthogonal_distance(rows, squared=squared),
                there.orthogonal_distance(rows, squared=squared),
                **EXACT,
            )
        if there.d:
            np.testing.assert_allclose(here.projection(rows), there.projection(rows), **EXACT)
            np.testing.assert_allclose(here.transform(rows), there.transform(rows), **EXACT)
            np.testing.assert_allclose(here.displacement(rows), there.displacement(rows), **EXACT)


@DETERMINISTIC
@given(mixtures(), st.sampled_from(["soft", "hard", "closest"]))
def test_assignments_and_likelihoods_are_the_same(
    mixture: tuple[list[affine_subspace], np.ndarray], assignment: str
) -> None:
    spaces, rows = mixture
    old = to_old(spaces)
    ours = new.E_step(rows, spaces, assignment)
    np.testing.assert_allclose(ours, kspaces.E_step(rows, old, assignment), **EXACT)
    np.testing.assert_allclose(
        new.E_step(rows[0], spaces, assignment),
        kspaces.E_step(rows[0], old, assignment),
        **EXACT,
    )
    likelihood = new.total_log_likelihood(rows, spaces)
    assert likelihood == pytest.approx(kspaces.total_log_likelihood(rows, old), rel=1e-10)
    probs = new.E_step(rows, spaces, "soft")
    for eq_noise in (False, True):
        df = new.get_df(spaces, eq_noise, legacy=True)
        assert df == kspaces.model_selection_.get_df(old, eq_noise)
        assert new.get_BIC(df, len(rows), likelihood) == pytest.approx(
            kspaces.get_BIC(df, len(rows), likelihood), rel=1e-12
        )
        assert new.get_ICL(probs, rows, spaces, eq_noise, legacy=True) == pytest.approx(
            kspaces.get_ICL(probs, rows, old, eq_noise), rel=1e-9
        )


@DETERMINISTIC
@given(mixtures())
def test_vectors_are_turned_the_same_way(
    mixture: tuple[list[affine_subspace], np.ndarray],
) -> None:
    spaces = mixture[0]
    old = to_old(spaces)
    new.ensure_vector_directions(spaces)
    kspaces.ensure_vector_directions(old)
    for here, there in zip(spaces, old, strict=True):
        np.testing.assert_allclose(here.vectors.ravel(), there.vectors.ravel(), rtol=1e-14)


def objective(rows: np.ndarray, spaces: list[Any], assignment: str) -> float:
    """What an assignment maximises: the likelihood, or that of rows with their components."""
    scores = np.stack([s.probability(rows, log=True) + np.log(s.prior) for s in spaces], 1)
    return float((scores.max(1) if assignment == "hard" else logsumexp(scores, axis=1)).sum())


@settings(DETERMINISTIC, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(2, 12), st.sampled_from(["soft", "hard"]))
def test_fits_from_the_same_start_are_no_less_likely(
    seed: int, n_columns: int, assignment: str
) -> None:
    """After as many steps, or at most three more."""
    rng = np.random.default_rng(seed)
    dims = rng.integers(0, min(3, n_columns - 1) + 1, size=int(rng.integers(1, 4))).tolist()
    spaces = make_spaces(rng, n_columns, dims)
    for space in spaces:
        space.prior = 1 / len(spaces)
    rows = np.concatenate([space.generate(80, random_state=rng) for space in spaces])
    for space in spaces:  # a start near the truth, where kspaces loses no component
        space.translation += rng.normal(size=n_columns) * 0.3
        space.sigma *= 1.5
    n_steps = 20
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            old, _ = kspaces.run_EM(
                rows,
                [],
                assignment,
                max_iter=n_steps,
                tol=0,
                initializations=1,
                init_spaces=to_old(spaces),
                max_additional_init=0,
            )
        except (np.linalg.LinAlgError, ValueError):
            reject()  # defects B5 and B12
        reached = objective(rows, old, assignment)
    assume(all(space.sigma > 1e-3 for space in old))  # defect B6: collapsed
    for more in (0, 3):
        fitted, _ = new.run_EM(
            rows,
            [],
            assignment,
            max_iter=n_steps + more,
            tol=0,
            initializations=1,
            init_spaces=spaces,
            silent=True,
        )
        likelihood = objective(rows, fitted, assignment)
        if likelihood >= reached - 1e-6 * abs(reached):
            return
    pytest.fail(f"log-likelihood {likelihood}, of kspaces {reached}")


@pytest.mark.parametrize("assignment", ["soft", "hard"])
def test_fits_in_many_columns_are_no_less_likely(assignment: str) -> None:
    """Where the engine's M-step looks for axes in a sketch: within three more steps."""
    rng = np.random.default_rng(0)
    spaces = make_spaces(rng, 80, [1, 2])
    for space in spaces:
        space.prior = 0.5
    rows = np.concatenate([space.generate(150, random_state=rng) for space in spaces])
    for space in spaces:
        space.update_vectors(space.vectors + rng.normal(size=space.vectors.shape) * 0.1)
        space.sigma *= 1.5
    options: dict[str, Any] = {"tol": 0, "initializations": 1}
    with contextlib.redirect_stdout(io.StringIO()):
        old, _ = kspaces.run_EM(
            rows, [], assignment, max_iter=4, init_spaces=to_old(spaces), **options
        )
    fitted, _ = new.run_EM(
        rows, [], assignment, max_iter=7, init_spaces=spaces, silent=True, **options
    )
    reached = objective(rows, old, assignment)
    assert objective(rows, fitted, assignment) >= reached - 1e-6 * abs(reached)

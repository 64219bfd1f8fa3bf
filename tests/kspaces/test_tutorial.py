"""The published tutorial in its order, with only the import changed."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

import lowdim.kspaces as kspaces
from lowdim.kspaces import (
    E_step,
    affine_subspace,
    generate,
    get_BIC,
    get_df,
    get_ICL,
    model_selection,
    run_EM,
    total_log_likelihood,
)

#: Printed in the tutorial, for its hard fit of [2, 1, 1, 0].
BIC, ICL = 47696.43092315864, 47765.783137285995


@pytest.fixture
def toy() -> tuple[np.ndarray, np.ndarray]:
    """4,600 points: a plane, two lines and a blob in three columns."""
    draw = kspaces.generate_.generate_points_subspace
    np.random.seed(0)
    plane = draw([2, 2, 0], [[1, 0, 0], [0, 1, 0.3]], 4000, dist_std=4, noise_std=0.1)
    line = draw([0, 6, 6], [[1, 1, 1]], 200, dist_std=6, noise_std=0.1)
    blob = draw([7, -8, 9], [], 100, dist_std=3, noise_std=2)
    other = draw([0, 6, 3], [[-1, 1, 3]], 300, dist_std=5, noise_std=1)
    return np.concatenate([plane, line, blob, other]), np.repeat(range(4), [4000, 200, 100, 300])


@pytest.fixture
def fitted(toy: tuple[np.ndarray, np.ndarray]) -> tuple[list[affine_subspace], np.ndarray]:
    return fit_toy(toy[0])


def fit_toy(points: np.ndarray, **settings: bool) -> tuple[list[affine_subspace], np.ndarray]:
    return run_EM(
        points, [2, 1, 1, 0], max_iter=50, assignment="hard", initializations=10,
        randomize_init=True, silent=True, **settings,
    )  # fmt: skip


def legacy_bic(spaces: list[affine_subspace], points: np.ndarray) -> float:
    df = get_df(spaces, False, legacy=True)
    return get_BIC(df, len(points), total_log_likelihood(points, spaces))


def legacy_icl(spaces: list[affine_subspace], points: np.ndarray) -> float:
    return get_ICL(E_step(points, spaces, "soft"), points, spaces, False, legacy=True)


def test_the_points_are_those_of_the_tutorial(toy: tuple[np.ndarray, np.ndarray]) -> None:
    import kspaces as old

    np.random.seed(0)
    plane = old.generate_.generate_points_subspace(
        [2, 2, 0], [[1, 0, 0], [0, 1, 0.3]], 4000, dist_std=4, noise_std=0.1
    )
    np.testing.assert_allclose(toy[0][:4000], plane, rtol=0, atol=1e-12)
    line = old.generate_.generate_points_subspace([0, 6, 6], [[1, 1, 1]], 200, 6, 0.1)
    np.testing.assert_allclose(toy[0][4000:4200], line, rtol=0, atol=1e-12)


def test_the_published_figures_come_out(
    toy: tuple[np.ndarray, np.ndarray], fitted: tuple[list[affine_subspace], np.ndarray]
) -> None:
    points, labels = toy
    spaces, probabilities = fitted
    assert [space.d for space in spaces] == [2, 1, 1, 0]
    assert adjusted_rand_score(labels, probabilities.argmax(1)) > 0.975
    # kspaces divides latent variances by n - 1, which moves the figures a little.
    assert legacy_bic(spaces, points) == pytest.approx(BIC, abs=0.05)
    assert legacy_icl(spaces, points) == pytest.approx(ICL, abs=0.05)
    spaces, _ = fit_toy(points, legacy=True)
    assert legacy_bic(spaces, points) == pytest.approx(BIC, abs=1e-6)
    assert legacy_icl(spaces, points) == pytest.approx(ICL, abs=1e-6)


def test_a_wrong_model_is_worse(
    toy: tuple[np.ndarray, np.ndarray], fitted: tuple[list[affine_subspace], np.ndarray]
) -> None:
    points = toy[0]
    for kd in ([2, 1, 1, 1], [1, 1, 0, 0, 0]):
        other, _ = run_EM(points, kd, assignment="hard", silent=True)
        for legacy in (False, True):
            for test in ("BIC", "ICL"):
                assert model_selection(points, fitted[0], other, test=test, legacy=legacy) == (
                    "model"
                )


def test_the_soft_fit_reaches_the_best_known_likelihood(
    toy: tuple[np.ndarray, np.ndarray],
) -> None:
    spaces, _ = run_EM(toy[0], [2, 1, 1, 0], silent=True)
    assert total_log_likelihood(toy[0], spaces) >= -23733.60


def test_a_line_beats_a_point() -> None:
    np.random.seed(0)
    line = affine_subspace([[1, 1]], [0, 0], 0.5, [3], 1)
    points = generate(line, size=1000)
    line, _ = run_EM(points, [1], silent=True)
    point, _ = run_EM(points, [0], silent=True)
    for test in ("BIC", "ICL"):
        assert model_selection(points, line, point, test=test) == "model"
        assert model_selection(points, point[0], line[0], test=test) == "null"  # single spaces


def test_two_lines_beat_one() -> None:
    np.random.seed(0)
    lines = [
        affine_subspace([[1, 0]], [0, 0], 0.5, [4], 0.5),
        affine_subspace([[1, 0]], [0, 3], 0.5, [4], 0.5),
    ]
    points = generate(lines, size=10_000)
    two, _ = run_EM(points, [1, 1], silent=True)
    one, _ = run_EM(points, [1], silent=True)
    for test in ("BIC", "ICL"):
        assert model_selection(points, two, one, test=test) == "model"


def test_bic_chooses_two_overlaid_components_and_icl_one() -> None:
    np.random.seed(0)
    overlaid = [
        affine_subspace([], [0, 0], 1.0, [], 0.5),
        affine_subspace([], [0, 0], 2.0, [], 0.5),
    ]
    points = generate(overlaid, size=10_000)
    two, _ = run_EM(points, [0, 0], silent=True)
    one, _ = run_EM(points, [0], silent=True)
    for legacy in (False, True):
        assert model_selection(points, two, one, test="BIC", legacy=legacy) == "model"
        assert model_selection(points, two, one, test="ICL", legacy=legacy) == "null"

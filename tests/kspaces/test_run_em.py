"""`run_EM` and its kin: what they return, print and refuse."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

from lowdim.data import SimulatedSubspaces, subspaces
from lowdim.kspaces import (
    EM,
    E_step,
    affine_subspace,
    bg_space,
    fit_single_space,
    fixed_space,
    run_EM,
    run_EM_parallelized,
    total_log_likelihood,
)
from lowdim.mixture._subspace import train


def fit(points: Any, kd: Any, **options: Any) -> Any:
    return run_EM(points, kd, **{"silent": True, "random_state": 0, **options})


@pytest.mark.parametrize("assignment", ["soft", "hard", "closest"])
def test_what_is_returned(planted: SimulatedSubspaces, assignment: str) -> None:
    result = fit(planted.X, [1, 2, 1], assignment=assignment)
    assert isinstance(result, tuple)
    spaces, shares = result
    assert [space.d for space in spaces] == [1, 2, 1]
    assert shares.shape == (600, 3)
    np.testing.assert_allclose(shares.sum(1), 1)
    assert adjusted_rand_score(planted.labels, shares.argmax(1)) > 0.99
    assert sum(space.prior for space in spaces) == pytest.approx(1)
    np.testing.assert_allclose(shares, E_step(planted.X, spaces, assignment), atol=1e-8)
    for space in spaces:
        np.testing.assert_allclose(space.vectors @ space.vectors.T, np.eye(space.d), atol=1e-12)
        assert (np.diff(space.latent_sigmas) <= 0).all()
        assert space.sigma == pytest.approx(0.1, rel=0.15)
        np.testing.assert_allclose(space.latent_sigmas, 3.0, rtol=0.2)


def test_closest_points_are_k_means() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(300, 4)) + rng.normal(size=(5, 4))[rng.integers(5, size=300)] * 4
    reference = KMeans(5, n_init=20, random_state=0).fit(points)
    start = [affine_subspace([], center, 1, [], 0.2) for center in reference.cluster_centers_]
    settings = {"assignment": "closest", "tol": 1e-4}
    same, shares = fit(points, [0] * 5, init_spaces=start, initializations=1, **settings)
    np.testing.assert_array_equal(shares.argmax(1), reference.labels_)
    spaces, shares = fit(points, [0] * 5, initializations=30, **settings)
    assert adjusted_rand_score(reference.labels_, shares.argmax(1)) > 0.95
    assert len({space.sigma for space in spaces}) == 1  # one noise for all
    # The likeliest start is kept.
    assert total_log_likelihood(points, spaces) >= total_log_likelihood(points, same) - 1e-6


@pytest.mark.parametrize("n_columns", [8, 100])
def test_a_single_space_is_principal_components(n_columns: int) -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(300, n_columns)) * np.linspace(4, 1, n_columns) ** 2 + 7
    pca = PCA(3).fit(points)
    space = fit_single_space(points, 3)
    np.testing.assert_allclose(space.latent_sigmas**2 * 300 / 299, pca.explained_variance_, 1e-6)
    left = points.var(0).sum() - (space.latent_sigmas**2).sum()
    assert space.sigma**2 == pytest.approx(left / (n_columns - 3), rel=1e-6)
    np.testing.assert_allclose(
        space.vectors.T @ space.vectors, pca.components_.T @ pca.components_, atol=1e-3
    )
    assert space.prior == 1
    likelihood = total_log_likelihood(points, [space])
    assert likelihood >= total_log_likelihood(points, fit(points, [3])[0]) - 1e-6
    np.testing.assert_array_equal(fit_single_space(points, 3).vectors, space.vectors)


def test_flat_points_have_the_floor_for_noise() -> None:
    points = np.random.default_rng(0).normal(size=(50, 1)) @ [[1.0, 2.0, 2.0]]
    assert fit_single_space(points, 1).sigma < 1e-4
    assert fit_single_space(points, 1, min_variance=0.25).sigma == pytest.approx(0.5)
    assert fit(points, [1], min_variance=0.25)[0][0].sigma == pytest.approx(0.5)
    with pytest.warns(UserWarning, match="lower min_variance"):
        run_EM(points, [1], min_variance=1e3, random_state=0)


def test_seeds(planted: SimulatedSubspaces) -> None:
    def bits(**options: Any) -> bytes:
        options = {"initializations": 2, "randomize_init": True, "max_iter": 3, **options}
        spaces, _ = run_EM(planted.X, [1, 1, 2], silent=True, **options)
        return b"".join(space.translation.tobytes() for space in spaces)

    for option in ({}, {"batch_size": 50}):
        assert bits(random_state=1, **option) == bits(random_state=1, **option)
        np.random.seed(1)
        first, second = bits(**option), bits(**option)
        np.random.seed(1)
        assert bits(**option) == first != second
    spaces = [
        run_EM_parallelized(planted.X, [1, 1, 2], initializations=3, n_jobs=2, random_state=5)[0]
        for _ in range(2)
    ]
    np.testing.assert_array_equal(spaces[0][0].translation, spaces[1][0].translation)


def test_starts_are_of_the_kinds_that_were_asked_for(
    planted: SimulatedSubspaces, truth: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[list[str], int]] = []
    real = EM.fit

    def spy(problem: Any, strategies: list[str], *rest: Any) -> Any:
        calls.append((strategies, len(problem.start)))
        return real(problem, strategies, *rest)

    monkeypatch.setattr(EM, "fit", spy)
    fit(planted.X, [1, 1, 2], initializations=4)
    fit(planted.X, [1, 1, 2], initializations=3, randomize_init=True)
    fit(planted.X, [], initializations=3, init_spaces=truth)
    fit(planted.X, [], initializations=1, init_spaces=truth)
    assert calls == [
        (["kmeans", "points", "local", "kmeans"], 0),
        (["points", "local", "points"], 0),
        (["points", "local"], 3),
        ([], 3),
    ]


def test_a_fit_starts_where_it_is_told(planted: SimulatedSubspaces, truth: list) -> None:
    """One step from the truth is not far from it, whatever the order and the columns' number."""
    start = [truth[i] for i in (2, 0, 1)]
    spaces, _ = fit(planted.X, [], init_spaces=start, initializations=1, max_iter=1)
    for space, there in zip(spaces, start, strict=True):
        np.testing.assert_allclose(space.projection(there.translation), there.translation, atol=0.1)
        np.testing.assert_allclose(
            space.vectors.T @ space.vectors, there.vectors.T @ there.vectors, atol=0.02
        )


def test_a_fit_in_many_columns_starts_where_it_is_told() -> None:
    rng = np.random.default_rng(0)
    truth = [
        affine_subspace(rng.normal(size=(d, 90)), rng.normal(size=90), 0.3, np.full(d, 3.0), 0.5)
        for d in (2, 1)
    ]
    points = np.concatenate([space.generate(150, random_state=rng) for space in truth])
    held = fixed_space([], np.full(90, 5.0), 1.0, [], 0.1)
    for given in ([], [held]):
        spaces, shares = fit(
            points, [], init_spaces=truth, fixed_spaces=given, initializations=1, max_iter=2
        )
        np.testing.assert_array_equal(shares.argmax(1), np.repeat([0, 1], 150))
        for space, there in zip(spaces, truth, strict=False):
            overlap = np.linalg.svd(space.vectors @ there.vectors.T, compute_uv=False)
            assert overlap.min() > 0.99


@pytest.mark.parametrize(
    "options", [{"assignment": "hard"}, {"batch_size": 60}, {"given": True}, {"DA": True}], ids=str
)
def test_in_many_columns_all_fits_begin_among_the_leading_directions(
    options: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = subspaces(300, dims=[2, 1], n_columns=90, separation=6.0, random_state=0)
    calls: list[int] = []
    refine = train.refine

    def spy(family: Any, rows: Any, start: Any, *rest: Any) -> Any:
        calls.append(start.n_restarts)
        return refine(family, rows, start, *rest)

    monkeypatch.setattr(train, "refine", spy)
    options = dict(options)
    first = fit(found.X, [2, 1], initializations=1)[0] if options.pop("given", False) else []
    calls.clear()
    spaces, _ = fit(found.X, [2, 1], init_spaces=first, initializations=4, **options)
    assert calls == [4 - bool(first)]
    truth = fit(found.X, [2, 1])[0]
    best = total_log_likelihood(found.X, truth)
    assert total_log_likelihood(found.X, spaces) == pytest.approx(best, abs=0.5)


def test_sparse_points_in_many_columns() -> None:
    rng = np.random.default_rng(0)
    dense = rng.poisson(0.2, size=(200, 300)) + np.repeat(np.eye(2), 100, 0) @ rng.poisson(
        1.0, size=(2, 300)
    )
    spaces, shares = fit(sparse.csr_matrix(dense), [1, 1])
    assert adjusted_rand_score(np.repeat([0, 1], 100), shares.argmax(1)) == 1.0
    np.testing.assert_allclose(E_step(sparse.csr_matrix(dense), spaces, "soft"), shares, atol=1e-6)


def test_held_spaces_come_last_in_their_order(planted: SimulatedSubspaces) -> None:
    wide = bg_space([], planted.X.mean(0), 5.0, [], 0.1)
    line = fixed_space(planted.bases[0], planted.means[0], 0.5, [3.0], 0.3)
    for held in itertools.permutations([wide, line, {"vec": [], "tr": [50.0] * 5, "sigma": 1}]):
        spaces, shares = fit(planted.X, [1, 2], fixed_spaces=list(held))
        assert [type(s) for s in spaces[2:]] == [
            bg_space if isinstance(entry, dict) else type(entry) for entry in held
        ]
        np.testing.assert_allclose(shares, E_step(planted.X, spaces, "soft"), atol=1e-8)
        for entry, space in zip(held, spaces[2:], strict=True):
            if entry is wide:
                assert space.sigma == 5.0
                np.testing.assert_array_equal(space.translation, wide.translation)
            if entry is line:
                assert space.sigma == pytest.approx(0.1, rel=0.15)
                assert space.prior == pytest.approx(1 / 3, rel=0.05)
        np.testing.assert_allclose([s.prior for s in spaces], shares.mean(0), atol=1e-3)


def test_more_starts_after_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty points in four places leave five components without enough of them."""
    points = np.repeat(np.eye(4) * 10, 5, axis=0)
    calls: list[int] = []
    real = EM.fit

    def spy(problem: Any, strategies: list[str], *rest: Any) -> Any:
        calls.append(len(strategies))
        return real(problem, strategies, *rest)

    monkeypatch.setattr(EM, "fit", spy)
    options = {"initializations": 3, "max_additional_init": 2}
    spaces, shares = fit(points, [0] * 5, **options)
    assert calls == [3, 2]
    assert len(spaces) == 5
    assert np.isfinite(shares).all()
    assert fit(points, [0] * 5, return_if_failed=False, **options) == [[], []]


def test_a_fit_cut_short_warns(planted: SimulatedSubspaces) -> None:
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        run_EM(planted.X, [1, 1, 2], max_iter=2, random_state=0)


def test_prints(
    planted: SimulatedSubspaces, truth: list, capsys: pytest.CaptureFixture[str]
) -> None:
    run_EM(planted.X, [1, 1, 2], initializations=2, random_state=0)
    assert capsys.readouterr().out.startswith("2 starts in ")
    options = {"initializations": 1, "random_state": 0}
    run_EM(planted.X, [1, 1, 2], verbose=True, **options)
    assert "step 2: mean objective per point " in capsys.readouterr().out
    run_EM(planted.X, [1, 1, 2], print_solution=True, **options)
    printed = capsys.readouterr().out
    assert printed.count("affine_subspace: ") == 3
    assert "points owned: [" in printed
    run_EM(planted.X, [1, 1, 2], print_ownerships=True, **options)
    printed = capsys.readouterr().out
    assert "points owned: [" in printed
    assert "affine_subspace" not in printed
    run_EM(planted.X, [1], init_spaces=truth, **options)
    assert "kd is not used" in capsys.readouterr().out
    run_EM_parallelized(planted.X, [1, 1, 2], print_seeds=True, n_jobs=1, **options)
    assert "Seed of all starts: " in capsys.readouterr().out
    run_EM_parallelized(planted.X, [1, 1, 2], **options)
    assert capsys.readouterr().out == ""
    E_step(planted.X, truth, verbose=True)
    assert "sigmas: [0.1, 0.1, 0.1]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"kd": []}, ValueError, "no space to learn"),
        ({"kd": [1, -1]}, ValueError, r"kd\[1\]=-1"),
        ({"kd": [1.5]}, TypeError, r"kd\[0\]"),
        ({"kd": 2}, TypeError, "kd=2"),
        ({"kd": [6]}, ValueError, "5 columns"),
        ({"max_iter": 0}, ValueError, "max_iter"),
        ({"tol": -1.0}, ValueError, "tol"),
        ({"initializations": 0}, ValueError, "initializations"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"batch_size": 2.5}, TypeError, "batch_size"),
        ({"min_variance": -1e-3}, ValueError, "min_variance"),
        ({"max_additional_init": -1}, ValueError, "max_additional_init"),
        ({"init_spaces": [1]}, TypeError, r"init_spaces\[0\]"),
        ({"init_spaces": 1}, TypeError, "init_spaces is of type int"),
        (
            {"init_spaces": [affine_subspace([], [0.0], 1, [], 1)]},
            ValueError,
            r"init_spaces\[0\] lies in D=1",
        ),
        (
            {"kd": [], "init_spaces": [bg_space([], [0.0] * 5, 1, [], 1)]},
            ValueError,
            "no space to learn",
        ),
        ({"fixed_spaces": 3}, TypeError, "fixed_spaces"),
        ({"fixed_spaces": [3]}, TypeError, r"fixed_spaces\[0\]"),
        ({"fixed_spaces": [{"vec": []}]}, ValueError, "'tr'"),
        ({"fixed_spaces": [{"vec": [], "tr": [0] * 5, "mu": 0}]}, ValueError, "mu"),
        ({"fixed_spaces": [{"vec": [], "tr": [0] * 4}]}, ValueError, "D=4"),
        (
            {"fixed_spaces": [affine_subspace([], [0.0] * 5, 1, [], 1)]},
            TypeError,
            "a fixed_space or a bg_space",
        ),
        ({"random_state": "x"}, TypeError, "random_state"),
    ],
)
def test_bad_arguments_are_named(
    planted: SimulatedSubspaces, options: dict, error: type[Exception], message: str
) -> None:
    options = {"kd": [1, 1], **options}
    with pytest.raises(error, match=message):
        fit(planted.X, **options)
    if "max_additional_init" not in options:
        options = {"random_state": 0, **options}
        with pytest.raises(error, match=message):
            run_EM_parallelized(planted.X, **options)


def test_no_points_have_empty_answers(truth: list) -> None:
    none = np.zeros((0, 5))
    for points in (none, sparse.csr_matrix(none)):
        space = truth[-1]
        assert space.transform(points).shape == (0, space.d)
        assert space.projection(points).shape == (0, 5)
        assert space.orthogonal_distance(points).shape == (0,)
        assert space.probability(points, log=True).shape == (0,)
        for assignment in ("soft", "hard", "closest"):
            assert E_step(points, truth, assignment).shape == (0, len(truth))
    with pytest.raises(ValueError, match="0 sample"):
        E_step(np.zeros((0, 4)), truth)


@pytest.mark.parametrize("kd", [[0], [1], [0, 0]])
def test_too_few_points_to_fit_are_refused_by_their_name(kd: list[int]) -> None:
    row = np.ones((1, 3))
    with pytest.raises(ValueError, match="points has 1 sample"):
        run_EM(row, kd, silent=True)
    with pytest.raises(ValueError, match="points has 1 sample"):
        fit_single_space(row, kd[0])


def test_workers_of_every_core_and_the_old_variances(planted: SimulatedSubspaces) -> None:
    settings = {"assignment": "hard", "initializations": 2, "random_state": 0}
    spaces, shares = run_EM_parallelized(planted.X, [1, 1, 2], n_jobs=-1, **settings)
    before, _ = run_EM_parallelized(planted.X, [1, 1, 2], n_jobs=-1, legacy=True, **settings)
    for space, old, n in zip(spaces, before, shares.sum(0), strict=True):
        np.testing.assert_allclose(old.latent_sigmas, space.latent_sigmas * np.sqrt(n / (n - 1)))
    with pytest.raises(ValueError, match="n_jobs"):
        run_EM_parallelized(planted.X, [1, 1, 2], n_jobs=0)

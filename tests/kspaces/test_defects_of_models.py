"""What kspaces 0.1.5 computes wrongly, by the numbers of the study: wrong there, right here."""

from __future__ import annotations

import itertools
import multiprocessing
from collections.abc import Callable
from typing import Any

import kspaces
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from lowdim.data import SimulatedSubspaces
from lowdim.kspaces import (
    EM,
    E_step,
    affine_subspace,
    fit_single_space,
    get_df,
    get_ICL,
    run_EM,
    total_log_likelihood,
)
from lowdim.mixture._subspace import parallel
from lowdim.mixture._subspace.minibatch import Minibatches

OLD_ICL, OLD_DF = kspaces.get_ICL, kspaces.model_selection_.get_df


def fit(points: Any, kd: Any, **options: Any) -> tuple[list[affine_subspace], np.ndarray]:
    return run_EM(points, kd, **{"silent": True, "random_state": 0, **options})


def test_b1_the_exact_density_has_its_constant() -> None:
    points = np.random.default_rng(0).normal(size=(5, 3))
    covariance = np.diag([4.0, 0.25, 0.25])
    exact = multivariate_normal(np.zeros(3), covariance).logpdf(points)
    arguments = ([[1.0, 0, 0]], [0.0, 0, 0], 0.5, [2.0], 1.0)
    wrong = kspaces.affine_subspace(*arguments).probability(points, log=True, true_val=True)
    assert np.abs(wrong - exact).min() > 0.1
    space = affine_subspace(*arguments)
    right = space.probability(points, log=True, true_val=True)
    np.testing.assert_allclose(right, exact, rtol=1e-12)
    np.testing.assert_allclose(space.probability(points, true_val=True), np.exp(exact), rtol=1e-12)


@pytest.fixture
def three_lines() -> list[affine_subspace]:
    return [affine_subspace([[1.0, i]], [0.0, i], 0.5, [2.0], 1 / 3) for i in range(3)]


def test_b2_weights_are_parameters(three_lines: list, as_old: Callable) -> None:
    assert OLD_DF(as_old(three_lines), False) == 15
    assert get_df(three_lines, False) == 17
    assert get_df(three_lines, False, legacy=True) == 15
    assert get_df(three_lines, True) == 15  # one noise
    assert get_df(three_lines[0], False) == 5  # a single space


def test_b3_the_icl_adds_the_entropy_twice(three_lines: list, as_old: Callable) -> None:
    points = np.random.default_rng(0).normal(size=(50, 2))
    probs = E_step(points, three_lines, "soft")
    entropy = -(probs * np.log(probs)).sum()
    likelihood = total_log_likelihood(points, three_lines)
    old = OLD_ICL(probs, points, as_old(three_lines), False)
    assert old == pytest.approx(15 * np.log(50) - 2 * likelihood + entropy)
    assert get_ICL(probs, points, three_lines, False) == pytest.approx(
        17 * np.log(50) - 2 * likelihood + 2 * entropy
    )
    assert get_ICL(probs, points, three_lines, False, legacy=True) == pytest.approx(old)


def test_b4_variances_are_those_of_maximum_likelihood(as_old: Callable) -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(20, 3)) * [3.0, 1.0, 1.0]
    few = np.where(np.arange(20) < 5, 0.9, 0.01)  # an effective number of about six rows
    for weights in (np.ones(20), few):
        mean = weights @ points / weights.sum()
        covariance = (points - mean).T @ ((points - mean) * weights[:, None]) / weights.sum()
        values = np.linalg.eigvalsh(covariance)[::-1]
        space = affine_subspace([[1.0, 0, 0]], [0.0, 0, 0], 1.0, [1.0], 1.0)
        (old,) = as_old([space])
        old.fit(points, weights, False)
        assert old.latent_sigmas[0] ** 2 > 1.04 * values[0]
        assert space.fit(points, weights, False) is space
        np.testing.assert_allclose(space.latent_sigmas**2, values[:1], rtol=1e-9)
        assert space.sigma**2 == pytest.approx(values[1:].mean(), rel=1e-9)
        np.testing.assert_allclose(space.translation, mean, rtol=1e-9)


def test_b4_the_likelihood_never_falls(quietly: Callable, as_old: Callable) -> None:
    def likelihoods(function: Callable, start: list, score: Callable) -> np.ndarray:
        out, options = [], {"init_spaces": start, "initializations": 1, "tol": 0.0}
        for n_steps in range(1, 13):
            spaces, _ = function(points, [], max_iter=n_steps, **options)
            out.append(score(points, spaces))
        return np.diff(out)

    falls = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        points = rng.normal(size=(30, 4)) * [3.0, 2.0, 1.0, 1.0]
        start = [
            affine_subspace(rng.normal(size=(1, 4)), rng.normal(size=4), 1.0, [2.0], 0.5)
            for _ in range(2)
        ]
        gains = likelihoods(
            lambda *a, **k: run_EM(*a, silent=True, **k), start, total_log_likelihood
        )
        assert gains.min() >= -1e-9
        try:
            old = likelihoods(
                lambda *a, **k: quietly(
                    kspaces.run_EM, *a, **{**k, "init_spaces": as_old(k["init_spaces"])}
                ),
                start,
                kspaces.total_log_likelihood,
            )
        except np.linalg.LinAlgError:
            continue
        falls += bool(old.min() < -1e-4)
    assert falls > 0


def test_b5_one_bad_component_does_not_stop_a_fit(
    planted: SimulatedSubspaces, as_old: Callable, quietly: Callable
) -> None:
    weights = np.zeros(600)
    weights[3] = 0.5  # all weight on one row
    space = affine_subspace(np.eye(5)[:1], np.zeros(5), 1.0, [1.0], 1.0)
    with pytest.raises(np.linalg.LinAlgError):
        quietly(as_old([space])[0].fit, planted.X, weights, False)
    space.fit(planted.X, weights, False)
    np.testing.assert_allclose(space.translation, planted.X[3])
    for seed in range(3):
        options = {"randomize_init": True, "max_iter": 200, "tol": 1e-3, "random_state": seed}
        spaces, _ = fit(planted.X + 1000, [1, 1, 2], **options)
        assert max(space.sigma for space in spaces) < 0.2
        spaces, shares = fit(planted.X[:60], [1] * 12, random_state=seed)
        assert len(spaces) == 12
        assert np.isfinite(shares).all()


def test_b6_no_component_wins_by_collapsing(quietly: Callable) -> None:
    points = np.random.default_rng(0).normal(size=(60, 10))
    collapsed = 0
    for seed in range(4):
        np.random.seed(seed)
        try:
            old, _ = quietly(kspaces.run_EM, points, [3] * 4, randomize_init=True)
        except np.linalg.LinAlgError:
            continue
        collapsed += min(space.sigma for space in old) < 1e-3
    assert collapsed > 0
    spaces, shares = fit(points, [3, 3], initializations=30)
    assert min(space.sigma for space in spaces) > 0.1
    assert shares.sum(0).min() > 5


def test_b7_dimensions_move_to_where_they_belong(
    planted: SimulatedSubspaces, truth: list, as_old: Callable, quietly: Callable
) -> None:
    """A start with the plane on a line and a line on the plane."""
    line, other, plane = truth
    start = [
        affine_subspace(plane.vectors[:1], plane.translation, 1.0, [3.0], 1 / 3),
        other,
        affine_subspace([line.vectors[0], plane.vectors[0]], line.translation, 1.0, [3, 1], 1 / 3),
    ]
    options = {"initializations": 1, "max_iter": 100, "tol": 1e-3}
    old, _ = quietly(kspaces.run_EM, planted.X, [], init_spaces=as_old(start), **options)
    best = total_log_likelihood(planted.X, truth)
    assert kspaces.total_log_likelihood(planted.X, old) < best - 500
    spaces, _ = fit(planted.X, [], init_spaces=start, **options)
    assert [space.d for space in spaces] == [1, 1, 2]
    assert total_log_likelihood(planted.X, spaces) > best


def test_b8_neither_scale_nor_offset_matters(
    planted: SimulatedSubspaces, quietly: Callable
) -> None:
    def spread(function: Callable, score: Callable) -> float:
        values = []
        for scale in (1e-3, 1.0, 1e3):
            np.random.seed(4)
            spaces, _ = function(planted.X * scale, [1, 1, 2], initializations=1)
            values.append(score(planted.X * scale, spaces) + planted.X.size * np.log(scale))
        return max(values) - min(values)

    def old(points: np.ndarray, kd: list, **options: Any) -> Any:
        return quietly(kspaces.run_EM, points, kd, randomize_init=True, **options)

    assert spread(old, kspaces.total_log_likelihood) > 1
    # The default tolerance is one in units of the data for kspaces, and here as well: what it
    # asks of the likelihood is the same in all units.
    assert spread(fit, total_log_likelihood) < 1e-3
    far = fit(planted.X + 1e4, [1, 1, 2])[0]
    near = fit(planted.X, [1, 1, 2])[0]
    assert total_log_likelihood(planted.X + 1e4, far) == pytest.approx(
        total_log_likelihood(planted.X, near), rel=1e-5
    )


def test_b12_a_component_may_have_full_dimension(quietly: Callable, as_old: Callable) -> None:
    """kspaces with d > D never returns, so it is not asked."""
    points = np.random.default_rng(0).normal(size=(200, 2)) @ [[2.0, 1.0], [0.0, 1.0]]
    old, _ = quietly(kspaces.run_EM, points, [2], assignment="hard", initializations=1)
    assert not np.isfinite(old[0].sigma)
    exact = multivariate_normal(points.mean(0), np.cov(points.T, bias=True)).logpdf(points)
    for assignment in ("soft", "hard"):
        spaces, _ = fit(points, [2], assignment=assignment)
        assert np.isfinite(spaces[0].sigma)
        assert total_log_likelihood(points, spaces) == pytest.approx(exact.sum(), rel=1e-9)
    assert OLD_DF(as_old(spaces), False) == 6
    assert get_df(spaces, False) == 5
    assert get_df(spaces, False, legacy=True) == 6
    drawn = spaces[0].generate(5000, random_state=0)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(points.T), rtol=0.1, atol=0.1)
    for call in (
        lambda: run_EM(points, [3]),
        lambda: fit_single_space(points, 3),
        lambda: affine_subspace(np.eye(3)[:, :2], [0, 0], 1, [1, 1, 1], 1),
    ):
        with pytest.raises(ValueError, match=r"kd|vectors"):
            call()


def test_b13_eigenvalues_are_real(quietly: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.random.default_rng(0).normal(size=(40, 100)) * np.linspace(5, 1, 100)
    weights = np.random.default_rng(1).uniform(0.5, 1.0, 40)
    kinds, eig = [], np.linalg.eig

    def spy(matrix: np.ndarray) -> Any:
        kinds.append(np.iscomplexobj(eig(matrix)[0]))
        return eig(matrix)

    monkeypatch.setattr(np.linalg, "eig", spy)
    old = kspaces.affine_subspace(np.eye(100)[:2], np.zeros(100), 1.0, [1.0, 1.0], 1.0)
    quietly(old.fit, points, weights, False)
    assert kinds == [True]
    space = affine_subspace(np.eye(100)[:2], np.zeros(100), 1.0, [1.0, 1.0], 1.0)
    space.fit(points, weights, False)
    assert kinds == [True]  # not called again
    mean = weights @ points / weights.sum()
    root = np.sqrt(weights / weights.sum())[:, None]
    values = np.linalg.svd((points - mean) * root, compute_uv=False) ** 2
    np.testing.assert_allclose(space.latent_sigmas**2, values[:2], rtol=1e-6)
    assert space.sigma**2 == pytest.approx(values[2:].sum() / 98, rel=1e-6)


def test_b14_minibatches_converge(planted: SimulatedSubspaces, quietly: Callable) -> None:
    whole = total_log_likelihood(planted.X, fit(planted.X, [1, 1, 2])[0])
    old, _ = quietly(kspaces.run_EM, planted.X, [1, 1, 2], batch_size=100, initializations=3)
    assert kspaces.total_log_likelihood(planted.X, old) < whole - 3
    for options in (
        {},
        {"batch_replace": False},
        {"batch_size": 20},
        {"assignment": "hard"},
        {"DA": True, "anneal_rate": 2.0},
    ):
        options = {"batch_size": 100, "initializations": 3, **options}
        spaces, _ = fit(planted.X, [1, 1, 2], **options)
        assert total_log_likelihood(planted.X, spaces) > whole - 0.1, options
    with pytest.raises(ValueError, match="broadcast"):
        quietly(kspaces.run_EM, planted.X, [1, 1, 2], batch_size=100, set_noise_equal=True)
    spaces, _ = fit(planted.X, [1, 1, 2], batch_size=100, set_noise_equal=True)
    assert len({space.sigma for space in spaces}) == 1


@pytest.mark.parametrize("replace", [False, True])
def test_b14_batch_replace_is_honoured(replace: bool) -> None:
    import torch

    from lowdim.data import as_rows
    from lowdim.data.standardized import StandardizedRows

    rows = np.arange(40.0).reshape(20, 2)
    data = StandardizedRows(as_rows(rows), device=torch.device("cpu"), dtype=torch.float64)
    pieces = Minibatches(15, 2, 1, replace).draw(data, np.random.default_rng(0))
    for piece in itertools.islice(pieces, 4):
        assert piece.total_weight == (15 if replace else 10)
        assert (piece.n_rows < piece.total_weight) == replace


def test_b16_annealing_honours_its_arguments(
    planted: SimulatedSubspaces, quietly: Callable
) -> None:
    options = {"DA": True, "assignment": "hard", "initializations": 2}
    rows = planted.X + np.random.default_rng(0).normal(size=planted.X.shape)
    quietly(kspaces.run_EM, rows, [1, 1, 2], beta_0=1.5, **options)
    _, shares = quietly(kspaces.run_EM, rows, [1, 1, 2], **options)
    assert ((shares > 0) & (shares < 1)).any()
    spaces, shares = fit(rows, [1, 1, 2], **options)
    assert np.isin(shares, [0, 1]).all()
    np.testing.assert_array_equal(shares, E_step(rows, spaces, "hard"))
    for name, value in (("beta_0", 1.5), ("beta_0", 0.0), ("anneal_rate", 1.0)):
        with pytest.raises(ValueError, match=name):
            fit(rows, [1, 1, 2], DA=True, **{name: value})
    soft = fit(planted.X, [1, 1, 2])[0]
    annealed = fit(planted.X, [1, 1, 2], DA=True)[0]
    assert total_log_likelihood(planted.X, annealed) == pytest.approx(
        total_log_likelihood(planted.X, soft), abs=0.01
    )


def test_b17_latent_variances_do_not_fall_below_shared_noise(as_old: Callable) -> None:
    rng = np.random.default_rng(0)
    line = affine_subspace([[1.0, 0, 0, 0]], np.zeros(4), 0.1, [0.35], 0.5)
    blob = affine_subspace([], np.full(4, 9.0), 0.6, [], 0.5)
    points = np.concatenate([space.generate(300, random_state=rng) for space in (line, blob)])
    shares = np.repeat(np.eye(2), 300, axis=0)
    old = as_old([line, blob])
    kspaces.EM.set_sigmas_eq_noise(points, shares, old, False)
    assert old[0].latent_sigmas[0] < old[0].sigma
    spaces, _ = fit(points, [1, 0], set_noise_equal=True)
    assert spaces[0].sigma == spaces[1].sigma
    assert spaces[0].latent_sigmas[0] >= spaces[0].sigma


def test_b18_starts_do_not_coincide(planted: SimulatedSubspaces, quietly: Callable) -> None:
    points, kd = planted.X, [0, 0, 1]
    old = quietly(kspaces.EM.smart_init1, points, kd, 5)
    assert len({tuple(space.translation) for space in old}) == 1
    spaces, shares = fit(points, kd, initializations=1, max_iter=1)
    assert len({tuple(space.translation) for space in spaces}) == 3
    assert shares.sum(0).min() > 20


def test_b11_no_processes_are_started(
    planted: SimulatedSubspaces, quietly: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Started(Exception):
        pass

    def refuse(*_: Any) -> None:
        raise Started

    monkeypatch.setattr(multiprocessing, "get_context", refuse)
    options = {"initializations": 2, "multiprocess_spaces": True}
    with pytest.raises(Started):
        quietly(kspaces.run_EM, planted.X, [1, 1, 2], **options)
    together, _ = fit(planted.X, [1, 1, 2], **options)
    alone, _ = fit(planted.X, [1, 1, 2], initializations=2)
    np.testing.assert_array_equal(together[2].vectors, alone[2].vectors)


def test_b10_b11_workers_share_all_kinds_of_start(
    planted: SimulatedSubspaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of kspaces' starts in parallel not one is random, and each worker repeats the same two."""
    calls: list[dict] = []

    class Fake:
        def __init__(self, **_: Any) -> None: ...

        def __call__(self, tasks: Any) -> Any:
            calls.extend(kwargs for _, _, kwargs in tasks)
            space = kspaces.fit_single_space(planted.X, 1)
            return [([space], np.ones((600, 1))) for _ in calls]

    monkeypatch.setattr(kspaces.EM, "Parallel", Fake)
    kspaces.run_EM_parallelized(planted.X, [1, 1, 2], initializations=8, n_jobs=4)
    assert [call["initializations"] for call in calls] == [2, 2, 2, 2]
    assert not any(call["randomize_init"] for call in calls)

    shares: list[np.ndarray] = []
    work = parallel._work

    def spy(run: Any, family: Any, data: Any, start: Any, journal: Any) -> Any:
        shares.append(start.means.numpy())
        return work(run, family, data, start, journal)

    monkeypatch.setattr(parallel, "_work", spy)
    spaces, _ = EM.run_EM_parallelized(
        planted.X, [1, 1, 2], initializations=8, n_jobs=4, random_state=0
    )
    assert sorted(len(means) for means in shares) == [2, 3, 3]
    assert len(np.unique(np.concatenate(shares)[:, 0], axis=0)) == 8  # all begin elsewhere
    serial = fit(planted.X, [1, 1, 2], initializations=8)[0]
    assert total_log_likelihood(planted.X, spaces) == pytest.approx(
        total_log_likelihood(planted.X, serial), abs=0.01
    )


def test_variances_can_be_divided_as_kspaces_divides_them() -> None:
    """B4: kspaces' fit of one flat to weighted points, and `legacy=True` of a soft fit."""
    import kspaces as old

    rng = np.random.default_rng(0)
    points = rng.normal(size=(100, 3))
    points[:60, 0] *= 3
    points[60:, 1] += 6
    spaces, probabilities = run_EM(points, [1, 0], silent=True, random_state=0, tol=1e-6)
    before, _ = run_EM(points, [1, 0], silent=True, random_state=0, tol=1e-6, legacy=True)
    for space, theirs, weights in zip(spaces, before, probabilities.T, strict=True):
        peer = old.affine_subspace(
            np.eye(3)[: space.d], np.zeros(3), 1.0, [1.0] * space.d, space.prior
        )
        # Never 0 or 1, so that kspaces takes the way of shared points.
        peer.fit(points, np.clip(weights, 1e-9, 1 - 1e-9), False)
        np.testing.assert_allclose(theirs.sigma, peer.sigma, rtol=1e-4)
        np.testing.assert_allclose(theirs.latent_sigmas, peer.latent_sigmas[: space.d], rtol=1e-4)
        assert theirs.sigma > space.sigma

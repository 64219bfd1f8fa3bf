"""The EM loop: it climbs, it stops for a reason, and no restart can break it."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from sklearn.exceptions import ConvergenceWarning

from lowdim import SubspaceMixture, data
from lowdim._results import StopReason
from lowdim.mixture._em import EMOptions, EMResult
from lowdim.mixture._family import responsibilities

FOREVER = pytest.mark.filterwarnings("ignore:.*did not converge")  # with tol=0, never


def overlapping(n: int, n_columns: int, seed: int = 0) -> np.ndarray:
    """A blob, a line and a plane on top of each other: EM is slow here."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, n_columns))
    X[: n // 3, 0] *= 3
    X[n // 3 : n // 2, 1:3] *= 2
    return X + rng.normal(size=n_columns)


def drop(trace: np.ndarray) -> float:
    """The largest fall between neighbours, relative to the objective."""
    return float((-np.diff(trace)).max(initial=0.0) / np.abs(trace).max())


# Climbing -----------------------------------------------------------------------------------------


@FOREVER
@pytest.mark.parametrize("assignment", ["soft", "hard", "closest"])
@pytest.mark.parametrize("n_columns", [5, 12, 80])
def test_no_step_lowers_the_objective(
    n_columns: int, assignment: str, every_trace: list[np.ndarray]
) -> None:
    X = overlapping(60, n_columns)
    model = SubspaceMixture(dims=[0, 1, 2], assignment=assignment, n_init=21, tol=0, max_iter=40)
    model.set_params(random_state=0).fit(X)  # every kind of start in turn
    assert len(every_trace) >= 21  # in many columns, those among the leading directions as well
    assert sum(len(trace) > 20 for trace in every_trace) > 10  # re-seeding begins a new trace
    assert max(drop(trace) for trace in every_trace) < 1e-9
    assert sum(trace[-1] > trace[0] for trace in every_trace) > 10


@FOREVER
@pytest.mark.usefixtures("plain_em")
@pytest.mark.parametrize("n_columns", [5, 80])
@pytest.mark.parametrize(
    "arguments",
    [
        {"reassign_dims": False},
        {"fixed": "an axis"},
        {"background": "uniform"},
        {"dtype": "float64", "batch_size": 13},
        {"shared_noise": True, "dims": [1, 1, 1]},
    ],
    ids=["held dims", "fixed", "background", "small blocks", "shared noise"],
)
def test_no_plain_step_lowers_the_weighted_objective(
    n_columns: int, arguments: dict, every_trace: list[np.ndarray]
) -> None:
    if "fixed" in arguments:
        arguments = {"fixed": {"mean": np.zeros(n_columns), "basis": np.eye(n_columns)[:1]}}
    model = SubspaceMixture(
        dims=[0, 1, 2], init="points", n_init=20, tol=0, max_iter=40, random_state=0
    )
    weight = np.random.default_rng(9).uniform(0, 2, 60)
    model.set_params(**arguments).fit(overlapping(60, n_columns), sample_weight=weight)
    assert sum(len(trace) > 20 for trace in every_trace) > 10
    assert max(drop(trace) for trace in every_trace) < 1e-9


@FOREVER
@pytest.mark.parametrize("reassign", [True, False])
def test_no_step_with_shared_noise_lowers_the_objective(
    reassign: bool, every_trace: list[np.ndarray]
) -> None:
    """Latent variances fall below the shared noise here, and rise above it again."""
    X = np.random.default_rng(0).normal(size=(40, 4)) * [3, 1, 0.8, 0.5]
    axis = {"mean": np.zeros(4), "basis": np.eye(4)[3:]}
    held = [axis, {**axis, "latent_variances": [0.1]}]
    for assignment, fixed in itertools.product(("soft", "hard"), (None, held)):
        model = SubspaceMixture(
            fixed=fixed,
            dims=[0, 3, 3],
            assignment=assignment,
            shared_noise=True,
            reassign_dims=reassign,
            init="points",
            n_init=100,
            tol=0,
            max_iter=40,
        )
        model.set_params(random_state=0).fit(X)
    assert max(drop(trace) for trace in every_trace) < 1e-9


# Stopping -----------------------------------------------------------------------------------------


def test_it_stops_when_the_objective_has_settled(planted: Callable) -> None:
    X = planted(0).X
    loose = SubspaceMixture(dims=[1, 1, 2], n_init=1, tol=1e-2, random_state=0).fit(X)
    tight = SubspaceMixture(dims=[1, 1, 2], n_init=1, tol=1e-10, random_state=0).fit(X)
    for model, tol in ((loose, 1e-2), (tight, 1e-10)):
        assert model.converged_
        assert model.stop_reason_ == "converged"
        assert abs(np.diff(model.objective_trace_)[-1]) < tol
        assert model.lower_bound_ == pytest.approx(model.score(X), rel=1e-9)
        assert model.objective_trace_[-1] == pytest.approx(model.score(X), rel=1e-9)
        assert len(model.objective_trace_) <= model.n_iter_ <= 200
    assert loose.n_iter_ < tight.n_iter_


@pytest.mark.parametrize("max_iter", [1, 2, 5, 6, 7, 8, 9, 10])
@pytest.mark.parametrize("annealing", [None, (0.2, 1.2)])
def test_the_limit_of_iterations_warns_and_leaves_a_consistent_model(
    max_iter: int, annealing: tuple[float, float] | None
) -> None:
    X = overlapping(90, 5)
    model = SubspaceMixture(
        dims=[0, 1, 1], max_iter=max_iter, tol=0, annealing=annealing, random_state=0
    )
    with pytest.warns(ConvergenceWarning, match=r"did not converge: .*max_iter"):
        model.fit(X)
    assert not model.converged_
    assert model.stop_reason_ == "iteration_limit"
    assert model.n_iter_ == max_iter
    assert model.lower_bound_ == pytest.approx(model.score(X), rel=1e-9)
    assert model.restart_objectives_.max() == pytest.approx(model.score(X), rel=1e-9)


def test_the_best_restart_is_kept(planted: Callable) -> None:
    X = planted(1).X
    model = SubspaceMixture(dims=[1, 1, 2], n_init=12, init="points", random_state=0).fit(X)
    assert model.restart_objectives_.shape == (12,)
    assert np.ptp(model.restart_objectives_) > 1  # so there was something to choose
    assert model.restart_objectives_.max() == pytest.approx(model.score(X), rel=1e-9)


@pytest.mark.usefixtures("plain_em")
def test_dimensions_are_reassigned_rightly_where_the_floor_holds_the_noise_up(
    every_trace: list[np.ndarray],
) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(scale=0.1, size=(300, 3))
    X[:150, 0] += 5 * rng.normal(size=150)
    X[150:] += [0, 12, 0] + rng.normal(size=(150, 3)) * [0, 4, 1.2]  # an axis just above the floor
    floor = 1.0 / X.var(0).mean()
    model = SubspaceMixture(dims=[1, 2], reg_covar=floor, n_init=6, tol=1e-8, random_state=0)
    free = model.fit(X).lower_bound_
    assert max(drop(trace[1:]) for trace in every_trace) < 1e-9  # a start may lie below the floor
    held = model.set_params(reassign_dims=False).fit(X).lower_bound_
    assert free >= held - 1e-6


# Acceleration -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_columns", [3, 12, 80])
def test_extrapolation_reaches_the_same_optimum_in_fewer_passes(
    n_columns: int, request: pytest.FixtureRequest
) -> None:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(3000, n_columns))
    X[:1500, 0] += 2.2  # two blobs that overlap
    labels = (X[:, 0] + rng.normal(size=3000) > 1.1).astype(int)
    model = SubspaceMixture(dims=[0, 0], init=labels, tol=1e-10, max_iter=3000)
    fast = model.fit(X)
    passes, score, trace = fast.n_iter_, fast.lower_bound_, fast.objective_trace_
    request.getfixturevalue("plain_em")
    slow = model.fit(X)
    assert slow.converged_
    assert slow.n_iter_ > 20
    assert passes < slow.n_iter_ / 1.5
    assert score >= slow.lower_bound_ - 1e-7
    assert score == pytest.approx(slow.lower_bound_, abs=1e-5)
    assert drop(trace) < 1e-9


# Annealing ----------------------------------------------------------------------------------------


def test_annealing_ends_with_ordinary_em(planted: Callable) -> None:
    X = planted(0).X
    model = SubspaceMixture(
        dims=[1, 1, 2], annealing=(0.1, 1.2), max_iter=500, tol=1e-9, random_state=0
    ).fit(X)
    assert model.converged_
    assert model.lower_bound_ == pytest.approx(model.score(X), rel=1e-9)
    assert drop(model.objective_trace_) < 1e-9
    plain = SubspaceMixture(dims=[1, 1, 2], random_state=0).fit(X)
    assert model.score(X) == pytest.approx(plain.score(X), abs=1e-4)


def test_annealing_finds_what_single_starts_miss(toy: tuple[np.ndarray, np.ndarray]) -> None:
    X = toy[0][::4]
    model = SubspaceMixture(dims=[2, 1, 1, 0], init="points", n_init=40, random_state=0)
    plain = model.fit(X).restart_objectives_
    annealed = model.set_params(annealing=(0.2, 1.2), max_iter=1000).fit(X).restart_objectives_
    best = max(plain.max(), annealed.max())
    assert (annealed > best - 1e-4).sum() > 1.5 * (plain > best - 1e-4).sum()


# Death --------------------------------------------------------------------------------------------


@FOREVER
@pytest.mark.parametrize("assignment", ["soft", "hard", "closest"])
@pytest.mark.parametrize("dims", [[0] * 6, [1] * 6, [2, 1, 1, 0, 0, 2]])
@pytest.mark.parametrize("n_columns", [4, 12, 80])
def test_more_components_than_there_are_clusters(
    n_columns: int, dims: list[int], assignment: str
) -> None:
    rng = np.random.default_rng(0)
    points = 5 * rng.normal(size=(3, n_columns))
    for X in (np.repeat(points, 20, axis=0), np.repeat(points, 20, 0) + rng.normal(size=(60, 1))):
        model = SubspaceMixture(
            dims=dims, assignment=assignment, n_init=6, init="points", random_state=0
        )
        model.set_params(max_iter=40, tol=1e-4).fit(X)
        check_sound(model, X)


def check_sound(model: SubspaceMixture, X: np.ndarray) -> None:
    """Everything finite, weights a distribution, axes orthonormal."""
    assert np.isfinite(model.lower_bound_)
    assert np.isfinite(model.score_samples(X)).all()
    assert model.weights_.sum() == pytest.approx(1)
    assert (model.weights_ >= 0).all()
    assert (model.noise_variances_ > 0).all()
    assert np.isfinite(model.means_).all()
    for basis, latent, d in zip(model.bases_, model.latent_variances_, model.dims_, strict=True):
        assert basis.shape == (d, X.shape[1])
        np.testing.assert_allclose(basis @ basis.T, np.eye(d), atol=1e-10)
        assert (np.diff(latent) <= 0).all()
    proba = model.predict_proba(X)
    np.testing.assert_allclose(proba.sum(1), 1)


@pytest.mark.parametrize("left", [0.0, 1e-9])
def test_a_component_that_owns_next_to_nothing_is_put_to_use(left: float) -> None:
    """It starts with a single row, or with an equally tiny share of every row."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(60, 3)) + 12 * k for k in range(3)])
    shares = np.full((180, 3), left)
    shares[:60, 0] = shares[60:, 1] = 1
    if not left:
        shares[179] = [0, 0, 1]
    model = SubspaceMixture(dims=[0, 0, 0], init=shares, random_state=0).fit(X)
    assert model.converged_
    np.testing.assert_allclose(model.weights_, 1 / 3, rtol=1e-6)
    assert not model.degenerate_
    assert drop(model.objective_trace_) < 1e-9  # the trace begins anew


@pytest.mark.parametrize(
    ("objective", "degenerate", "expected"),
    [
        ([1.0, 3.0, 2.0], [False, False, False], 1),
        ([1.0, 3.0, 2.0], [False, True, False], 2),  # degenerate never beats sound
        ([1.0, np.nan, np.nan], [False, False, False], 0),
        ([np.nan, -5.0, np.inf], [False, False, False], 1),
        ([1.0, 3.0], [True, True], 1),  # unless there is nothing else
        ([-9.0, np.inf, 2.0], [False, True, True], 0),
    ],
)
def test_best_is_the_highest_of_the_sound(
    objective: list[float], degenerate: list[bool], expected: int
) -> None:
    n = len(objective)
    result = EMResult(
        parameters=None,
        objective=np.array(objective),
        traces=[np.zeros(0)] * n,
        n_iter=np.ones(n, dtype=int),
        reasons=[StopReason.CONVERGED] * n,
        degenerate=np.array(degenerate),
    )
    assert result.best() == expected


def test_a_restart_that_fails_does_not_break_the_others(
    planted: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of four restarts is fed nonsense; the rest converge as if it were not there."""
    from lowdim.mixture._subspace.initialize import Starter

    X = planted(0).X
    arguments = {"dims": [1, 1, 2], "n_init": 4, "random_state": 0, "init": "kmeans"}
    healthy = SubspaceMixture(**arguments).fit(X)
    start = Starter.start

    def poisoned(self: Starter, strategies: list[str], dims: torch.Tensor) -> object:
        parameters = start(self, strategies, dims)
        parameters.means[1] = torch.nan
        return parameters

    monkeypatch.setattr(Starter, "start", poisoned)
    model = SubspaceMixture(**arguments).fit(X)
    assert np.isnan(model.restart_objectives_).tolist() == [False, True, False, False]
    others = [0, 2, 3]
    np.testing.assert_allclose(
        model.restart_objectives_[others], healthy.restart_objectives_[others], rtol=1e-9
    )
    check_sound(model, X)


def test_every_restart_failing_is_told(planted: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    from lowdim.mixture._subspace.initialize import Starter

    start = Starter.start

    def poisoned(self: Starter, strategies: list[str], dims: torch.Tensor) -> object:
        parameters = start(self, strategies, dims)
        parameters.noise.fill_(torch.nan)
        return parameters

    monkeypatch.setattr(Starter, "start", poisoned)
    model = SubspaceMixture(dims=[1, 1], n_init=2, random_state=0)
    with pytest.warns(ConvergenceWarning, match="numerical step failed"):
        model.fit(planted(0).X)
    assert model.stop_reason_ == "failed"
    assert np.isnan(model.restart_objectives_).all()


# Responsibilities ---------------------------------------------------------------------------------


@pytest.mark.parametrize("beta", [1.0, 0.3])
def test_soft_responsibilities_are_a_tempered_softmax(beta: float) -> None:
    scores = 200 * np.random.default_rng(0).normal(size=(2, 3, 50))
    rows, shares = responsibilities(torch.from_numpy(scores.copy()), "soft", beta)
    np.testing.assert_allclose(rows, logsumexp(beta * scores, axis=1) / beta, rtol=1e-12)
    expected = np.exp(beta * scores - logsumexp(beta * scores, axis=1, keepdims=True))
    np.testing.assert_allclose(shares, expected, atol=1e-12)


def test_hard_responsibilities_split_ties() -> None:
    scores = torch.tensor([[[1.0, 5.0, 2.0], [3.0, 5.0, 2.0], [0.0, 1.0, 2.0]]]).double()
    rows, shares = responsibilities(scores, "hard")
    assert rows.tolist() == [[3, 5, 2]]
    np.testing.assert_allclose(
        shares[0], [[0, 0.5, 1 / 3], [1, 0.5, 1 / 3], [0, 0, 1 / 3]], rtol=1e-12
    )


def test_restarts_run_together_or_apart_with_the_same_result(
    planted: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lowdim.mixture._subspace import fit

    X = planted(0).X
    model = SubspaceMixture(dims=[1, 1, 2], n_init=5, tol=1e-9, random_state=0)
    together = model.fit(X).means_
    monkeypatch.setattr(fit, "BATCH_BYTES", 1)
    np.testing.assert_allclose(model.fit(X).means_, together, rtol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_stopping_hopeless_restarts_early_loses_nothing(
    seed: int, toy: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    from lowdim.mixture._subspace import arguments

    X = toy[0][seed::10]
    model = SubspaceMixture(dims=[2, 1, 1, 0], n_init=20, random_state=seed)
    pruned = model.fit(X).lower_bound_
    outpaced = model.restart_objectives_
    monkeypatch.setattr(arguments, "EMOptions", functools.partial(EMOptions, prune=False))
    patient = model.fit(X).lower_bound_
    assert pruned == pytest.approx(patient, abs=1e-5)
    assert (outpaced < model.restart_objectives_ - 1e-3).any()  # some were stopped


@pytest.mark.parametrize("assignment", ["soft", "hard", "closest"])
def test_traces_are_in_the_data_units(assignment: str) -> None:
    X = data.subspaces(200, dims=[1, 1], n_columns=4, random_state=0).X
    model = SubspaceMixture(dims=[1, 1], assignment=assignment, n_init=2, random_state=0)
    small = model.fit(X).objective_trace_
    large = model.fit(X * 1024).objective_trace_
    expected = small * 1024**2 if assignment == "closest" else small - 4 * np.log(1024)
    np.testing.assert_allclose(large, expected, rtol=1e-12)

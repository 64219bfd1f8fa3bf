"""Minibatches: they end at the optimum of all rows, and say how they got there."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
import torch

from lowdim import SubspaceMixture, data
from lowdim._results import StopReason
from lowdim.data import as_rows
from lowdim.data.standardized import StandardizedRows
from lowdim.mixture._em import EMOptions, expectation
from lowdim.mixture._subspace.family import SubspaceFamily
from lowdim.mixture._subspace.fit import make_starter
from lowdim.mixture._subspace.minibatch import Minibatches, run_minibatches

DIMS = [1, 1, 2]


def rows(n: int = 3000, n_columns: int = 6, seed: int = 0) -> np.ndarray:
    return data.subspaces(
        n, dims=DIMS, n_columns=n_columns, noise=0.3, separation=6.0, random_state=seed
    ).X


def model(**options: Any) -> SubspaceMixture:
    return SubspaceMixture(**{"dims": DIMS, "n_init": 6, "random_state": 0, **options})


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"assignment": "hard"},
        {"assignment": "closest"},
        {"shared_noise": True},
        {"annealing": (0.3, 1.5)},
        {"annealing": (0.3, 1.5), "assignment": "hard"},
        {"dtype": "float32"},
        {"background": "uniform"},
        {"fixed": {"mean": np.zeros(6)}, "dims": [1, 2]},
    ],
    ids=str,
)
def test_they_reach_the_optimum_of_all_rows(options: dict) -> None:
    """Batches of 5 % of the rows."""
    X = rows()
    whole = model(**options).fit(X)
    small = model(minibatch_size=150, **options).fit(X)
    assert small.objective_trace_[-1] > whole.objective_trace_[-1] - 1e-3
    assert small.lower_bound_ == pytest.approx(small.score(X), abs=1e-4)
    assert small.converged_


@pytest.mark.parametrize("form", ["dense", "csr", "backed"])
def test_they_serve_every_kind_of_rows_in_many_columns(form: str, tmp_path: Path) -> None:
    X: Any = rows(600, 90)
    whole = model().fit(X)
    if form == "csr":
        X = sp.csr_matrix(X)
    if form == "backed":
        ad.AnnData(X).write_h5ad(tmp_path / "x.h5ad")
        X = tmp_path / "x.h5ad"
    small = model(minibatch_size=60).fit(X)
    assert small.lower_bound_ > whole.lower_bound_ - 1e-3
    assert small.restart_objectives_.shape == (6,)


def test_one_pass_alone_is_worth_several_steps_of_em() -> None:
    """The rows of one pass in twenty steps do more than in one."""
    X = rows()
    source = StandardizedRows(as_rows(X), device=torch.device("cpu"), dtype=torch.float64)
    starter, _ = make_starter(source, 2, np.random.default_rng(0))
    family = SubspaceFamily(starter, source.n_rows, source.total_weight, 1e-6)
    start = starter.start(["points"] * 8, torch.tensor([DIMS] * 8))
    plan = Minibatches(150, 20, 1)
    options = EMOptions()
    family = family.drawing_from(np.random.default_rng(0))
    result = run_minibatches(family, source, start, options=options, plan=plan)
    once = family.maximize(expectation(family, source, start)[0], start)
    assert (result.objective > expectation(family, source, once)[1].numpy()).mean() > 0.8
    assert set(result.reasons) == {StopReason.ITERATION_LIMIT}
    # The trace is of rows seen on the way, the objective that of all rows where it ended.
    assert all(len(trace) == 1 for trace in result.traces)
    assert (result.objective > [trace[0] for trace in result.traces]).all()
    again = expectation(family, source, result.parameters)[1]
    np.testing.assert_array_equal(result.objective, again)


def test_a_fit_says_where_it_stopped() -> None:
    X = rows()
    short = model(minibatch_size=150, max_iter=2)
    with pytest.warns(UserWarning, match="did not converge"):
        short.fit(X)
    assert short.stop_reason_ == "iteration_limit"
    assert short.n_iter_ == 3  # two passes in minibatches, one with all rows
    small = model(minibatch_size=150).fit(X)
    assert small.stop_reason_ == "converged"
    assert len(small.objective_trace_) == small.n_iter_
    assert small.objective_trace_[-1] == small.lower_bound_ == small.restart_objectives_.max()
    assert small.restart_objectives_.shape == (6,)


def test_weights_count_and_rows_without_are_never_seen(planted: Callable) -> None:
    X = planted(0).X
    weight = np.random.default_rng(0).integers(0, 3, 600).astype(float)
    repeated = np.repeat(X, weight.astype(int), axis=0)
    outliers = np.full((100, 5), 1e3)
    options = {"minibatch_size": 100, "tol": 1e-10}
    weighted = model(**options).fit(
        np.concatenate([X, outliers]), sample_weight=np.r_[weight, np.zeros(100)]
    )
    plain = model(tol=1e-10).fit(repeated)
    np.testing.assert_allclose(np.sort(weighted.weights_), np.sort(plain.weights_), atol=1e-4)
    assert weighted.score(repeated) == pytest.approx(plain.score(repeated), abs=1e-6)


def test_as_many_rows_as_there_are_is_ordinary_em(planted: Callable) -> None:
    X = planted(0).X
    for size in (600, 1000):
        np.testing.assert_array_equal(
            model(minibatch_size=size).fit(X).means_, model().fit(X).means_
        )


def test_seeds_decide(planted: Callable) -> None:
    X = planted(0).X
    options = {"minibatch_size": 50, "max_iter": 2, "init": "points"}
    fits = [model(random_state=seed, **options) for seed in (0, 0, 1)]
    with pytest.warns(UserWarning, match="did not converge"):
        first, same, other = (fit.fit(X).means_ for fit in fits)
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


def test_every_row_comes_once_per_pass() -> None:
    X = np.arange(46.0).reshape(23, 2)
    source = StandardizedRows(as_rows(X), device=torch.device("cpu"), dtype=torch.float64)
    drawn = Minibatches(5, 5, 1).draw(source, np.random.default_rng(0))
    for _ in range(3):
        parts = [piece.source.rows(0, piece.n_rows)[:, 0] for piece in itertools.islice(drawn, 5)]
        assert max(map(len, parts)) <= 5
        np.testing.assert_array_equal(np.sort(np.concatenate(parts)), X[:, 0])


def test_a_failed_start_does_not_stop_the_others() -> None:
    from dataclasses import replace

    source = StandardizedRows(as_rows(rows(600)), device=torch.device("cpu"), dtype=torch.float64)
    starter, _ = make_starter(source, 2, np.random.default_rng(0))
    family = SubspaceFamily(starter, 600, 600.0, 1e-6)
    start = starter.start(["kmeans"] * 3, torch.tensor([DIMS] * 3))
    means = start.means.clone()
    means[1] = torch.nan
    plan = Minibatches(100, 6, 5)
    family = family.drawing_from(np.random.default_rng(0))
    result = run_minibatches(
        family, source, replace(start, means=means), options=EMOptions(), plan=plan
    )
    assert result.reasons[1] is StopReason.FAILED
    assert np.isfinite(result.objective[[0, 2]]).all()
    assert result.best() != 1

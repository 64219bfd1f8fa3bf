"""Restarts split over joblib's workers."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
import pytest
import torch

from lowdim import SubspaceMixture
from lowdim.mixture._subspace import fit, parallel


def model(**options: Any) -> SubspaceMixture:
    options = {"dims": [1, 1, 2], "n_init": 5, "random_state": 0, "tol": 1e-9, **options}
    return SubspaceMixture(**options)


def bits(fitted: SubspaceMixture) -> bytes:
    return b"".join(a.tobytes() for a in (fitted.means_, fitted.restart_objectives_))


@pytest.mark.parametrize("n_jobs", [2, 5, 9])
@pytest.mark.parametrize("options", [{}, {"assignment": "hard"}, {"minibatch_size": 100}], ids=str)
def test_the_best_is_kept_and_all_are_told_of(
    n_jobs: int, options: dict, planted: Callable
) -> None:
    X = planted(0).X
    alone = model(**options).fit(X)
    split = model(n_jobs=n_jobs, **options).fit(X)
    assert split.objective_trace_[-1] == pytest.approx(alone.objective_trace_[-1], abs=1e-6)
    assert split.restart_objectives_.shape == (5,)
    assert split.restart_objectives_.max() == split.objective_trace_[-1]
    assert bits(split) == bits(model(n_jobs=n_jobs, **options).fit(X))


def test_the_starts_do_not_depend_on_workers_or_backend(planted: Callable) -> None:
    X = planted(0).X
    options = {"init": "points", "max_iter": 3}
    with pytest.warns(UserWarning, match="did not converge"):
        threads = model(n_jobs=2, **options).fit(X)
        with joblib.parallel_config(backend="sequential"):
            assert bits(model(n_jobs=2, **options).fit(X)) == bits(threads)
        for n_jobs in (None, 3):
            other = model(n_jobs=n_jobs, **options).fit(X)
            np.testing.assert_allclose(
                other.restart_objectives_, threads.restart_objectives_, rtol=1e-9
            )


def test_what_a_process_is_sent_is_what_it_needs(
    planted: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Standardised blocks are made again rather than sent; the sample for new starts is sent."""
    X = planted(0).X
    threads = bits(model(n_jobs=2).fit(X))
    real = parallel._work

    def through_a_pipe(*task: Any) -> Any:
        sent = pickle.dumps(task)
        assert len(sent) < 2.5 * X.nbytes
        return pickle.loads(pickle.dumps(real(*pickle.loads(sent))))

    monkeypatch.setattr(parallel, "_work", through_a_pipe)
    assert bits(model(n_jobs=2).fit(X)) == threads


@pytest.mark.slow
def test_processes_do_what_threads_do(planted: Callable) -> None:
    X = planted(0).X
    threads = model(n_jobs=2).fit(X).means_
    with joblib.parallel_config(backend="loky"):
        processes = model(n_jobs=2).fit(X).means_
    # Elsewhere in memory, sums may be vectorised in another order.
    np.testing.assert_allclose(processes, threads, rtol=1e-8, atol=1e-8)


def test_workers_share_the_starts_with_one_thread_each(
    planted: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []
    real = fit.run_em

    def spy(family: Any, data: Any, start: Any, *rest: Any) -> Any:
        seen.append((start.n_restarts, torch.get_num_threads()))
        return real(family, data, start, *rest)

    monkeypatch.setattr(fit, "run_em", spy)
    before = torch.get_num_threads()
    model(n_jobs=2).fit(planted(0).X)
    assert sorted(seen) == [(2, 1), (3, 1)]
    assert torch.get_num_threads() == before
    seen.clear()
    model(n_jobs=-1, n_init=7).fit(planted(0).X)
    assert sorted(seen) == [(2, 1), (2, 1), (3, 1)]


@pytest.mark.parametrize("options", [{}, {"minibatch_size": 100}], ids=str)
def test_results_do_not_depend_on_the_number_of_workers(options: dict, planted: Callable) -> None:
    X = planted(0).X
    fits = [model(n_jobs=n_jobs, n_init=8, **options).fit(X) for n_jobs in (2, 3, 8)]
    assert len({bits(fitted) for fitted in fits}) == 1


def test_threads_are_not_split_where_one_batch_keeps_them_busy(
    planted: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    real = parallel._work

    def spy(*task: Any) -> Any:
        calls.append(1)
        return real(*task)

    monkeypatch.setattr(parallel, "_work", spy)
    monkeypatch.setattr(parallel, "BUSY_VALUES", 600 * 5 - 1)
    X = planted(0).X
    split = model(n_jobs=2).fit(X)
    assert not calls
    assert bits(split) == bits(model().fit(X))
    with joblib.parallel_config(backend="loky"):
        assert parallel.worth_splitting(10**9, model_start(X))


def model_start(X: np.ndarray) -> Any:
    """Parameters of two restarts."""
    from lowdim.mixture._subspace.parameters import SubspaceParameters

    one = torch.ones((2, 1), dtype=torch.float64)
    means = torch.zeros((2, 1, X.shape[1]), dtype=torch.float64)
    return SubspaceParameters(one, means, means[:, :, None], one[..., None], one, one.long())


def test_pieces_and_given_starts_take_workers_too(planted: Callable) -> None:
    planted_rows = planted(0)
    X = planted_rows.X
    assert model(n_jobs=2).partial_fit(X).score(X) == pytest.approx(model().fit(X).score(X))
    one = model(n_jobs=2, init=planted_rows.labels).fit(X)
    assert one.restart_objectives_.shape == (1,)

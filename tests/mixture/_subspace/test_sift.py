"""Starts that workers find not worth EM with all rows."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from lowdim import SubspaceMixture, data, kspaces
from lowdim.data import as_rows
from lowdim.data.standardized import StandardizedRows
from lowdim.mixture._em import PATIENCE, EMOptions
from lowdim.mixture._subspace import parallel, sift, train
from lowdim.mixture._subspace.family import SubspaceFamily
from lowdim.mixture._subspace.fit import Sifted, make_starter

DIMS = [2, 1, 0]


@pytest.fixture(scope="module")
def few() -> np.ndarray:
    """20,000 rows in four columns."""
    return data.subspaces(20_000, dims=DIMS, n_columns=4, separation=3.0, random_state=0).X


@pytest.fixture(scope="module")
def many() -> np.ndarray:
    """9,000 rows in sixty columns, of which the leading ones are enough."""
    return data.subspaces(9_000, dims=DIMS, n_columns=60, separation=4.0, random_state=0).X


def model(**options: Any) -> SubspaceMixture:
    return SubspaceMixture(**{"dims": DIMS, "n_init": 7, "random_state": 0, **options})


def bits(fitted: SubspaceMixture) -> bytes:
    return b"".join(a.tobytes() for a in (fitted.means_, fitted.restart_objectives_))


def prepared(X: np.ndarray) -> tuple[SubspaceFamily, Any]:
    """A family on the rows, and seven starts."""
    rows = StandardizedRows(as_rows(X), device=torch.device("cpu"), dtype=torch.float64)
    starter, _ = make_starter(rows, max(DIMS), np.random.default_rng(0))
    family = SubspaceFamily(starter, rows.n_rows, rows.total_weight, 1e-6)
    kinds = ["kmeans", "points", "local"] * 2 + ["points"]
    return family, starter.start(kinds, torch.tensor([DIMS] * 7))


# What the rows say ---------------------------------------------------------------------------


def test_a_start_is_behind_by_its_standard_errors() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(4, 4000))
    noise -= noise.mean(1, keepdims=True)
    noise /= noise.std(1, keepdims=True)
    best = rng.normal(size=4000)
    options = EMOptions(tol=1e-5)
    limit = sift.ERRORS / np.sqrt(4000) + PATIENCE * 1e-5
    wanted = np.array([0.0, 0.99 * limit, 1.01 * limit, -1.0])
    scores = best - wanted[:, None] - noise
    gaps, behind = sift._compared(np.vstack([best, scores]), 0, options)
    np.testing.assert_allclose(gaps, [0, *wanted], atol=1e-12)
    assert behind.tolist() == [False, False, False, True, False]


def test_of_alike_starts_the_best_goes_on() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 50))
    close = 0.7 * sift.ALIKE
    scores = np.stack([first, second + 5, first + close, first - close, second + 5, first, first])
    behind = np.array([0, 0, 0, 0, 0, 1, 1], bool)
    unknown = np.array([0, 0, 0, 0, 1, 0, 1], bool)
    scores[6] = np.nan
    place, kept = sift._places(scores, unknown, behind)
    assert place[5] == -1
    assert kept[place[0]] == 2 and place[0] == place[2]
    assert [kept[place[r]] for r in (1, 4, 6)] == [1, 4, 6]  # what is unknown is like no other
    assert kept[place[3]] == 3  # too far from 2, the better of those beside 0
    assert sorted(set(place) - {-1}) == list(range(len(kept)))


def test_objectives_of_dropped_starts_count_from_the_best() -> None:
    sifted = Sifted(np.array([-0.5, 0.0, -0.1, -2.0]), np.array([1, 0, 1, -1]), reference=0)
    assert sifted.objectives_after(np.array([7.0, 8.0])).tolist() == [8.0, 7.0, 8.0, 5.0]
    later = sifted.after(1)
    assert later.place.tolist() == [0, 2, 1, 2, -1]
    assert later.objectives_after(np.array([1.0, 7.0, 8.0])).tolist() == [1.0, 8.0, 7.0, 8.0, 5.0]


def test_who_goes_on_is_where_the_sample_led(few: np.ndarray) -> None:
    family, start = prepared(few)
    options = EMOptions(tol=1e-6)
    kept, sifted = sift.sift(family, start, options, 2)
    assert 1 <= kept.n_restarts < 7
    sample = family.starter.sample
    found = family.log_joint(sample, kept).logsumexp(1).mean(1).numpy()
    before = family.log_joint(sample, start).logsumexp(1).mean(1).numpy()
    assert found.max() > before.max()
    best = found[sifted.reference]
    assert best == found.max()
    gone = sifted.place < 0
    assert (-sifted.objectives[gone] > PATIENCE * options.tol).all()
    np.testing.assert_allclose(
        best + sifted.objectives[~gone], found[sifted.place[~gone]], atol=sift.ALIKE
    )


def test_starts_of_which_the_sample_cannot_tell_go_on_from_where_they_were(
    few: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    family, start = prepared(few)
    real = sift.run_restarts

    def degenerate(*args: Any, **settings: Any) -> Any:
        result = real(*args, **settings)
        result.objective[4] = np.nan
        return replace(result, degenerate=np.arange(7) == 2)

    monkeypatch.setattr(sift, "run_restarts", degenerate)
    kept, sifted = sift.sift(family, start, EMOptions(tol=1e-6), 2)
    for r in (2, 4):
        assert (sifted.place == sifted.place[r]).sum() == 1
        torch.testing.assert_close(kept.means[sifted.place[r]], start.means[r], rtol=0, atol=0)
        torch.testing.assert_close(kept.bases[sifted.place[r]], start.bases[r], rtol=0, atol=0)


# Whole fits ----------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", ["few", "many"])
@pytest.mark.parametrize("assignment", ["soft", "hard", "closest"])
def test_fits_are_as_good_as_without(
    rows: str, assignment: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    X = request.getfixturevalue(rows)
    calls: list[int] = []
    real = train.sift

    def spy(*args: Any) -> Any:
        kept = real(*args)
        calls.append(kept[0].n_restarts)
        return kept

    monkeypatch.setattr(train, "sift", spy)
    alone = model(assignment=assignment).fit(X)
    assert not calls
    split = model(assignment=assignment, n_jobs=2).fit(X)
    assert len(calls) == 1 and calls[0] < 7
    assert split.objective_trace_[-1] >= alone.objective_trace_[-1] - 1e-5
    objectives = split.restart_objectives_
    assert objectives.shape == (7,) and np.isfinite(objectives).all()
    assert objectives.max() == split.objective_trace_[-1]


@pytest.mark.parametrize("rows", ["few", "many"])
def test_results_repeat_whatever_the_workers(rows: str, request: pytest.FixtureRequest) -> None:
    X = request.getfixturevalue(rows)
    first = bits(model(n_jobs=2).fit(X))
    assert all(bits(model(n_jobs=n_jobs).fit(X)) == first for n_jobs in (2, 3, 7))


def test_sparse_rows_and_held_components(few: np.ndarray) -> None:
    X = np.where(np.abs(few) < 0.5, 0.0, few)
    dense, sparse = (model(n_jobs=2).fit(form(X)) for form in (np.asarray, sp.csr_matrix))
    np.testing.assert_allclose(dense.score(X), sparse.score(sp.csr_matrix(X)), rtol=1e-6)
    held = [{"mean": few[:100].mean(0), "basis": np.zeros((0, 4))}]
    alone, split = (model(fixed=held, n_jobs=n_jobs).fit(few) for n_jobs in (None, 2))
    assert split.score(few) >= alone.score(few) - 1e-5


def test_only_the_sample_is_sent(many: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    real, sizes = parallel._work, []

    def through_a_pipe(*task: Any) -> Any:
        sizes.append(len(pickle.dumps(task)))
        return real(*task)

    monkeypatch.setattr(parallel, "_work", through_a_pipe)
    model(n_jobs=2).fit(many)
    assert len(sizes) == 3
    # 4,000 rows along the leading directions, which have fewer numbers than there are columns.
    assert max(sizes) < 0.5 * many.nbytes


@pytest.mark.parametrize(
    "options",
    [
        {"n_jobs": None},
        {"n_init": 1},
        {"minibatch_size": 1000},
        {"annealing": (0.5, 1.5)},
        {"dims": [0] * 50},
    ],
    ids=str,
)
def test_when_starts_are_not_sifted(
    options: dict, few: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("sifted")

    monkeypatch.setattr(train, "sift", never)
    settings = {"n_jobs": 2, "n_init": 2, "max_iter": 2, **options}
    with pytest.warns(UserWarning, match="did not converge"):
        model(**settings).fit(few)
        model(n_jobs=2, max_iter=2).fit(few[:19_999])
        model(n_jobs=2, max_iter=2).fit(few, sample_weight=np.linspace(1, 2, len(few)))


def test_a_given_start_goes_on_in_any_case(few: np.ndarray) -> None:
    spaces, _ = kspaces.run_EM(few, DIMS, silent=True, initializations=1, random_state=3)
    for space in spaces:
        space.translation += 0.1
    settings = {"initializations": 5, "init_spaces": spaces, "random_state": 0}
    alone, _ = kspaces.run_EM(few, [], silent=True, **settings)
    split, _ = kspaces.run_EM_parallelized(few, [], n_jobs=2, **settings)
    before, after = (kspaces.total_log_likelihood(few, found) for found in (alone, split))
    assert after >= before - 1e-6 * abs(before)

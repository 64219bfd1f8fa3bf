"""EM among the leading directions: its objective is the whole rows', and starts get better."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from lowdim import SubspaceMixture, data
from lowdim.data import as_rows
from lowdim.data.standardized import StandardizedRows
from lowdim.mixture._em import EMOptions, expectation, run_em
from lowdim.mixture._family import block_expectation
from lowdim.mixture._subspace import compact, fused, train
from lowdim.mixture._subspace.compact import CompactRows, compact_rows, refine
from lowdim.mixture._subspace.family import SubspaceFamily
from lowdim.mixture._subspace.fit import make_starter

DIMS = [2, 1, 0]


def planted(n: int = 400, n_columns: int = 100, seed: int = 0) -> np.ndarray:
    return data.subspaces(n, dims=DIMS, n_columns=n_columns, random_state=seed).X


def prepared(
    X: Any, weight: np.ndarray | None = None, dtype: torch.dtype = torch.float64, **settings: Any
) -> tuple[StandardizedRows, SubspaceFamily, CompactRows, SubspaceFamily]:
    """Rows and family, whole and compact."""
    rows = StandardizedRows(
        as_rows(X), device=torch.device("cpu"), dtype=dtype, sample_weight=weight, block_rows=150
    )
    starter, _ = make_starter(rows, max(DIMS), np.random.default_rng(0))
    family = SubspaceFamily(starter, rows.n_rows, rows.total_weight, 1e-6, **settings)
    small = compact_rows(rows, starter, DIMS, n_starts=3)
    assert small is not None
    return rows, family, small, small.family(family)


def starts(family: SubspaceFamily) -> Any:
    return family.starter.start(["kmeans", "points", "local"], torch.tensor([DIMS] * 3))


# The rows ----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix], ids=["dense", "csr"])
def test_directions_lead_and_lengths_add_up(form: type) -> None:
    X = planted()
    rows, _, small, _ = prepared(form(X), weight=np.linspace(0.5, 2, 400))
    p = small.directions.numpy()
    np.testing.assert_allclose(p @ p.T, np.eye(len(p)), atol=1e-10)
    z = (X - rows.mean) / rows.scale
    block = next(iter(small))
    assert len(list(small)) == 1
    np.testing.assert_allclose(block.values, z @ p.T, atol=1e-8)
    np.testing.assert_allclose(block.squared_norms, np.square(z).sum(1), rtol=1e-8)
    np.testing.assert_array_equal(block.weights, np.linspace(0.5, 2, 400))
    # The six directions that the means and axes span hold nearly all that principal ones could.
    centred = np.sqrt(np.linspace(0.5, 2, 400))[:, None] * z
    leading = np.linalg.svd(centred)[2][:6]
    assert np.square(leading @ p.T).sum() > 0.95 * 6


@pytest.mark.parametrize("assignment", ["soft", "hard", "closest"])
@pytest.mark.parametrize("settings", [{}, {"shared_noise": True}], ids=["own", "shared"])
def test_the_objective_is_that_of_the_whole_rows(assignment: str, settings: dict) -> None:
    rows, family, small, small_family = prepared(planted(), np.linspace(0.5, 2, 400), **settings)
    options = EMOptions(assignment=assignment, max_iter=5, tol=0.0, prune=False)
    result = run_em(small_family, small, starts(small_family), options)
    lifted = family.starter.with_sketch(small.lift(result.parameters))
    assert lifted.shape == (3, 3, 100)
    _, objective = expectation(family, rows, lifted, assignment)
    np.testing.assert_allclose(objective, result.objective, rtol=1e-9)


@pytest.mark.parametrize("assignment", ["soft", "hard", "closest"])
def test_compiled_sums_agree_with_the_general_ones(assignment: str) -> None:
    _, _, small, family = prepared(planted(), np.linspace(0.5, 2, 400))
    start, block = starts(family), next(iter(small))
    expected, objective = block_expectation(family, block, start, assignment, 0.7)
    found, own = fused.fused_expectation(block, start, assignment, 0.7)
    np.testing.assert_allclose(own, objective, rtol=1e-10)
    for name, value in expected.items():
        scale = float(value.abs().max())
        np.testing.assert_allclose(found[name], value, rtol=1e-10, atol=1e-10 * scale)


# When ----------------------------------------------------------------------------------------


def test_it_is_left_out_where_it_would_not_pay(monkeypatch: pytest.MonkeyPatch) -> None:
    def made(n: int, n_columns: int, dims: list[int], n_starts: int = 3) -> bool:
        rows = StandardizedRows(
            as_rows(planted(n, n_columns)), device=torch.device("cpu"), dtype=torch.float64
        )
        starter, _ = make_starter(rows, max(dims), np.random.default_rng(0))
        return compact_rows(rows, starter, dims, n_starts) is not None

    assert made(200, 100, DIMS)
    assert made(200, 50, DIMS)
    for one in (0, 1):  # a given start, or a single one
        assert made(200, 100, DIMS, n_starts=one)
        assert not made(200, 50, DIMS, n_starts=one)  # a pass over so few columns costs little
    assert not made(200, 30, DIMS)
    assert not made(30, 100, DIMS)  # few rows
    assert not made(200, 200, [60, 1])
    monkeypatch.setattr(compact, "CACHE_BYTES", 1000)
    assert not made(200, 100, DIMS)


# What for ------------------------------------------------------------------------------------


def test_restarts_that_end_alike_go_on_as_one() -> None:
    _, _, small, family = prepared(planted())
    start = family.starter.start(["kmeans"] * 4, torch.tensor([DIMS] * 4))
    parameters, refined = refine(family, small, start, EMOptions(tol=1e-6))
    n_kept = parameters.n_restarts
    assert n_kept < 4
    assert set(refined.place) - {-1} == set(range(n_kept))
    after = refined.objectives_after(np.arange(10.0, 10.0 + n_kept))
    assert after.shape == (4,)
    np.testing.assert_array_equal(after[refined.place == 0], 10.0)
    left = refined.place < 0
    np.testing.assert_array_equal(after[left], refined.objectives[left])


@pytest.mark.parametrize("assignment", ["soft", "hard"])
def test_single_starts_end_higher_in_fewer_passes(
    assignment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On six overlapping volumes in 300 columns, from partitions of which half is wrong."""

    def fit(seed: int) -> tuple[float, int]:
        found = data.subspaces(
            [100] * 6, dims=[3] * 6, n_columns=300, latent=3.0, separation=3.0, random_state=seed
        )
        labels = found.labels.copy()
        moved = np.random.default_rng(seed).random(600) < 0.5
        labels[moved] = (labels[moved] + 1) % 6
        model = SubspaceMixture(dims=[3] * 6, init=labels, assignment=assignment, random_state=0)
        model.fit(found.X)
        return model.objective_trace_[-1], model.n_iter_

    with_it = np.array([fit(seed) for seed in range(4)])
    monkeypatch.setattr(train, "compact_rows", lambda *_, **__: None)
    without = np.array([fit(seed) for seed in range(4)])
    assert (with_it[:, 0] > without[:, 0] + 0.3).all()
    assert with_it[:, 1].sum() < 0.8 * without[:, 1].sum()


@pytest.mark.parametrize("n_columns", [50, 100])
def test_all_restarts_are_told_of(n_columns: int) -> None:
    X = planted(300, n_columns)
    model = SubspaceMixture(dims=DIMS, n_init=7, random_state=0).fit(X)
    assert model.restart_objectives_.shape == (7,)
    assert model.lower_bound_ == pytest.approx(model.restart_objectives_.max(), rel=1e-9)
    assert model.score(X) == pytest.approx(model.lower_bound_, rel=1e-9)
    again = SubspaceMixture(dims=DIMS, n_init=7, random_state=0).fit(X)
    np.testing.assert_array_equal(again.means_, model.means_)


def test_annealing_is_done_among_the_directions() -> None:
    X = planted(300)
    model = SubspaceMixture(dims=DIMS, annealing=(0.3, 1.5), n_init=3, random_state=0).fit(X)
    plain = SubspaceMixture(dims=DIMS, n_init=10, random_state=0).fit(X)
    assert model.converged_
    assert model.lower_bound_ > plain.lower_bound_ - 1e-3


def test_a_failed_start_does_not_stop_the_others() -> None:
    rows, family, small, small_family = prepared(planted())
    start = starts(small_family)
    means = start.means.clone()
    means[1] = torch.nan
    parameters, refined = refine(small_family, small, replace(start, means=means), EMOptions())
    lifted = family.starter.with_sketch(parameters)
    result = run_em(family, rows, lifted, EMOptions())
    after = refined.objectives_after(result.objective)
    assert np.isnan(after[1])
    assert np.isfinite(after[[0, 2]]).all()

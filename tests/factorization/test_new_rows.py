"""Factors of rows that were not fitted, however deeply they were counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning

from lowdim import FactorAnalysis, PoissonNMF, SpatialFactorization

RNG = np.random.default_rng(0)
PLACES = RNG.uniform(size=(80, 2))
FACTORS = np.column_stack(
    [
        np.sin(5 * PLACES[:, 0]),
        np.cos(6 * PLACES[:, 1]),
        np.sin(4 * PLACES.sum(1)),
    ]
)
LOGS = FACTORS @ (0.7 * RNG.normal(size=(40, 3))).T


def counted(depth: float) -> np.ndarray:
    return np.random.default_rng(1).poisson(depth * np.exp(LOGS)).astype(float)


def least_correlation(first: np.ndarray, second: np.ndarray) -> float:
    pairs = zip(first.T, second.T, strict=True)
    return min(float(np.corrcoef(a, b)[0, 1]) for a, b in pairs)


@pytest.mark.parametrize("likelihood", ["poisson", "negative_binomial"])
@pytest.mark.parametrize("nonnegative", [True, False])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_slide_may_be_counted_far_more_deeply(likelihood: str, nonnegative: bool) -> None:
    model = SpatialFactorization(
        3, likelihood=likelihood, nonnegative=nonnegative, random_state=0
    ).fit(counted(5.0), PLACES)
    for depth in (0.2, 10.0, 1e6):
        sizes = np.full(len(PLACES), depth)
        found = model.transform(counted(5 * depth), PLACES, size_factors=sizes)
        assert least_correlation(found, model.factors_) > 0.93


@pytest.mark.parametrize("depth", [0.2, 10.0, 1000.0])
def test_nonnegative_factors_take_up_a_depth_that_is_not_told(depth: float) -> None:
    model = SpatialFactorization(3, random_state=0).fit(counted(5.0), PLACES)
    found = model.transform(counted(5 * depth), PLACES)
    assert least_correlation(found, model.factors_) > 0.97
    assert np.median(found / model.factors_) == pytest.approx(depth, rel=0.15)


def test_real_factors_of_rows_that_do_not_fit_end_finite() -> None:
    model = SpatialFactorization(
        3, nonnegative=False, likelihood="poisson", random_state=0, max_iter=500
    ).fit(counted(5.0), PLACES)
    for depth in (1e3, 1e7):
        assert np.isfinite(model.transform(counted(5 * depth), PLACES)).all()


@pytest.mark.parametrize("nonnegative", [True, False])
@pytest.mark.parametrize("likelihood", ["poisson", "negative_binomial"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_counts_may_be_huge(likelihood: str, nonnegative: bool) -> None:
    def off(depth: float) -> float:
        model = SpatialFactorization(
            3, likelihood=likelihood, nonnegative=nonnegative, random_state=0, max_iter=30
        ).fit(counted(depth), PLACES)
        assert np.diff(model.lower_bounds_).min() > -1e-6 * abs(model.lower_bound_)
        return float(np.median(np.abs(np.log(model.reconstruct() / depth) - LOGS)))

    # Sums of three exponentials are not these rates, but come as close at any depth.
    assert off(1e10) < (1.2 * off(1e3) if nonnegative else 1e-3)


def test_new_rows_that_have_not_settled_are_told() -> None:
    model = FactorAnalysis(3, likelihood="poisson", random_state=0).fit(counted(5.0))
    model.set_params(max_iter=1, tol=0.0)
    with pytest.warns(ConvergenceWarning, match="transform did not converge within max_iter=1"):
        model.transform(counted(20.0))


def test_new_rows_of_nonnegative_counts_are_where_the_bound_is_highest() -> None:
    # With one factor, loadings w and a prior N(mu, s), the optimum has a closed slope in (m, v).
    model = PoissonNMF(1, n_init=1, random_state=0, tol=1e-9).fit(counted(5.0))
    rows = counted(500.0)
    found = model._transform(rows, None, None, None)
    mean, variance = (part[:, 0] for part in found)
    total = float(model.loadings_.sum())
    state = model._fit.state
    mu, s = float(state.prior_mean[0]), float(state.prior_variance[0])
    rate = total * np.exp(mean + variance / 2)
    np.testing.assert_allclose(rows.sum(1) - rate, (mean - mu) / s, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(1 / variance, rate + 1 / s, rtol=1e-5)


@pytest.mark.parametrize("nonnegative", [True, False])
def test_size_factors_may_be_totals(nonnegative: bool) -> None:
    rows = counted(5.0)
    sizes = np.random.default_rng(2).uniform(0.5, 2.0, size=len(rows))

    def answers(unit: float) -> tuple[np.ndarray, np.ndarray]:
        model = SpatialFactorization(
            3, nonnegative=nonnegative, size_factors=unit * sizes, random_state=0
        ).fit(rows, PLACES)
        new = model.transform(rows, PLACES, size_factors=unit * sizes)
        return model.reconstruct(), new

    for plain, other in zip(answers(1.0), answers(1e9), strict=True):
        np.testing.assert_allclose(other, plain, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("make", [PoissonNMF, FactorAnalysis], ids=["counts", "values"])
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_rows_without_places_are_alone(
    make: Any, sparse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    X = counted(5.0) if make is PoissonNMF else LOGS
    model = make(3, random_state=0, tol=1e-10, max_iter=3000).fit(X)
    rows = sp.csr_array(X) if sparse else X
    whole = model.transform(rows)
    for name in ("DENSE_VALUES", "SPARSE_VALUES"):
        monkeypatch.setattr(f"lowdim.factorization._file_counts.{name}", 7 * X.shape[1])
    by_seven = model.transform(rows)
    alone = np.concatenate([model.transform(rows[i : i + 1]) for i in range(len(X))])
    np.testing.assert_allclose(by_seven, whole, rtol=0, atol=2e-4 * whole.max())
    np.testing.assert_allclose(alone, whole, rtol=0, atol=2e-4 * whole.max())


@pytest.mark.parametrize("rule", [None, "mean"])
def test_a_file_of_new_rows_is_read_once_for_their_factors(
    rule: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lowdim.data.backed import BackedSparseRows

    X = sp.csr_matrix(counted(5.0))
    ad.AnnData(X).write_h5ad(tmp_path / "rows.h5ad")
    model = PoissonNMF(3, size_factors=rule, random_state=0).fit(X)
    for name in ("DENSE_VALUES", "SPARSE_VALUES"):
        monkeypatch.setattr(f"lowdim.factorization._file_counts.{name}", 30 * X.shape[1])
    expected, read, whole = model.transform(X), np.zeros(X.shape[0], int), BackedSparseRows._read

    def noted(rows: Any, start: int, stop: int, *room: Any) -> Any:
        read[start:stop] += 1
        return whole(rows, start, stop, *room)

    monkeypatch.setattr(BackedSparseRows, "_read", noted)
    found = model.transform(tmp_path / "rows.h5ad")
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_array_equal(read, 2 if rule is None else 3)  # checked, sized


def test_transform_says_once_that_it_did_not_converge(monkeypatch: pytest.MonkeyPatch) -> None:
    model = PoissonNMF(3, random_state=0, max_iter=2)
    with pytest.warns(ConvergenceWarning):
        model.fit(counted(5.0))
    monkeypatch.setattr("lowdim.factorization._file_counts.DENSE_VALUES", 7 * 40)
    with pytest.warns(ConvergenceWarning, match="max_iter=2") as caught:
        model.transform(counted(5.0))
    assert [Path(warning.filename).name for warning in caught] == [Path(__file__).name]

"""Factors of rows that were not fitted, however deeply they were counted."""

from __future__ import annotations

import numpy as np
import pytest
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

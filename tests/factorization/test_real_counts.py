"""Counts of real-valued factors: the bound, its slopes, recovery."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import nbinom, poisson
from sklearn.exceptions import ConvergenceWarning

from lowdim import FactorAnalysis, SpatialFactorization
from lowdim.factorization._counts import DenseCounts
from lowdim.factorization._expansion import covariance, scaled
from lowdim.factorization._rates import Rates
from lowdim.factorization._real_counts import LOADING_PRECISION, RealCounts
from lowdim.factorization._state import State


def problem(
    n: int = 8, j: int = 5, L: int = 2, *, shapes: bool = False, gaps: bool = False
) -> tuple[RealCounts, State]:
    rng = np.random.default_rng(0)

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.asarray(array, float))

    observed = (rng.random((n, j)) < 0.7).astype(float) if gaps else np.ones((n, j))
    counts = rng.poisson(3.0, size=(n, j)) * observed
    rates = Rates(
        DenseCounts(tensor(counts)),
        tensor(rng.uniform(0.5, 2, size=n)),
        tensor(observed) if gaps else None,
    )
    state = State(
        loadings=tensor(0.5 * rng.normal(size=(j, L))),
        mean=tensor(rng.normal(size=(L, n))),
        variance=tensor(rng.uniform(0.05, 0.3, size=(L, n))),
        l1=tensor(np.zeros((L, n))),
        l2=tensor(np.full((L, n), 1e-5)),
        processes=(),
        trend=tensor(np.zeros((0, 1))),
        prior_mean=tensor(np.zeros(L)),
        prior_variance=tensor(np.ones(L)),
        divergence=tensor(np.zeros(L)),
        columns=tensor(np.zeros(j)),
        bound=-np.inf,
        shapes=tensor(rng.uniform(1, 9, size=j)) if shapes else None,
        intercepts=tensor(rng.normal(size=j)),
    )
    return RealCounts(rates), state


def by_draws(seen: RealCounts, state: State, n_draws: int = 60_000) -> tuple[np.ndarray, ...]:
    """Mean and standard error of the log-likelihood of every column."""
    rng = np.random.default_rng(1)
    size = (n_draws, *state.mean.shape)
    f = state.mean.numpy() + state.variance.sqrt().numpy() * rng.normal(size=size)
    linear = state.intercepts.numpy() + np.einsum("sln,jl->snj", f, state.loadings.numpy())
    rate = seen.rates.sizes.numpy()[:, None] * np.exp(linear)
    y = seen.rates.counts.values.numpy()
    if state.shapes is None:
        own = poisson.logpmf(y, rate)
    else:
        r = state.shapes.numpy()
        own = nbinom.logpmf(y, r, r / (r + rate))
    if seen.rates.observed is not None:
        own = own * seen.rates.observed.numpy()
    total = own.sum(1)
    return total.mean(0), total.std(0) / np.sqrt(n_draws)


@pytest.mark.parametrize("gaps", [False, True])
def test_the_expected_likelihood_of_poisson_counts_is_exact(gaps: bool) -> None:
    seen, state = problem(gaps=gaps)
    mean, error = by_draws(seen, state)
    b, w = state.intercepts, state.loadings
    prior = -0.5 * LOADING_PRECISION * ((b - seen._log_means) ** 2 + (w**2).sum(1))
    got = (seen.bound(state) - prior).numpy()
    assert (np.abs(got - mean) < 5 * error + 1e-9).all()


@pytest.mark.parametrize("gaps", [False, True])
def test_that_of_negative_binomial_counts_is_a_bound(gaps: bool) -> None:
    seen, state = problem(shapes=True, gaps=gaps)
    mean, error = by_draws(seen, state)
    b, w = state.intercepts, state.loadings
    prior = -0.5 * LOADING_PRECISION * ((b - seen._log_means) ** 2 + (w**2).sum(1))
    got = (seen.bound(state) - prior).numpy()
    assert (got < mean + 5 * error).all()
    state = replace(state, variance=1e-9 * state.variance)
    mean, _ = by_draws(seen, state, 2)
    np.testing.assert_allclose((seen.bound(state) - prior).numpy(), mean, rtol=1e-3)


@pytest.mark.parametrize("shapes", [False, True])
@pytest.mark.parametrize("gaps", [False, True])
def test_sites_are_the_slopes_of_the_bound(shapes: bool, gaps: bool) -> None:
    seen, state = problem(shapes=shapes, gaps=gaps)
    m, v = state.mean.clone().requires_grad_(True), state.variance.clone().requires_grad_(True)
    seen.bound(replace(state, mean=m, variance=v)).sum().backward()
    for k in range(2):
        l1, l2 = seen.sites(state, slice(k, k + 1))
        np.testing.assert_allclose(l2[0], -2 * v.grad[k], rtol=1e-8)
        np.testing.assert_allclose(l1[0], m.grad[k] + l2[0] * state.mean[k], rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("shapes", [False, True])
@pytest.mark.parametrize("gaps", [False, True])
def test_loadings_never_lower_the_bound_and_settle_where_its_slope_ends(
    shapes: bool, gaps: bool
) -> None:
    seen, state = problem(shapes=shapes, gaps=gaps, n=20)
    values = []
    for _ in range(60):
        state = seen._with_loadings(state)
        values.append(state.bound)
    assert np.diff(values).min() > -1e-10 * abs(values[0])
    b = state.intercepts.clone().requires_grad_(True)
    w = state.loadings.clone().requires_grad_(True)
    seen.bound(replace(state, intercepts=b, loadings=w)).sum().backward()
    np.testing.assert_allclose(b.grad, 0, atol=1e-5)
    np.testing.assert_allclose(w.grad, 0, atol=1e-5)


def planted(shape: float | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    places = rng.uniform(0, 10, size=(200, 2))
    factors = np.stack([np.sin(places[:, 0]), np.cos(0.7 * places[:, 1])], 1)
    rate = np.exp(1.0 + factors @ rng.normal(size=(2, 15)) * 0.7)
    if shape is not None:
        rate = rate * rng.gamma(shape, 1 / shape, size=rate.shape)
    return rng.poisson(rate).astype(float), places, factors


@pytest.mark.parametrize("likelihood", ["poisson", "negative_binomial"])
def test_smooth_factors_are_found(likelihood: str) -> None:
    shape = None if likelihood == "poisson" else 5.0
    counts, places, truth = planted(shape)
    model = SpatialFactorization(2, nonnegative=False, likelihood=likelihood)
    model.fit(counts, places)
    assert np.diff(model.lower_bounds_).min() > -1e-9 * abs(model.lower_bound_)
    one = np.concatenate([np.ones((len(truth), 1)), model.factors_], 1)
    residual = truth - one @ np.linalg.lstsq(one, truth, rcond=None)[0]
    assert (residual.var(0) / truth.var(0)).max() < 0.1
    if shape is not None:
        assert 0.1 < np.median(model.dispersions_) < 0.35
    expected = model.predict(places[:5])
    assert expected.shape == (5, 15)
    np.testing.assert_allclose(expected, model.reconstruct()[:5], rtol=0.1)


def test_columns_and_rows_without_counts_end_finite() -> None:
    counts, places, _ = planted()
    counts[:, 3] = 0
    counts[7] = 0
    model = SpatialFactorization(2, nonnegative=False, size_factors="mean").fit(counts, places)
    for name in ("factors_", "loadings_", "intercepts_", "lower_bounds_"):
        assert np.isfinite(getattr(model, name)).all()
    assert model.reconstruct()[:, 3].max() < 0.05


def test_counts_without_places_and_their_new_rows() -> None:
    counts, _, truth = planted()
    model = FactorAnalysis(2, likelihood="poisson", tol=1e-6).fit(counts[:150])
    assert np.diff(model.lower_bounds_).min() > -1e-9 * abs(model.lower_bound_)
    np.testing.assert_allclose(model.transform(counts[:150]), model.factors_, atol=0.05)
    new = model.transform(counts[150:])
    one = np.concatenate([np.ones((50, 1)), new], 1)
    residual = truth[150:] - one @ np.linalg.lstsq(one, truth[150:], rcond=None)[0]
    assert (residual.var(0) / truth[150:].var(0)).max() < 0.2


def deep_counts() -> tuple[np.ndarray, np.ndarray]:
    """Counts up to hundreds of thousands, and places."""
    rng = np.random.default_rng(0)
    rate = np.exp(2 * rng.normal(size=(40, 1)) * rng.normal(size=8) + 2 * rng.normal(size=8) + 4)
    return rng.poisson(rate).astype(float), rng.normal(size=(40, 2))


def posterior_means(model: SpatialFactorization, state: State) -> np.ndarray:
    """What the sites of the factors say."""
    trends = model._fit.space.design() @ state.trend.T
    return np.stack([
        (process.given(l2[None]).posterior((l1 - l2 * trend)[None]).mean[0] + trend).numpy()
        for process, l1, l2, trend in zip(
            state.processes, state.l1, state.l2, trends.T, strict=True
        )
    ])  # fmt: skip


def test_scaled_factors_are_what_their_sites_say_and_scaled_once() -> None:
    counts, places = deep_counts()
    model = SpatialFactorization(2, nonnegative=False, random_state=0, max_iter=2)
    with pytest.warns(ConvergenceWarning):
        model.fit(np.minimum(counts, 50), places)
    state = model._fit.state
    assert (covariance(state).diagonal() - 1).abs().min() > 1e-3
    moved = scaled(state)
    np.testing.assert_allclose(posterior_means(model, moved), moved.mean.numpy(), atol=1e-9)
    np.testing.assert_allclose(
        moved.loadings.numpy() @ moved.mean.numpy(), state.loadings.numpy() @ state.mean.numpy()
    )
    np.testing.assert_allclose(covariance(moved).diagonal().numpy(), 1.0, rtol=1e-6)
    assert scaled(moved).bound == pytest.approx(moved.bound, rel=1e-9)


def test_the_bound_of_large_counts_stays_a_bound() -> None:
    counts, places = deep_counts()
    model = SpatialFactorization(3, nonnegative=False, random_state=0, max_iter=20)
    with pytest.warns(ConvergenceWarning):
        model.fit(counts, places)
    state = model._fit.state
    assert model.lower_bound_ < 0  # logarithms of probabilities
    np.testing.assert_allclose(posterior_means(model, state), state.mean.numpy(), atol=1e-6)
    assert np.isfinite(model.predict(places)).all()

"""Values with normal noise: against closed forms, scikit-learn and exact Gaussian processes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.decomposition import FactorAnalysis as Reference

from lowdim import FactorAnalysis, HybridSpatialFactorization, SpatialFactorization
from lowdim.factorization._expansion import scaled
from lowdim.factorization._state import State, with_bound
from lowdim.factorization._values import Values


def planted(n: int = 150, j: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Values of two smooth factors over the plane, and places."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(0, 10, size=(n, 2))
    factors = np.stack([np.sin(places[:, 0]), np.cos(0.7 * places[:, 1])], 1)
    values = 3 + factors @ rng.normal(size=(2, j)) + 0.3 * rng.normal(size=(n, j))
    return values, places


def state_of(n: int, j: int, L: int, *, intercepts: bool, seed: int = 0) -> State:
    rng = np.random.default_rng(seed)

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.asarray(array, float))

    return State(
        loadings=tensor(rng.gamma(1.0, size=(j, L))),
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
        intercepts=tensor(rng.normal(size=j)) if intercepts else None,
        noise=tensor(rng.uniform(0.2, 1.0, size=j)),
    )


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("gaps", [False, True])
def test_the_expected_likelihood_is_that_of_draws(positive: bool, gaps: bool) -> None:
    rng = np.random.default_rng(1)
    n, j, L = 7, 5, 2
    state = state_of(n, j, L, intercepts=not positive)
    values = rng.normal(size=(n, j))
    observed = (rng.random((n, j)) < 0.7).astype(float) if gaps else None
    known = np.ones((n, j)) if observed is None else observed
    seen = Values(
        torch.from_numpy(values * known),
        positive,
        None if observed is None else torch.from_numpy(observed),
    )
    draws = rng.normal(size=(100_000, L, n)) * state.variance.sqrt().numpy() + state.mean.numpy()
    h = np.exp(draws) if positive else draws
    b = 0.0 if positive else state.intercepts.numpy()
    fitted = b + np.einsum("sln,jl->snj", h, state.loadings.numpy())
    noise = state.noise.numpy()
    own = -0.5 * np.log(2 * np.pi * noise) - 0.5 * (values - fitted) ** 2 / noise
    total = (own * known).sum(1)
    error = total.std(0) / np.sqrt(len(draws))
    assert (np.abs(seen.bound(state).numpy() - total.mean(0)) < 5 * error + 1e-9).all()


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("gaps", [False, True])
def test_sites_are_the_slopes_of_the_bound(positive: bool, gaps: bool) -> None:
    rng = np.random.default_rng(2)
    n, j, L = 9, 6, 3
    state = state_of(n, j, L, intercepts=not positive)
    observed = torch.from_numpy((rng.random((n, j)) < 0.7).astype(float)) if gaps else None
    values = torch.from_numpy(rng.normal(size=(n, j))) * (1.0 if observed is None else observed)
    seen = Values(values, positive, observed)
    m, v = state.mean.clone().requires_grad_(True), state.variance.clone().requires_grad_(True)
    seen.bound(replace(state, mean=m, variance=v)).sum().backward()
    for k in range(L):
        l1, l2 = seen.sites(state, slice(k, k + 1))
        free = l2[0] > 1e-4
        slope = -2 * v.grad[k]
        if positive:  # held at half of the quadratic term where the slope is not positive
            free &= torch.isclose(l2[0], slope, rtol=1e-6)
            assert (l2[0] >= slope - 1e-9).all()
        assert free.any()
        np.testing.assert_allclose(l2[0][free], slope[free], rtol=1e-6)
        np.testing.assert_allclose(l1[0], m.grad[k] + l2[0] * state.mean[k], rtol=1e-6, atol=1e-8)


def test_factor_analysis_is_scikit_learns() -> None:
    values, _ = planted()
    ours = FactorAnalysis(2, tol=1e-10).fit(values)
    theirs = Reference(2, tol=1e-10, max_iter=10_000, svd_method="lapack").fit(values)
    assert ours.lower_bound_ == pytest.approx(theirs.score(values), abs=1e-6)
    np.testing.assert_allclose(ours.noise_variances_, theirs.noise_variance_, rtol=1e-2)
    covariance = ours.loadings_ @ ours.loadings_.T + np.diag(ours.noise_variances_)
    np.testing.assert_allclose(covariance, theirs.get_covariance(), atol=2e-3)
    both = np.abs(np.corrcoef(ours.transform(values[:50]).T, theirs.transform(values[:50]).T))
    assert both[:2, 2:].max(1).min() > 0.999
    assert np.diff(ours.lower_bounds_).min() > -1e-9
    # without a rotation, factors are independent given the rows
    plain = FactorAnalysis(2, tol=1e-10, rotation=None).fit(values)
    gram = (plain.loadings_ / plain.noise_variances_[:, None]).T @ plain.loadings_
    assert abs(gram[0, 1]) < 1e-6 * gram[0, 0]
    assert plain.lower_bound_ == ours.lower_bound_
    np.testing.assert_allclose(plain.reconstruct(), ours.reconstruct(), atol=1e-10)


@pytest.mark.parametrize("rotation", ["varimax", "quartimax"])
def test_rotations_are_scikit_learns(rotation: str) -> None:
    values, _ = planted(400, 20, seed=3)
    ours = FactorAnalysis(3, tol=1e-12, rotation=rotation).fit(values)
    theirs = Reference(
        3, tol=1e-12, max_iter=10_000, svd_method="lapack", rotation=rotation, random_state=0
    ).fit(values)
    both = np.abs(np.corrcoef(ours.loadings_.T, theirs.components_))[:3, 3:]
    assert both.max(1).min() > 0.999
    assert (ours.loadings_[np.abs(ours.loadings_).argmax(0), range(3)] > 0).all()
    np.testing.assert_allclose(ours.transform(values), ours.factors_, atol=1e-4)


def test_rotations_mix_only_factors_with_the_same_prior() -> None:
    values, places = planted(200, 12, seed=1)
    rng = np.random.default_rng(5)
    values = values + np.outer(rng.normal(size=200), rng.normal(size=12))
    options: dict[str, Any] = {
        "nonnegative": False, "likelihood": "gaussian", "max_iter": 100, "tol": 1e-5
    }  # fmt: skip
    turned = HybridSpatialFactorization(3, 2, **options).fit(values, places)
    plain = HybridSpatialFactorization(3, 2, rotation=None, **options).fit(values, places)
    np.testing.assert_array_equal(turned.factors_[:, 2], plain.factors_[:, 2])
    mixed = np.linalg.lstsq(plain.factors_[:, :2], turned.factors_[:, :2], rcond=None)[0]
    np.testing.assert_allclose(mixed @ mixed.T, np.eye(2), atol=1e-8)
    np.testing.assert_allclose(turned.predict(places[:5]), plain.predict(places[:5]), atol=1e-10)
    expected, variance = turned.predict_factors(places)
    np.testing.assert_allclose(expected[:, :2], turned.factors_[:, :2], atol=0.05)
    assert (variance > 0).all()
    with pytest.raises(ValueError, match="rotation='promax'"):
        FactorAnalysis(2, rotation="promax").fit(values)


def test_simple_factors_are_found_as_they_are() -> None:
    """Real-valued factors whose columns have one factor each: their axes are not arbitrary."""
    rng = np.random.default_rng(0)
    places = rng.uniform(0, 10, size=(250, 2))
    bumps = np.exp(-0.5 * ((places[:, None] - rng.uniform(1, 9, size=(3, 2))) ** 2).sum(2))
    W = np.kron(np.eye(3), np.ones((1, 8)))
    values = 4 * bumps @ W + 0.5 * rng.normal(size=(250, 24))
    model = SpatialFactorization(3, nonnegative=False, likelihood="gaussian").fit(values, places)
    both = np.abs(np.corrcoef(bumps.T, model.factors_.T))[:3, 3:]
    assert both.max(1).min() > 0.97
    assert sorted(both.argmax(1)) == [0, 1, 2]


def test_the_bound_of_factor_analysis_is_the_likelihood() -> None:
    values, _ = planted(60, 6)
    model = FactorAnalysis(2, tol=1e-9).fit(values)
    covariance = model.loadings_ @ model.loadings_.T + np.diag(model.noise_variances_)
    exact = multivariate_normal(model.intercepts_, covariance).logpdf(values).mean()
    assert model.lower_bound_ == pytest.approx(exact, abs=1e-9)


def test_one_factor_is_exact_regression_by_a_gaussian_process() -> None:
    values, places = planted(80, 4)
    model = SpatialFactorization(1, nonnegative=False, likelihood="gaussian").fit(values, places)
    state, space = model._fit.state, model._fit.space
    w, noise, n = state.loadings[:, 0].numpy(), model.noise_variances_, len(places)
    sign = model._rotation[0, 0]  # of the factor as it is shown
    K = state.processes[0].covariance.numpy()
    offset = (space.design() @ state.trend[0]).numpy()
    # all columns at once: values = b + w (offset + g) + e
    mean = model.intercepts_ + np.outer(offset, w)
    whole = np.kron(K, np.outer(w, w)) + np.kron(np.eye(n), np.diag(noise))
    residual = (values - mean).ravel()
    log_likelihood = multivariate_normal(np.zeros(len(whole)), whole).logpdf(residual)
    assert model.lower_bound_ * n == pytest.approx(log_likelihood, rel=1e-8)

    new = np.array([[2.0, 3.0], [9.0, 1.0], [50.0, 50.0]])
    points = torch.from_numpy(space.slides[0].moved(new))
    between = state.processes[0].kernel(points, torch.from_numpy(space.slides[0].points)).numpy()
    pulled = np.linalg.solve(whole, residual)
    expected = np.kron(between, w[None]) @ pulled
    got, variance = model.predict_factors(new)
    trend = (space._design(points.numpy(), np.zeros(3, int)) @ state.trend[0]).numpy()
    np.testing.assert_allclose(sign * got[:, 0] - trend, expected, atol=1e-7)
    explained = np.kron(between, w[None]) @ np.linalg.solve(whole, np.kron(between, w[None]).T)
    np.testing.assert_allclose(variance[:, 0], 1 + model.nugget - np.diag(explained), atol=1e-7)
    np.testing.assert_allclose(model.predict(new), model.intercepts_ + sign * got * w, atol=1e-10)


@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.parametrize("gaps", [False, True])
def test_smooth_factors_of_values_are_found(nonnegative: bool, gaps: bool) -> None:
    values, places = planted()
    rng = np.random.default_rng(3)
    if nonnegative:
        bumps = np.exp(-0.3 * ((places[:, None] - np.array([[2, 2], [7, 8]])) ** 2).sum(2))
        W = rng.gamma(1.0, size=(2, 12)) * (np.arange(12) % 2 == np.arange(2)[:, None])
        values = 4 * bumps @ W + 0.2 * rng.normal(size=values.shape)
        truth = bumps
    else:
        truth = np.stack([np.sin(places[:, 0]), np.cos(0.7 * places[:, 1])], 1)
    whole = values.copy()
    if gaps:
        values = np.where(rng.random(values.shape) < 0.3, np.nan, values)
    model = SpatialFactorization(
        2, nonnegative=nonnegative, likelihood="gaussian", random_state=0, max_iter=300
    ).fit(values, places)
    assert np.diff(model.lower_bounds_).min() > -1e-9 * abs(model.lower_bound_)
    one = np.concatenate([np.ones((len(truth), 1)), model.factors_], 1)
    residual = truth - one @ np.linalg.lstsq(one, truth, rcond=None)[0]
    assert (residual.var(0) / truth.var(0)).max() < 0.05
    assert np.sqrt(np.mean((model.reconstruct() - whole) ** 2)) < 0.4
    assert (model.loadings_ >= 0).all() == nonnegative


def test_columns_of_small_scale_keep_their_noise() -> None:
    rng = np.random.default_rng(0)
    factor = rng.normal(size=(300, 1))
    small = factor @ np.ones((1, 4)) + 0.5 * rng.normal(size=(300, 4))
    values = np.concatenate([small, 1e4 * rng.normal(size=(300, 4)), np.full((300, 1), 0.1)], 1)
    model = FactorAnalysis(2, max_iter=2000, tol=1e-9).fit(values)
    np.testing.assert_allclose(model.noise_variances_[:4], 0.25, rtol=0.4)
    assert np.isfinite(model.lower_bound_)


def test_length_scales_are_learned() -> None:
    rng = np.random.default_rng(0)
    t = np.sort(rng.uniform(0, 100, 150))
    slow, fast = np.sin(t / 20), np.sin(t / 2.5)
    W = rng.normal(size=(2, 15))
    values = np.stack([slow, fast], 1) @ W + 0.2 * rng.normal(size=(150, 15))
    options: dict[str, Any] = {"nonnegative": False, "likelihood": "gaussian", "kernel": "rbf"}
    held = SpatialFactorization(2, **options).fit(values, t)
    model = SpatialFactorization(2, length_scale="learned", **options).fit(values, t)
    assert model.lower_bound_ > held.lower_bound_
    assert model.length_scales_.max() > 2 * model.length_scales_.min()
    smooth = int(model.length_scales_[:, 0].argmax())
    assert abs(np.corrcoef(model.factors_[:, smooth], slow)[0, 1]) > 0.9
    assert np.diff(model.lower_bounds_).min() > -1e-9 * abs(model.lower_bound_)


def test_scaling_factors_raises_the_bound_by_what_it_says() -> None:
    values, places = planted(60, 5)
    model = HybridSpatialFactorization(
        3, 2, nonnegative=False, likelihood="gaussian", max_iter=2, tol=0.0
    )
    with pytest.warns(Warning, match="did not converge"):
        model.fit(values, places)
    before = model._fit.state
    after = scaled(before)
    seen = Values(torch.from_numpy(values), positive=False)
    assert after.bound >= before.bound
    np.testing.assert_allclose(with_bound(seen, after).bound, after.bound, rtol=1e-10)


def test_hybrids_of_values_tell_factors_apart() -> None:
    values, places = planted(200, 12, seed=1)
    rng = np.random.default_rng(5)
    other = rng.normal(size=200)
    values = values + np.outer(other, rng.normal(size=12))
    model = HybridSpatialFactorization(
        3, 2, nonnegative=False, likelihood="gaussian", max_iter=500, tol=1e-6
    ).fit(values, places)
    assert abs(np.corrcoef(model.factors_[:, 2], other)[0, 1]) > 0.95
    assert np.diff(model.lower_bounds_).min() > -1e-9 * abs(model.lower_bound_)


def test_bad_settings_are_named() -> None:
    values, places = planted(30, 4)
    with pytest.raises(ValueError, match="size_factors are of counts: with likelihood='gaussian'"):
        FactorAnalysis(2, size_factors="mean").fit(values)
    with pytest.raises(ValueError, match="polish is for counts of nonnegative factors"):
        SpatialFactorization(2, likelihood="gaussian", polish=4).fit(values, places)
    values[:, 2] = np.nan
    with pytest.raises(ValueError, match="Column 2 of X has no value that is known"):
        FactorAnalysis(2).fit(values)
    model = SpatialFactorization(2, likelihood="gaussian", nonnegative=False)
    model.fit(planted(30, 4)[0], places)
    with pytest.raises(ValueError, match="Real-valued factors have no logarithms"):
        model.predict_log_factors(places)

"""The bound on the likelihood of counts against quadrature and finite differences."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from scipy.stats import nbinom, poisson

from lowdim.factorization import _counts
from lowdim.factorization._counts import DenseCounts
from lowdim.factorization._rates import Rates


def problem(n: int = 6, j: int = 5, factors: int = 2) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(0)
    return {
        "counts": torch.from_numpy(rng.poisson(3.0, size=(n, j)).astype(float)),
        "sizes": torch.from_numpy(rng.uniform(0.5, 2, size=n)),
        "loadings": torch.from_numpy(rng.gamma(1.0, 1.0, size=(j, factors))),
        "mean": torch.from_numpy(rng.normal(size=(n, factors))),
        "variance": torch.from_numpy(rng.uniform(0.05, 0.4, size=(n, factors))),
        "shapes": torch.from_numpy(rng.uniform(1, 9, size=j)),
    }


def bound(p: dict[str, torch.Tensor], *, shapes: bool) -> float:
    expected = (p["mean"] + 0.5 * p["variance"]).exp()
    rates = Rates(DenseCounts(p["counts"]), p["sizes"])
    r = p["shapes"] if shapes else None
    return float(rates.bound(p["loadings"], p["mean"].exp()[None], expected, r).sum())


def by_quadrature(p: dict[str, torch.Tensor], *, shapes: bool) -> float:
    """``E log p(y)`` over independent normal factors, by Gauss and Hermite."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(30)
    weights = weights / weights.sum()
    sd = p["variance"].sqrt().numpy()
    total = 0.0
    for a, b in product(range(len(nodes)), repeat=2):
        f = p["mean"].numpy() + sd * np.array([nodes[a], nodes[b]])
        rate = p["sizes"].numpy()[:, None] * (np.exp(f) @ p["loadings"].numpy().T)
        if shapes:
            r = p["shapes"].numpy()
            own = nbinom.logpmf(p["counts"].numpy(), r, r / (r + rate))
        else:
            own = poisson.logpmf(p["counts"].numpy(), rate)
        total += weights[a] * weights[b] * own.sum()
    return total


@pytest.mark.parametrize("shapes", [False, True])
def test_the_bound_lies_below_the_expectation_and_meets_it_without_variance(shapes: bool) -> None:
    p = problem()
    assert bound(p, shapes=shapes) < by_quadrature(p, shapes=shapes)
    p["variance"] *= 1e-10
    assert bound(p, shapes=shapes) == pytest.approx(by_quadrature(p, shapes=shapes), rel=1e-8)


def test_with_one_factor_the_poisson_bound_is_the_expectation() -> None:
    p = problem()
    p["loadings"][:, 1] = 0  # the logarithm of a single term is linear
    assert bound(p, shapes=False) == pytest.approx(by_quadrature(p, shapes=False), rel=1e-6)


@pytest.mark.parametrize("shapes", [False, True])
def test_loadings_never_lower_the_bound_and_settle_where_its_slope_ends(shapes: bool) -> None:
    p = problem()
    rates = Rates(DenseCounts(p["counts"]), p["sizes"])
    r = p["shapes"] if shapes else None
    log_mean, mean = p["mean"].exp()[None], (p["mean"] + 0.5 * p["variance"]).exp()
    values = [bound(p, shapes=shapes)]
    for _ in range(3000):
        p["loadings"] = p["loadings"] * rates.scaled_loadings(p["loadings"], log_mean, mean, r)
        values.append(bound(p, shapes=shapes))
    assert np.diff(values).min() > -1e-10 * abs(values[0])
    loadings = p["loadings"].clone().requires_grad_(True)
    rates.bound(loadings, log_mean, mean, r).sum().backward()
    used = p["loadings"] > 1e-3
    np.testing.assert_allclose(loadings.grad[used], 0, atol=1e-2)
    assert (loadings.grad[~used] < 0.1).all()


@pytest.mark.parametrize("shapes", [False, True])
def test_shares_are_the_slopes_of_the_bound_in_the_factors(shapes: bool) -> None:
    p = problem()
    rates = Rates(DenseCounts(p["counts"]), p["sizes"])
    r = p["shapes"] if shapes else None
    m, v = p["mean"].clone().requires_grad_(True), p["variance"].clone().requires_grad_(True)
    mean = (m + 0.5 * v).exp()
    rates.bound(p["loadings"], m.exp()[None], mean, r).sum().backward()
    counts, exposures = rates.shares(p["loadings"], m.exp().detach()[None], mean.detach(), r)
    rate = exposures.T * mean.detach()
    np.testing.assert_allclose(m.grad, counts[0].T - rate, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(v.grad, -0.5 * rate, rtol=1e-6, atol=1e-9)


def test_slopes_in_the_shapes() -> None:
    p = problem()
    rates = Rates(DenseCounts(p["counts"]), p["sizes"])
    mean = (p["mean"] + 0.5 * p["variance"]).exp()
    log_r = p["shapes"].log().requires_grad_(True)
    value = rates.bound(p["loadings"], p["mean"].exp()[None], mean, log_r.exp()).sum()
    (first,) = torch.autograd.grad(value, log_r, create_graph=True)
    second = torch.autograd.grad(first.sum(), log_r)[0]
    got = rates.shape_slopes(p["loadings"], mean, p["shapes"])
    np.testing.assert_allclose(got[0], first.detach(), rtol=1e-8)
    np.testing.assert_allclose(got[1], second, rtol=1e-8)


@pytest.mark.parametrize("shapes", [False, True])
def test_chunks_of_rows_change_nothing(shapes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    p = problem(n=23)
    whole = bound(p, shapes=shapes)
    r = p["shapes"] if shapes else None
    args = p["loadings"], p["mean"].exp()[None], (p["mean"] + 0.5 * p["variance"]).exp(), r
    before = Rates(DenseCounts(p["counts"]), p["sizes"])
    expected = before.scaled_loadings(*args), *before.shares(*args)
    monkeypatch.setattr(_counts, "CHUNK_VALUES", 20)
    assert bound(p, shapes=shapes) == pytest.approx(whole, rel=1e-12)
    after = Rates(DenseCounts(p["counts"]), p["sizes"])
    for a, b in zip(expected, (after.scaled_loadings(*args), *after.shares(*args)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)

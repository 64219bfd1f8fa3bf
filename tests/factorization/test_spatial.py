"""Spatial factors of counts: recovery, invariants, answers, and bad input."""

from __future__ import annotations

import warnings
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.optimize import linear_sum_assignment
from scipy.special import gammaln, logsumexp
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from lowdim import HybridSpatialFactorization, SpatialFactorization
from lowdim.factorization import _choice
from lowdim.factorization._hilbert import HilbertProcess
from lowdim.factorization._inducing import InducingProcess
from lowdim.factorization._places import Places, grid_points

SIDE = 14


def planted(seed: int = 0, shape: float | None = None) -> dict[str, np.ndarray]:
    """Counts on a grid: two smooth factors, one that is not spatial, and ten columns of each."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), -1).reshape(-1, 2) * 50.0
    x, y = (grid / (50.0 * SIDE)).T
    factors = np.stack(
        [4 * np.exp(-20 * ((x - 0.25) ** 2 + (y - 0.3) ** 2)), 4.0 * (x + y > 1.2)], axis=1
    )
    other = 4.0 * (rng.random((len(grid), 1)) < 0.2)
    factors = np.concatenate([factors, other], axis=1)
    loadings = np.kron(np.eye(3), np.ones((10, 1)))
    rate = 0.2 + 2 * factors @ loadings.T
    if shape is not None:
        rate = rate * rng.gamma(shape, 1 / shape, size=rate.shape)
    return {"counts": rng.poisson(rate).astype(float), "places": grid, "factors": factors}


def matched(truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Correlations of factors, matched one to one."""
    both = np.abs(np.corrcoef(truth.T, found.T)[: truth.shape[1], truth.shape[1] :])
    rows, columns = linear_sum_assignment(-both)
    return both[rows, columns]


def test_smooth_factors_and_their_columns_are_found() -> None:
    p = planted()
    model = SpatialFactorization(2, random_state=0).fit(p["counts"][:, :20], p["places"])
    assert matched(p["factors"][:, :2], model.factors_).min() > 0.97
    own = model.loadings_ / model.loadings_.sum(1, keepdims=True)
    assert (own[:10].argmax(1) != own[10:].argmax(1)).all()
    assert model.converged_
    assert np.diff(model.lower_bounds_).min() > -1e-9 * abs(model.lower_bound_)
    assert model.length_scales_ == pytest.approx(3 * 50 * (SIDE - 1) / SIDE, rel=1e-6)


def test_hybrid_factors_are_told_apart() -> None:
    p = planted()
    model = HybridSpatialFactorization(3, 2, random_state=0).fit(p["counts"], p["places"])
    assert matched(p["factors"][:, :2], model.factors_[:, :2]).min() > 0.95
    assert matched(p["factors"][:, 2:], model.factors_[:, 2:]).min() > 0.9
    assert np.diff(model.lower_bounds_).min() > -1e-9 * abs(model.lower_bound_)


def test_the_bound_lies_below_the_evidence() -> None:
    """Importance sampling from the posterior, which is exact for a single factor and few rows."""
    rng = np.random.default_rng(0)
    places = rng.normal(size=(6, 2))
    counts = rng.poisson(3.0, size=(6, 4)).astype(float)
    model = SpatialFactorization(1, random_state=0, max_iter=500, tol=1e-9, prune=False)
    model.fit(counts, places)
    fit = model._fit
    K = fit.state.processes[0].covariance.numpy()
    trend = (fit.space.design() @ fit.state.trend[0]).numpy()
    l1, l2 = fit.state.l1[0].numpy(), fit.state.l2[0].numpy()
    S = np.linalg.inv(np.linalg.inv(K) + np.diag(l2))
    mean = trend + S @ (l1 - l2 * trend)
    draws = rng.multivariate_normal(mean, 1.3 * S, size=200_000)

    rate = np.exp(draws)[:, :, None] * model.loadings_[:, 0]
    likelihood = (counts * np.log(rate) - rate - gammaln(counts + 1)).sum((1, 2))
    prior, drawn = multivariate_normal(trend, K), multivariate_normal(mean, 1.3 * S)
    weights = likelihood + prior.logpdf(draws) - drawn.logpdf(draws)
    evidence = logsumexp(weights) - np.log(len(draws))
    bound = model.lower_bound_ * 6
    assert bound <= evidence + 0.01
    assert bound > evidence - 0.5  # one factor: all that is lost is the posterior's shape


def test_dispersions_are_found() -> None:
    p = planted(shape=4.0)
    counts, places = p["counts"][:, :20], p["places"]
    flat = SpatialFactorization(2, random_state=0).fit(counts, places)
    model = SpatialFactorization(2, likelihood="negative_binomial", random_state=0)
    model.fit(counts, places)
    assert 0.15 < np.median(model.dispersions_) < 0.4
    assert model.lower_bound_ > flat.lower_bound_ + 1
    assert not hasattr(flat, "dispersions_")
    assert np.diff(model.lower_bounds_).min() > -1e-9 * abs(model.lower_bound_)


def test_predictions_follow_the_rows_given() -> None:
    p = planted()
    rng = np.random.default_rng(1)
    order = rng.permutation(len(p["places"]))
    train, test = order[:150], order[150:]
    model = SpatialFactorization(2, random_state=0)
    model.fit(p["counts"][train, :20], p["places"][train])
    expected = model.predict(p["places"][test])
    back = rng.permutation(len(test))
    np.testing.assert_allclose(model.predict(p["places"][test][back]), expected[back], rtol=1e-9)
    rate = 0.2 + 2 * p["factors"][test, :2] @ np.kron(np.eye(2), np.ones((10, 1))).T
    mean = np.broadcast_to(p["counts"][train, :20].mean(0), rate.shape)
    assert np.abs(expected - rate).mean() < 0.6 * np.abs(mean - rate).mean()
    twice = model.predict(p["places"][test], size_factors=2.0)
    np.testing.assert_allclose(twice, 2 * expected)
    with pytest.raises(ValueError, match=r"size_factors has shape \(3,\)"):
        model.predict(p["places"][test], size_factors=np.ones(3))
    mean, variance = model.predict_log_factors(p["places"][train])
    np.testing.assert_allclose(mean, model.log_factors_, atol=0.02)
    assert (variance > 0).all()
    far = model.predict_log_factors(p["places"][:1] + 1e6)[1]
    assert far[0, 0] == pytest.approx(1.0 + model.nugget, rel=1e-6)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_units_of_the_coordinates_do_not_matter(scale: float) -> None:
    p = planted()
    counts = p["counts"][:, :20]
    one = SpatialFactorization(2, random_state=0).fit(counts, p["places"])
    other = SpatialFactorization(2, random_state=0).fit(counts, p["places"] * scale + 7 * scale)
    assert other.lower_bound_ == pytest.approx(one.lower_bound_, rel=1e-8)
    np.testing.assert_allclose(other.length_scales_, one.length_scales_ * scale)


def test_sines_come_close() -> None:
    p = planted()
    counts = p["counts"][:, :20]
    whole = SpatialFactorization(2, random_state=0).fit(counts, p["places"])
    scale = float(whole.length_scales_[0, 0])
    model = SpatialFactorization(2, inducing="hilbert", length_scale=scale, random_state=0)
    model.fit(counts, p["places"])
    assert isinstance(model._fit.state.processes[0], HilbertProcess)
    assert abs(model.lower_bound_ - whole.lower_bound_) < 1
    assert matched(whole.factors_, model.factors_).min() > 0.99
    assert np.diff(model.lower_bounds_).min() > -1e-9 * abs(model.lower_bound_)
    mean, variance = model.predict_log_factors(p["places"])
    np.testing.assert_allclose(mean, model.log_factors_, atol=1e-9)
    np.testing.assert_allclose(variance, model.log_factor_variances_, rtol=1e-6)


@pytest.mark.parametrize(
    ("n_axes", "kind"), [(1, HilbertProcess), (3, HilbertProcess), (4, InducingProcess)]
)
def test_many_places_are_not_kept_one_by_one(
    n_axes: int, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_choice, "MOST_EXACT", 100)
    monkeypatch.setattr(_choice, "INDUCING", 30)
    rng = np.random.default_rng(0)
    places = rng.uniform(size=(120, n_axes))
    rate = np.exp(2 * np.sin(4 * places[:, :1])) * rng.gamma(1.0, 1.0, size=12)
    counts = rng.poisson(rate)
    model = SpatialFactorization(1, random_state=0).fit(counts, places)
    assert isinstance(model._fit.state.processes[0], kind)
    assert np.corrcoef(model.log_factors_[:, 0], np.sin(4 * places[:, 0]))[0, 1] > 0.9


def test_fewer_inducing_points_come_close() -> None:
    p = planted()
    counts = p["counts"][:, :20]
    whole = SpatialFactorization(2, random_state=0).fit(counts, p["places"])
    settings: dict[str, Any] = {
        "length_scale": float(whole.length_scales_[0, 0]),
        "random_state": 0,
    }
    few = SpatialFactorization(2, inducing=80, **settings).fit(counts, p["places"])
    assert few.lower_bound_ < whole.lower_bound_ + 1e-6
    assert few.lower_bound_ > whole.lower_bound_ - 2
    given = SpatialFactorization(2, inducing=p["places"][::2], **settings)
    given.fit(counts, p["places"])
    assert given.lower_bound_ > whole.lower_bound_ - 2
    assert matched(whole.factors_, few.factors_).min() > 0.97
    grid = SpatialFactorization(2, inducing="grid", **settings).fit(counts, p["places"])
    assert whole.lower_bound_ - 0.5 < grid.lower_bound_ < whole.lower_bound_ + 1e-3


@pytest.mark.parametrize("n_axes", [1, 2, 3])
def test_a_grid_is_regular_and_stays_near_the_places(n_axes: int) -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(size=(4000, n_axes)) * [4.0, 2.0, 1.0][:n_axes]
    ring = points[np.abs(points[:, 0] - 2.0) > 1.5]  # a hole in the middle
    grid = grid_points(Places.of(points), 600)
    assert len(grid) == pytest.approx(600, rel=0.1)
    for axis in grid.T:
        steps = np.diff(np.unique(axis.round(9)))
        assert np.ptp(steps) < 1e-6
    holed = grid_points(Places.of(ring), 600)
    assert len(holed) < 0.7 * len(grid)
    away = np.linalg.norm(holed[:, None] - Places.of(ring).points, axis=2).min(1)
    assert away.max() < 2 * Places.of(ring).spacing(600)
    one = grid_points(Places.of(np.ones((5, n_axes))), 600)
    np.testing.assert_array_equal(one, np.zeros((1, n_axes)))
    with pytest.raises(ValueError, match="would have 4096 cells over these 12 coordinates"):
        grid_points(Places.of(rng.uniform(size=(50, 12))), 600)


@pytest.mark.parametrize("likelihood", ["poisson", "negative_binomial"])
def test_hard_cases_end_finite(likelihood: str) -> None:
    p = planted()
    counts = p["counts"][:, :12].copy()
    counts[3] = 0
    counts[:, 5] = 0
    for places in (
        p["places"].astype(int),
        np.repeat(p["places"][: len(counts) // 2], 2, axis=0),
        p["places"][:, 0],
        np.concatenate([p["places"], np.zeros((len(counts), 1))], axis=1),
        np.random.default_rng(0).normal(size=(len(counts), 3)),
    ):
        model = HybridSpatialFactorization(
            3, likelihood=likelihood, size_factors="mean", random_state=0, max_iter=8
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(counts, places)
        for name in ("factors_", "loadings_", "lower_bounds_", "size_factors_"):
            assert np.isfinite(getattr(model, name)).all()
        assert np.isfinite(model.predict(places)).all()


def test_another_kind_of_fit_leaves_nothing_of_the_one_before() -> None:
    p = planted()
    model = SpatialFactorization(2, random_state=0, max_iter=6)
    first = {"likelihood": "negative_binomial", "nonnegative": True}
    then = {"likelihood": "gaussian", "nonnegative": False}
    for settings in (then, first, then):
        fresh = clone(model).set_params(**settings)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.set_params(**settings).fit(p["counts"], p["places"])
            fresh.fit(p["counts"], p["places"])
        assert set(vars(model)) == set(vars(fresh))


def test_sparse_frames_and_anndata_are_read() -> None:
    p = planted()
    counts = p["counts"][:, :20].astype(np.float32)
    model = SpatialFactorization(2, random_state=0)
    expected = clone(model).fit(counts, p["places"]).loadings_
    frame = pd.DataFrame(counts, columns=[f"g{i}" for i in range(20)])
    for form in (sp.csr_matrix(counts), frame, ad.AnnData(counts)):
        found = clone(model).fit(form, p["places"]).loadings_
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"likelihood": "negative_binomial", "inducing": 60},
        {"inducing": "hilbert"},
        {"nonnegative": False},
        {"nonnegative": False, "likelihood": "gaussian"},
        {"likelihood": "gaussian"},
    ],
    ids=str,
)
def test_float32_comes_close(options: dict[str, Any]) -> None:
    p = planted()
    counts = p["counts"][:, :20]
    fits = [
        SpatialFactorization(2, dtype=dtype, random_state=0, tol=1e-5, **options)
        for dtype in ("float64", "float32")
    ]
    for model in fits:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(counts, p["places"])
    whole, half = fits
    assert half.lower_bound_ == pytest.approx(whole.lower_bound_, rel=1e-4)
    np.testing.assert_allclose(half.reconstruct(), whole.reconstruct(), rtol=0.02, atol=0.02)
    assert np.diff(half.lower_bounds_).min() > -1e-6 * abs(half.lower_bound_)


def test_the_same_seed_gives_the_same_bits() -> None:
    p = planted()
    fits = [
        HybridSpatialFactorization(3, inducing=40, random_state=3, max_iter=9, tol=0.0)
        for _ in range(2)
    ]
    for model in fits:
        with pytest.warns(ConvergenceWarning):
            model.fit(p["counts"], p["places"])
    np.testing.assert_array_equal(fits[0].factors_, fits[1].factors_)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_factors": 0}, "n_factors"),
        ({"likelihood": "binomial"}, "likelihood"),
        ({"kernel": "linear"}, "kernel"),
        ({"length_scale": -1.0}, "length_scale"),
        ({"length_scale": "long"}, "length_scale"),
        ({"length_scale": [1.0, 2.0, 3.0]}, r"length_scale has shape \(3,\)"),
        ({"amplitude": 0.0}, "amplitude"),
        ({"inducing": 0}, "inducing"),
        (
            {"inducing": "some"},
            "inducing='some' is not a choice; pass one of 'auto', 'all', 'grid'",
        ),
        ({"inducing": np.zeros((5, 3))}, "inducing has shape"),
        ({"inducing": np.zeros((0, 2))}, "inducing holds no points"),
        ({"size_factors": "total"}, "size_factors"),
        ({"size_factors": np.ones(3)}, "size_factors"),
        ({"max_iter": 0}, "max_iter"),
        ({"prune": "no"}, "prune='no' is not a choice"),
        ({"nonnegative": "no"}, "nonnegative='no' is not a choice"),
    ],
)
def test_bad_arguments_are_named(options: dict[str, Any], message: str) -> None:
    p = planted()
    with pytest.raises((ValueError, TypeError), match=message):
        SpatialFactorization(**{"n_factors": 2, **options}).fit(p["counts"], p["places"])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_bad_places_and_sizes_to_predict_at_are_named() -> None:
    p = planted()
    model = SpatialFactorization(2, max_iter=3, tol=1.0, random_state=0)
    model.fit(p["counts"], p["places"])
    with pytest.raises(ValueError, match=r"coordinates has shape \(\), expected \(N, 2\)"):
        model.predict(3.0)
    with pytest.raises(ValueError, match=r"coordinates has shape \(4, 3\), expected \(N, 2\)"):
        model.predict_factors(np.zeros((4, 3)))
    values = clone(model).set_params(likelihood="gaussian").fit(p["counts"], p["places"])
    with pytest.raises(ValueError, match="size_factors are of counts"):
        values.predict(p["places"][:3], size_factors=2.0)
    with pytest.raises(ValueError, match="size_factors are of counts"):
        values.transform(p["counts"], p["places"], size_factors=np.ones(196))


def test_bad_data_are_named() -> None:
    p = planted()
    model = SpatialFactorization(2)
    with pytest.raises(ValueError, match="counts"):
        model.fit(p["counts"] + 0.5, p["places"])
    with pytest.raises(ValueError, match=r"coordinates has shape \(5, 2\), expected \(196, D\)"):
        model.fit(p["counts"], p["places"][:5])
    broken = p["places"].copy()
    broken[7, 1] = np.nan
    with pytest.raises(ValueError, match="not finite in row 7"):
        model.fit(p["counts"], broken)
    with pytest.raises(TypeError, match="coordinates must be numbers"):
        model.fit(p["counts"], [["a", "b"]] * 196)
    with pytest.raises(ValueError, match="n_spatial=3 must be below n_factors=3"):
        HybridSpatialFactorization(3, 3).fit(p["counts"], p["places"])
    with pytest.raises(ValueError, match="'hilbert' is for up to 3 coordinates, not 4"):
        SpatialFactorization(2, inducing="hilbert").fit(p["counts"], np.ones((196, 4)))
    with pytest.raises(NotFittedError):
        SpatialFactorization().predict(p["places"])


def test_the_papers_first_scenario(datasets: Any) -> None:
    """Townes and Engelhardt (2023), quilt: the bars are this project's own."""
    path = datasets / "nsf_simulations" / "bm_sp_S01.npz"
    if not path.exists():
        pytest.skip("needs the paper's simulations")
    data, n = np.load(path), 1231
    counts, places = data["counts"].astype(float), data["coordinates"].astype(float)
    model = SpatialFactorization(4, random_state=0).fit(counts[:n], places[:n])
    assert matched(data["spatial_factors"][:n], np.exp(model.log_factors_)).min() > 0.995
    assert (model.loadings_ == 0).mean() > 0.7
    assert model.lower_bound_ > -406.5

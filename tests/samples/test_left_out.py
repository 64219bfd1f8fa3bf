"""Rows left out: the formula is that of fits without them, and it chooses what tells new rows."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

import lowdim as ld
from lowdim._journal import Journal
from lowdim.mixture import GaussianMixture
from lowdim.samples import _fits
from lowdim.samples._left_out import left_out_score


def rows(n: int = 60, d: int = 3, seed: int = 0) -> np.ndarray:
    """Two clusters that overlap."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) @ rng.normal(size=(d, d))
    X[: n // 3] += 2.0
    return X


def without_each(X: np.ndarray, shares: np.ndarray, kind: str) -> float:
    """The same by weighted moments of the other rows, one row after the other."""
    scores = []
    for i in range(len(X)):
        others = np.arange(len(X)) != i
        parts = []
        for r in shares[others].T:
            mean = r @ X[others] / r.sum()
            off = X[others] - mean
            covariance = (r[:, None] * off).T @ off / r.sum()
            if kind == "diag":
                covariance = np.diag(np.diag(covariance))
            density = multivariate_normal(mean, covariance).logpdf(X[i])
            parts.append(np.log(r.sum() / (len(X) - 1)) + density)
        scores.append(logsumexp(parts))
    return float(np.mean(scores))


@pytest.mark.parametrize("kind", ["full", "diag"])
@given(K=st.integers(1, 3), seed=st.integers(0, 50))
@settings(deadline=None, max_examples=8)
def test_it_is_that_of_moments_without_the_row(kind: str, K: int, seed: int) -> None:
    X = rows(seed=seed)
    model = GaussianMixture(
        K, covariance_type=kind, tol=1e-11, max_iter=1000, reg_covar=1e-10, device="cpu",
        random_state=0,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X)
    assume(model.converged_ and model.weights_.min() * len(X) > 8)
    expected = without_each(X, model.predict_proba(X), kind)
    assert left_out_score(model, X) == pytest.approx(expected, rel=1e-4)
    assert left_out_score(model, X) < model.lower_bound_


def test_units_and_rotations_do_not_matter() -> None:
    X = rows()
    score = left_out_score(GaussianMixture(2, device="cpu", random_state=0).fit(X), X)
    Q = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    moved = 1e3 * X @ Q + 7.0
    other = GaussianMixture(2, device="cpu", random_state=0).fit(moved)
    assert left_out_score(other, moved) == pytest.approx(score - 3 * np.log(1e3), abs=1e-3)


def test_a_component_of_few_rows_is_worth_nothing_to_them() -> None:
    X = rows(n=200, d=5)
    near = X[0] + 1e-3 * np.random.default_rng(0).normal(size=(5, 5))
    X[:5] = near
    start = np.ones(200, dtype=np.int64)
    start[:5] = 0
    with_it = GaussianMixture(2, init_params=start, device="cpu", reg_covar=1e-9).fit(X)
    one = GaussianMixture(1, device="cpu", reg_covar=1e-9).fit(X)
    assert with_it.degenerate_
    assert with_it.lower_bound_ > one.lower_bound_
    assert left_out_score(with_it, X) < left_out_score(one, X) + 0.1
    first = (np.arange(200) > 0).astype(np.int64)
    alone = GaussianMixture(2, init_params=first, device="cpu", max_iter=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.isfinite(left_out_score(alone.fit(X), X))  # a component of a single row


def hard_cells(n_samples: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of every sample 500 cells to fit and 500 others; 12 components in 16 columns are too many."""
    adata = ld.data.simulate_hard_cohort(n_samples, 1000, random_state=seed)
    X = np.asarray(adata.X, dtype=np.float64)
    own = [X[adata.obs["sample"] == name] for name in np.unique(adata.obs["sample"])]
    return [(part[:500], part[500:]) for part in own]


def test_it_tells_how_likely_new_rows_are() -> None:
    """Where the likelihood of a fit does not: over six starts of the same sample."""
    found, names = [], ("left out", "fit", "new")
    for known, new in hard_cells(6, 42):
        fits = []
        for seed in range(6):
            start = ("kmeans", "whitened", "random_from_data")[seed % 3]
            fit = GaussianMixture(12, n_init=1, init_params=start, device="cpu", random_state=seed)
            fit.fit(known)
            fits.append((left_out_score(fit, known), fit.lower_bound_, fit.score(new)))
        found.append(np.array(fits))
    mean = dict(zip(names, np.concatenate(found).mean(0), strict=True))
    assert abs(mean["left out"] - mean["new"]) < 3.0
    assert mean["fit"] - mean["new"] > 10.0
    centred = np.concatenate([own - own.mean(0) for own in found])
    C = np.corrcoef(centred.T)
    assert C[0, 2] > 0.6
    assert C[1, 2] < 0.4


@pytest.mark.filterwarnings("ignore:Components of:UserWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_more_starts_tell_new_rows_better() -> None:
    cells = hard_cells(8, 43)
    samples = np.repeat(np.arange(8), 500).astype(str)
    known, new = (np.concatenate(parts) for parts in zip(*cells, strict=True))
    one, several = (
        ld.SampleGaussianMixtures(12, n_init=n, random_state=0).fit(known, samples) for n in (1, 6)
    )
    assert several.score(new, samples) > one.score(new, samples) + 0.5


def test_the_first_start_is_that_of_a_single_one() -> None:
    X = rows(n=90, d=4)
    scores = []
    for n_init in (1, 2, 5):
        model = ld.SampleGaussianMixtures(4, n_init=n_init, random_state=0)
        plan = model._plan()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scores.append(left_out_score(_fits.fit_rows(plan, X, 3, Journal()).model, X))
    assert scores == sorted(scores)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_starts_that_fail_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    X = rows()
    plan = ld.SampleGaussianMixtures(2, n_init=3, random_state=0)._plan()
    fit, calls = GaussianMixture.fit, []

    def fails_first(self: GaussianMixture, *args: Any) -> GaussianMixture:
        calls.append(self.random_state)
        if len(calls) != 2:
            raise _fits.FitFailed("singular")
        return fit(self, *args)

    monkeypatch.setattr(GaussianMixture, "fit", fails_first)
    assert _fits.fit_rows(plan, X, 0, Journal()).model.random_state == calls[1]
    assert len(calls) == 3
    assert len(set(calls)) == 3
    calls += [None]
    with pytest.raises(_fits.FitFailed, match="singular"):
        _fits.fit_rows(plan, X, 0, Journal())


@pytest.mark.parametrize("n_init", [0, "auto"])
def test_bad_numbers_of_starts_are_named(n_init: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="n_init"):
        ld.SampleGaussianMixtures(2, n_init=n_init).fit(rows(), ["a"] * 60)

"""PoissonNMF and FactorAnalysis: conventions, recovery, new rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from sklearn.utils.estimator_checks import parametrize_with_checks

from lowdim import FactorAnalysis, PoissonNMF

POSITIVE_INPUT = "scikit-learn's data for this check are not counts"
EXPECTED: dict[str, dict[str, str]] = {"PoissonNMF": {}, "FactorAnalysis": {}}


class OfAnything(PoissonNMF):
    """With normal noise, so that scikit-learn's values, which are no counts, can be fitted."""

    def __init__(
        self,
        n_factors: int = 2,
        likelihood: str = "gaussian",
        max_iter: int = 20,
        random_state: Any = None,
    ) -> None:
        super().__init__(n_factors, likelihood=likelihood, max_iter=max_iter)
        self.random_state = random_state


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([FactorAnalysis(2), OfAnything()])
def test_conventions(estimator: Any, check: Any) -> None:
    check(estimator)


def planted(n: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    factors = rng.gamma(0.5, size=(n, 3)) * 4
    loadings = np.kron(np.eye(3), np.ones((10, 1))) + 0.02
    return rng.poisson(factors @ loadings.T).astype(float), factors, loadings


def matched(truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    k = truth.shape[1]
    both = np.abs(np.corrcoef(truth.T, found.T)[:k, k:])
    rows, columns = linear_sum_assignment(-both)
    return both[rows, columns]


@pytest.mark.parametrize("likelihood", ["poisson", "negative_binomial", "gaussian"])
def test_planted_factors_are_found(likelihood: str) -> None:
    counts, factors, loadings = planted()
    model = PoissonNMF(3, likelihood=likelihood, random_state=0).fit(counts)
    assert matched(factors, model.factors_).min() > 0.95
    assert matched(loadings, model.loadings_).min() > 0.95
    assert np.diff(model.lower_bounds_).min() > -1e-9 * abs(model.lower_bound_)
    assert model.get_feature_names_out().tolist() == [f"poissonnmf{i}" for i in range(3)]


def test_new_rows_get_the_factors_that_they_would_have_had() -> None:
    counts, factors, _ = planted(300)
    model = PoissonNMF(3, random_state=0, size_factors="mean", tol=1e-7, max_iter=500)
    model.fit(counts[:200])
    np.testing.assert_allclose(model.transform(counts[:200]), model.factors_, rtol=0.02, atol=1e-3)
    sizes = counts[200:].sum(1) / counts[:200].sum(1).mean()
    assert matched(factors[200:], model.transform(counts[200:]) * sizes[:, None]).min() > 0.95
    given = PoissonNMF(3, random_state=0, size_factors=np.ones(200)).fit(counts[:200])
    with pytest.raises(ValueError, match="size_factors of the new rows must be given"):
        given.transform(counts[200:])
    again = given.transform(counts[:200], size_factors=np.ones(200))
    np.testing.assert_allclose(again, given.factors_, rtol=0.1, atol=0.1)
    np.testing.assert_array_equal(given.fit_transform(counts[:200]), again)


def test_missing_counts_are_filled_by_what_the_others_say() -> None:
    counts, factors, loadings = planted(400)
    rng = np.random.default_rng(1)
    hidden = rng.random(counts.shape) < 0.2
    model = PoissonNMF(3, random_state=0).fit(np.where(hidden, np.nan, counts))
    assert matched(factors, model.factors_).min() > 0.93
    rate = factors @ loadings.T
    error = np.abs(model.reconstruct() - rate)[hidden].mean()
    mean = np.abs(counts.mean(0) - rate)[hidden].mean()
    assert error < 0.4 * mean
    assert np.diff(model.lower_bounds_).min() > -1e-9 * abs(model.lower_bound_)


def test_the_papers_first_scenario(datasets: Any) -> None:
    """Townes and Engelhardt (2023), quilt: the bar is this project's own."""
    path = datasets / "nsf_simulations" / "bm_sp_S01.npz"
    if not path.exists():
        pytest.skip("needs the paper's simulations")
    counts = np.load(path)["counts"][:1231].astype(float)
    model = PoissonNMF(4, random_state=0).fit(counts)
    assert model.lower_bound_ > -402

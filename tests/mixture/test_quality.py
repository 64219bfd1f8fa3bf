"""What a scientist relies on: planted structure is found, and nothing is found in noise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from lowdim import SubspaceMixture

#: Lists of dimensions that fit the planted rows more or less well; (1, 1, 2) is the truth.
CANDIDATES = [
    [0], [1], [2], [1, 1], [1, 2], [1, 1, 1], [1, 1, 2], [1, 2, 2], [2, 2, 2],
    [1, 1, 1, 2], [1, 1, 2, 2],
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_toy_is_solved(seed: int, toy: tuple[np.ndarray, np.ndarray]) -> None:
    """-23733.58 is the best known log-likelihood of these points."""
    X, labels = toy
    model = SubspaceMixture(dims=[2, 1, 1, 0], n_init=40, random_state=seed).fit(X)
    assert model.score_samples(X).sum() >= -23733.60
    assert model.score_samples(X).sum() < -23733.50  # were it higher, the density would be wrong
    assert adjusted_rand_score(labels, model.predict(X)) > 0.975


@pytest.mark.parametrize("seed", [0, 1])
def test_a_single_start_mostly_finds_what_is_planted(seed: int, planted: Callable) -> None:
    simulated = planted(seed)
    best = SubspaceMixture(dims=[1, 1, 2], n_init=30, random_state=0).fit(simulated.X)
    assert adjusted_rand_score(simulated.labels, best.predict(simulated.X)) > 0.99
    np.testing.assert_allclose(np.sqrt(best.noise_variances_), 0.1, rtol=0.1)
    found = 0
    for start in range(30):
        model = SubspaceMixture(dims=[1, 1, 2], n_init=1, random_state=100 + start)
        found += model.fit(simulated.X).lower_bound_ > best.lower_bound_ - 1e-4
    assert found >= 21


@pytest.mark.slow
def test_bic_picks_the_planted_dimensions(planted: Callable) -> None:
    right = 0
    for seed in range(5):
        X = planted(seed).X
        values = []
        for dims in CANDIDATES:
            model = SubspaceMixture(dims=dims, n_init=12, max_iter=500, random_state=seed)
            model.set_params(tol=1e-5).fit(X)
            values.append(np.inf if model.degenerate_ else model.bic(X))
        right += CANDIDATES[int(np.argmin(values))] == [1, 1, 2]
    assert right >= 4


@pytest.mark.filterwarnings("ignore:.*did not converge")
@pytest.mark.parametrize("dims", [[3, 3], [3, 3, 3, 3], [1] * 6])
@pytest.mark.parametrize("assignment", ["soft", "hard"])
def test_noise_does_not_collapse(dims: list[int], assignment: str) -> None:
    X = np.random.default_rng(0).normal(size=(60, 10))
    model = SubspaceMixture(dims=dims, n_init=30, assignment=assignment, random_state=0).fit(X)
    assert not model.degenerate_
    assert model.noise_variances_.min() > 1e-3
    assert (model.weights_ * 60 > np.array(dims) + 1).all()
    assert model.score(X) < -5  # the truth has -14.2


def planted_far(n: int, n_columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Two planes of 30 sd in so many columns, with noise of 0.1 sd."""
    rng = np.random.default_rng(0)
    parts = []
    for _ in range(2):
        axes = rng.normal(size=(2, n_columns)) * 30 / n_columns**0.5
        parts.append(rng.normal(size=(n // 2, 2)) @ axes + 0.5 * rng.normal(size=n_columns))
    X = np.concatenate(parts) + 0.1 * rng.normal(size=(n, n_columns))
    return X, np.repeat([0, 1], n // 2)


def test_more_columns_than_rows(peak_growth: Callable) -> None:
    """150 x 8,000: a covariance would take 512 MB."""
    X, labels = planted_far(150, 8000)
    SubspaceMixture(dims=[2, 2], n_init=1, max_iter=100, random_state=0).fit(X[:, :100])  # warm
    with peak_growth() as growth:
        model = SubspaceMixture(dims=[2, 2], n_init=2, random_state=0).fit(X)
    assert growth[0] < 200
    assert adjusted_rand_score(labels, model.predict(X)) > 0.99
    np.testing.assert_allclose(np.sqrt(model.noise_variances_), 0.1, rtol=0.05)
    for k in range(2):
        own = X[model.predict(X) == k]
        exact = np.linalg.svd(own - own.mean(0), compute_uv=False)[:2] ** 2 / len(own)
        np.testing.assert_allclose(model.latent_variances_[k], exact, rtol=1e-6)

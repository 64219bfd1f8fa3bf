"""Soft k-means: its limits, its relation to Gaussian mixtures, and its free energy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import logsumexp
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

from lowdim import KMeans, SoftKMeans


def plain_em(X: np.ndarray, centres: np.ndarray, beta: float, n_steps: int) -> np.ndarray:
    """The two steps of the textbook, in float64."""
    for _ in range(n_steps):
        scores = -beta * np.square(X[:, None] - centres).sum(-1)
        shares = np.exp(scores - logsumexp(scores, axis=1, keepdims=True))
        centres = shares.T @ X / shares.sum(0)[:, None]
    return centres


def spread(model: SoftKMeans) -> float:
    return float(np.ptp(model.cluster_centers_, axis=0).max())


@pytest.mark.parametrize("kind", ["dense", "sparse", "many columns"])
def test_it_ends_at_a_fixed_point_of_the_textbook(kind: str, blobs: Callable) -> None:
    X, _ = blobs(300, 100 if kind == "many columns" else 3, 4, spread=1.0)
    if kind == "sparse":
        X[np.abs(X) < 0.5] = 0.0
    rows = sp.csr_matrix(X) if kind == "sparse" else X
    beta = 2.0 / X.shape[1]
    model = SoftKMeans(4, beta=beta, init=X[:4], tol=1e-14, max_iter=20_000).fit(rows)
    centres = plain_em(X, model.cluster_centers_, beta, 1)
    np.testing.assert_allclose(model.cluster_centers_, centres, atol=1e-5)
    scores = -beta * np.square(X[:, None] - model.cluster_centers_).sum(-1)
    energy = -logsumexp(scores, axis=1).sum() / beta
    assert model.free_energy_ == pytest.approx(energy, rel=1e-9)
    assert -model.score(rows) == pytest.approx(energy, rel=1e-9)
    shares = np.exp(scores - logsumexp(scores, axis=1, keepdims=True))
    np.testing.assert_allclose(model.predict_proba(rows), shares, atol=1e-9)
    assert (np.diff(model.free_energy_trace_) <= 1e-9 * abs(energy)).all()


def test_the_first_steps_are_the_textbooks(blobs: Callable) -> None:
    X, _ = blobs(spread=1.0)
    with pytest.warns(ConvergenceWarning):
        model = SoftKMeans(4, beta=0.5, init=X[:4], max_iter=3).fit(X)
    np.testing.assert_allclose(model.cluster_centers_, plain_em(X, X[:4], 0.5, 3), atol=1e-10)


def test_stiff_is_hard(blobs: Callable) -> None:
    X, _ = blobs(spread=2.0)
    hard = KMeans(4, init=X[:4], tol=0).fit(X)
    soft = SoftKMeans(4, beta=1e4, init=X[:4], tol=1e-12).fit(X)
    np.testing.assert_allclose(soft.cluster_centers_, hard.cluster_centers_, atol=1e-8)
    assert soft.free_energy_ == pytest.approx(hard.inertia_, rel=1e-6)


@pytest.mark.parametrize("n_columns", [2, 5, 90])
def test_below_the_critical_stiffness_all_merge(n_columns: int, blobs: Callable) -> None:
    X, _ = blobs(500, n_columns, 3, spread=3.0)
    critical = 1 / (2 * np.linalg.eigvalsh(np.cov(X.T, bias=True)).max())
    settings = {"init": X[:3], "tol": 1e-13, "max_iter": 50_000}
    with pytest.warns(ConvergenceWarning, match="below the critical stiffness"):
        below = SoftKMeans(3, beta=0.75 * critical, **settings).fit(X)
    above = SoftKMeans(3, beta=2.5 * critical, **settings).fit(X)
    for model in (below, above):
        assert model.critical_beta_ == pytest.approx(critical, rel=1e-5)
    assert spread(below) < 1e-3
    assert spread(above) > 1


def test_it_is_a_mixture_of_spheres_of_equal_weight(blobs: Callable) -> None:
    """Responsibilities are the posterior of spherical Gaussians with variance 1 / (2 beta)."""
    from scipy.stats import multivariate_normal

    X, _ = blobs(200, 3, 3, spread=1.5)
    model = SoftKMeans(3, beta=0.4, random_state=0).fit(X)
    densities = np.stack(
        [multivariate_normal(c, np.eye(3) / 0.8).pdf(X) for c in model.cluster_centers_], 1
    )
    np.testing.assert_allclose(
        model.predict_proba(X), densities / densities.sum(1, keepdims=True), atol=1e-10
    )
    # And the free energy is the likelihood, up to what does not depend on the centroids.
    likelihood = np.log(densities.mean(1)).sum()
    constant = 200 * (np.log(3) - 1.5 * np.log(0.4 / np.pi))
    assert -0.4 * model.free_energy_ == pytest.approx(likelihood + constant, rel=1e-9)


def test_annealing_needs_no_good_start(blobs: Callable) -> None:
    """From the worst start there is, all centroids at one row's surroundings."""
    X, labels = blobs(400, 2, 4, spread=8.0)
    start = X[labels == 0][:4]
    model = SoftKMeans(4, beta=0.5, init=start, annealing="auto", max_iter=5000).fit(X)
    assert adjusted_rand_score(labels, model.labels_) > 0.95
    plain = SoftKMeans(4, beta=0.5, init=start, max_iter=5000).fit(X)
    assert model.free_energy_ <= plain.free_energy_ + 1e-6
    given = SoftKMeans(4, beta=0.5, init=start, annealing=(0.05, 1.1), max_iter=5000).fit(X)
    assert adjusted_rand_score(labels, given.labels_) > 0.95


def test_auto_takes_the_spread_of_hard_clusters(blobs: Callable) -> None:
    X, _ = blobs(2000, 3, 4, spread=8.0)  # of variance one
    assert SoftKMeans(4, random_state=0, n_init=5).fit(X).beta_ == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize("scale", [1e-3, 1e4])
def test_units_do_not_matter(scale: float, blobs: Callable) -> None:
    X, _ = blobs(spread=1.0)
    model = SoftKMeans(4, beta=0.5, random_state=0).fit(X)
    moved = SoftKMeans(4, beta=0.5 / scale**2, random_state=0).fit(X * scale)
    np.testing.assert_allclose(moved.cluster_centers_, model.cluster_centers_ * scale, rtol=1e-7)
    assert moved.free_energy_ == pytest.approx(model.free_energy_ * scale**2, rel=1e-9)


def test_many_columns_and_far_rows_stay_finite() -> None:
    X = np.random.default_rng(0).normal(size=(60, 500)) * 100
    X[0] *= 1e4
    model = SoftKMeans(3, beta=1.0, random_state=0).fit(X)
    shares = model.predict_proba(X)
    assert np.isfinite(shares).all()
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beta": 0.0}, "beta=0.0"),
        ({"beta": "soft"}, "beta='soft'"),
        ({"annealing": (0.1, 1.0)}, r"annealing\[1\]"),
        ({"annealing": (0.0, 1.5)}, r"annealing\[0\]"),
        ({"annealing": 0.5}, "is no pair"),
        ({"annealing": "slow"}, "annealing='slow'"),
        ({"tol": -1.0}, "tol"),
    ],
)
def test_bad_arguments_are_named(options: dict, message: str) -> None:
    X = np.random.default_rng(0).normal(size=(20, 2))
    with pytest.raises(ValueError, match=message):
        SoftKMeans(3, **options).fit(X)

"""Barycentres of Gaussians: closed forms, least sums, and what POT finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ortho_group
from sklearn.exceptions import ConvergenceWarning

from lowdim.transport import bures_barycenter, bures_squared, gaussian_barycenter


def covariances(K: int, d: int, seed: int = 0, *, rank: int | None = None) -> np.ndarray:
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(K, d, 2 * d if rank is None else rank)) * rng.uniform(
        0.3, 3, (K, d, 1)
    )
    return np.asarray(roots @ roots.swapaxes(-1, -2) / d)


def loss(matrices: np.ndarray, weights: np.ndarray, center: np.ndarray) -> float:
    return float(weights @ bures_squared(matrices, center[None])[:, 0])


@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 10**6))
def test_matrices_that_commute_have_the_square_of_the_mean_root(K: int, d: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    axes = ortho_group.rvs(d, random_state=rng) if d > 1 else np.eye(1)
    variances, weights = rng.uniform(0, 4, size=(K, d)), rng.dirichlet(np.ones(K))
    matrices = (axes * variances[:, None]) @ axes.T
    expected = (weights @ np.sqrt(variances)) ** 2
    np.testing.assert_allclose(bures_barycenter(variances, weights), expected, atol=1e-14)
    np.testing.assert_allclose(
        bures_barycenter(matrices, weights), (axes * expected) @ axes.T, atol=1e-12
    )


@pytest.mark.parametrize("d", [2, 5, 30])
def test_the_mean_map_to_all_matrices_is_the_identity(d: int) -> None:
    matrices, weights = covariances(6, d), np.random.default_rng(1).dirichlet(np.ones(6))
    S = bures_barycenter(matrices, weights)
    # sum_k w_k (S^1/2 A_k S^1/2)^1/2 = S, which only the barycentre fulfils.
    values, vectors = np.linalg.eigh(S)
    root = (vectors * np.sqrt(values)) @ vectors.T
    inner = root @ matrices @ root
    values, vectors = np.linalg.eigh((inner + inner.swapaxes(-1, -2)) / 2)
    roots = (vectors * np.sqrt(values)[:, None]) @ vectors.swapaxes(-1, -2)
    np.testing.assert_allclose(np.tensordot(weights, roots, 1), S, atol=1e-10 * np.abs(S).max())
    best = loss(matrices, weights, S)
    for seed in range(5):
        bent = np.eye(d) + 0.01 * np.random.default_rng(seed).normal(size=(d, d))
        assert loss(matrices, weights, bent @ S @ bent.T) > best


def test_it_is_the_one_of_pot() -> None:
    ot = pytest.importorskip("ot")
    rng = np.random.default_rng(0)
    matrices, means = covariances(5, 6), rng.normal(size=(5, 6))
    weights = rng.dirichlet(np.ones(5))
    mean, S = ot.gaussian.bures_wasserstein_barycenter(
        means, matrices, weights, num_iter=500, eps=1e-13
    )
    found = gaussian_barycenter(means, matrices, weights)
    np.testing.assert_allclose(found[0], np.ravel(mean), rtol=1e-12)
    np.testing.assert_allclose(found[1], S, rtol=1e-8, atol=1e-9)


def test_singular_matrices_have_one_as_well() -> None:
    line = np.diag([4.0, 0.0, 0.0])
    np.testing.assert_allclose(bures_barycenter(np.array([line, line])), line, atol=1e-14)
    matrices = covariances(4, 5, rank=2)
    S = bures_barycenter(matrices, max_iter=5000)
    assert np.isfinite(S).all()
    near = bures_barycenter(matrices + 1e-9 * np.eye(5), max_iter=5000)
    even = np.full(4, 0.25)
    assert loss(matrices, even, S) == pytest.approx(loss(matrices, even, near), rel=1e-3)


def test_units_and_turns_go_through() -> None:
    matrices = covariances(4, 4)
    S = bures_barycenter(matrices)
    turn = ortho_group.rvs(4, random_state=0)
    np.testing.assert_allclose(
        bures_barycenter(1e-8 * turn @ matrices @ turn.T), 1e-8 * turn @ S @ turn.T, rtol=1e-9
    )


def test_what_has_no_barycentre_is_named() -> None:
    for arguments, message in (
        ((np.ones(3),), "covariances have shape"),
        ((np.ones((2, 2)), [1.0]), "weights has shape"),
        ((-np.eye(2)[None],), "no covariance"),
        ((np.ones((2, 3)), [1.0, -1.0]), "weights must be finite"),
    ):
        with pytest.raises(ValueError, match=message):
            bures_barycenter(*arguments)
    with pytest.raises(ValueError, match="means must be finite"):
        gaussian_barycenter(np.ones((2, 2)), covariances(2, 3))
    with pytest.warns(ConvergenceWarning, match="max_iter=1"):
        bures_barycenter(covariances(4, 4), max_iter=1)

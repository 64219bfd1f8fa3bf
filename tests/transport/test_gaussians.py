"""Distances between Gaussians: closed forms, square roots of matrices, singular covariances."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm

from lowdim.transport import bures_squared, gaussian_wasserstein


def covariances(K: int, d: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    scale = rng.uniform(0.1, 3.0, size=(K, d, 1))
    return np.array([np.cov(own) for own in scale * rng.normal(size=(K, d, 3 * d + 2))]).reshape(
        K, d, d
    )


def by_roots(A: np.ndarray, B: np.ndarray) -> float:
    root = sqrtm(A)
    return float(np.trace(A + B) - 2 * np.trace(sqrtm(root @ B @ root)).real)


@pytest.mark.parametrize("d", [1, 2, 3, 7, 20])
def test_squared_distances_are_what_roots_of_matrices_say(d: int) -> None:
    A, B = covariances(3, d), covariances(4, d, seed=1)
    expected = [[by_roots(a, b) for b in B] for a in A]
    np.testing.assert_allclose(bures_squared(A, B), expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(bures_squared(A, B), bures_squared(B, A).T, rtol=1e-11)


def test_diagonal_covariances_need_only_their_entries() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((3, 5)), rng.random((2, 5))
    full = bures_squared(a[:, None] * np.eye(5), b[:, None] * np.eye(5))
    np.testing.assert_allclose(bures_squared(a, b), full, rtol=1e-11)


@pytest.mark.parametrize("rank", [1, 4, 10])
def test_a_covariance_is_at_no_distance_from_itself(rank: int) -> None:
    rng = np.random.default_rng(0)
    root = rng.normal(size=(10, rank)) * np.geomspace(1, 1e-4, rank)
    A = (root @ root.T)[None]
    assert bures_squared(A, A)[0, 0] < 1e-26
    # One percent more is at (sqrt(1.01) - 1)^2 times the trace, without cancellation.
    near = bures_squared(A, 1.0000001 * A)[0, 0]
    assert near == pytest.approx((np.sqrt(1.0000001) - 1) ** 2 * np.trace(A[0]), rel=1e-6)


@pytest.mark.parametrize("d", [3, 10, 30])
@pytest.mark.parametrize("spread", [0.02, 1.0])
def test_small_variances_beside_large_ones_cost_no_accuracy(d: int, spread: float) -> None:
    """Covariances that commute are as far apart as the roots of their eigenvalues."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(d, d)))[0]
    for smallest in (1e-4, 1e-6, 1e-8, 1e-10):
        first = np.geomspace(1, smallest, d)
        second = first * np.exp(spread * rng.normal(size=d))
        found = bures_squared(*(((axes * own) @ axes.T)[None] for own in (first, second)))
        expected = ((np.sqrt(first) - np.sqrt(second)) ** 2).sum()
        assert found[0, 0] == pytest.approx(expected, rel=1e-10)


def test_covariances_in_single_precision_may_be_singular() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(20, 3)) @ rng.normal(size=(3, 10))
    A, B = (np.cov(own.T) for own in (rows, rows * np.linspace(1, 3, 10)))
    found = bures_squared(A.astype(np.float32)[None], B.astype(np.float32)[None])
    np.testing.assert_allclose(found, bures_squared(A[None], B[None]), rtol=1e-3)


def test_units_scale_distances() -> None:
    A, B = covariances(2, 6), covariances(3, 6, seed=1)
    for s in (1e-6, 1e6):
        np.testing.assert_allclose(bures_squared(s * A, s * B), s * bures_squared(A, B), rtol=1e-9)


def test_distances_of_gaussians_on_a_line() -> None:
    found = gaussian_wasserstein([[0.0]], [[[4.0]]], [[3.0], [0.0]], [[[1.0]], [[4.0]]])
    np.testing.assert_allclose(found, [[np.hypot(3.0, 1.0), 0.0]], atol=1e-15)


def test_what_is_no_covariance_is_named() -> None:
    with pytest.raises(ValueError, match="second has a matrix that is no covariance: number 0"):
        bures_squared(np.eye(2)[None], -np.eye(2)[None])
    with pytest.raises(ValueError, match="first has a matrix that is not symmetric: number 1"):
        bures_squared([np.eye(2), [[1.0, 5.0], [0.0, 1.0]]], np.eye(2)[None])
    with pytest.raises(ValueError, match="first has variances that are negative"):
        bures_squared([[-1.0]], [[1.0]])
    with pytest.raises(ValueError, match=r"first has shape \(1, 2\) and second \(1, 3\)"):
        bures_squared(np.ones((1, 2)), np.ones((1, 3)))

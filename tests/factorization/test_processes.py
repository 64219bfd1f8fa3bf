"""Gaussian processes under sites against dense Gaussian formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lowdim.factorization._exact import ExactProcess
from lowdim.factorization._inducing import InducingProcess
from lowdim.factorization._processes import cholesky
from lowdim.kernels import Kernel

N, B = 30, 3


def problem(seed: int = 0) -> tuple[torch.Tensor, Kernel, torch.Tensor, torch.Tensor]:
    """Places, a kernel and the sites of some factors."""
    rng = np.random.default_rng(seed)
    places = torch.from_numpy(rng.normal(size=(N, 2)))
    kernel = Kernel("matern32", torch.tensor([0.8]).double(), torch.tensor(1.3).double())
    l2 = torch.from_numpy(rng.gamma(1.0, 2.0, size=(B, N)) + 1e-4)
    return places, kernel, torch.from_numpy(rng.normal(size=(B, N))) * 3, l2


def dense(K: torch.Tensor, l1: torch.Tensor, l2: torch.Tensor) -> dict[str, np.ndarray]:
    """Posterior, divergence and evidence of every factor from the full covariance."""
    found = [dense_of_one(K.numpy(), *sites) for sites in zip(l1.numpy(), l2.numpy(), strict=True)]
    return {name: np.stack([one[name] for one in found]) for name in found[0]}


def dense_of_one(K: np.ndarray, l1: np.ndarray, l2: np.ndarray) -> dict[str, np.ndarray]:
    precision = np.linalg.inv(K) + np.diag(l2)
    S = np.linalg.inv(precision)
    m = S @ l1
    sign, log_det = np.linalg.slogdet(np.eye(len(K)) + K @ np.diag(l2))
    assert sign > 0
    inverse = np.linalg.inv(K)
    kl = 0.5 * (
        np.trace(inverse @ S) + m @ inverse @ m - len(K)
        + np.linalg.slogdet(K)[1] - np.linalg.slogdet(S)[1]
    )  # fmt: skip
    evidence = 0.5 * l1 @ S @ l1 - 0.5 * log_det
    return {"mean": m, "variance": np.diag(S), "divergence": kl, "evidence": evidence}


def test_the_exact_posterior_is_the_dense_one() -> None:
    places, kernel, l1, l2 = problem()
    process = ExactProcess.of(places, kernel, 1e-3)
    expected = dense(process.covariance, l1, l2)
    got = process.given(l2).posterior(l1)
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(got, name), value, rtol=1e-8, atol=1e-10)


def test_variances_where_sites_say_next_to_nothing() -> None:
    places, kernel, l1, l2 = problem()
    process = ExactProcess.of(places, kernel, 1e-3)
    small = torch.full_like(l2, 1e-5)
    got = process.given(small).posterior(l1 * 1e-5).variance
    np.testing.assert_allclose(got, dense(process.covariance, l1, small)["variance"], rtol=1e-6)


def test_predictions_are_those_of_gaussian_process_regression() -> None:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern

    places, kernel, l1, l2 = problem()
    new = torch.from_numpy(np.random.default_rng(1).normal(size=(9, 2)))
    known = []
    for own, values in zip(1 / l2, l1 / l2, strict=True):
        peer = GaussianProcessRegressor(
            ConstantKernel(1.3**2) * Matern(0.8, nu=1.5), alpha=own.numpy() + 1e-12, optimizer=None
        ).fit(places.numpy(), values.numpy())
        known.append(peer.predict(new.numpy(), return_std=True))
    mean, sd = np.moveaxis(known, 1, 0)
    for process in (
        ExactProcess.of(places, kernel, 1e-12),
        InducingProcess.of(places, places, kernel, 1e-12),
    ):
        got = process.given(l2).predict(new, l1)
        np.testing.assert_allclose(got[0], mean, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(got[1], sd**2, rtol=1e-3, atol=1e-4)


def test_all_places_as_inducing_points_change_nothing() -> None:
    places, kernel, l1, l2 = problem()
    exact = ExactProcess.of(places, kernel, 1e-9).given(l2).posterior(l1)
    whitened = InducingProcess.of(places, places, kernel, 1e-9).given(l2).posterior(l1)
    for name in ("mean", "variance", "divergence", "evidence"):
        np.testing.assert_allclose(
            getattr(whitened, name), getattr(exact, name), rtol=1e-3, atol=1e-3
        )


def test_fewer_inducing_points_give_a_bound_on_the_evidence() -> None:
    places, kernel, l1, l2 = problem()
    exact = ExactProcess.of(places, kernel, 1e-9).given(l2).posterior(l1).evidence
    bounds = [
        InducingProcess.of(places, places[:m], kernel, 1e-9).given(l2).posterior(l1).evidence
        for m in (5, 10, 20, N)
    ]
    assert np.all(np.diff(np.stack(bounds), axis=0) > -1e-6)
    assert (bounds[-1] <= exact + 1e-3).all()


@pytest.mark.parametrize("kind", [ExactProcess, InducingProcess])
def test_projection_inverts_covariance_and_noise(kind: type) -> None:
    places, kernel, _, l2 = problem()
    extra = (places,) if kind is InducingProcess else ()
    process = kind.of(places, *extra, kernel, 1e-6)
    trend = torch.cat([torch.ones(N, 1), places], 1)
    K = kernel(places, places)
    expected = np.linalg.solve((K + torch.diag_embed(1 / l2)).numpy(), trend.numpy())
    np.testing.assert_allclose(process.given(l2).project(trend), expected, rtol=1e-3, atol=1e-4)


def test_a_matrix_beyond_rounding_is_an_error() -> None:
    with pytest.raises(ValueError, match="not positive definite"):
        cholesky(torch.diag(torch.tensor([1.0, -1.0]).double()))
    singular = torch.ones(3, 3).double()
    factor, jitter = cholesky(singular)
    np.testing.assert_allclose(factor @ factor.T, singular, atol=1e-11)
    assert 0 < jitter < 1e-10


def test_of_several_matrices_only_those_grow_that_must() -> None:
    rng = np.random.default_rng(0)
    root = torch.from_numpy(rng.normal(size=(4, 4)))
    good, flat = root @ root.T, torch.ones(4, 4).double()
    slightly = torch.diag(torch.tensor([1.0, 1.0, 2.0, -1e-7]).double())  # as 1e-7 of its mean is
    both, jitter = cholesky(torch.stack([good, flat, slightly]))
    assert jitter == pytest.approx(1e-6)
    torch.testing.assert_close(both[0], torch.linalg.cholesky(good), rtol=0, atol=0)
    np.testing.assert_allclose(both[1] @ both[1].T, flat, atol=1e-11)
    np.testing.assert_allclose((both[2] @ both[2].T).diagonal() - slightly.diagonal(), 1e-6)
    with pytest.raises(ValueError, match="not positive definite"):
        cholesky(torch.stack([good, good * float("nan")]))

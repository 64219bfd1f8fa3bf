"""Losses over all pairs of points and their gradients, against autograd in float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.base import clone

from lowdim.embedding import (
    NormalizedGaussianAffinity,
    NormalizedHyperbolicAffinity,
    NormalizedKernelAffinity,
    NormalizedStudentAffinity,
    OutputAffinity,
)
from lowdim.embedding._crew import Crew
from lowdim.embedding._pairs import forces as compiled_forces
from lowdim.embedding._pairs import torch_forces
from lowdim.embedding._pairs.forces import PairForces
from lowdim.embedding._pairs.torch_forces import BlockForces

KERNELS = [
    NormalizedStudentAffinity(),
    NormalizedStudentAffinity(0.6),
    NormalizedGaussianAffinity(1.3),
    NormalizedHyperbolicAffinity(0.7),
]
NORMALIZATIONS = ("all", "rows", "sinkhorn")


@pytest.fixture(scope="module")
def crew():
    with Crew(2) as crew:
        yield crew


@pytest.fixture(autouse=True)
def thorough(monkeypatch) -> None:
    """Rows and columns are scaled until they are right, in every step."""
    for module in (compiled_forces, torch_forces):
        monkeypatch.setattr(module, "TOL", 1e-5)
        monkeypatch.setattr(module, "STEPS", 100)
        monkeypatch.setattr(module, "FIRST", 200)


def places(n: int, d: int, affinity: OutputAffinity) -> np.ndarray:
    rng = np.random.default_rng(d)
    Y = 1.5 * rng.normal(size=(n, d))
    if affinity.in_ball:
        Y *= rng.uniform(0.05, 0.95, size=(n, 1)) / np.linalg.norm(Y, axis=1, keepdims=True)
    return Y.astype(np.float32).astype(np.float64)


def by_autograd(
    P: sp.csr_matrix, affinity: OutputAffinity, Y: np.ndarray, weight: float
) -> tuple[float, np.ndarray]:
    """The loss under a weight of one, and the gradient under another."""
    n = len(Y)
    Z = torch.tensor(Y, requires_grad=True)
    p = torch.tensor(P.toarray(), dtype=torch.float64)
    own = torch.eye(n, dtype=torch.bool)
    logs = affinity.log_kernel(Z[:, None], Z[None])
    pull = -(p * logs.masked_fill(own, 0.0)).sum()
    logs = logs.masked_fill(own, -torch.inf)
    if affinity.normalization == "all":
        push = torch.logsumexp(logs.flatten(), 0)
    elif affinity.normalization == "rows":
        push = torch.logsumexp(logs, 1).mean() + np.log(n)
    else:
        f = torch.zeros(n, dtype=torch.float64)
        for _ in range(200):
            f = 0.5 * (f - np.log(n) - torch.logsumexp(f + logs, 1))
        push = -2 * f.mean()
    (gradient,) = torch.autograd.grad(weight * pull + push, Z)
    entropy = (p[p > 0] * p[p > 0].log()).sum()
    return float((entropy + pull + push).detach()), gradient.numpy()


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
@pytest.mark.parametrize("d", [2, 3])
def test_gradients_are_those_of_autograd(affinities, crew, kernel, normalization, d) -> None:
    affinity = clone(kernel).set_params(normalization=normalization)
    Y = places(120, d, affinity)
    loss, gradient = by_autograd(affinities, affinity, Y, 3.0)
    largest = np.abs(gradient).max()
    forces = PairForces(affinities, affinity, crew)
    assert np.abs(forces.gradient(Y, 3.0) - gradient).max() < 2e-4 * largest
    assert forces.loss(Y) == pytest.approx(loss, rel=1e-4, abs=1e-5)
    if d == 2:
        device = torch.device("cpu")
        blocks = BlockForces(affinities, affinity, crew, device, torch.float64)
        assert np.abs(blocks.gradient(Y, 3.0) - gradient).max() < 2e-4 * largest
        assert blocks.loss(Y) == pytest.approx(loss, rel=1e-6)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_gradients_are_finite_differences_of_the_loss(affinities, crew, normalization) -> None:
    affinity = NormalizedHyperbolicAffinity(1.1, normalization=normalization)
    Y = places(120, 2, affinity)
    forces = BlockForces(affinities, affinity, crew, torch.device("cpu"), torch.float64)
    gradient = forces.gradient(Y, 1.0)
    for i, a in ((0, 0), (7, 1), (50, 0)):
        moved = [Y.copy(), Y.copy()]
        moved[0][i, a] += 1e-5
        moved[1][i, a] -= 1e-5
        slope = (forces.loss(moved[0]) - forces.loss(moved[1])) / 2e-5
        assert gradient[i, a] == pytest.approx(slope, rel=1e-3, abs=1e-7)


def test_dense_affinities_have_the_same_forces(crew, monkeypatch) -> None:
    rng = np.random.default_rng(0)
    P = rng.random((60, 60)).astype(np.float32)
    P += P.T
    np.fill_diagonal(P, 0)
    P = sp.csr_matrix(P / P.sum())
    for affinity in KERNELS:
        Y = places(60, 2, affinity)
        dense = PairForces(P, affinity, crew).gradient(Y, 2.0)
        with monkeypatch.context() as patch:
            patch.setattr(compiled_forces, "DENSE", 2.0)
            sparse = PairForces(P, affinity, crew).gradient(Y, 2.0)
        np.testing.assert_allclose(dense, sparse, atol=2e-5 * np.abs(dense).max())


def test_points_far_apart_keep_a_gradient(crew, affinities) -> None:
    Y = 40.0 * np.random.default_rng(0).normal(size=(120, 2))
    affinity = NormalizedGaussianAffinity(1.0, normalization="rows")
    loss, gradient = by_autograd(affinities, affinity, Y, 1.0)
    forces = PairForces(affinities, affinity, crew)
    np.testing.assert_allclose(forces.gradient(Y, 1.0), gradient, rtol=1e-3, atol=1e-5)
    assert forces.loss(Y) == pytest.approx(loss, rel=1e-5)


def test_scaled_affinities_have_the_same_sum_in_all_rows(crew, affinities) -> None:
    affinity = NormalizedStudentAffinity(normalization="sinkhorn")
    Y = places(120, 2, affinity)
    f = PairForces(affinities, affinity, crew).potentials(Y)
    squares = ((Y[:, None] - Y[None]) ** 2).sum(-1)
    Q = np.exp(f[:, None] + f) / (1 + squares)
    np.fill_diagonal(Q, 0)
    np.testing.assert_allclose(Q.sum(1), 1 / 120, rtol=1e-4)


@pytest.mark.parametrize("forces", [PairForces, BlockForces])
def test_threads_and_blocks_change_no_bit(affinities, forces: Callable, monkeypatch) -> None:
    Y = places(120, 2, KERNELS[0])
    device = () if forces is PairForces else (torch.device("cpu"),)
    found = []
    for n_jobs in (1, 2, 5):
        with Crew(n_jobs) as crew:
            own = forces(affinities, NormalizedGaussianAffinity(), crew, *device)
            found.append(own.gradient(Y, 1.0))
    assert all(np.array_equal(found[0], other) for other in found[1:])
    monkeypatch.setattr(torch_forces, "PAIRS", 300)
    with Crew(1) as crew:
        small = forces(affinities, NormalizedGaussianAffinity(), crew, *device).gradient(Y, 1.0)
    np.testing.assert_allclose(small, found[0], rtol=1e-4, atol=1e-7)


def test_a_function_of_tensors_is_a_kernel(affinities, crew) -> None:
    student = NormalizedStudentAffinity(normalization="rows")
    given = NormalizedKernelAffinity(student.log_kernel, normalization="rows")
    Y = places(120, 3, student)
    compiled = PairForces(affinities, student, crew)
    blocks = BlockForces(affinities, given, crew, torch.device("cpu"))
    np.testing.assert_allclose(blocks.gradient(Y, 1.0), compiled.gradient(Y, 1.0), atol=1e-6)
    assert blocks.loss(Y) == pytest.approx(compiled.loss(Y), rel=1e-5)
    with pytest.raises(TypeError, match="no compiled kernel"):
        PairForces(affinities, given, crew)

"""Processes in Hilbert space against dense formulas, and against exact processes in the limit."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from lowdim.factorization import _hilbert, _tables
from lowdim.factorization._exact import ExactProcess
from lowdim.factorization._hilbert import Box, Functions, HilbertProcess
from lowdim.factorization._inducing import InducingProcess
from lowdim.kernels import Kernel

N, B = 40, 3
SCALES = (0.8, 1.4, 1.1)
AXES = (1, 2, 3)


def kernel_of(name: str, n_axes: int) -> Kernel:
    scale = torch.tensor(SCALES[:n_axes]).double()
    return Kernel(name, scale, torch.tensor(1.3).double())


def problem(n_axes: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Places and the sites of some factors."""
    rng = np.random.default_rng(n_axes)
    places = rng.uniform(-1, 1, size=(N, n_axes)) * np.arange(1, n_axes + 1) + 5
    l1, l2 = rng.normal(size=(B, N)) * 3, rng.gamma(1.0, 2.0, size=(B, N)) + 1e-4
    return torch.from_numpy(places), torch.from_numpy(l1), torch.from_numpy(l2)


def dense_basis(functions: Functions, places: torch.Tensor) -> torch.Tensor:
    """Phi, written out function by function."""
    box = functions.box
    columns = []
    for numbers in product(*(range(1, m + 1) for m in box.counts)):
        column = torch.ones(len(places)).double()
        for k, j in enumerate(numbers):
            b = box.half[k]
            frequency = np.pi * j / (2 * b)
            column = column * torch.sin(frequency * (places[:, k] - box.centre[k] + b)) / b.sqrt()
        columns.append(column)
    return torch.stack(columns, 1) * functions.root


@pytest.mark.parametrize("n_axes", AXES)
def test_sums_along_the_axes_are_those_of_the_dense_basis(n_axes: int) -> None:
    places, l1, l2 = problem(n_axes)
    own = HilbertProcess.of(places, kernel_of("matern32", n_axes), 1e-3, 60)
    functions, tables = own.functions, own.tables
    basis = dense_basis(functions, places)
    rng = np.random.default_rng(0)
    M = basis.shape[1]
    root = torch.from_numpy(rng.normal(size=(B, M, M)))
    columns = torch.from_numpy(rng.normal(size=(M, 2)))
    sites = torch.cat([l1, l2]).T
    for got, expected in (
        (functions.gram(tables, l2), basis.T @ (l2[..., None] * basis)),
        (functions.variances(tables, root @ root.mT), (basis @ root).square().sum(2)),
        (functions.prior_variances(tables), basis.square().sum(1)),
        (functions.pulled(tables, sites), basis.T @ sites),
        (functions.pushed(tables, columns), basis @ columns),
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("n_axes", AXES)
def test_everything_is_as_with_the_dense_basis(n_axes: int) -> None:
    """`InducingProcess` has the same formulas for any basis."""
    places, l1, l2 = problem(n_axes)
    kernel = kernel_of("matern52", n_axes)
    own = HilbertProcess.of(places, kernel, 1e-3, 80)
    basis = dense_basis(own.functions, places)
    M = basis.shape[1]
    peer = InducingProcess(torch.empty(M, n_axes), kernel, 1e-3, torch.eye(M), basis, own.rest)
    rest = kernel.variance + 1e-3 - basis.square().sum(1)
    np.testing.assert_allclose(own.rest, rest.clamp(min=1e-10), rtol=1e-9)
    got, expected = own.given(l2), peer.given(l2)
    one, other = got.posterior(l1), expected.posterior(l1)
    for name in ("mean", "variance", "divergence", "evidence"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-9)
    np.testing.assert_allclose(got.project(places), expected.project(places), rtol=1e-8)
    mean, variance = got.predict(places[:7], l1)
    np.testing.assert_allclose(mean, one.mean[:, :7], rtol=1e-9)
    np.testing.assert_allclose(variance, one.variance[:, :7], rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "n_axes", "n_functions", "tolerance"),
    [
        ("rbf", 1, 200, 1e-6),
        ("rbf", 2, 1200, 1e-5),
        ("rbf", 3, 1700, 3e-2),
        ("matern52", 1, 1000, 1e-5),
        ("matern32", 1, 2000, 1e-2),
        ("matern52", 2, 1500, 3e-2),
    ],
)
def test_many_functions_and_a_wide_box_give_the_exact_process(
    name: str, n_axes: int, n_functions: int, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_hilbert, "HIGHEST", 1e4)
    monkeypatch.setattr(_hilbert, "MARGIN", 3.0 if name == "rbf" and n_axes > 1 else 6.0)
    places, l1, l2 = problem(n_axes)
    kernel = kernel_of(name, n_axes)
    got = HilbertProcess.of(places, kernel, 1e-9, n_functions).given(l2)
    expected = ExactProcess.of(places, kernel, 1e-9).given(l2)
    one, other = got.posterior(l1), expected.posterior(l1)
    for attribute in ("mean", "variance", "divergence", "evidence"):
        np.testing.assert_allclose(
            getattr(one, attribute), getattr(other, attribute), rtol=tolerance, atol=tolerance
        )
    new = places.flip(0)[:9] + 0.05
    for a, b in zip(got.predict(new, l1), expected.predict(new, l1), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    a, b = got.project(places), expected.project(places)
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def test_more_functions_raise_the_evidence_up_to_the_exact_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_hilbert, "HIGHEST", 1e4)
    places, l1, l2 = problem(2)
    kernel = kernel_of("matern32", 2)
    evidence = [
        HilbertProcess.of(places, kernel, 1e-9, m).given(l2).posterior(l1).evidence
        for m in (30, 100, 300, 900)
    ]
    assert np.all(np.diff(np.stack(evidence), axis=0) > 0)
    exact = ExactProcess.of(places, kernel, 1e-9).given(l2).posterior(l1).evidence
    assert ((exact - 1 < evidence[-1]) & (evidence[-1] < exact)).all()


@pytest.mark.parametrize("n_axes", AXES)
def test_chunks_do_not_matter(n_axes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    places, l1, l2 = problem(n_axes)
    process = HilbertProcess.of(places, kernel_of("matern32", n_axes), 1e-3, 100)
    whole = process.given(l2).posterior(l1)
    projected = process.given(l2).project(places)
    monkeypatch.setattr(_tables, "CHUNK_VALUES", 300)
    parts = process.given(l2).posterior(l1)
    for name in ("mean", "variance", "divergence", "evidence"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-10)
    np.testing.assert_allclose(process.given(l2).project(places), projected, rtol=1e-10)


def test_units_of_an_axis_do_not_matter() -> None:
    places, l1, l2 = problem(3)
    stretch = torch.tensor([1.0, 7.0, 0.1]).double()
    kernel = kernel_of("matern32", 3)
    other = Kernel("matern32", kernel.length_scale * stretch, kernel.amplitude)
    one = HilbertProcess.of(places, kernel, 1e-3, 200).given(l2).posterior(l1)
    same = HilbertProcess.of(places * stretch, other, 1e-3, 200).given(l2).posterior(l1)
    np.testing.assert_allclose(same.mean, one.mean, rtol=1e-9)
    np.testing.assert_allclose(same.variance, one.variance, rtol=1e-9)


def test_far_places_have_the_prior() -> None:
    places, l1, l2 = problem(2)
    process = HilbertProcess.of(places, kernel_of("matern32", 2), 1e-3)
    far = torch.tensor([[1e6, 5.0], [5.0, -30.0], [-1e3, 1e3]]).double()
    mean, variance = process.given(l2).predict(far, l1)
    np.testing.assert_array_equal(mean, 0.0)
    np.testing.assert_allclose(variance, 1.3**2 + 1e-3)


def test_functions_follow_the_box_and_its_length_scales() -> None:
    places = torch.tensor([[0.0, 0.0], [4.0, 1.0]]).double()
    kernel = Kernel("matern32", torch.tensor([0.1]).double(), torch.tensor(1.0).double())
    box = Box.around(places, kernel, 10_000)
    long, short = box.counts
    assert long > 2 * short
    highest = box.frequencies().amax(0) * 0.1
    np.testing.assert_allclose(highest, _hilbert.HIGHEST, rtol=0.05)
    few = Box.around(places, kernel, 50)
    assert np.prod(few.counts) <= 50
    np.testing.assert_allclose(few.half, box.half)


def test_another_nugget() -> None:
    places, l1, l2 = problem(2)
    kernel = kernel_of("matern32", 2)
    one = HilbertProcess.of(places, kernel, 1e-3).with_nugget(0.2).given(l2)
    other = HilbertProcess.of(places, kernel, 0.2).given(l2)
    np.testing.assert_allclose(one.posterior(l1).variance, other.posterior(l1).variance)
    np.testing.assert_allclose(one.predict(places, l1)[1], other.predict(places, l1)[1])

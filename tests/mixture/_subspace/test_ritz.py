"""Eigenpairs within a sketch: the compiled way, the accelerator's way, and the whole matrix."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lowdim.mixture._subspace.maximize import _device_ritz
from lowdim.mixture._subspace.ritz import rayleigh_ritz


def problem(
    n_components: int, width: int, n_columns: int, *, rank: int | None = None, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Sketches, counts, means and sums r (W x) x' of weighted rows, and the covariances."""
    rng = np.random.default_rng(seed)
    shape = (n_components, 60, n_columns)
    rows = rng.normal(size=shape) * 0.9 ** np.arange(n_columns) + rng.normal(size=n_columns)
    if rank is not None:
        rows[..., rank:] = 0.0
    weights = rng.uniform(0, 1, (n_components, 60))
    sketch = np.linalg.qr(rng.normal(size=(n_components, n_columns, width)))[0].swapaxes(-1, -2)
    counts = weights.sum(1)
    means = np.einsum("cn,cnd->cd", weights, rows) / counts[:, None]
    whole = np.einsum("cn,cni,cnj->cij", weights, rows, rows)
    return np.ascontiguousarray(sketch), counts, means, whole


def solve(
    sketch: np.ndarray, counts: np.ndarray, means: np.ndarray, whole: np.ndarray, q: int
) -> tuple[np.ndarray, np.ndarray]:
    values, turned = np.empty((len(sketch), q)), np.empty(sketch.shape)
    rayleigh_ritz(sketch, counts, means, sketch @ whole, values, turned)
    return values, turned


@pytest.mark.parametrize(("width", "q"), [(2, 1), (6, 3), (12, 6), (16, 8), (30, 15)])
def test_the_compiled_way_is_the_accelerators(width: int, q: int) -> None:
    sketch, counts, means, whole = problem(4, width, 200)
    values, turned = solve(sketch, counts, means, whole, q)
    parts = (sketch, counts, means, sketch @ whole)
    other, next_sketch = _device_ritz(*(torch.from_numpy(part) for part in parts), q)
    np.testing.assert_allclose(values, other, rtol=1e-10)
    for j in (q, width):  # the axes' span, and that of the whole sketch
        own, its = turned[:, :j], next_sketch[:, :j].numpy()
        np.testing.assert_allclose(own.swapaxes(1, 2) @ own, its.swapaxes(1, 2) @ its, atol=1e-8)


def test_they_are_the_eigenpairs_within_the_span() -> None:
    sketch, counts, means, whole = problem(3, 8, 100)
    values, turned = solve(sketch, counts, means, whole, 4)
    covariance = whole / counts[:, None, None] - means[:, :, None] * means[:, None]
    within = np.linalg.eigvalsh(sketch @ covariance @ sketch.swapaxes(1, 2))[:, ::-1]
    np.testing.assert_allclose(values, within[:, :4], rtol=1e-10)
    axes = turned[:, :4]
    along = axes @ covariance @ axes.swapaxes(1, 2)
    np.testing.assert_allclose(along, values[..., None] * np.eye(4), atol=1e-10 * values.max())


def test_repeating_it_finds_the_leading_eigenpairs_and_never_loses_any() -> None:
    sketch, counts, means, whole = problem(2, 8, 100)
    covariance = whole / counts[:, None, None] - means[:, :, None] * means[:, None]
    before = np.zeros((2, 4))
    for _ in range(60):
        values, sketch = solve(sketch, counts, means, whole, 4)
        assert (values.sum(1) >= before.sum(1) * (1 - 1e-12)).all()
        before = values
    np.testing.assert_allclose(values, np.linalg.eigvalsh(covariance)[:, :-5:-1], rtol=1e-8)


@pytest.mark.parametrize("rank", [0, 1, 3, 9])
def test_rows_in_a_thin_flat_still_give_a_whole_sketch(rank: int) -> None:
    sketch, counts, means, whole = problem(2, 12, 100, rank=rank)
    for _ in range(12):
        values, sketch = solve(sketch, counts, means, whole, 6)
        gram = sketch @ sketch.swapaxes(1, 2)
        np.testing.assert_allclose(gram, np.broadcast_to(np.eye(12), gram.shape), atol=1e-10)
    covariance = whole / counts[:, None, None] - means[:, :, None] * means[:, None]
    exact = np.linalg.eigvalsh(covariance)[:, :-7:-1]
    np.testing.assert_allclose(values, exact, rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("width", [6, 20])
def test_a_broken_component_leaves_the_others_alone(width: int) -> None:
    sketch, counts, means, whole = problem(3, width, 90)
    q = width // 2
    sound, next_sketch = solve(sketch, counts, means, whole, q)
    whole[1, 0, 0] = np.nan
    values, turned = solve(sketch, counts, means, whole, q)
    assert np.isnan(values[1]).all()
    for c in (0, 2):
        np.testing.assert_array_equal(values[c], sound[c])
        np.testing.assert_array_equal(turned[c], next_sketch[c])


def test_a_sketch_may_hold_fewer_axes_than_its_room() -> None:
    """Held components: what lies beyond their axes is zero, and what is found there is not used."""
    sketch, counts, means, whole = problem(2, 8, 100)
    sound, next_sketch = solve(sketch, counts, means, whole, 4)
    sketch[1, 2:] = 0.0
    values, turned = solve(sketch, counts, means, whole, 4)
    np.testing.assert_array_equal(values[0], sound[0])
    np.testing.assert_array_equal(turned[0], next_sketch[0])
    covariance = whole[1] / counts[1] - np.outer(means[1], means[1])
    within = np.linalg.eigvalsh(sketch[1, :2] @ covariance @ sketch[1, :2].T)[::-1]
    np.testing.assert_allclose(values[1], [*within, 0, 0], rtol=1e-10, atol=1e-12)


def test_a_sketch_of_all_columns_gives_all_eigenpairs() -> None:
    sketch, counts, means, whole = problem(2, 66, 66)
    values, turned = solve(sketch, counts, means, whole, 44)
    covariance = whole / counts[:, None, None] - means[:, :, None] * means[:, None]
    exact = np.linalg.eigvalsh(covariance)[:, :-45:-1]
    np.testing.assert_allclose(values, exact, rtol=1e-9, atol=1e-12)
    gram = turned @ turned.swapaxes(1, 2)
    np.testing.assert_allclose(gram, np.broadcast_to(np.eye(66), gram.shape), atol=1e-9)

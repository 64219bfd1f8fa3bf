"""Batched linear algebra against NumPy, one matrix at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lowdim.math.linalg import (
    descending_eigh,
    leading_eigh,
    orthonormal_rows,
    procrustes_align,
)
from lowdim.math.small import gram_schmidt, orthonormalise


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def symmetric(*shape: int) -> torch.Tensor:
    matrix = random(*shape)
    return matrix + matrix.mT


def eye_like(matrix: torch.Tensor) -> torch.Tensor:
    return torch.eye(matrix.shape[-1]).double().expand_as(matrix)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_eigenvectors_are_rows_in_descending_order(n: int) -> None:
    matrix = symmetric(3, 2, n, n)
    values, vectors = descending_eigh(matrix)
    assert (values.diff(dim=-1) <= 0).all()
    torch.testing.assert_close(vectors @ vectors.mT, eye_like(matrix))
    rebuilt = vectors.mT @ torch.diag_embed(values) @ vectors
    torch.testing.assert_close(rebuilt, matrix)
    smudged = matrix + 1e-12 * torch.triu(random(n, n), diagonal=1)  # rounding does no harm
    torch.testing.assert_close(descending_eigh(smudged)[0], values)


@given(width=st.integers(1, 5), extra=st.integers(0, 4), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=40)
def test_leading_rows_span_what_they_spanned(width: int, extra: int, seed: int) -> None:
    rows = random(2, width, width + extra, seed=seed)
    basis = orthonormal_rows(rows)
    torch.testing.assert_close(basis @ basis.mT, eye_like(basis @ basis.mT))
    for j in range(1, width + 1):
        within = rows[:, :j] @ basis[:, :j].mT @ basis[:, :j]
        torch.testing.assert_close(within, rows[:, :j], atol=1e-7, rtol=1e-7)


def test_dependent_rows_are_replaced() -> None:
    row = random(1, 6)
    for rows in (torch.cat([row, row, 2 * row]), torch.zeros((3, 6)).double()):
        basis = orthonormal_rows(rows)
        torch.testing.assert_close(basis @ basis.T, torch.eye(3).double())


# Few columns take Jacobi rotations, many LAPACK's leading pairs, those between all pairs.
@pytest.mark.parametrize(
    ("n", "q"), [(1, 1), (2, 1), (5, 5), (8, 3), (9, 2), (15, 15), (16, 2), (40, 5), (40, 30)]
)
def test_leading_eigenpairs(n: int, q: int) -> None:
    matrices = symmetric(2, 3, n, n).numpy()
    kept = matrices.copy()
    values, vectors = leading_eigh(matrices, q)
    np.testing.assert_array_equal(matrices, kept)
    assert values.shape == (2, 3, q)
    assert vectors.shape == (2, 3, q, n)
    every = np.linalg.eigvalsh(matrices)[..., ::-1]
    np.testing.assert_allclose(values, every[..., :q], atol=1e-12 * n)
    images = vectors @ matrices
    np.testing.assert_allclose(images, values[..., None] * vectors, atol=1e-12 * n)
    gram = vectors @ vectors.swapaxes(-1, -2)
    np.testing.assert_allclose(gram, np.broadcast_to(np.eye(q), gram.shape), atol=1e-13 * n)


@pytest.mark.parametrize("n", [3, 12, 30])
def test_a_broken_matrix_leaves_the_others_alone(n: int) -> None:
    matrices = np.stack([np.diag(np.arange(1.0, n + 1)), np.full((n, n), np.nan), np.zeros((n, n))])
    values, vectors = leading_eigh(matrices, 2)
    np.testing.assert_allclose(values[0], [n, n - 1])
    assert np.isnan(values[1]).all()
    assert np.isnan(vectors[1]).all()
    np.testing.assert_allclose(values[2], 0.0)


@pytest.mark.parametrize("scale", [1e-150, 1.0, 1e150])
def test_small_eigenpairs_at_any_scale_and_with_ties(scale: float) -> None:
    turn = np.linalg.qr(random(4, 4).numpy())[0]
    matrix = scale * turn @ np.diag([5.0, 5.0, 5.0, 1.0]) @ turn.T
    values, vectors = leading_eigh((matrix + matrix.T)[None] / 2, 4)
    np.testing.assert_allclose(values[0] / scale, [5, 5, 5, 1], rtol=1e-13)
    np.testing.assert_allclose(np.abs(vectors[0, 3]), np.abs(turn[:, 3]), atol=1e-13)


def test_rows_made_orthonormal_in_place() -> None:
    spare = np.linalg.qr(random(2, 3, 6, 4).numpy())[0].swapaxes(-1, -2).copy()
    rows = random(2, 3, 4, 6, seed=1).numpy()
    rows[0, 0, 2] = 2 * rows[0, 0, 0] - rows[0, 0, 1]  # within the span of those above
    rows[1, 1] = 0.0
    rows[1, 2, 1] = 1e-9 * rows[1, 2, 1] + rows[1, 2, 0]  # nearly so
    before = rows.copy()
    orthonormalise(rows, spare)
    gram = rows @ rows.swapaxes(-1, -2)
    np.testing.assert_allclose(gram, np.broadcast_to(np.eye(4), gram.shape), atol=1e-13)
    span = rows[0, 1].T @ rows[0, 1]
    np.testing.assert_allclose(before[0, 1] @ span, before[0, 1], atol=1e-13)
    first = before[0, :, 0] / np.linalg.norm(before[0, :, 0], axis=-1, keepdims=True)
    np.testing.assert_allclose(rows[0, :, 0], first, atol=1e-14)


def test_rows_that_nothing_can_stand_in_for_become_zero() -> None:
    rows = np.zeros((4, 9))
    rows[0, :3] = [3.0, 4.0, 0.0]
    spare = np.eye(9)[:1].copy()
    gram_schmidt(rows, spare)
    np.testing.assert_allclose(rows[:2, :3], [[0.6, 0.8, 0.0], [0.8, -0.6, 0.0]], atol=1e-15)
    np.testing.assert_array_equal(rows[2:], 0.0)


@pytest.mark.parametrize(("m", "n_columns"), [(1, 3), (2, 5), (4, 4)])
def test_alignment_rotates_onto_the_reference(m: int, n_columns: int) -> None:
    reference = random(3, m, n_columns).numpy()
    turn = np.linalg.qr(random(3, m, m, seed=1).numpy())[0]
    np.testing.assert_allclose(procrustes_align(turn @ reference, reference), reference)
    # Whatever the rows, no other rotation of them (here: none) lies closer.
    rows = random(3, m, n_columns, seed=2).numpy()
    aligned = procrustes_align(rows, reference)
    gram = rows.swapaxes(-1, -2) @ rows
    np.testing.assert_allclose(aligned.swapaxes(-1, -2) @ aligned, gram, atol=1e-12)
    own, before = (np.square(x - reference).sum((1, 2)) for x in (aligned, rows))
    assert (own <= before).all()


def rotated(values: np.ndarray, seed: int = 0) -> np.ndarray:
    """A symmetric matrix with these eigenvalues."""
    n = len(values)
    axes = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))[0]
    return (axes * values) @ axes.T


@pytest.mark.parametrize("n", [7, 13, 50, 100])
@pytest.mark.parametrize("scale", [1.0, 1e-200, 1e200, 0.0])
@pytest.mark.parametrize(
    "kind", ["equal", "nearly equal", "diagonal", "blocks", "low rank", "Wilkinson", "negative"]
)
def test_leading_eigenpairs_of_awkward_matrices(kind: str, scale: float, n: int) -> None:
    ones = np.ones(n - 3)
    matrix = {
        "equal": lambda: rotated(np.r_[5.0, 5.0, 5.0, ones]),
        "nearly equal": lambda: rotated(np.r_[5.0, 5.0 + 1e-13, 5.0 - 1e-9, ones]),
        "diagonal": lambda: np.diag(np.arange(n, dtype=float)),
        "blocks": lambda: np.kron(np.eye(2, dtype=float), rotated(np.arange(n, dtype=float)))[
            :n, :n
        ],
        "low rank": lambda: rotated(np.r_[2.0, 1.0, 1.0, 0 * ones]),
        "Wilkinson": lambda: (
            np.diag(np.abs(np.arange(n) - n // 2).astype(float)) + np.eye(n, k=1) + np.eye(n, k=-1)
        ),
        "negative": lambda: rotated(-np.arange(1.0, n + 1)),
    }[kind]()
    values, vectors = leading_eigh(scale * matrix[None], 3)
    size = np.abs(matrix).max() * scale
    every = np.linalg.eigvalsh(scale * matrix)[::-1][:3]
    np.testing.assert_allclose(values[0], every, atol=1e-13 * n * size)
    np.testing.assert_allclose(vectors[0] @ vectors[0].T, np.eye(3), atol=1e-12)
    residual = vectors[0] @ matrix - (values[0] / (scale or 1.0))[:, None] * vectors[0]
    if scale == 1.0:  # elsewhere LAPACK's own
        np.testing.assert_allclose(residual, 0, atol=1e-12 * n * size)


def test_one_matrix_that_is_not_finite_does_not_harm_the_others() -> None:
    matrices = np.stack([rotated(np.arange(20.0)), np.full((20, 20), np.nan)])
    values, vectors = leading_eigh(matrices, 2)
    np.testing.assert_allclose(values[0], [19, 18])
    assert np.isnan(values[1]).all()
    assert np.isnan(vectors[1]).all()

"""Batched linear algebra against NumPy, one matrix at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lowdim.math.linalg import (
    descending_eigh,
    orthonormal_rows,
    packed_to_symmetric,
    procrustes_align,
)


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


@pytest.mark.parametrize("n", [1, 3, 8])
def test_packed_triangles_unfold(n: int) -> None:
    whole = symmetric(4, n, n)
    i, j = np.triu_indices(n)
    assert torch.equal(packed_to_symmetric(whole[:, i, j], n), whole)


@pytest.mark.parametrize(("m", "n_columns"), [(1, 3), (2, 5), (4, 4)])
def test_alignment_rotates_onto_the_reference(m: int, n_columns: int) -> None:
    reference = random(3, m, n_columns)
    turn = torch.linalg.qr(random(3, m, m, seed=1)).Q
    torch.testing.assert_close(procrustes_align(turn @ reference, reference), reference)
    # Whatever the rows, no other rotation of them (here: none) lies closer.
    rows = random(3, m, n_columns, seed=2)
    aligned = procrustes_align(rows, reference)
    torch.testing.assert_close(aligned.mT @ aligned, rows.mT @ rows)
    assert ((aligned - reference).norm(dim=(1, 2)) <= (rows - reference).norm(dim=(1, 2))).all()

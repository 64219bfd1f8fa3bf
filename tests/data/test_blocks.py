"""Standardised blocks: the same products for dense and sparse rows, and nothing made dense."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lowdim.data import as_rows
from lowdim.data.blocks import Block
from lowdim.data.standardized import StandardizedRows

CPU = torch.device("cpu")


def some_rows(n: int = 50, n_columns: int = 6, seed: int = 0) -> np.ndarray:
    """Rows off the origin, of which half the values are zero."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random((n, n_columns)) < 0.5, 0, rng.normal(3, 2, (n, n_columns)))


def standardized(
    X: object, dtype: torch.dtype = torch.float64, **options: object
) -> StandardizedRows:
    return StandardizedRows(as_rows(X), device=CPU, dtype=dtype, **options)


def only_block(rows: StandardizedRows) -> Block:
    (block,) = list(rows)
    return block


# Units --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix, sp.csc_matrix])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("block_rows", [None, 50, 7])
def test_units_are_the_weighted_mean_and_one_scale(
    form: type, weighted: bool, block_rows: int | None
) -> None:
    X = some_rows()
    weight = np.random.default_rng(1).uniform(0, 2, 50) if weighted else None
    rows = standardized(form(X), sample_weight=weight, block_rows=block_rows)
    mean = np.average(X, axis=0, weights=weight)
    variance = np.average(np.square(X - mean), axis=0, weights=weight)
    np.testing.assert_allclose(rows.mean, mean, rtol=1e-12)
    assert rows.scale == pytest.approx(np.sqrt(variance.mean()), rel=1e-12)
    assert rows.total_weight == pytest.approx(50 if weight is None else weight.sum())
    assert (rows.n_rows, rows.n_columns) == (50, 6)


@pytest.mark.parametrize(
    ("form", "value"),
    [
        (np.asarray, 0.0),
        (np.asarray, 0.1),
        (np.asarray, -1e9),
        (sp.csr_matrix, 0.0),
        (sp.csr_matrix, 7.0),
        (sp.csr_matrix, 0.1),
    ],
)
def test_constant_rows_have_scale_one(form: type, value: float) -> None:
    rows = standardized(form(np.full((9, 4), value)))
    assert rows.scale == 1
    norms = only_block(rows).squared_norms.numpy()
    np.testing.assert_allclose(norms, 0, atol=1e-12 * max(1, value**2))


def test_a_far_origin_costs_no_digits_of_dense_rows() -> None:
    X = some_rows()
    near, far = standardized(X), standardized(X + 1e8)
    assert far.scale == pytest.approx(near.scale, rel=1e-7)
    torch.testing.assert_close(
        only_block(far).squared_norms, only_block(near).squared_norms, rtol=1e-6, atol=1e-6
    )


def test_units_may_be_given() -> None:
    X = some_rows()
    rows = standardized(X, moments=(np.arange(6.0), 2.5))
    np.testing.assert_allclose(only_block(rows).values, (X - np.arange(6)) / 2.5, rtol=1e-14)


# Products -----------------------------------------------------------------------------------------


def check_products(block: Block, Z: np.ndarray, tolerance: float) -> None:
    """Every product of a block against the standardised dense matrix."""
    rng = np.random.default_rng(0)
    directions = torch.from_numpy(rng.normal(size=(3, Z.shape[1])))
    coefficients = rng.uniform(0, 1, (2, len(Z)))
    coefficients[1, ::2] = 0  # rows that may be skipped
    c = torch.from_numpy(coefficients)
    expected = {
        "norms": np.square(Z).sum(1),
        "project": directions.numpy() @ Z.T,
        "accumulate": coefficients @ Z,
        "second": np.einsum("wi,ij,ik->wjk", coefficients, Z, Z),
    }
    found = {
        "norms": block.squared_norms,
        "project": block.project(directions),
        "accumulate": block.accumulate(c),
        "second": block.second_moments(c),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(
            found[name].double().numpy(), value, rtol=tolerance, atol=tolerance * 10, err_msg=name
        )
    for name in ("norms", "accumulate", "second"):
        assert found[name].dtype == torch.float64, name


FORMS = pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix], ids=["dense", "csr"])


@FORMS
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 2e-5)])
@pytest.mark.parametrize("n_columns", [1, 6, 40])
def test_products_are_those_of_the_standardised_rows(
    form: type, dtype: torch.dtype, tolerance: float, n_columns: int
) -> None:
    X = some_rows(n_columns=n_columns)
    rows = standardized(form(X), dtype)
    check_products(only_block(rows), (X - X.mean(0)) / rows.scale, tolerance)


@FORMS
def test_a_subset_is_a_block(form: type) -> None:
    X = some_rows()
    rows = standardized(form(X), sample_weight=np.arange(50.0))
    Z = (X - rows.mean) / rows.scale
    index = np.array([0, 3, 4, 49])
    part = rows.subset(index)
    assert part.n_rows == 4
    assert part.weights.tolist() == [0, 3, 4, 49]
    check_products(part, Z[index], 1e-11)


@FORMS
@pytest.mark.parametrize("share", [1.0, 0.2])
def test_moments_along_sketches(form: type, share: float) -> None:
    rng = np.random.default_rng(0)
    X = some_rows()
    rows = standardized(form(X))
    Z = (X - rows.mean) / rows.scale
    weights = rng.random((3, 50)) * (rng.random((3, 50)) < share)
    weights[2] = 0.0
    sketches = rng.normal(size=(3, 2, 6))
    moments = only_block(rows).sketched_moments(torch.tensor(weights), torch.tensor(sketches))
    for r, W, own in zip(weights, sketches, moments.numpy(), strict=True):
        along = np.column_stack([np.ones(50), Z @ W.T])
        np.testing.assert_allclose(own, (r[:, None] * along).T @ Z, rtol=1e-9, atol=1e-9)


@given(
    n=st.integers(1, 12),
    n_columns=st.integers(1, 9),
    density=st.floats(0, 1),
    offset=st.sampled_from([0.0, 1e3]),
    seed=st.integers(0, 10_000),
)
@settings(deadline=None, max_examples=60)
def test_sparse_products_equal_dense_ones(
    n: int, n_columns: int, density: float, offset: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    X = np.where(rng.random((n, n_columns)) < density, rng.normal(offset, 1, (n, n_columns)), 0)
    dense, sparse = standardized(X), standardized(sp.csr_matrix(X))
    assert sparse.scale == pytest.approx(dense.scale, rel=1e-9)
    directions = torch.from_numpy(rng.normal(size=(2, n_columns)))
    coefficients = torch.from_numpy(rng.random((2, n)))
    one, two = only_block(dense), only_block(sparse)
    for a, b in [
        (one.squared_norms, two.squared_norms),
        (one.project(directions), two.project(directions)),
        (one.accumulate(coefficients), two.accumulate(coefficients)),
        (one.second_moments(coefficients), two.second_moments(coefficients)),
    ]:
        torch.testing.assert_close(b, a, rtol=1e-7, atol=1e-7)


# Passes -------------------------------------------------------------------------------------------


@FORMS
@pytest.mark.parametrize("block_rows", [1, 7, 49, 50, 51])
def test_blocks_cover_all_rows_once_in_order(form: type, block_rows: int) -> None:
    X = some_rows()
    weight = np.arange(50.0)
    rows = standardized(form(X), block_rows=block_rows, sample_weight=weight)
    for _ in range(2):
        blocks = list(rows)
        assert [block.start for block in blocks] == list(range(0, 50, block_rows))
        assert max(block.n_rows for block in blocks) <= block_rows
        assert torch.cat([block.weights for block in blocks]).tolist() == weight.tolist()
        norms = torch.cat([block.squared_norms for block in blocks])
        Z = (X - rows.mean) / rows.scale
        np.testing.assert_allclose(norms, np.square(Z).sum(1), rtol=1e-9, atol=1e-12)


def test_blocks_in_memory_are_kept_and_those_on_disk_are_not(tmp_path: Path) -> None:
    X = some_rows().astype(np.float32)
    ad.AnnData(sp.csr_matrix(X)).write_h5ad(tmp_path / "x.h5ad")
    for source, kept in ((X, True), (sp.csr_matrix(X), True), (tmp_path / "x.h5ad", False)):
        rows = standardized(source, block_rows=20)
        first, second = list(rows), list(rows)
        assert all((a is b) == kept for a, b in zip(first, second, strict=True))


def test_float32_rows_stay_float32_and_sums_do_not() -> None:
    X = some_rows().astype(np.float32)
    dense, sparse = standardized(X, torch.float32), standardized(sp.csr_matrix(X), torch.float32)
    for block in (only_block(dense), only_block(sparse)):
        assert block.project(torch.ones((1, 6)).double()).dtype == torch.float32
        assert block.accumulate(torch.ones((1, 50)).double()).dtype == torch.float64
    assert only_block(sparse).rows.dtype == np.float32


def test_sparse_rows_are_never_made_dense() -> None:
    """A pass over 2,000 x 20,000 rows, 320 MB as a dense matrix, in a fraction of that."""
    rng = np.random.default_rng(0)
    shape, n_stored = (2000, 20_000), 200_000
    where = (rng.integers(0, shape[0], n_stored), rng.integers(0, shape[1], n_stored))
    X = sp.csr_matrix((rng.normal(size=n_stored), where), shape=shape)
    directions = torch.ones((4, 20_000)).double()
    coefficients = torch.ones((4, 2000)).double()
    tracemalloc.start()
    rows = standardized(X, block_rows=500)
    for block in rows:
        block.project(directions)
        block.accumulate(coefficients[:, block.start : block.start + block.n_rows])
        assert block.squared_norms.shape == (500,)
        block.sketched_moments(coefficients[:, :500], torch.ones((4, 2, 20_000)).double())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2000 * 20_000 * 8 / 20

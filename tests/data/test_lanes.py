"""Products of stored rows with tables, and sums into them, against NumPy in float64."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from lowdim.data import csr, lanes

D = 37


def rows_of(
    dtype: type, index: type, n: int = 300, n_columns: int = D
) -> tuple[sp.csr_matrix, tuple[np.ndarray, ...]]:
    """Rows with up to twenty values, some without any, and their parts."""
    rng = np.random.default_rng(0)
    dense = rng.normal(size=(n, n_columns)) * (rng.random((n, n_columns)) < 0.3)
    dense[::7] = 0.0
    stored = sp.csr_matrix(dense, dtype=dtype)
    return stored, (stored.indptr.astype(index), stored.indices.astype(index), stored.data)


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", [1, 8, 16, 17, 64, 100, 150])
def test_products_are_those_of_the_matrices(width: int, dtype: type, index: type) -> None:
    stored, parts = rows_of(dtype, index)
    directions = np.random.default_rng(1).normal(size=(D, width))
    table = lanes.table(directions, np.dtype(dtype))
    out = np.full((stored.shape[0], table.shape[1]), np.nan, dtype)
    csr.project(*parts, table, out)
    expected = stored.toarray().astype(float) @ directions
    tolerance = 1e-5 if dtype is np.float32 else 1e-13
    np.testing.assert_allclose(out[:, :width], expected, rtol=tolerance, atol=tolerance * 10)
    assert (out[:, width:] == 0).all()
    some = np.array([5, 2, 299, 0], np.int32)  # a row's product does not depend on its company
    alone = np.empty((4, table.shape[1]), dtype)
    lanes.write_products(*parts, some, table, alone)
    np.testing.assert_array_equal(alone, out[some])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", [3, 16, 33])
def test_moments_along_directions_are_their_definition(width: int, dtype: type) -> None:
    stored, parts = rows_of(dtype, np.int32, n=2_500)
    rng = np.random.default_rng(2)
    directions, shift = rng.normal(size=(D, width)), rng.normal(size=width)
    mean, scale = rng.normal(size=D), 0.7
    which = np.flatnonzero(rng.random(stored.shape[0]) < 0.8)  # more than are summed in one go
    weight = rng.random(len(which))
    table = lanes.table(directions, np.dtype(dtype))
    padded = np.zeros(table.shape[1], dtype)
    padded[:width] = shift
    out = np.empty((1 + width, D))
    csr.moments_along(*parts, which, weight, table, padded, mean, scale, out)
    rows = stored.toarray().astype(float)[which]
    along = np.column_stack([np.ones(len(which)), rows @ directions - shift])
    expected = (weight[:, None] * along).T @ ((rows - mean) / scale)
    tolerance = 1e-4 if dtype is np.float32 else 1e-12
    np.testing.assert_allclose(out, expected, rtol=tolerance, atol=tolerance * abs(expected).max())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1), (5, 16), (2000, 21)])
def test_rows_of_tables_begin_at_cache_lines(shape: tuple[int, int], dtype: type) -> None:
    values = np.random.default_rng(0).normal(size=shape)
    table = lanes.table(values, np.dtype(dtype))
    assert table.ctypes.data % lanes.LINE == 0
    assert table.strides[0] % lanes.LINE == 0
    np.testing.assert_array_equal(table[:, : shape[1]], values.astype(dtype))
    assert (table[:, shape[1] :] == 0).all()
    room = lanes.zeros(shape[0], table.shape[1], table)
    assert room.ctypes.data % lanes.LINE == 0
    assert room.dtype == dtype
    assert (room == 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", [3, 8, 16, 24, 71])
@pytest.mark.parametrize("n_rows", [1, 16, 37, 48])
def test_rows_turned_are_columns(n_rows: int, width: int, dtype: type) -> None:
    values = np.random.default_rng(0).normal(size=(48, width)).astype(dtype)
    out = np.full((width, 48), np.nan, dtype)
    lanes.turn(values, n_rows, out)
    np.testing.assert_array_equal(out[:, :n_rows], values[:n_rows].T)

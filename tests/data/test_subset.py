"""Some rows of a source are a source."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from lowdim.data import RowSource, as_rows
from lowdim.data.subset import SubsetRows

X = np.random.default_rng(0).poisson(0.8, (40, 6)).astype(np.float32)
INDEX = np.array([1, 2, 3, 10, 11, 25, 39])


@pytest.fixture(params=["dense", "csr", "frame", "file"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> RowSource:
    if request.param == "file":
        ad.AnnData(sp.csr_matrix(X)).write_h5ad(tmp_path / "x.h5ad")
        return as_rows(tmp_path / "x.h5ad")
    form = {"csr": sp.csr_matrix, "frame": pd.DataFrame}.get(request.param, np.asarray)
    return as_rows(form(X))


def dense(rows: object) -> np.ndarray:
    return rows.toarray() if sp.issparse(rows) else np.asarray(rows)


def test_rows_are_those_of_the_index(source: RowSource) -> None:
    subset = SubsetRows(source, INDEX)
    assert isinstance(subset, RowSource)
    assert (subset.n_rows, subset.n_cols) == (7, 6)
    for name in ("dtype", "is_sparse", "in_memory"):
        assert getattr(subset, name) == getattr(source, name)
    for start, stop in [(0, 7), (2, 5), (6, 7), (3, 3)]:
        np.testing.assert_array_equal(dense(subset.rows(start, stop)), X[INDEX][start:stop])
    for index in (np.array([0, 3, 6]), np.arange(7), np.array([], dtype=int)):
        np.testing.assert_array_equal(dense(subset.take(index)), X[INDEX][index])


def test_a_subset_of_a_subset(source: RowSource) -> None:
    inner = SubsetRows(SubsetRows(source, INDEX), np.array([1, 4, 6]))
    np.testing.assert_array_equal(dense(inner.rows(0, 3)), X[[2, 11, 39]])
    assert as_rows(inner) is inner


def test_names_are_passed_on() -> None:
    frame = pd.DataFrame(X, columns=list("abcdef"))
    assert SubsetRows(as_rows(frame), INDEX).feature_names.tolist() == list("abcdef")

"""Zarr stores: the same rows as in memory, by path, array, group and AnnData."""

from __future__ import annotations

import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from lowdim.data import RowSource, as_rows

zarr = pytest.importorskip("zarr")
pytestmark = pytest.mark.filterwarnings("ignore:Writing zarr v2 data")

N, D = 40, 6
X = np.random.default_rng(0).poisson(0.4, (N, D)).astype(np.float32)


@pytest.fixture(params=["dense", "csr"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A store with X, a sparse layer of integers, and two representations."""
    adata = ad.AnnData(
        sp.csr_matrix(X) if request.param == "csr" else X,
        var=pd.DataFrame(index=[f"g{j}" for j in range(D)]),
    )
    adata.layers["double"] = sp.csr_matrix(2 * X.astype(np.int32))
    adata.obsm["X_pca"] = X[:, :2].astype(np.float64)
    adata.obsm["frame"] = pd.DataFrame(X[:, :1], columns=["u"], index=adata.obs_names)
    adata.write_zarr(tmp_path / "cells.zarr")
    return tmp_path / "cells.zarr"


def check(source: RowSource, expected: np.ndarray, *, in_memory: bool = False) -> None:
    assert source.in_memory == in_memory
    assert (source.n_rows, source.n_cols) == expected.shape
    for start, stop in [(0, N), (0, 1), (13, 29), (N - 1, N), (5, 5), (13, 29)]:
        block = source.rows(start, stop)
        assert block.dtype == source.dtype
        values = block.toarray() if source.is_sparse else block
        np.testing.assert_array_equal(values, expected[start:stop])
    index = np.arange(1, N, 5)
    taken = source.take(index)
    np.testing.assert_array_equal(taken.toarray() if source.is_sparse else taken, expected[index])


def test_a_path_names_any_matrix(store: Path) -> None:
    for path in (store, str(store)):
        source = as_rows(path)
        check(source, X)
        assert source.dtype == np.float32
        assert source.feature_names is not None
        assert source.feature_names.tolist() == [f"g{j}" for j in range(D)]
    check(as_rows(store, layer="double"), 2.0 * X)
    check(as_rows(store, use_rep="X_pca"), X[:, :2].astype(np.float64))
    check(as_rows(store, use_rep="frame"), X[:, :1], in_memory=True)


def test_arrays_groups_and_anndata_stay_on_disk(store: Path) -> None:
    group = zarr.open_group(str(store), mode="r")
    check(as_rows(group["X"]), X)
    element = group["X"]
    on_disk = element if isinstance(element, zarr.Array) else ad.io.sparse_dataset(element)
    adata = ad.AnnData(on_disk, layers={"double": ad.io.sparse_dataset(group["layers/double"])})
    check(as_rows(adata), X)
    check(as_rows(adata, layer="double"), 2.0 * X)


def test_what_cannot_be_opened_is_named(store: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.zarr"):
        as_rows(tmp_path / "nowhere.zarr")
    (tmp_path / "empty.zarr").mkdir()
    with pytest.raises(ValueError, match=r"empty\.zarr' cannot be read as a \.zarr store"):
        as_rows(tmp_path / "empty.zarr")
    with pytest.raises(ValueError, match=r"layer='raw'.*\['double'\]"):
        as_rows(store, layer="raw")
    with pytest.raises(ValueError, match=r"use_rep='umap'.*\['X_pca', 'frame'\]"):
        as_rows(store, use_rep="umap")


def test_a_store_by_columns_is_refused_with_a_remedy(tmp_path: Path) -> None:
    ad.AnnData(sp.csc_matrix(X)).write_zarr(tmp_path / "csc.zarr")
    with pytest.raises(ValueError, match=r"stored by columns \(CSC\).*tocsr"):
        as_rows(tmp_path / "csc.zarr")


def test_a_store_without_the_package_says_what_to_install(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(ImportError, match="pip install zarr"):
        as_rows(store)

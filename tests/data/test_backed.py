"""Row sources on disk: the same rows as in memory, read a block at a time."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lowdim._validation import check_source
from lowdim.data import RowSource, as_rows
from lowdim.data.backed import _spans

N, D = 60, 7


def counts(n_rows: int = N, n_cols: int = D, seed: int = 0) -> np.ndarray:
    """Small counts, mostly zero."""
    return np.random.default_rng(seed).poisson(0.3, (n_rows, n_cols)).astype(np.float32)


def write(path: Path, X: object) -> Path:
    """A file that has X, a sparse layer, and two representations."""
    adata = ad.AnnData(X, var=pd.DataFrame(index=[f"g{j}" for j in range(D)]))
    adata.layers["double"] = sp.csr_matrix(2 * counts().astype(np.int32))
    adata.obsm["X_pca"] = counts()[:, :2].astype(np.float64)
    adata.obsm["frame"] = pd.DataFrame(counts()[:, :1], columns=["u"], index=adata.obs_names)
    adata.write_h5ad(path)
    return path


@pytest.fixture(params=["dense", "compressed", "csr", "csr_array"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file of each kind that can be read by rows."""
    form = {"csr": sp.csr_matrix, "csr_array": sp.csr_array}.get(request.param, np.asarray)
    file = write(tmp_path / "data.h5ad", form(counts()))
    if request.param == "compressed":
        with h5py.File(file, "r+") as opened:
            attributes = dict(opened["X"].attrs)
            del opened["X"]
            opened.create_dataset("X", data=counts(), chunks=(8, 3), compression="gzip")
            opened["X"].attrs.update(attributes)
    return file


def dense(block: object) -> np.ndarray:
    """A block as an array; a sparse one must be canonical."""
    if isinstance(block, sp.csr_matrix):
        remade = sp.csr_matrix((block.data, block.indices, block.indptr), shape=block.shape)
        assert remade.has_canonical_format
        return block.toarray()
    assert isinstance(block, np.ndarray)
    assert block.flags.c_contiguous
    return block


def check_equal(source: RowSource, expected: np.ndarray) -> None:
    assert isinstance(source, RowSource)
    assert (source.n_rows, source.n_cols) == expected.shape
    for start, stop in [(0, N), (0, 1), (13, 29), (N - 1, N), (5, 5)]:
        block = source.rows(start, stop)
        assert block.dtype == source.dtype
        np.testing.assert_array_equal(dense(block), expected[start:stop])
    for index in (np.array([], dtype=int), np.array([3]), np.arange(0, N, 7), np.arange(N)):
        taken = source.take(index)
        assert taken.dtype == source.dtype
        np.testing.assert_array_equal(dense(taken), expected[index])


@pytest.mark.parametrize("open_as", [str, Path, lambda path: ad.read_h5ad(path, backed="r")])
def test_backed_rows_equal_those_in_memory(path: Path, open_as: type) -> None:
    source = as_rows(open_as(path))
    assert not source.in_memory
    assert source.dtype == np.float32
    check_equal(source, counts())
    assert source.feature_names is not None
    assert source.feature_names.tolist() == [f"g{j}" for j in range(D)]


def test_a_path_leaves_layers_and_representations_on_disk(path: Path) -> None:
    layer = as_rows(path, layer="double")
    assert layer.is_sparse
    assert not layer.in_memory
    assert layer.dtype == np.float64  # stored as integers
    check_equal(layer, 2.0 * counts())
    assert layer.feature_names is not None
    pca = as_rows(path, use_rep="X_pca")
    assert not pca.in_memory
    assert pca.feature_names is None
    check_equal(pca, counts()[:, :2].astype(np.float64))
    frame = as_rows(path, use_rep="frame")
    check_equal(frame, counts()[:, :1])
    assert frame.feature_names is not None
    assert frame.feature_names.tolist() == ["u"]


def test_backed_anndata_gives_its_other_matrices(path: Path) -> None:
    backed = ad.read_h5ad(path, backed="r")
    check_equal(as_rows(backed, layer="double"), 2.0 * counts())
    check_equal(as_rows(backed, use_rep="X_pca"), counts()[:, :2].astype(np.float64))


def test_datasets_and_groups_of_an_open_file_will_do(path: Path) -> None:
    with h5py.File(path) as file:
        check_equal(as_rows(file["X"]), counts())


def test_the_order_of_stored_columns_does_not_matter(tmp_path: Path) -> None:
    data, indices, indptr = np.array([1.0, 2.0, 4.0]), np.array([2, 0, 0]), np.array([0, 3, 3])
    messy = sp.csr_matrix((data, indices, indptr), shape=(2, 3))
    ad.AnnData(messy).write_h5ad(tmp_path / "messy.h5ad")
    source = as_rows(tmp_path / "messy.h5ad")
    np.testing.assert_array_equal(dense(source.rows(0, 2)), [[6, 0, 1], [0, 0, 0]])


@pytest.mark.parametrize("stored", [np.int32, np.bool_, np.float16, ">f4"])
def test_stored_dtypes_become_those_that_models_use(tmp_path: Path, stored: object) -> None:
    values = counts().astype(stored)
    with h5py.File(tmp_path / "raw.h5", "w") as file:
        source = as_rows(file.create_dataset("X", data=values))
        assert source.dtype == (np.float32 if stored == ">f4" else np.float64)
        assert source.rows(0, N).dtype.isnative
        np.testing.assert_array_equal(source.rows(0, N), values.astype(np.float64))


def test_a_matrix_stored_by_columns_is_refused_with_a_remedy(tmp_path: Path) -> None:
    file = write(tmp_path / "csc.h5ad", sp.csc_matrix(counts()))
    for X in (file, ad.read_h5ad(file, backed="r")):
        with pytest.raises(ValueError, match=r"stored by columns \(CSC\).*tocsr"):
            as_rows(X)


def test_a_selection_from_a_backed_file_is_refused_with_a_remedy(path: Path) -> None:
    backed = ad.read_h5ad(path, backed="r")
    with pytest.raises(ValueError, match=r"to_memory\(\)"):
        as_rows(backed[:10])


def test_what_cannot_be_opened_is_named(path: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.h5ad"):
        as_rows(tmp_path / "nowhere.h5ad")
    with pytest.raises(ValueError, match=r"table\.csv' is not the path of a \.h5ad file"):
        as_rows("table.csv")
    (tmp_path / "text.h5ad").write_text("not HDF5")
    with pytest.raises(ValueError, match=r"cannot be read as a \.h5ad file"):
        as_rows(tmp_path / "text.h5ad")
    with pytest.raises(ValueError, match=r"layer='raw'.*\['double'\]"):
        as_rows(path, layer="raw")
    with pytest.raises(ValueError, match=r"use_rep='umap'.*\['X_pca', 'frame'\]"):
        as_rows(path, use_rep="umap")
    with h5py.File(path, "r+") as file:
        del file["X"]
    with pytest.raises(ValueError, match="it has no X; pass layer= or use_rep="):
        as_rows(path)


def test_what_is_not_a_real_matrix_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "odd.h5", "w") as file:
        with pytest.raises(ValueError, match="Reshape your data"):
            as_rows(file.create_dataset("one", data=np.zeros(3)))
        with pytest.raises(ValueError, match="Complex data not supported"):
            as_rows(file.create_dataset("complex", data=np.zeros((3, 2), dtype=complex)))
        with pytest.raises(TypeError, match="not numeric"):
            as_rows(file.create_dataset("text", data=[[b"a"]]))
        with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
            as_rows(file.create_dataset("empty", data=np.zeros((0, 2))))
        with pytest.raises(TypeError, match="a plain group"):
            as_rows(file.create_group("group"))


def test_row_numbers_are_checked(path: Path) -> None:
    source = as_rows(path)
    with pytest.raises(IndexError, match=f"the {N} rows"):
        source.rows(0, N + 1)
    with pytest.raises(ValueError, match=r"np\.unique"):
        source.take(np.array([2, 1]))


@given(index=st.sets(st.integers(0, N - 1)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_rows_can_be_taken(path: Path, index: set[int]) -> None:
    rows = np.array(sorted(index), dtype=int)
    np.testing.assert_array_equal(dense(as_rows(path).take(rows)), counts()[rows])


@given(
    index=st.sets(st.integers(0, 10**6)),
    row_bytes=st.sampled_from([1, 1000, 10**5, 10**8]),
)
def test_reads_cover_the_index_with_small_gaps_and_bounded_extent(
    index: set[int], row_bytes: int
) -> None:
    rows = np.array(sorted(index), dtype=int)
    spans = list(_spans(rows, row_bytes))
    np.testing.assert_array_equal(np.concatenate([rows[:0], *spans]), rows)
    for span in spans:
        assert len(span) == 1 or (span[-1] - span[0] + 1) * row_bytes <= 2**24
        assert np.diff(span).max(initial=0) * row_bytes <= max(2**18, row_bytes)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix])
def test_memory_is_bounded_by_the_block(tmp_path: Path, form: type) -> None:
    n_rows, n_cols, n_block = 20_000, 200, 500
    X = form(counts(n_rows, n_cols))
    ad.AnnData(X).write_h5ad(tmp_path / "larger.h5ad")
    total = X.sum(dtype=np.float64)
    whole = X.nbytes if isinstance(X, np.ndarray) else X.data.nbytes + X.indices.nbytes
    del X
    source = as_rows(tmp_path / "larger.h5ad")
    source.rows(0, n_block)  # imports and caches are not the block's
    seen = 0.0
    tracemalloc.start()
    for start in range(0, n_rows, n_block):
        seen += float(source.rows(start, start + n_block).sum(dtype=np.float64))
    source.take(np.arange(0, n_rows, n_rows // 20))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seen == total
    assert peak < max(6 * whole * n_block / n_rows, 2**21)
    assert peak < whole / 2


def test_values_on_disk_are_checked_like_those_in_memory(path: Path) -> None:
    source = as_rows(path)
    check_source(source, nonnegative=True, integer=True)
    assert source.rows(0, 1).shape == (1, D)  # the file is still open

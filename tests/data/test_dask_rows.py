"""Dask arrays as row sources and what comes back for them, without a cluster."""

from __future__ import annotations

from typing import Any

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp

import lowdim as ld
from lowdim.data import RowSource, as_rows
from lowdim.data.dask_rows import MAX_PARTS, DaskRows

da = pytest.importorskip("dask.array")

RNG = np.random.default_rng(0)
DENSE = RNG.normal(size=(57, 5))
COUNTS = RNG.poisson(0.7, size=(57, 5)).astype(np.float64)


def dense(rows: Any) -> np.ndarray:
    return rows.toarray() if sp.issparse(rows) else rows


def chunked(X: np.ndarray, rows: Any, make: Any = None) -> Any:
    array = da.from_array(X, chunks=(rows, X.shape[1]))
    return array if make is None else array.map_blocks(make)


@pytest.mark.parametrize("rows", [57, 10, 1, (20, 0, 37)], ids=str)
@pytest.mark.parametrize("make", [None, sp.csr_matrix, sp.csr_array, sp.csc_matrix])
def test_rows_are_those_of_the_array(rows: Any, make: Any) -> None:
    source = as_rows(chunked(COUNTS, rows, make))
    assert isinstance(source, DaskRows)
    assert isinstance(source, RowSource)
    assert (source.n_rows, source.n_cols, source.is_sparse) == (57, 5, make is not None)
    for start, stop in ((0, 57), (5, 31), (19, 21), (56, 57), (8, 8)):
        np.testing.assert_array_equal(dense(source.rows(start, stop)), COUNTS[start:stop])
    index = np.array([0, 3, 19, 20, 21, 56])
    np.testing.assert_array_equal(dense(source.take(index)), COUNTS[index])
    if source.is_sparse:
        assert source.rows(3, 30).has_canonical_format


@pytest.mark.parametrize(("dtype", "delivered"), [("f4", "f4"), ("i8", "f8"), ("?", "f8")])
def test_float32_stays_and_all_else_is_float64(dtype: str, delivered: str) -> None:
    source = as_rows(chunked(COUNTS.astype(dtype), 20))
    assert source.dtype == source.rows(0, 30).dtype == np.dtype(delivered)


def test_one_chunk_is_computed_at_a_time_and_once_per_pass() -> None:
    made: list[int] = []

    def note(block: np.ndarray, block_info: Any = None) -> np.ndarray:
        if block_info:
            made.append(block_info[None]["chunk-location"][0])
        return block

    array = da.from_array(DENSE, chunks=(10, 5)).map_blocks(note, dtype=float, meta=DENSE[:0])
    source = as_rows(array)
    for start in range(0, 57, 4):
        source.rows(start, min(start + 4, 57))
    assert made == [0, 1, 2, 3, 4, 5]


def test_many_small_chunks_are_joined_into_parts() -> None:
    X = np.arange(3 * MAX_PARTS + 5.0)[:, None]
    source = as_rows(da.from_array(X, chunks=(1, 1)))
    assert MAX_PARTS / 2 < len(source.edges) - 1 <= MAX_PARTS
    np.testing.assert_array_equal(source.rows(0, len(X)), X)
    assert sum(source.each(lambda part: part.n_rows)) == len(X)


def test_chunks_of_columns_are_joined_and_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING", logger="lowdim"):
        source = as_rows(da.from_array(DENSE, chunks=(20, 2)))
    assert "rechunk({1: -1})" in caplog.text
    np.testing.assert_array_equal(source.rows(0, 57), DENSE)


def test_unknown_chunks_are_told_how_to_be_known() -> None:
    array = da.from_array(DENSE, chunks=(20, 5))
    array = array[array[:, 0] > 0]
    with pytest.raises(ValueError, match=r"X\.compute_chunk_sizes\(\)"):
        as_rows(array)
    assert as_rows(array.compute_chunk_sizes()).n_rows == (DENSE[:, 0] > 0).sum()


@pytest.mark.parametrize(
    ("array", "error", "words"),
    [
        (lambda: da.ones(5), ValueError, "Expected 2D"),
        (lambda: da.ones((5, 2), dtype=complex), ValueError, "Complex"),
        (lambda: da.ones((0, 2)), ValueError, "0 sample"),
        (lambda: da.ma.masked_array(da.ones((5, 2))), TypeError, "MaskedArray"),
        (lambda: da.from_array(np.array([["a"]])), TypeError, "not numeric"),
    ],
)
def test_what_cannot_be_read_is_refused(array: Any, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        as_rows(array())


def test_blocks_that_are_not_what_they_were_said_to_be() -> None:
    array = da.from_array(DENSE, chunks=(20, 5))
    liar = array.map_blocks(sp.csr_matrix, meta=np.empty((0, 0)))
    with pytest.raises(TypeError, match="blocks are dense, but one is of type csr_matrix"):
        as_rows(liar).rows(0, 3)


def test_values_that_models_refuse_are_counted_over_all_chunks() -> None:
    bad = COUNTS.copy()
    bad[23, 1] = bad[50, 2] = np.nan
    with pytest.raises(ValueError, match=r"2 such values, first nan in row 23"):
        ld.KMeans(2).fit(chunked(bad, 10))
    bad = COUNTS.copy()
    bad[31, 0] = 0.5
    with pytest.raises(ValueError, match=r"1 such value, first 0\.5 in row 31"):
        ld.NegativeBinomialMixture(2).fit(chunked(bad, 10, sp.csr_matrix))


def fitted(name: str, X: Any) -> Any:
    made = {
        "kmeans": ld.KMeans(2, random_state=0),
        "soft": ld.SoftKMeans(2, random_state=0),
        "gaussian": ld.GaussianMixture(2, random_state=0, n_init=1),
        "low_rank": ld.GaussianMixture(2, covariance_type="low_rank", n_init=2, random_state=0),
        "counts": ld.NegativeBinomialMixture(2, random_state=0, n_init=1),
        "subspaces": ld.SubspaceMixture(2, n_init=2, random_state=0),
    }
    return made[name].fit(X)


ANSWERS = ("predict", "predict_proba", "score_samples", "transform", "reconstruct")


@pytest.mark.parametrize("name", ["kmeans", "soft", "gaussian", "low_rank", "counts", "subspaces"])
@pytest.mark.filterwarnings("default")
def test_fits_and_answers_are_those_in_memory(name: str) -> None:
    X = COUNTS if name == "counts" else DENSE
    array = chunked(X, (20, 0, 37))
    alone, model = fitted(name, X), fitted(name, array)
    assert model.score(array) == pytest.approx(alone.score(X), rel=1e-10)
    for method in ANSWERS:
        if not hasattr(model, method):
            continue
        found = getattr(model, method)(array)
        expected = getattr(model, method)(X)
        assert isinstance(found, da.Array)
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        assert found.chunks[0] == array.chunks[0]
        np.testing.assert_allclose(found.compute(), expected, rtol=1e-12, atol=1e-12)
        kept = getattr(model, method)(as_rows(array))
        assert isinstance(kept, np.ndarray)
        np.testing.assert_allclose(kept, expected, rtol=1e-12, atol=1e-12)
    if hasattr(model, "labels_"):
        assert isinstance(model.labels_, da.Array)
        np.testing.assert_array_equal(model.labels_.compute(), alone.labels_)
        assert model.labels_.chunks[0] == array.chunks[0]
    with pytest.raises(ValueError, match="features"):
        model.predict(array[:, :3])


def test_labels_of_dask_arrays_are_saved(tmp_path: Any) -> None:
    model = fitted("kmeans", chunked(DENSE, 20))
    model.save(tmp_path / "model.h5")
    np.testing.assert_array_equal(ld.load(tmp_path / "model.h5").labels_, model.labels_.compute())


def test_answers_wait_until_they_are_asked_for_and_keep_the_model_that_was_asked() -> None:
    model = fitted("kmeans", chunked(DENSE, 20))
    expected = model.predict(DENSE)
    lazily = model.predict(chunked(DENSE, 20))
    model.cluster_centers_ = model.cluster_centers_[::-1].copy()
    np.testing.assert_array_equal(lazily.compute(), expected)


def test_entries_per_row_are_those_of_the_rows() -> None:
    sizes = np.linspace(0.5, 2, 57)
    model = ld.NegativeBinomialMixture(2, size_factors=sizes, n_init=1, random_state=0).fit(COUNTS)
    found = model.predict_proba(chunked(COUNTS, 20), size_factors=sizes)
    np.testing.assert_allclose(found, model.predict_proba(COUNTS, size_factors=sizes))


def test_an_anndata_of_dask_arrays() -> None:
    names = [f"g{j}" for j in range(5)]
    lazy = ad.AnnData(chunked(DENSE, 20), layers={"counts": chunked(COUNTS, 20, sp.csr_matrix)})
    plain = ad.AnnData(DENSE, layers={"counts": COUNTS})
    lazy.var_names = plain.var_names = names
    source = as_rows(lazy, layer="counts")
    assert source.is_sparse
    assert list(source.feature_names) == names
    for adata in (lazy, plain):
        ld.tl.subspaces(adata, 2, random_state=0)
        ld.tl.mixture(adata, "kmeans", n_components=2, random_state=0)
    for key in plain.obs:
        assert plain.obs[key].tolist() == lazy.obs[key].tolist()
    model = ld.KMeans(2, random_state=0).fit(lazy)
    assert isinstance(model.predict(lazy), da.Array)
    with pytest.raises(ValueError, match="feature names"):
        other = lazy.copy()
        other.var_names = names[::-1]
        model.predict(other)


@pytest.mark.parametrize("make", [np.asarray, sp.csr_matrix])
def test_what_anndata_reads_lazily(make: Any, tmp_path: Any) -> None:
    import h5py
    from anndata.experimental import read_elem_lazy

    path = tmp_path / "counts.h5ad"
    ad.AnnData(make(COUNTS)).write_h5ad(path)
    with h5py.File(path) as file:
        lazily = read_elem_lazy(file["X"], chunks=(20, 5))
        source = as_rows(lazily)
        assert len(source.edges) == 4
        np.testing.assert_array_equal(dense(source.rows(5, 57)), COUNTS[5:])
        found, alone = fitted("subspaces", lazily), fitted("subspaces", make(COUNTS))
    assert found.lower_bound_ == pytest.approx(alone.lower_bound_, rel=1e-10)

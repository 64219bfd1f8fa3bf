"""Row sources in memory: every kind of input gives the same rows."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from lowdim.data import RowSource, as_rows

DENSE = np.array([[0.0, 1.5, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 0.0], [-3.0, 4.0, 5.0]])
NAMES = ["a", "b", "c"]

DENSE_INPUTS = {
    "array": DENSE,
    "lists": DENSE.tolist(),
    "fortran order": np.asfortranarray(DENSE),
    "strided": np.repeat(DENSE, 2, axis=0)[::2],
    "big endian": DENSE.astype(">f8"),
    "half precision": DENSE.astype(np.float16),
    "object": DENSE.astype(object),
    "tensor": torch.from_numpy(DENSE),
    "tensor with gradient": torch.from_numpy(DENSE).requires_grad_(),
    "transposed tensor": torch.from_numpy(DENSE.T.copy()).T,
    "frame": pd.DataFrame(DENSE, columns=NAMES),
    "anndata": ad.AnnData(DENSE),
}
SPARSE_INPUTS = {
    f"{form} {kind}": getattr(sp, f"{form}_{kind}")(DENSE)
    for form in ("csr", "csc", "coo", "lil")
    for kind in ("matrix", "array")
} | {"anndata": ad.AnnData(sp.csr_matrix(DENSE))}


def check_all_rows(source: RowSource, expected: np.ndarray) -> None:
    """The promises that every row source makes."""
    assert isinstance(source, RowSource)
    assert (source.n_rows, source.n_cols) == expected.shape
    spans = [(0, len(expected)), (1, 3), (2, 2), (len(expected), len(expected))]
    blocks = [(source.rows(*span), expected[slice(*span)]) for span in spans]
    for index in ([], [0], [1, 3], [0, 1, 2, 3]):
        index = np.array(index, dtype=int)
        blocks.append((source.take(index), expected[index]))
    for block, wanted in blocks:
        assert block.dtype == source.dtype
        assert block.shape == wanted.shape
        if source.is_sparse:
            assert isinstance(block, sp.csr_matrix)
            remade = sp.csr_matrix((block.data, block.indices, block.indptr), shape=block.shape)
            assert remade.has_canonical_format  # computed, not remembered
            block = block.toarray()
        assert isinstance(block, np.ndarray)
        assert block.flags.c_contiguous
        np.testing.assert_array_equal(block, wanted)


@pytest.mark.parametrize("X", DENSE_INPUTS.values(), ids=DENSE_INPUTS.keys())
def test_dense_inputs_give_the_same_rows(X: object) -> None:
    source = as_rows(X)
    assert source.dtype == np.float64
    assert not source.is_sparse
    assert source.in_memory
    check_all_rows(source, DENSE)


@pytest.mark.parametrize("X", SPARSE_INPUTS.values(), ids=SPARSE_INPUTS.keys())
def test_sparse_inputs_give_the_same_rows(X: object) -> None:
    source = as_rows(X)
    assert source.is_sparse
    assert source.in_memory
    check_all_rows(source, DENSE)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix, sp.csr_array, torch.from_numpy])
@pytest.mark.parametrize(
    ("given", "delivered"),
    [
        (np.float32, np.float32),
        (np.float64, np.float64),
        (np.int8, np.float64),
        (np.int64, np.float64),
        (np.bool_, np.float64),
    ],
)
def test_only_float32_stays_single(container: type, given: type, delivered: type) -> None:
    values = np.abs(DENSE).astype(given)
    source = as_rows(container(values))
    assert source.dtype == delivered
    check_all_rows(source, values.astype(delivered))


def test_bfloat16_tensors_become_double() -> None:
    check_all_rows(as_rows(torch.from_numpy(DENSE).to(torch.bfloat16)), DENSE)


@pytest.mark.gpu
def test_tensors_on_a_gpu_come_back_as_arrays() -> None:
    source = as_rows(torch.from_numpy(DENSE).to("cuda", torch.float32))
    assert source.dtype == np.float32
    check_all_rows(source, DENSE.astype(np.float32))


def test_tensors_of_other_dtypes_become_double() -> None:
    for dtype in (torch.uint8, torch.bool, torch.float16):
        values = torch.from_numpy(np.abs(DENSE)).to(dtype)
        check_all_rows(as_rows(values), values.double().numpy())


def test_rows_are_views_where_possible() -> None:
    single = DENSE.astype(np.float32)
    assert np.shares_memory(as_rows(DENSE).rows(1, 3), DENSE)
    assert np.shares_memory(as_rows(single).rows(1, 3), single)
    tensor = torch.from_numpy(single.copy())
    assert np.shares_memory(as_rows(tensor).rows(1, 3), tensor.numpy())
    csr = sp.csr_matrix(DENSE)
    assert np.shares_memory(as_rows(csr).rows(1, 4).data, csr.data)


def test_the_input_is_never_changed() -> None:
    data, indices, indptr = np.array([1.0, 2.0, 4.0]), np.array([2, 0, 0]), np.array([0, 3])
    messy = sp.csr_matrix((data, indices, indptr), shape=(1, 3))
    source = as_rows(messy)
    block = source.rows(0, 1)
    np.testing.assert_array_equal(block.toarray(), [[6, 0, 1]])
    assert block.nnz == 2
    np.testing.assert_array_equal(messy.indices, [2, 0, 0])
    np.testing.assert_array_equal(messy.data, [1, 2, 4])


def test_a_row_source_passes_through() -> None:
    source = as_rows(DENSE)
    assert as_rows(source) is source


@given(
    X=arrays(
        np.float64, array_shapes(min_dims=2, max_dims=2, max_side=8), elements=st.floats(-9, 9)
    ),
    data=st.data(),
)
def test_blocks_and_picks_agree_with_indexing(X: np.ndarray, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(X)))
    stop = data.draw(st.integers(start, len(X)))
    index = np.array(sorted(data.draw(st.sets(st.integers(0, len(X) - 1)))), dtype=int)
    dense, sparse = as_rows(X), as_rows(sp.csc_matrix(X))
    np.testing.assert_array_equal(dense.rows(start, stop), X[start:stop])
    np.testing.assert_array_equal(sparse.rows(start, stop).toarray(), X[start:stop])
    np.testing.assert_array_equal(dense.take(index), X[index])
    np.testing.assert_array_equal(sparse.take(index).toarray(), X[index])


@pytest.mark.parametrize("X", [DENSE, sp.csr_matrix(DENSE), torch.from_numpy(DENSE)])
def test_row_numbers_are_checked(X: object) -> None:
    source = as_rows(X)
    for span in ((-1, 2), (0, 5), (3, 2)):
        with pytest.raises(IndexError, match="use 0 <= start <= stop <= n_rows"):
            source.rows(*span)
    with pytest.raises(IndexError, match="0 to 3"):
        source.take(np.array([1, 4]))
    with pytest.raises(IndexError, match="0 to 3"):
        source.take(np.array([-1, 2]))
    for index in ([2, 1], [1, 1]):
        with pytest.raises(ValueError, match=r"np\.unique"):
            source.take(np.array(index))
    with pytest.raises(ValueError, match="1-D"):
        source.take(np.array([[0]]))
    with pytest.raises(TypeError, match="flatnonzero"):
        source.take(np.array([True, False, True, False]))


# ---------------------------------------------------------------------------------- DataFrames


def test_names_of_columns_are_kept() -> None:
    names = as_rows(pd.DataFrame(DENSE, columns=NAMES)).feature_names
    assert names is not None
    assert names.tolist() == NAMES
    assert as_rows(pd.DataFrame(DENSE)).feature_names is None
    assert as_rows(DENSE).feature_names is None
    with pytest.raises(TypeError, match=r"columns\.astype\(str\)"):
        as_rows(pd.DataFrame(DENSE, columns=["a", "b", 3]))


@pytest.mark.filterwarnings("ignore:pandas.DataFrame with sparse columns")
def test_frames_mix_numbers_of_all_kinds() -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5], "c": [True, False]})
    frame["d"] = pd.array([1, None], dtype="Int64")
    frame["e"] = pd.arrays.SparseArray([0.0, 2.0])
    source = as_rows(frame)
    np.testing.assert_array_equal(source.rows(0, 2), [[1, 0.5, 1, 1, 0], [2, 1.5, 0, np.nan, 2]])


def test_columns_that_are_not_numbers_are_named() -> None:
    frame = pd.DataFrame({"gene": [1.0, 2.0], "type": ["x", "y"], "when": pd.to_datetime([0, 1])})
    with pytest.raises(TypeError, match=r"2 column\(s\).*'type', 'when'.*select_dtypes"):
        as_rows(frame)


# ------------------------------------------------------------------------------------- AnnData


@pytest.fixture
def adata() -> ad.AnnData:
    """Three matrices that differ."""
    adata = ad.AnnData(sp.csr_matrix(DENSE), var=pd.DataFrame(index=["g1", "g2", "g3"]))
    adata.layers["counts"] = DENSE + 10
    adata.obsm["X_pca"] = DENSE[:, :2] * 2
    adata.obsm["frame"] = pd.DataFrame(DENSE[:, :2], index=adata.obs_names, columns=["u", "v"])
    return adata


def test_anndata_gives_one_of_its_matrices(adata: ad.AnnData) -> None:
    check_all_rows(as_rows(adata), DENSE)
    check_all_rows(as_rows(adata, use_rep="X"), DENSE)
    check_all_rows(as_rows(adata, layer="counts"), DENSE + 10)
    check_all_rows(as_rows(adata, use_rep="X_pca"), DENSE[:, :2] * 2)
    check_all_rows(as_rows(adata[:, ["g3", "g1"]]), DENSE[:, [2, 0]])


def test_columns_of_anndata_have_the_names_of_genes(adata: ad.AnnData) -> None:
    for source in (as_rows(adata), as_rows(adata, layer="counts"), as_rows(adata, use_rep="X")):
        assert source.feature_names is not None
        assert source.feature_names.tolist() == ["g1", "g2", "g3"]
    assert as_rows(adata, use_rep="X_pca").feature_names is None
    named = as_rows(adata, use_rep="frame").feature_names
    assert named is not None
    assert named.tolist() == ["u", "v"]


def test_wrong_keys_list_the_right_ones(adata: ad.AnnData) -> None:
    with pytest.raises(ValueError, match=r"layer='raw' is not in adata\.layers.*\['counts'\]"):
        as_rows(adata, layer="raw")
    with pytest.raises(ValueError, match=r"use_rep='pca'.*\['X_pca', 'frame'\]"):
        as_rows(adata, use_rep="pca")
    with pytest.raises(ValueError, match="pass only one"):
        as_rows(adata, layer="counts", use_rep="X_pca")
    with pytest.raises(ValueError, match="X is None; pass layer= or use_rep="):
        as_rows(ad.AnnData(obs=pd.DataFrame(index=["a"])))
    for keys in ({"layer": "counts"}, {"use_rep": "X_pca"}):
        with pytest.raises(TypeError, match="needs an AnnData or the path"):
            as_rows(DENSE, **keys)


# ------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (DENSE[0], ValueError, "Reshape your data"),
        (torch.from_numpy(DENSE[0]), ValueError, "Reshape your data"),
        (torch.zeros(2, 2, 2), ValueError, "got 3D array"),
        (np.zeros((2, 2, 2)), ValueError, "dim 3"),
        (np.zeros((0, 3)), ValueError, r"0 sample\(s\) \(shape=\(0, 3\)\) while a minimum of 1"),
        (np.zeros((3, 0)), ValueError, r"0 feature\(s\) \(shape=\(3, 0\)\) while a minimum of 1"),
        (torch.zeros(0, 3), ValueError, r"0 sample\(s\) \(shape=\(0, 3\)\) while a minimum of 1"),
        (torch.zeros(3, 0), ValueError, r"0 feature\(s\) \(shape=\(3, 0\)\) while a minimum of 1"),
        (DENSE.astype(complex), ValueError, "Complex data not supported"),
        (sp.csr_matrix(DENSE.astype(complex)), ValueError, "Complex data not supported"),
        (torch.from_numpy(DENSE).to(torch.complex64), ValueError, "Complex data not supported"),
        (np.array([["a", "b"]]), ValueError, "numeric"),
        (np.array([[object()]]), TypeError, "must be a string or a real number"),
        (np.array([["2020-01-01"]], dtype="datetime64[D]"), TypeError, "not numeric"),
        (np.ma.masked_equal(DENSE, 0), TypeError, "fill or drop"),
        (torch.from_numpy(DENSE).to_sparse(), TypeError, "sparse torch tensor"),
        (None, TypeError, "X is None"),
        ({"a": [1.0]}, TypeError, "X is a dict, not a matrix"),
        (iter([[1.0]]), TypeError, "not a matrix"),
        (3.0, ValueError, "2D array, got scalar"),
    ],
)
def test_what_is_not_a_real_matrix_is_refused(
    X: object, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        as_rows(X)


def test_errors_use_the_name_of_the_argument() -> None:
    with pytest.raises(TypeError, match="queries is None"):
        as_rows(None, name="queries")
    with pytest.raises(ValueError, match="queries"):
        as_rows(torch.zeros(3), name="queries")

"""What the report says of the matrix."""

import anndata as ad
import numpy as np
import scipy.sparse as sp

from lowdim.data import as_rows
from lowdim.report._data import matrix_name, preprocessing, summarize


def test_zeros_and_range_of_sparse_and_dense_agree() -> None:
    rng = np.random.default_rng(0)
    dense = rng.normal(size=(50, 8)) * (rng.random((50, 8)) < 0.3)
    for X in (dense, sp.csr_matrix(dense)):
        adata = ad.AnnData(X)
        summary = summarize(adata, as_rows(adata), {})
        assert summary.zeros == (dense == 0).mean()
        assert (summary.low, summary.high) == (dense.min(), dense.max())
        assert (summary.n_rows, summary.n_columns) == dense.shape


def test_unstored_zeros_belong_to_the_range() -> None:
    adata = ad.AnnData(sp.csr_matrix(np.array([[0.0, 2.0], [3.0, 0.0]])))
    summary = summarize(adata, as_rows(adata), {})
    assert (summary.low, summary.high) == (0.0, 3.0)


def test_matrix_names() -> None:
    assert matrix_name({}) == "X"
    assert matrix_name({"use_rep": "X"}) == "X"
    assert matrix_name({"layer": "logged"}) == 'layers["logged"]'
    assert matrix_name({"use_rep": "X_pca"}) == 'obsm["X_pca"]'


def test_preprocessing_in_every_form() -> None:
    adata = ad.AnnData(np.ones((2, 2)))
    assert preprocessing(adata) == []
    adata.uns["preprocessing"] = ["filtered", "logged"]
    adata.uns["log1p"] = {"base": None}
    adata.uns["pca"] = {"params": {"zero_center": True}, "variance": np.ones(3)}
    steps = preprocessing(adata)
    assert [text for _, text in steps[:2]] == ["filtered", "logged"]
    assert steps[2] == ('uns["log1p"]', "logarithm, log(1 + x)")
    assert "zero_center: True" in steps[3][1]
    adata.uns["preprocessing"] = {"target": 10000}
    assert preprocessing(adata)[0] == ("target", "10000")

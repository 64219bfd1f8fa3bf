"""The demo data: real, offline, with exact counts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp

import lowdim
from lowdim._validation import check_source
from lowdim.data import as_rows, demo, pbmc68k


@pytest.fixture(scope="module")
def adata() -> ad.AnnData:
    pytest.importorskip("scanpy")
    return pbmc68k()


def test_demo_has_what_it_says(adata: ad.AnnData) -> None:
    assert adata.shape == (700, 765)
    assert adata.obs["bulk_labels"].nunique() == 10
    assert adata.obsm["X_pca"].shape == (700, 50)
    assert adata.varm["PCs"].shape == (765, 50)
    for matrix in (adata.X, adata.layers["counts"]):
        assert sp.issparse(matrix)
        assert matrix.format == "csr"
        assert matrix.dtype == np.float32


def test_counts_are_counts_and_explain_the_values(adata: ad.AnnData) -> None:
    check_source(as_rows(adata, layer="counts"), nonnegative=True, integer=True)
    counts = adata.layers["counts"].toarray().astype(np.float64)
    totals = adata.obs["n_counts"].to_numpy(dtype=float)
    assert (counts.sum(1) <= totals).all()
    np.testing.assert_allclose(
        np.log1p(counts / totals[:, None] * 1e4), adata.X.toarray(), atol=1e-3
    )


def test_demo_survives_a_file(adata: ad.AnnData, tmp_path: Path) -> None:
    adata.write_h5ad(tmp_path / "demo.h5ad")
    source = as_rows(tmp_path / "demo.h5ad", layer="counts")
    assert (source.rows(0, 700) != adata.layers["counts"]).nnz == 0


def test_values_that_are_no_counts_are_refused() -> None:
    with pytest.raises(RuntimeError, match="cannot be recovered"):
        demo._recover_counts(sp.csr_matrix(np.log1p([[0.5, 3.0]])), np.array([1e4]))


def test_without_scanpy_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scanpy", None)
    with pytest.raises(ImportError, match=r"pip install 'lowdim\[demo\]'"):
        pbmc68k()


def test_importing_the_data_layer_loads_nothing_heavy() -> None:
    heavy = {"scanpy", "anndata", "torch", "sklearn", "pandas", "h5py", "matplotlib"}
    code = f"import sys, lowdim.data; print(sorted({heavy!r} & set(sys.modules)))"
    loaded = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(Path(lowdim.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.strip() == "[]"

"""New rows of a file are placed block by block, where those in memory are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp

import lowdim as ld
from lowdim._validation import values
from lowdim.embedding._spectral import centred_rows

ROWS = np.concatenate([np.random.default_rng(k).normal(3 * k, 1, (70, 5)) for k in range(3)])
NEW = np.random.default_rng(9).normal(3, 2, (700, 5))
MODELS = {
    "TSNE": ld.TSNE(perplexity=9, max_iter=30),
    "UMAP": ld.UMAP(n_epochs=20),
    "LargeVis": ld.LargeVis(perplexity=9),
    "InfoTSNE": ld.InfoTSNE(perplexity=9, max_iter=30),
    "PaCMAP": ld.PaCMAP(),
    "PHATE": ld.PHATE(),
    "LaplacianEigenmaps": ld.LaplacianEigenmaps(),
    "KernelPCA": ld.KernelPCA(2),
    "SNE": ld.SNE(perplexity=9, max_iter=5),
    "TSNEkhorn": ld.TSNEkhorn(perplexity=9, max_iter=20),
    "PCA": ld.PCA(2),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:The graph has 2 parts")
@pytest.mark.parametrize("name", MODELS)
def test_rows_of_a_file_are_placed_where_those_in_memory_are(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model: Any = MODELS[name]
    if "random_state" in model.get_params():
        model.set_params(random_state=0)
    model.fit(ROWS)
    expected = model.transform(NEW)
    ad.AnnData(NEW).write_h5ad(tmp_path / "new.h5ad")
    monkeypatch.setattr(centred_rows, "DENSE_VALUES", 256 * 5)
    monkeypatch.setattr(values, "_SCAN_BYTES", 256 * 8 * 5)
    seen: list[int] = []
    rows = ld.data.as_rows(tmp_path / "new.h5ad")
    read = rows.rows
    monkeypatch.setattr(rows, "rows", lambda a, b: (seen.append(b - a), read(a, b))[1])
    found = model.transform(rows)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    assert found.dtype == expected.dtype
    assert len(seen) > 1 and max(seen) <= 256


def test_rows_of_a_file_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(centred_rows, "DENSE_VALUES", 256 * 5)
    model = ld.TSNE(perplexity=9, max_iter=5).fit(ROWS)
    ad.AnnData(sp.csr_matrix(NEW[:, :4])).write_h5ad(tmp_path / "new.h5ad")
    with pytest.raises(ValueError, match="X has 4 features, but TSNE is expecting 5"):
        model.transform(tmp_path / "new.h5ad")
    bad = NEW.copy()
    bad[600, 2] = np.nan
    ad.AnnData(bad).write_h5ad(tmp_path / "bad.h5ad")
    with pytest.raises(ValueError, match="row 600"):
        model.transform(tmp_path / "bad.h5ad")

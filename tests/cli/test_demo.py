"""``lowdim demo``: its data and its files; the search itself is tested with the mixture."""

import json
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

import lowdim as ld
from lowdim.cli import _demo, main

pytest.importorskip("scanpy")


def test_files_and_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def one_fit(adata: ad.AnnData, *, use_rep: str, random_state: int, verbose: int) -> None:
        assert verbose == 0
        ld.tl.subspaces(adata, 3, 1, use_rep=use_rep, random_state=random_state, n_init=1)

    monkeypatch.setattr(ld.tl, "select_subspaces", one_fit)
    monkeypatch.setitem(_demo.OTHERS, "counts", ("kmeans", {"use_rep": "X_pca"}))
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.html").write_text("of an earlier run, and no obstacle")
    assert main(["demo", "--output", str(out), "--quiet", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert sorted(p.name for p in out.iterdir()) == ["report.html", "result.h5ad"]
    assert (facts["n_rows"], facts["n_columns"]) == (700, _demo.N_PCS)
    assert 0 < facts["ari"] < 1
    assert 0 < facts["ari_kmeans"] < 1
    adata = ad.read_h5ad(facts["result"])
    assert facts["dims"] == adata.uns["subspaces"]["dims"].tolist()
    assert facts["others"]["Gaussians"]["family"] == "gaussian"
    assert 0 < facts["others"]["counts"]["ari"] < 1
    assert adata.obsm["X_tsne"].shape == (700, 2) and adata.uns["tsne"]["params"]["use_rep"]
    assert "t-SNE of obsm" in (out / "report.html").read_text("utf-8")
    assert "Other clusterings" in (out / "report.html").read_text("utf-8")
    assert "shuffled among cells" in (out / "report.html").read_text("utf-8")


def test_the_number_of_components_is_that_of_the_stated_rule() -> None:
    adata = ld.data.pbmc68k()
    X = adata.X.toarray().astype(np.float64)
    Z = (X - X.mean(0)) / np.maximum(X.std(0), 1e-12)
    Z = np.clip(Z, -10, 10)
    rng = np.random.default_rng(0)
    spectrum = np.linalg.svd(Z - Z.mean(0), compute_uv=False)
    shuffled = np.column_stack([rng.permutation(column) for column in Z.T])
    threshold = np.linalg.svd(shuffled - shuffled.mean(0), compute_uv=False)
    assert int(np.argmin(spectrum > threshold)) == _demo.N_PCS


def test_loadings_fit_the_components() -> None:
    adata = _demo.load()
    assert adata.obsm["X_pca"].shape == (700, _demo.N_PCS)
    assert adata.varm["PCs"].shape == (765, _demo.N_PCS)
    assert "bulk_labels" in adata.obs

"""The table of components adds up."""

from pathlib import Path

import anndata as ad
import numpy as np
import pytest

import lowdim as ld


def test_sizes_weights_and_variances(adata: ad.AnnData) -> None:
    table = ld.get.components(adata)
    record = adata.uns["subspaces"]
    assert list(table.index) == ["0", "1", "2"]
    assert table.index.name == "component"
    assert list(table["dim"]) == [2, 1, 0]
    assert table["size"].sum() == 330
    assert list(table["size"]) == [(adata.obs["subspaces"] == name).sum() for name in table.index]
    assert np.array_equal(table["weight"], record["weights"])
    assert np.array_equal(table["noise_variance"], record["noise_variances"])
    model = ld.get.model(adata)
    for k, (variances, noise) in enumerate(
        zip(model.latent_variances_, model.noise_variances_, strict=True)
    ):
        whole = variances.sum() + (6 - len(variances)) * noise
        assert table["share_in_subspace"].iloc[k] == pytest.approx(variances.sum() / whole)
    mine = (adata.obs["subspaces"] == "1").to_numpy()
    expected = adata.obsm["subspaces_proba"][mine].max(1).mean()
    assert table.loc["1", "mean_probability"] == pytest.approx(expected)
    assert "purity" not in table


def test_purity_against_labels(adata: ad.AnnData) -> None:
    table = ld.get.components(adata, labels="truth")
    assert list(table["majority"]) == ["type 0", "type 1", "type 2"]
    mine = adata.obs["subspaces"] == "0"
    assert table.loc["0", "purity"] == (adata.obs["truth"][mine] == "type 0").mean()


def test_rows_without_a_label_do_not_count(adata: ad.AnnData) -> None:
    mine = (adata.obs["subspaces"] == "0").to_numpy()
    labels = np.where(mine, None, "rest").astype(object)
    labels[np.flatnonzero(mine)[:4]] = ["a", "a", "a", "b"]
    adata.obs["some"] = labels
    table = ld.get.components(adata, labels="some")
    assert table.loc["0", "majority"] == "a"
    assert table.loc["0", "purity"] == 0.75


def test_a_component_that_lost_its_rows_stays(adata: ad.AnnData) -> None:
    part = adata[adata.obs["subspaces"] != "1"].copy()
    table = ld.get.components(part, labels="truth")
    assert list(table.index) == ["0", "1", "2"]
    assert table.loc["1", "size"] == 0
    assert np.isnan(table.loc["1", "purity"])
    assert np.isnan(table.loc["1", "mean_probability"])


def test_a_uniform_background_and_a_full_gaussian(adata: ad.AnnData) -> None:
    ld.tl.subspaces(adata, 1, 6, background="uniform", n_init=1)
    table = ld.get.components(adata)
    assert table.loc["0", "share_in_subspace"] == 1.0
    assert np.isnan(table.loc["1", "share_in_subspace"])


def test_tables_from_a_file_are_the_same(adata: ad.AnnData, tmp_path: Path) -> None:
    adata.write_h5ad(tmp_path / "a.h5ad")
    back = ad.read_h5ad(tmp_path / "a.h5ad")
    assert ld.get.components(back, labels="truth").equals(ld.get.components(adata, labels="truth"))
    assert ld.get.loadings(back).equals(ld.get.loadings(adata))
    assert ld.get.top_genes(back, by="mean").equals(ld.get.top_genes(adata, by="mean"))


def test_errors(adata: ad.AnnData) -> None:
    with pytest.raises(ValueError, match=r"labels='cell_type' is not in adata\.obs"):
        ld.get.components(adata, labels="cell_type")
    with pytest.raises(ValueError, match=r"run ld\.tl\.subspaces\(adata, key_added='x'\)"):
        ld.get.components(adata, key="x")
    with pytest.raises(TypeError, match="adata is a ndarray"):
        ld.get.components(adata.X)


def test_labels_may_be_numbers_or_all_missing(adata: ad.AnnData) -> None:
    adata.obs["batch"] = np.arange(330) % 2
    assert set(ld.get.components(adata, labels="batch")["majority"]) <= {0, 1}
    adata.obs["nothing"] = np.nan
    table = ld.get.components(adata, labels="nothing")
    assert table["majority"].isna().all()
    assert table["purity"].isna().all()

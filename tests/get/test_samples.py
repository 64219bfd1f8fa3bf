"""Genes of learned axes and of components, from the strongest."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest

import lowdim as ld


@pytest.fixture
def learned() -> ad.AnnData:
    """What `ld.tl.ground_metric` leaves, by hand: six genes, two axes."""
    adata = ad.AnnData(np.ones((4, 6)))
    adata.var_names = list("abcdef")
    loadings = np.array([[3.0, -1, 0, 0.5, -4, 2], [0, 0, 1, 0, 0, -1]])
    adata.varm["ground_metric"] = loadings.T
    adata.uns["ground_metric"] = {
        "components": loadings,
        "history": {"loss": [1.0]},
        "params": {"use_rep": "X_other"},
    }
    return adata


def test_the_strongest_genes_come_first(learned: ad.AnnData) -> None:
    """ggml-ot lists them from the weakest."""
    table = ld.get.top_genes(learned, "ground_metric", n_genes=3)
    assert table.columns.tolist() == ["axis", "rank", "gene", "loading", "share"]
    first = table[table["axis"] == "0"]
    assert first["gene"].tolist() == ["e", "a", "f"]
    assert first["loading"].tolist() == [-4, 3, 2]
    assert first["rank"].tolist() == [1, 2, 3]
    np.testing.assert_allclose(first["share"], np.array([16, 9, 4]) / 30.25)
    second = table[table["axis"] == "1"]
    assert second["gene"].tolist() == ["c", "f"]  # those without a loading are left out


@pytest.mark.parametrize(("sign", "genes"), [("positive", "afd"), ("negative", "eb")])
def test_genes_of_one_sign(learned: ad.AnnData, sign: str, genes: str) -> None:
    table = ld.get.top_genes(learned, "ground_metric", by=sign)
    assert table.loc[table["axis"] == "0", "gene"].tolist() == list(genes)


def test_loadings_are_a_table(learned: ad.AnnData) -> None:
    table = ld.get.metric_loadings(learned)
    assert table.columns.tolist() == ["0", "1"]
    assert table.loc["e", "0"] == -4
    assert ld.get.loadings(learned, "ground_metric").equals(table)
    del learned.varm["ground_metric"]
    with pytest.raises(ValueError, match=r"obsm\['X_other'\] does not lead back"):
        ld.get.top_genes(learned, "ground_metric")
    with pytest.raises(ValueError, match="no ground metric in 'other'"):
        ld.get.metric_loadings(learned, "other")


def test_sets_of_the_strongest_genes_are_found() -> None:
    rng = np.random.default_rng(0)
    genes = [f"g{j}" for j in range(200)]
    loadings = 0.1 * rng.normal(size=(200, 2))
    loadings[:10, 0], loadings[10:20, 1] = -2.0, 2.0
    adata = ad.AnnData(np.ones((3, 200)))
    adata.var_names = genes
    adata.varm["m"] = loadings
    adata.uns["m"] = {"components": loadings.T, "history": {}, "params": {}}
    sets = {"first": genes[:10], "second": genes[10:20], "none": genes[100:120]}
    found = ld.get.enrichment(adata, sets, "m")
    best = found.groupby("axis").first()
    assert best["gene_set"].tolist() == ["first", "second"]
    up = ld.get.enrichment(adata, sets, "m", by="positive").set_index(["axis", "gene_set"])
    assert up.loc[("0", "first"), "auc"] < 0.05
    assert up.loc[("1", "second"), "auc"] > 0.95


@pytest.fixture(scope="module")
def typed() -> ad.AnnData:
    """Cells of two kinds, in four samples; each kind has a gene of its own. Rows in no order."""
    rng = np.random.default_rng(0)
    kinds = np.tile(np.repeat([0, 1], [30, 50]), 4)
    X = rng.normal(size=(320, 5))
    X[:, 1] += 6.0 * (kinds == 0)
    X[:, 3] += 6.0 * (kinds == 1)
    order = rng.permutation(320)
    adata = ad.AnnData(X[order])
    adata.var_names = [f"g{j}" for j in range(5)]
    adata.obs["kind"] = kinds[order]
    adata.obs["patient"] = np.repeat(["a", "b", "c", "d"], 80)[order]
    return adata


def marks(table: object) -> list[str]:
    return sorted(table.idxmax().tolist())  # type: ignore[attr-defined]


def test_components_of_one_sample_and_of_all(typed: ad.AnnData) -> None:
    adata = typed.copy()
    ld.tl.fit_gmm(adata, sample_key="patient", k_comps=2, gmm_key="own", verbose=False)
    one = ld.get.component_genes(adata, "own", sample_key="patient", sample="b")
    assert marks(one) == ["g1", "g3"]
    np.testing.assert_allclose(one["0"], -one["1"])  # of two, each is against the other
    adata.obs["own_comp"] = adata.obs["own_comp"].astype(int)
    families = np.zeros((4, 2), dtype=int)
    for s, name in enumerate("abcd"):
        rows = (adata.obs["patient"] == name).to_numpy()
        heavy = [
            adata.obs["kind"][rows & (adata.obs["own_comp"] == k).to_numpy()].mode()[0]
            for k in (0, 1)
        ]
        families[s] = heavy
    found = ld.get.component_genes(adata, "own", sample_key="patient", families=families)
    assert found.idxmax().tolist() == ["g1", "g3"]
    kinds = adata.obs["kind"].to_numpy()
    means = [adata.X[kinds == k].mean(0) for k in (0, 1)]
    within = np.sqrt(sum((kinds == k).mean() * adata.X[kinds == k].var(0) for k in (0, 1)))
    np.testing.assert_allclose(found["0"], (means[0] - means[1]) / within, atol=0.1)
    ld.tl.fit_gmm(
        adata, sample_key="patient", k_comps=2, component_sharing="global", gmm_key="all",
        verbose=False,
    )  # fmt: skip
    assert marks(ld.get.component_genes(adata, "all")) == ["g1", "g3"]
    with pytest.raises(ValueError, match="not that of another; pass sample"):
        ld.get.component_genes(adata, "own")
    with pytest.raises(ValueError, match="sample='x' is not there; there are 'a', 'b', 'c', 'd'"):
        ld.get.component_genes(adata, "own", sample_key="patient", sample="x")
    with pytest.raises(ValueError, match=r"families has shape \(4,\)"):
        ld.get.component_genes(adata, "own", sample_key="patient", families=[0, 1, 0, 1])
    with pytest.raises(ValueError, match="sample_key=None is not in"):
        ld.get.component_genes(adata, "own", sample="a")
    with pytest.raises(ValueError, match="no 'gmm'; run"):
        ld.get.component_genes(adata, "gmm")

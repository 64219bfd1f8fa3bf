"""A fit of principal components leads back to the genes."""

import anndata as ad
import numpy as np
import pytest

import lowdim as ld
from lowdim.data import as_rows
from lowdim.tl._genes import gene_space

FAST = {"dims": [2, 1, 0], "n_init": 2}


def test_axes_and_centres_go_through_the_pca(planted: ad.AnnData) -> None:
    ld.tl.subspaces(planted, use_rep="X_pca", **FAST)
    model = ld.get.model(planted)
    axes = planted.varm["PCs"]
    np.testing.assert_allclose(planted.varm["subspaces"], axes @ np.concatenate(model.bases_).T)
    np.testing.assert_allclose(
        planted.varm["subspaces_means"], planted.X.mean(0)[:, None] + axes @ model.means_.T
    )
    assert planted.uns["subspaces"]["params"]["gene_means"] == "expression"


def test_a_full_pca_gives_what_the_genes_give(planted: ad.AnnData) -> None:
    centre = planted.X.mean(0)
    axes = np.linalg.svd(planted.X - centre)[2].T
    planted.obsm["X_pca"], planted.varm["PCs"] = (planted.X - centre) @ axes, axes
    labels = planted.obs["truth"].astype(int).to_numpy()
    ld.tl.subspaces(planted, use_rep="X_pca", key_added="pcs", init=labels, **FAST)
    ld.tl.subspaces(planted, key_added="genes", init=labels, **FAST)
    np.testing.assert_allclose(planted.varm["pcs_means"], planted.varm["genes_means"], atol=1e-5)
    projections = [
        planted.varm[key][:, :2] @ planted.varm[key][:, :2].T for key in ("pcs", "genes")
    ]
    np.testing.assert_allclose(*projections, atol=1e-5)


def test_a_pca_of_other_values_has_centred_means(planted: ad.AnnData) -> None:
    pca_of_scaled = planted.X / planted.X.std(0)
    planted.obsm["X_pca"] = (pca_of_scaled - pca_of_scaled.mean(0)) @ planted.varm["PCs"]
    ld.tl.subspaces(planted, use_rep="X_pca", **FAST)
    assert planted.uns["subspaces"]["params"]["gene_means"] == "centred"
    weights = planted.uns["subspaces"]["weights"]
    np.testing.assert_allclose(planted.varm["subspaces_means"] @ weights, 0, atol=1e-6)


def test_an_uncentred_pca_and_a_selection_of_rows_keep_the_mean(planted: ad.AnnData) -> None:
    planted.obsm["X_pca"] = planted.X @ planted.varm["PCs"]
    part = planted[planted.obs["truth"] != "1"].copy()
    space = gene_space(part, as_rows(part, use_rep="X_pca"), layer=None, use_rep="X_pca")
    assert space.means_are == "expression"
    centre = part.obsm["X_pca"].mean(0, keepdims=True)
    np.testing.assert_allclose(space.means(centre)[:, 0], part.X.mean(0))


def test_genes_that_a_pca_left_out_have_no_loading(planted: ad.AnnData) -> None:
    planted.varm["PCs"][2] = np.nan  # as in older files
    ld.tl.subspaces(planted, use_rep="X_pca", **FAST)
    assert (planted.varm["subspaces"][2] == 0).all()
    assert np.isfinite(planted.varm["subspaces_means"]).all()


def test_the_layer_of_the_pca_is_found(planted: ad.AnnData) -> None:
    planted.layers["log"] = planted.X.copy()
    planted.X = np.exp(planted.X / 10)
    planted.uns["pca"] = {"params": {"layer": "log", "zero_center": True}}
    ld.tl.subspaces(planted, use_rep="X_pca", **FAST)
    assert planted.uns["subspaces"]["params"]["gene_means"] == "expression"


def test_no_X_means_no_mean_expression(planted: ad.AnnData) -> None:
    planted.X = None
    ld.tl.subspaces(planted, use_rep="X_pca", **FAST)
    assert planted.uns["subspaces"]["params"]["gene_means"] == "centred"


@pytest.mark.parametrize(
    ("in_obsm", "in_varm", "uns", "found"),
    [
        ("pca", "pca", {}, True),
        ("mine", "mine", {"mine": {"variance_ratio": np.ones(4)}}, True),
        ("mine", "mine", {}, False),  # anything may be called the same
        ("X_pca", "pca", {}, False),
    ],
)
def test_where_the_axes_of_a_pca_are_looked_for(
    planted: ad.AnnData, in_obsm: str, in_varm: str, uns: dict, found: bool
) -> None:
    scores, axes = planted.obsm.pop("X_pca"), planted.varm.pop("PCs")
    planted.obsm[in_obsm], planted.varm[in_varm] = scores, axes
    planted.uns.update(uns)
    space = gene_space(planted, as_rows(scores), layer=None, use_rep=in_obsm)
    assert (space is not None) == found


def test_fewer_scores_than_axes_are_the_first(planted: ad.AnnData) -> None:
    planted.obsm["X_pca"] = planted.obsm["X_pca"][:, :2].copy()
    space = gene_space(planted, as_rows(planted.obsm["X_pca"]), layer=None, use_rep="X_pca")
    assert space.means_are == "expression"
    assert np.array_equal(space.axes, planted.varm["PCs"][:, :2])


def test_axes_that_do_not_fit_are_not_used(planted: ad.AnnData) -> None:
    planted.varm["PCs"] = planted.varm["PCs"][:, :2].copy()
    source = as_rows(planted.obsm["X_pca"])
    assert gene_space(planted, source, layer=None, use_rep="X_pca") is None


def test_scanpy_writes_a_pca_that_is_understood(planted: ad.AnnData) -> None:
    sc = pytest.importorskip("scanpy")
    sc.pp.pca(planted, n_comps=4, svd_solver="full")
    sc.pp.pca(planted, n_comps=3, svd_solver="arpack", layer="shifted", key_added="mine")
    for use_rep, mean in (("X_pca", planted.X.mean(0)), ("mine", planted.X.mean(0) + 5)):
        source = as_rows(planted, use_rep=use_rep)
        space = gene_space(planted, source, layer=None, use_rep=use_rep)
        assert space.means_are == "expression"
        np.testing.assert_allclose(space.offset, mean, rtol=1e-6)

"""ld.tl.embed writes what the estimator says, where scanpy looks for it, and nothing else."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp

import lowdim as ld
from lowdim.embedding import Snapshots, methods
from lowdim.neighbors import nearest_neighbors

QUICK = {"perplexity": 8, "max_iter": 60}


def cells() -> ad.AnnData:
    """150 rows in three groups, with a graph of neighbours as scanpy leaves it."""
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=150)
    adata = ad.AnnData(rng.normal(size=(150, 8)) + 6 * np.eye(8)[labels])
    adata.obs["truth"] = labels.astype(str)
    adata.obsm["X_pca"] = adata.X[:, :5] * 2
    adata.layers["twice"] = sp.csr_matrix(adata.X * 2)
    distances = nearest_neighbors(adata.X, 30).to_csr()
    adata.obsp["distances"] = distances
    weights = distances.copy()
    weights.data[:] = np.exp(-weights.data)
    adata.obsp["connectivities"] = weights + weights.T
    adata.uns["neighbors"] = {
        "connectivities_key": "connectivities",
        "distances_key": "distances",
        "params": {"n_neighbors": 30},
    }
    return adata


def test_the_layout_is_that_of_the_estimator(tmp_path: Path) -> None:
    adata = cells()
    assert ld.tl.embed(adata, use_rep="X_pca", params=QUICK) is None
    model = ld.TSNE(**QUICK, random_state=0).fit(adata.obsm["X_pca"])
    np.testing.assert_array_equal(adata.obsm["X_tsne"], model.embedding_)
    record = adata.uns["tsne"]
    assert record["method"] == "tsne"
    assert record["kl_divergence"] == model.kl_divergence_
    assert record["n_iter"] == 60 and record["stop_reason"] == "limit"
    assert record["params"]["perplexity"] == 8
    assert record["params"]["use_rep"] == "X_pca"
    assert record["version"] == ld.__version__
    adata.write_h5ad(tmp_path / "cells.h5ad")
    again = ad.read_h5ad(tmp_path / "cells.h5ad")
    np.testing.assert_array_equal(again.obsm["X_tsne"], model.embedding_)
    assert again.uns["tsne"]["params"]["perplexity"] == 8


def test_landmarks_are_laid_out_and_others_placed(tmp_path: Path) -> None:
    adata = cells()
    ld.tl.embed(adata, use_rep="X_pca", init="X_pca", n_landmarks=0.4, params=QUICK)
    init = adata.obsm["X_pca"][:, :2] - adata.obsm["X_pca"][:, :2].mean(0)
    model = ld.LandmarkEmbedding(
        ld.TSNE(**QUICK, init=init * 1e-4 / init[:, 0].std(), random_state=0),
        n_landmarks=60,
        random_state=0,
    ).fit(adata.obsm["X_pca"])
    np.testing.assert_array_equal(adata.obsm["X_tsne"], model.embedding_)
    record = adata.uns["tsne"]
    assert (record["method"], record["params"]["n_landmarks"]) == ("tsne", 60)
    assert record["params"]["perplexity"] == 8
    adata.write_h5ad(tmp_path / "cells.h5ad")
    ld.tl.embed(adata, "pca", n_landmarks=100, n_components=3)
    assert adata.obsm["X_pca"].shape == (150, 3) and adata.varm["PCs"].shape == (8, 3)


@pytest.mark.parametrize("graph", ["connectivities", "distances"])
@pytest.mark.parametrize("key", ["neighbors", "direct"])
def test_a_graph_that_is_there_is_laid_out(
    graph: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("neighbours are sought")

    monkeypatch.setattr("lowdim.embedding._base.NeighborIndex", refuse)
    adata = cells()
    name = graph if key == "direct" else key
    ld.tl.embed(adata, neighbors_key=name, graph=graph, params=QUICK)
    given = {"affinity" if graph == "connectivities" else "metric": "precomputed"}
    model = ld.TSNE(**QUICK, **given, random_state=0).fit(adata.obsp[graph])
    np.testing.assert_array_equal(adata.obsm["X_tsne"], model.embedding_)
    assert adata.uns["tsne"]["params"]["neighbors_key"] == name
    accuracy = ld.metrics.knn_label_accuracy(adata.obsm["X_tsne"], adata.obs["truth"])
    assert accuracy > 0.95


def test_matrices_names_and_estimators() -> None:
    adata = cells()
    twice = ld.tl.embed(adata, layer="twice", params=QUICK, key_added="X_twice", copy=True)
    assert "X_twice" not in adata.obsm and "twice" in twice.uns
    ld.tl.embed(adata, use_rep="X_pca", n_pcs=3, params=QUICK, key_added="three")
    model = ld.TSNE(**QUICK, random_state=0).fit(adata.obsm["X_pca"][:, :3])
    np.testing.assert_array_equal(adata.obsm["three"], model.embedding_)
    assert adata.uns["three"]["params"]["n_pcs"] == 3
    seen = Snapshots()
    estimator = ld.TSNE(3, perplexity=5, max_iter=50, callbacks=seen)
    ld.tl.embed(adata, estimator, n_components=1, random_state=3)
    assert adata.obsm["X_tsne"].shape == (150, 1)
    np.testing.assert_array_equal(seen.layouts[-1], adata.obsm["X_tsne"])
    assert adata.uns["tsne"]["params"]["random_state"] == 3
    assert estimator.n_components == 3 and not hasattr(estimator, "embedding_")


def test_layouts_begin_at_others() -> None:
    adata = cells()
    places = np.random.default_rng(1).normal(loc=5.0, scale=9.0, size=(150, 3))
    adata.obsm["X_umap"] = places
    ld.tl.embed(adata, init="X_umap", params={**QUICK, "max_iter": 1})
    centred = places[:, :2] - places[:, :2].mean(0)
    start = 1e-4 * centred / centred[:, 0].std()
    model = ld.TSNE(perplexity=8, max_iter=1, init=start).fit(adata.X)
    np.testing.assert_array_equal(adata.obsm["X_tsne"], model.embedding_)
    ld.tl.embed(adata, init="random", params=QUICK)
    assert adata.uns["tsne"]["params"]["init"] == "random"


def test_layouts_begin_in_subspaces_that_were_fitted() -> None:
    adata = cells()
    ld.tl.subspaces(adata, 3, 2, n_init=2, use_rep="X_pca")
    options = {"use_rep": "X_pca", "params": {**QUICK, "max_iter": 1}}
    ld.tl.embed(adata, init="subspaces", **options)
    start = ld.get.model(adata)
    model = ld.TSNE(perplexity=8, max_iter=1, init=start, random_state=0)
    np.testing.assert_array_equal(adata.obsm["X_tsne"], model.fit_transform(adata.obsm["X_pca"]))
    assert adata.uns["tsne"]["params"]["init"] == "given"
    with pytest.raises(ValueError, match="5"):  # it was fitted to five columns, and these are eight
        ld.tl.embed(adata, init="subspaces")


def test_axes_of_genes_are_kept_and_those_of_another_layout_are_not() -> None:
    adata = cells()
    adata.varm["PCs"] = np.zeros((8, 5))
    ld.tl.embed(adata, "pca", n_components=3)
    axes = adata.varm["PCs"]
    assert axes.shape == (8, 3)
    centred = adata.X - adata.X.mean(0)
    np.testing.assert_allclose(adata.obsm["X_pca"], centred @ axes, atol=1e-4)
    assert adata.uns["pca"]["explained_variance_ratio"].shape == (3,)
    adata.obsm["own"] = adata.X[:, :4]
    ld.tl.embed(adata, "pca", use_rep="own")
    assert "PCs" not in adata.varm
    with pytest.raises(ValueError, match="fitted to rows"):
        ld.tl.embed(adata, "pca", neighbors_key="neighbors")
    with pytest.raises(TypeError, match="does not begin anywhere"):
        ld.tl.embed(adata, "pca", init="X_umap")


@pytest.mark.parametrize("method", methods.METHODS)
def test_every_method_leaves_a_layout(method: str, tmp_path: Path) -> None:
    adata = cells()[:60].copy()
    known = methods.estimator_of(method).get_params()
    quick = {"perplexity": 5, "n_neighbors": 8, "max_iter": 30, "n_epochs": 30}
    params = {name: value for name, value in quick.items() if name in known}
    ld.tl.embed(adata, method, params=params)
    first = adata.obsm[f"X_{method}"]
    assert first.shape == (60, 2) and first.dtype == np.float32 and np.isfinite(first).all()
    ld.tl.embed(adata, method, params=params)
    np.testing.assert_array_equal(adata.obsm[f"X_{method}"], first)
    assert adata.uns[method]["method"] == method
    adata.write_h5ad(tmp_path / "cells.h5ad")


def test_scanpy_shows_the_layout() -> None:
    sc = pytest.importorskip("scanpy")
    import matplotlib.pyplot as plt

    adata = cells()
    ld.tl.embed(adata, params=QUICK)
    ax = sc.pl.embedding(adata, "tsne", color="truth", show=False)
    assert len(ax.collections[0].get_offsets()) == 150
    plt.close("all")


def test_counts_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    adata = ad.AnnData(np.random.default_rng(0).poisson(15.0, size=(60, 5)).astype(np.float32))
    ld.tl.embed(adata, params={**QUICK, "max_iter": 10})
    assert "raw counts" in caplog.text and "abundant genes" in caplog.text


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"method": "tsn"}, ValueError, "method='tsn' is not a choice"),
        ({"method": ld.TSNE}, TypeError, "estimator"),
        ({"params": {"perplexty": 3}}, TypeError, "params has 'perplexty'"),
        ({"use_rep": "X_none"}, ValueError, "X_none"),
        ({"use_rep": "X_pca", "key_added": "X_pca"}, ValueError, "would overwrite"),
        ({"use_rep": "X_pca", "n_pcs": 9}, ValueError, "has 5 columns"),
        ({"n_pcs": 2}, ValueError, "n_pcs is for a representation"),
        ({"neighbors_key": "nn"}, ValueError, "leads to no graph"),
        ({"neighbors_key": "neighbors", "graph": "edges"}, ValueError, "graph="),
        ({"neighbors_key": "neighbors", "use_rep": "X_pca"}, ValueError, "pass one of them"),
        ({"neighbors_key": "neighbors", "n_landmarks": 50}, ValueError, "n_landmarks=50 places"),
        ({"n_landmarks": 1}, ValueError, "n_landmarks=1 "),
        ({"neighbors_key": "neighbors", "init": "pca"}, ValueError, "needs rows"),
        ({"init": "X_pca", "n_components": 6}, ValueError, "needs 6 columns"),
        ({"init": "X_none"}, ValueError, "X_none"),
        ({"n_components": 0}, ValueError, "n_components=0"),
        ({"key_added": "a/b"}, ValueError, "key_added="),
    ],
)
def test_what_cannot_be_used_is_told_and_leaves_no_trace(
    options: dict, error: type[Exception], message: str
) -> None:
    adata = cells()
    before = adata.copy()
    with pytest.raises(error, match=message):
        ld.tl.embed(adata, **options)
    assert sorted(adata.obsm) == sorted(before.obsm) and list(adata.uns) == list(before.uns)
    with pytest.raises(TypeError, match="not an AnnData"):
        ld.tl.embed(adata.X)

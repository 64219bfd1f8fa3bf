"""ld.tl.mixture writes what the estimator says, where it should, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.metrics import adjusted_rand_score

import lowdim as ld


def blobs() -> ad.AnnData:
    rng = np.random.default_rng(0)
    corners = 6.0 * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    adata = ad.AnnData(corners[rng.integers(4, size=400)] + rng.normal(size=(400, 3)))
    adata.obsm["X_own"] = adata.X[:, :2] * 2
    adata.layers["sparse"] = sp.csr_matrix(np.where(np.abs(adata.X) < 1, 0, adata.X))
    return adata


@pytest.mark.parametrize(
    ("family", "estimator"),
    [
        ("gaussian", ld.GaussianMixture(4, random_state=0)),
        ("kmeans", ld.KMeans(4, random_state=0)),
        ("soft_kmeans", ld.SoftKMeans(4, random_state=0)),
    ],
)
def test_keys_hold_what_the_estimator_says(family: str, estimator: Any) -> None:
    adata = blobs()
    assert ld.tl.mixture(adata, family, n_components=4) is None
    model = estimator.fit(adata.X)
    assert (adata.obs["mixture"].astype(int) == model.predict(adata.X)).all()
    assert list(adata.obs["mixture"].cat.categories) == ["0", "1", "2", "3"]
    assert ("mixture_proba" in adata.obsm) == (family != "kmeans")
    if family != "kmeans":
        np.testing.assert_array_equal(adata.obsm["mixture_proba"], model.predict_proba(adata.X))
    centres = model.means_ if family == "gaussian" else model.cluster_centers_
    np.testing.assert_array_equal(adata.varm["mixture_means"], centres.T)
    record = adata.uns["mixture"]
    assert record["family"] == family
    assert record["version"] == ld.__version__
    assert record["n_iter"] == model.n_iter_
    assert "labels" not in record
    assert record["params"]["random_state"] == 0


def test_the_number_is_chosen_and_the_choice_kept(tmp_path: Path) -> None:
    adata = blobs()
    ld.tl.mixture(adata, n_components=range(2, 7), key_added="gmm")
    assert len(adata.obs["gmm"].cat.categories) == 4
    table = adata.uns["gmm_selection"]["table"]
    assert table["n_components"].tolist() == [2, 3, 4, 5, 6]
    assert adata.uns["gmm_selection"]["criterion"] == "bic"
    adata.write_h5ad(tmp_path / "result.h5ad")
    again = ad.read_h5ad(tmp_path / "result.h5ad")
    np.testing.assert_array_equal(again.uns["gmm"]["covariances"], adata.uns["gmm"]["covariances"])
    assert (again.obs["gmm"] == adata.obs["gmm"]).all()
    ld.tl.mixture(adata, n_components=3, key_added="gmm")
    assert "gmm_selection" not in adata.uns
    auto = ld.tl.mixture(adata, "kmeans", copy=True)
    assert len(auto.uns["mixture_selection"]["table"]["inertia"]) == 10
    assert "mixture" not in adata.uns


def test_layers_representations_and_estimators() -> None:
    adata = blobs()
    ld.tl.mixture(adata, ld.GaussianMixture(covariance_type="diag"), n_components=4, layer="sparse")
    assert adata.uns["mixture"]["covariances"].shape == (4, 3)
    assert adata.uns["mixture"]["params"]["layer"] == "sparse"
    ld.tl.mixture(adata, n_components=4, use_rep="X_own")
    assert adata.uns["mixture"]["means"].shape == (4, 2)
    assert "mixture_means" not in adata.varm  # those columns are no genes


def test_counts_are_taken_from_a_layer() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=200)
    means = rng.gamma(2.0, 2.0, size=(2, 30))
    adata = ad.AnnData(np.log1p(means[labels]))
    adata.layers["counts"] = sp.csr_matrix(rng.poisson(means[labels]))
    ld.tl.mixture(adata, "negative_binomial", n_components=2, layer="counts")
    assert adjusted_rand_score(labels, adata.obs["mixture"]) > 0.95
    assert adata.varm["mixture_means"].shape == (30, 2)
    assert adata.uns["mixture"]["dispersions"].shape == (30,)
    model = ld.NegativeBinomialMixture(2, random_state=0).fit(adata.layers["counts"])
    for k in range(2):
        table = model.markers(k).sort_index()
        for name, column in (("log2fc", "log2_fold_change"), ("log2fc_se", "standard_error")):
            np.testing.assert_allclose(adata.varm[f"mixture_{name}"][:, k], table[column])
    top = ld.get.top_genes(adata, "mixture", n_genes=3, by="fold_change")
    assert top["gene"].iloc[:3].astype(int).tolist() == model.markers(0).index[:3].tolist()
    assert (top["log2_fold_change"] / top["standard_error"]).iloc[:3].is_monotonic_decreasing
    few = ld.NegativeBinomialMixture(dispersion="poisson", n_init=1)
    ld.tl.mixture(adata, few, n_components=[1, 2], layer="counts", key_added="chosen")
    assert adata.uns["chosen_selection"]["criterion"] == "heldout"
    assert len(adata.obs["chosen"].cat.categories) == 2
    with pytest.raises(ValueError, match=r"count|integer|whole"):
        ld.tl.mixture(adata, "negative_binomial", n_components=2)


def test_criteria_are_the_estimators() -> None:
    adata = blobs()
    ld.tl.mixture(adata, n_components=4)
    model = ld.GaussianMixture(4, random_state=0).fit(adata.X)
    criteria = adata.uns["mixture"]["criteria"]
    for name in ("bic", "aic", "icl"):
        assert criteria[name] == getattr(model, name)(adata.X)
    assert criteria["log_likelihood"] == pytest.approx(model.score_samples(adata.X).sum())
    assert criteria["n_parameters"] == model.n_parameters()


def test_nothing_stays_of_an_earlier_fit() -> None:
    adata = blobs()
    ld.tl.mixture(adata, n_components=4)
    ld.tl.mixture(adata, "kmeans", n_components=4, use_rep="X_own")
    assert "mixture_proba" not in adata.obsm
    assert "mixture_means" not in adata.varm
    assert "criteria" not in adata.uns["mixture"]


def test_tables_of_any_family() -> None:
    adata = blobs()
    rows = np.asarray(adata.X)
    for family in ("gaussian", "kmeans"):
        ld.tl.mixture(adata, family, n_components=4)
        table = ld.get.components(adata, "mixture", labels="mixture")
        assert table["size"].sum() == 400
        assert table["weight"].sum() == pytest.approx(1)
        assert (table["majority"] == table.index).all()
        assert (table["purity"] == 1).all()
        assert ("mean_probability" in table) == (family == "gaussian")
        assert "dim" not in table
        top = ld.get.top_genes(adata, "mixture", n_genes=1, by="mean")
        for name, gene in zip(top["component"], top["gene"], strict=True):
            own = (adata.obs["mixture"] == name).to_numpy()
            assert int(gene) == (rows[own].mean(0) - rows[~own].mean(0)).argmax()
    with pytest.raises(ValueError, match="no 'mixture' from lowdim"):
        ld.get.loadings(adata, "mixture")
    with pytest.raises(ValueError, match="no fold changes"):
        ld.get.top_genes(adata, "mixture", by="fold_change")


def test_the_table_of_sizes_comes_back(tmp_path: Path) -> None:
    adata = blobs()
    ld.tl.mixture(adata, n_components=range(2, 6))
    found = ld.select_mixture(adata.X, ld.GaussianMixture(random_state=0), n_components=range(2, 6))
    adata.write_h5ad(tmp_path / "result.h5ad")
    table = ld.get.selection(ad.read_h5ad(tmp_path / "result.h5ad"), "mixture")
    assert list(table) == list(found.table)
    np.testing.assert_array_equal(table["bic"], found.table["bic"])
    assert table.attrs["criterion"] == "bic"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"family": "round"}, ValueError, "family='round'"),
        ({"family": 3}, TypeError, "estimator is of type int"),
        ({"family": ld.SubspaceMixture()}, TypeError, "lowdim.tl.subspaces"),
        ({"n_components": "many"}, ValueError, "n_components='many'"),
        ({"n_components": 0}, ValueError, "n_components=0"),
        ({"key_added": "a/b"}, ValueError, "key_added"),
        ({"layer": "none"}, ValueError, "none"),
        ({"use_rep": "mixture_proba"}, ValueError, "overwrite"),
    ],
)
def test_nothing_is_written_where_arguments_are_wrong(
    options: dict, error: type[Exception], message: str
) -> None:
    adata = blobs()
    with pytest.raises(error, match=message):
        ld.tl.mixture(adata, **options)
    assert not set(adata.uns) | set(adata.varm) | set(adata.obs)

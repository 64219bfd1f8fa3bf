"""ld.tl.ground_metric writes what it promises, and leaves the AnnData as it was on errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
from accelerator import pretended

import lowdim as ld
from lowdim import GroundMetric, SampleDataset

pytestmark = pytest.mark.filterwarnings("ignore:The loss was still falling")


@pytest.fixture(scope="module")
def fitted() -> ad.AnnData:
    """A small cohort with mixtures of all columns, and of principal components."""
    adata = ld.data.simulate_cohort(8, 60, 6, n_components=3, signal="mean", random_state=0)
    X = np.asarray(adata.X, dtype=np.float64)
    axes = np.linalg.svd(X - X.mean(0), full_matrices=False)[2][:4]
    adata.obsm["X_pca"], adata.varm["PCs"] = (X - X.mean(0)) @ axes.T, axes.T
    for use_rep in (None, "X_pca"):
        ld.tl.fit_gmm(adata, sample_key="sample", use_rep=use_rep, k_comps=2, verbose=False)
    return adata


def learn(adata: ad.AnnData, **options: Any) -> ad.AnnData | None:
    given = {"sample_key": "sample", "label_key": "label", "n_components": 2, "max_iter": 4}
    return ld.tl.ground_metric(adata, **{**given, **options})


def test_results_are_those_of_the_estimator(fitted: ad.AnnData) -> None:
    adata = learn(fitted, copy=True, alpha=3.0)
    assert "ground_metric" not in fitted.uns
    data = SampleDataset.from_anndata(
        fitted, sample_key="sample", label_key="label", gmm_key="gmm_X"
    )
    model = GroundMetric(2, alpha=3.0, max_iter=4, random_state=0).fit(data)
    record = adata.uns["ground_metric"]
    np.testing.assert_array_equal(record["components"], model.components_)
    np.testing.assert_array_equal(adata.varm["ground_metric"], model.components_.T)
    np.testing.assert_allclose(adata.obsm["ground_metric"], fitted.X @ model.components_.T)
    np.testing.assert_array_equal(record["distances"], model.distances(data))
    assert record["names"].tolist() == data.names.tolist()
    assert record["labels"].tolist() == data.labels.tolist()
    assert list(record["history"]["loss"]) == model.history_["loss"]
    assert record["params"]["gmm_key"] == "gmm_X"
    assert model.feature_names_in_.tolist() == adata.var_names.tolist()


def test_a_device_finds_the_same(fitted: ad.AnnData) -> None:
    settings = {"entropic": 0.2, "cost": "mw2"}
    expected = learn(fitted, copy=True, gmm_key="gmm_X", **settings)
    with pretended() as log:
        found = learn(fitted, copy=True, gmm_key="gmm_X", device="cuda", **settings)
        before = log.calls
        ld.tl.sample_distances(found, ground_metric="ground_metric", gmm_key="gmm_X", device="cuda")
        assert 0 < before < log.calls
    records = (own.uns["ground_metric"] for own in (expected, found))
    for own, other in zip(*((r["history"]["loss"], r["distances"]) for r in records), strict=True):
        np.testing.assert_allclose(other, own, rtol=1e-6, atol=1e-8)
    distances = found.uns["sample_distances"]["distances"]
    np.testing.assert_allclose(
        distances, found.uns["ground_metric"]["distances"], rtol=1e-9, atol=1e-12
    )
    assert found.uns["ground_metric"]["params"]["device"] == "cuda"


def test_components_lead_back_to_the_genes(fitted: ad.AnnData) -> None:
    adata = learn(fitted, copy=True, use_rep="X_pca")
    W = adata.uns["ground_metric"]["components"]
    np.testing.assert_allclose(adata.varm["ground_metric"], fitted.varm["PCs"] @ W.T)
    np.testing.assert_allclose(adata.obsm["ground_metric"], fitted.obsm["X_pca"] @ W.T)
    unknown = fitted.copy()
    unknown.obsm["other"] = unknown.obsm["X_pca"]
    unknown.varm["ground_metric"] = np.ones((6, 2))
    ld.tl.fit_gmm(unknown, sample_key="sample", use_rep="other", k_comps=1, verbose=False)
    learn(unknown, use_rep="other")
    assert "ground_metric" not in unknown.varm  # what an earlier call left would be of another map


def test_cells_themselves(fitted: ad.AnnData) -> None:
    adata = learn(fitted, copy=True, cost="w1", n_cells=20, key_added="cells")
    data = SampleDataset.from_anndata(fitted, sample_key="sample", label_key="label")
    model = GroundMetric(2, cost="w1", n_cells=20, max_iter=4, random_state=0).fit(data)
    np.testing.assert_array_equal(adata.uns["cells"]["components"], model.components_)
    assert "gmm_key" not in adata.uns["cells"]["params"]
    sparse = fitted.copy()
    sparse.X = sp.csr_matrix(sparse.X)
    learn(sparse, cost="w1", n_cells=20, key_added="cells")
    np.testing.assert_allclose(sparse.obsm["cells"], adata.obsm["cells"], rtol=1e-5, atol=1e-5)


def test_results_survive_a_file_and_are_read_by_others(fitted: ad.AnnData, tmp_path: Path) -> None:
    adata = learn(fitted, copy=True)
    adata.write_h5ad(tmp_path / "cohort.h5ad")
    again = ad.read_h5ad(tmp_path / "cohort.h5ad")
    table = ld.get.sample_distances(again, "ground_metric")
    np.testing.assert_array_equal(table, adata.uns["ground_metric"]["distances"])
    ld.tl.sample_distances(
        again, sample_key="sample", cost="mixed", ground_metric="ground_metric", key_added="under"
    )
    np.testing.assert_allclose(again.uns["under"]["distances"], table, rtol=1e-12)
    assert ld.get.metric_loadings(again).shape == (6, 2)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"label_key": "nothing"}, KeyError, "'nothing' is not a column of obs"),
        ({"gmm_key": "nothing"}, KeyError, "'nothing' is not in uns"),
        ({"label_key": "component"}, ValueError, "differs within"),
        ({"cost": "euclid"}, ValueError, "cost='euclid'"),
        ({"n_components": 7}, ValueError, "n_components=7"),
        ({"key_added": "X_pca", "use_rep": "X_pca"}, ValueError, "key_added would overwrite"),
    ],
)
def test_errors_leave_the_data_as_they_were(
    fitted: ad.AnnData, options: dict[str, Any], error: type, message: str
) -> None:
    before = set(fitted.uns) | set(fitted.obsm) | set(fitted.varm)
    with pytest.raises(error, match=message):
        learn(fitted, **options)
    assert set(fitted.uns) | set(fitted.obsm) | set(fitted.varm) == before


def test_rows_are_those_that_the_mixtures_were_fitted_to() -> None:
    adata = ld.data.simulate_cohort(6, 40, 4, n_components=3, signal="mean", random_state=0)
    adata.obsm["X_two"] = adata.X[:, :2].copy()
    fitted = ld.tl.fit_gmm(
        adata, sample_key="sample", label_key="label", use_rep="X_two", k_comps=2, gmm_key="own",
        verbose=False,
    )  # fmt: skip
    settings: dict[str, Any] = {"n_components": 1, "max_iter": 3, "random_state": 0}
    keys = {"sample_key": "sample", "label_key": "label"}
    ld.tl.ground_metric(adata, **keys, gmm_key="own", **settings)
    model = GroundMetric(**settings).fit(fitted)
    np.testing.assert_allclose(adata.obsm["ground_metric"], model.transform(adata.obsm["X_two"]))
    assert adata.uns["ground_metric"]["params"]["use_rep"] == "X_two"


@pytest.mark.parametrize(
    "options", [{"use_rep": "X_pca"}, {"standardize": True}, {"cost": "w1", "n_cells": None}]
)
def test_the_estimator_comes_back(
    fitted: ad.AnnData, options: dict[str, Any], tmp_path: Path
) -> None:
    adata = learn(fitted, copy=True, alpha=3.0, key_added="own", **options)
    adata.write_h5ad(tmp_path / "cohort.h5ad")
    again = ad.read_h5ad(tmp_path / "cohort.h5ad")
    record = adata.uns["own"]
    params = record["params"]
    data = SampleDataset.from_anndata(
        again, sample_key="sample", gmm_key=params.get("gmm_key"), use_rep=params.get("use_rep")
    )
    for source in (adata, again):
        model = ld.get.ground_metric(source, "own")
        np.testing.assert_array_equal(model.distances(data), record["distances"])
        np.testing.assert_array_equal(model.transform(data.source), adata.obsm["own"])
        assert model.get_params()["alpha"] == 3.0
        assert model.history_["loss"] == list(record["history"]["loss"])
        assert (model.loss_, model.n_iter_) == (record["loss"], record["n_iter"])
        assert len(model.losses_) == 3
        named = getattr(model, "feature_names_in_", None)
        assert named is None if "use_rep" in options else list(named) == list(fitted.var_names)
    model.save(tmp_path / "map.h5")
    np.testing.assert_array_equal(ld.load(tmp_path / "map.h5").distances(data), record["distances"])
    with pytest.raises(ValueError, match="no ground metric in 'other'"):
        ld.get.ground_metric(adata, "other")
    with pytest.raises(TypeError, match="adata is a ndarray"):
        ld.get.ground_metric(adata.X)

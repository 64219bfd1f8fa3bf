"""ld.tl.spatial_factors writes what the estimator says, in order, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest

import lowdim as ld
from lowdim.factorization import moran, spatial_importance
from lowdim.factorization.models import MODELS


def test_keys_hold_what_the_estimator_says(tissue: ad.AnnData) -> None:
    assert ld.tl.spatial_factors(tissue, 3, "nsfh", n_spatial=2, size_factors="mean") is None
    model = ld.HybridSpatialFactorization(3, 2, size_factors="mean", random_state=0)
    model.fit(tissue.layers["counts"], tissue.obsm["spatial"])
    values = moran(model.factors_, tissue.obsm["spatial"])
    order = [*np.argsort(-values[:2]), 2]
    factors = tissue.obsm["spatial_factors"]
    np.testing.assert_array_equal(factors, model.factors_[:, order])
    np.testing.assert_array_equal(
        tissue.varm["spatial_factors_loadings"], model.loadings_[:, order]
    )
    sd = model.factors_ * np.sqrt(np.exp(model.log_factor_variances_) - 1)
    np.testing.assert_allclose(tissue.obsm["spatial_factors_sd"], sd[:, order])
    np.testing.assert_array_equal(tissue.obs["spatial_factors_size_factor"], model.size_factors_)
    record = tissue.uns["spatial_factors"]
    np.testing.assert_array_equal(record["moran"], values[order])
    assert record["n_spatial"] == 2
    assert record["objective"] == model.lower_bound_
    np.testing.assert_array_equal(record["lower_bounds"], model.lower_bounds_)
    assert (record["converged"], record["n_iter"]) == (model.converged_, model.n_iter_)
    assert record["version"] == ld.__version__
    assert record["params"]["n_factors"] == 3
    assert record["shares"].sum() == pytest.approx(1)
    assert record["length_scales"].shape == (2, 1)
    W = model.loadings_[:, order]
    np.testing.assert_allclose(
        tissue.obs["spatial_factors_importance"], spatial_importance(factors, W, 2)
    )
    np.testing.assert_allclose(
        tissue.var["spatial_factors_importance"], spatial_importance(factors, W, 2, "spde")
    )


def test_factors_are_ordered_and_genes_told_apart(factorized: ad.AnnData) -> None:
    values = factorized.uns["spatial_factors"]["moran"]
    assert values[0] > values[1] > 0.5 > abs(values[2])
    importance = factorized.var["spatial_factors_importance"]
    assert importance[[f"odd{j}" for j in range(10)]].max() < 0.3
    assert importance[[f"band{j}" for j in range(10)]].min() > 0.7


def test_results_survive_a_file(factorized: ad.AnnData, tmp_path: Path) -> None:
    factorized.write_h5ad(tmp_path / "fit.h5ad")
    again = ad.read_h5ad(tmp_path / "fit.h5ad")
    for name in ("spatial_factors", "spatial_factors_sd"):
        np.testing.assert_array_equal(again.obsm[name], factorized.obsm[name])
    record, before = again.uns["spatial_factors"], factorized.uns["spatial_factors"]
    assert set(record) == set(before)
    assert ld.get.factors(again).equals(ld.get.factors(factorized))
    assert ld.get.top_genes(again, "spatial_factors").equals(
        ld.get.top_genes(factorized, "spatial_factors")
    )


def test_nothing_of_an_earlier_call_is_left(tissue: ad.AnnData) -> None:
    nb = {"likelihood": "negative_binomial", "size_factors": "mean"}
    ld.tl.spatial_factors(tissue, 3, "nsfh", **nb)
    assert "spatial_factors_dispersion" in tissue.var
    tissue.obs["spatial_factors_of_mine"] = 1.0
    ld.tl.spatial_factors(tissue, 2)
    assert [c for c in tissue.obs if c.startswith("spatial_factors")] == ["spatial_factors_of_mine"]
    assert not len(tissue.var.columns)
    assert tissue.obsm["spatial_factors"].shape[1] == 2
    assert "dispersions" not in tissue.uns["spatial_factors"]


def test_a_copy_leaves_the_original(tissue: ad.AnnData) -> None:
    copy = ld.tl.spatial_factors(tissue, 2, key_added="mine", copy=True)
    assert "mine" in copy.obsm
    assert "mine" not in tissue.obsm
    assert "mine" not in tissue.uns


def test_the_same_seed_gives_the_same_result(tissue: ad.AnnData) -> None:
    one = ld.tl.spatial_factors(tissue, 2, random_state=3, copy=True)
    two = ld.tl.spatial_factors(tissue, 2, random_state=3, copy=True)
    np.testing.assert_array_equal(one.obsm["spatial_factors"], two.obsm["spatial_factors"])


def test_an_estimator_keeps_its_settings(tissue: ad.AnnData) -> None:
    model = ld.SpatialFactorization(2, kernel="rbf", max_iter=7, tol=1.0)
    ld.tl.spatial_factors(tissue, model=model)
    params = tissue.uns["spatial_factors"]["params"]
    assert (params["n_factors"], params["kernel"], params["max_iter"]) == (2, "rbf", 7)
    assert not hasattr(model, "factors_")
    ld.tl.spatial_factors(tissue, 3, model)
    assert tissue.uns["spatial_factors"]["params"]["n_factors"] == 3


def test_layers_places_and_size_factors_are_found(tissue: ad.AnnData) -> None:
    tissue.X = tissue.layers.pop("counts")
    tissue.obs["time"] = tissue.obsm["spatial"][:, 0] + 0.01 * np.arange(144)
    tissue.obs["depth"] = np.linspace(0.5, 2, 144)
    ld.tl.spatial_factors(
        tissue, 2, layer=None, spatial_key="time", size_factors="depth", length_scale=100.0
    )
    np.testing.assert_array_equal(tissue.obs["spatial_factors_size_factor"], tissue.obs["depth"])
    params = tissue.uns["spatial_factors"]["params"]
    assert params["size_factors"] == "given"
    assert params["spatial_key"] == "time"
    assert "layer" not in params
    assert tissue.uns["spatial_factors"]["length_scales"] == pytest.approx(100.0)


def test_backed_counts(tissue: ad.AnnData, tmp_path: Path) -> None:
    tissue.write_h5ad(tmp_path / "tissue.h5ad")
    backed = ad.read_h5ad(tmp_path / "tissue.h5ad", backed="r")
    ld.tl.spatial_factors(backed, 2)
    ld.tl.spatial_factors(tissue, 2)
    np.testing.assert_array_equal(backed.obsm["spatial_factors"], tissue.obsm["spatial_factors"])


@pytest.mark.parametrize("name", list(MODELS))
def test_every_model_runs_from_its_name(name: str, tissue: ad.AnnData, tmp_path: Path) -> None:
    values = name in ("rsf", "fa", "mefisto")
    ld.tl.spatial_factors(tissue, 2, name, layer=None if values else "counts")
    record = tissue.uns["spatial_factors"]
    assert record["model"] == name
    assert record["n_spatial"] == {"pnmf": 0, "fa": 0, "nsfh": 1}.get(name, 2)
    assert record["nonnegative"] != values
    tissue.write_h5ad(tmp_path / "fit.h5ad")
    again = ad.read_h5ad(tmp_path / "fit.h5ad")
    assert len(ld.get.factors(again)) == 2
    assert set(ld.get.top_genes(again, "spatial_factors")["factor"]) == {"0", "1"}


def test_names_of_models_that_exist_are_offered(tissue: ad.AnnData) -> None:
    known = ", ".join(repr(name) for name in MODELS)
    with pytest.raises(ValueError, match=f"model='nmf' is not a choice; pass one of {known}"):
        ld.tl.spatial_factors(tissue, model="nmf")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"layer": "raw"}, ValueError, r"layer='raw' is not in .*\['counts'\].*layer=None"),
        ({"layer": None}, ValueError, "counts"),
        ({"spatial_key": "place"}, ValueError, "spatial_key='place' is neither"),
        ({"spatial_key": "half"}, TypeError, r"adata.obs\['half'\] must be numbers"),
        ({"sample_key": "patient"}, ValueError, "sample_key='patient' is not in adata.obs"),
        ({"n_factors": 0}, ValueError, "n_factors=0"),
        ({"n_spatial": 2}, ValueError, "n_spatial=2 is not a setting of SpatialFactorization"),
        ({"model": ld.KMeans()}, TypeError, "model is of type KMeans"),
        ({"model": ld.SpatialFactorization}, TypeError, "unfitted estimator"),
        ({"likelihood": "normal"}, ValueError, "likelihood='normal'"),
        ({"size_factors": "total"}, ValueError, "size_factors='total'"),
        ({"key_added": "a/b"}, ValueError, "key_added"),
        ({"key_added": "spatial"}, ValueError, "overwrite the coordinates"),
    ],
)
def test_bad_arguments_leave_the_data_alone(
    tissue: ad.AnnData, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    before = (set(tissue.obs), set(tissue.var), set(tissue.obsm), set(tissue.uns))
    with pytest.raises(error, match=message):
        ld.tl.spatial_factors(tissue, **options)
    assert (set(tissue.obs), set(tissue.var), set(tissue.obsm), set(tissue.uns)) == before


def test_what_is_no_anndata_is_refused() -> None:
    with pytest.raises(TypeError, match="adata is a ndarray"):
        ld.tl.spatial_factors(np.ones((3, 3)))

"""ld.tl.sample_distances writes what the transport functions say, with names, for files as well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

import lowdim as ld
from lowdim import SampleDataset
from lowdim.transport import cloud_distances, mixture_distances

NAMES = ["a/b", "b", "c"]
W = np.array([[1.0, 0.0, 0.5], [0.0, -2.0, 0.0]])


def cohort() -> ad.AnnData:
    rng = np.random.default_rng(0)
    codes = rng.permutation(np.repeat(np.arange(3), 40))
    adata = ad.AnnData(rng.normal(size=(120, 3)) + 1.5 * codes[:, None])
    adata.obs["sample"] = np.array(NAMES)[codes]
    adata.obsm["X_part"] = adata.X[:, :2].copy()
    return adata


def fitted(**options: Any) -> tuple[ad.AnnData, SampleDataset]:
    adata = cohort()
    data = ld.tl.fit_gmm(adata, sample_key="sample", k_comps=2, verbose=False, **options)
    return adata, data


@pytest.mark.parametrize("options", [{}, {"cost": "mixed"}, {"entropic": 0.1, "debiased": True}])
@pytest.mark.parametrize("sharing", ["sample_specific", "global"])
def test_of_mixtures(sharing: str, options: dict[str, Any]) -> None:
    adata, data = fitted(component_sharing=sharing)
    assert ld.tl.sample_distances(adata, **options) is None
    table = ld.get.sample_distances(adata)
    assert table.index.tolist() == table.columns.tolist() == NAMES
    np.testing.assert_allclose(table, mixture_distances(data.mixtures, **options), rtol=1e-12)
    assert table.loc["a/b", "c"] > table.loc["a/b", "b"]


@pytest.mark.parametrize("cost", ["w1", "w2"])
def test_of_cells(cost: str) -> None:
    adata = cohort()
    data = SampleDataset.from_anndata(adata, sample_key="sample", use_rep="X_part")
    ld.tl.sample_distances(adata, sample_key="sample", use_rep="X_part", cost=cost, key_added="all")
    np.testing.assert_allclose(
        ld.get.sample_distances(adata, "all"), cloud_distances(data.clouds(), cost=cost)
    )
    some = [
        ld.get.sample_distances(
            ld.tl.sample_distances(adata, sample_key="sample", cost=cost, n_cells=15, copy=True)
        )
        for _ in range(2)
    ]
    pd.testing.assert_frame_equal(*some)
    assert "sample_distances" not in adata.uns


def test_under_a_map() -> None:
    adata, data = fitted()
    adata.uns["learned"] = {"components": W}
    expected = mixture_distances(data.mixtures.mapped(W), cost="mixed")
    metric = ld.GroundMetric(2)
    metric.components_ = W
    for given in (W, W.tolist(), "learned", metric):
        ld.tl.sample_distances(adata, cost="mixed", ground_metric=given)
        np.testing.assert_allclose(ld.get.sample_distances(adata), expected)
    ld.tl.sample_distances(adata, sample_key="sample", cost="w2", ground_metric=W)
    np.testing.assert_allclose(
        ld.get.sample_distances(adata), cloud_distances(data.clouds().mapped(W), cost="w2")
    )


@pytest.mark.filterwarnings("ignore:The loss was still falling")
@pytest.mark.parametrize(
    "options",
    [
        {"cost": "mixed", "diagonal": True},
        {"cost": "mw2", "entropic": 0.2},
        {"cost": "w1", "n_cells": 12},
        {"cost": "w2", "n_cells": None, "entropic": 0.3},
    ],
)
def test_a_ground_metric_brings_its_settings(options: dict[str, Any], tmp_path: Path) -> None:
    adata = ld.data.simulate_cohort(6, 30, 4, n_components=3, random_state=0)
    ld.tl.fit_gmm(adata, sample_key="sample", k_comps=2, verbose=False)
    keys = {"sample_key": "sample", "label_key": "label"}
    ld.tl.ground_metric(adata, **keys, n_components=2, max_iter=3, n_init=1, **options)
    adata.write_h5ad(tmp_path / "learned.h5ad")
    again = ad.read_h5ad(tmp_path / "learned.h5ad")
    model = ld.get.ground_metric(again)
    gmm_key = None if options["cost"] in ("w1", "w2") else "gmm_X"
    expected = model.distances(SampleDataset.from_anndata(again, **keys, gmm_key=gmm_key))
    np.testing.assert_allclose(again.uns["ground_metric"]["distances"], expected, rtol=1e-12)
    for given in ("ground_metric", model):
        ld.tl.sample_distances(again, sample_key="sample", ground_metric=given)
        np.testing.assert_array_equal(ld.get.sample_distances(again), expected)
    # What is asked for by name comes first.
    ld.tl.sample_distances(again, ground_metric=model, cost="mw2", entropic=0.5)
    params = again.uns["sample_distances"]["params"]
    assert (params["cost"], params["entropic"]) == ("mw2", 0.5)
    assert params["diagonal"] == options.get("diagonal", False)


def test_a_metric_that_is_not_fitted_is_said() -> None:
    adata, _ = fitted()
    with pytest.raises(NotFittedError):
        ld.tl.sample_distances(adata, ground_metric=ld.GroundMetric())
    assert "sample_distances" not in adata.uns


def test_files_keep_it(tmp_path: Path) -> None:
    adata, _ = fitted()
    ld.tl.sample_distances(adata, ground_metric=W)
    before = ld.get.sample_distances(adata)
    adata.write_h5ad(tmp_path / "distances.h5ad")
    again = ad.read_h5ad(tmp_path / "distances.h5ad")
    pd.testing.assert_frame_equal(ld.get.sample_distances(again), before)
    params = again.uns["sample_distances"]["params"]
    assert params["cost"] == "mw2"
    assert params["gmm_key"] == "gmm_X"
    np.testing.assert_array_equal(params["ground_metric"], W)
    # And mixtures are enough where the rows are not those that were fitted.
    ld.tl.sample_distances(again[:5].copy())


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"gmm_key": "other"}, KeyError, "'other' is not in uns, but 'gmm_X': name one by"),
        ({"cost": "w2"}, TypeError, "sample_key is missing"),
        ({"cost": "w2", "sample_key": "who"}, KeyError, "'who' is not a column of obs"),
        ({"cost": "l2"}, ValueError, "cost='l2'"),
        ({"entropic": -1.0}, ValueError, "entropic"),
        ({"ground_metric": "learned"}, KeyError, "no map 'learned'"),
        ({"ground_metric": np.ones((2, 7))}, ValueError, "7 columns and the samples have 3"),
        ({"ground_metric": [1.0, 2.0]}, ValueError, r"shape \(2,\)"),
        ({"key_added": "a/b"}, ValueError, "key_added='a/b'"),
    ],
)
def test_what_cannot_be_used_is_named(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    adata, _ = fitted()
    with pytest.raises(error, match=message):
        ld.tl.sample_distances(adata, **options)
    assert "sample_distances" not in adata.uns
    with pytest.raises(ValueError, match="no 'sample_distances' with distances"):
        ld.get.sample_distances(adata)


def test_the_only_mixtures_are_taken_and_several_must_be_named() -> None:
    adata = ld.data.simulate_cohort(6, 40, 4, n_components=3, random_state=0)
    adata.obsm["X_two"] = adata.X[:, :2].copy()
    ld.tl.fit_gmm(adata, sample_key="sample", use_rep="X_two", k_comps=1, verbose=False)
    ld.tl.sample_distances(adata)
    assert adata.uns["sample_distances"]["params"]["gmm_key"] == "gmm_X_two"
    with pytest.raises(KeyError, match="'gmm_X' is not in uns, but 'gmm_X_two': name one"):
        ld.tl.sample_distances(adata, use_rep="X")
    adata.uns["b"] = adata.uns["gmm_X_two"]
    with pytest.raises(KeyError, match="'gmm_X' is not in uns, but 'gmm_X_two', 'b': name one"):
        ld.tl.sample_distances(adata)
    del adata.uns["b"], adata.uns["gmm_X_two"]
    with pytest.raises(KeyError, match=r"run ld.tl.fit_gmm first, or take the cells"):
        ld.tl.sample_distances(adata)


def test_samples_that_are_numbers_find_their_labels() -> None:
    adata = ld.data.simulate_cohort(6, 40, 4, n_components=3, random_state=0)
    adata.obs["sample"] = adata.obs["sample"].astype(str).str[-1].astype(int)
    ld.tl.fit_gmm(adata, sample_key="sample", k_comps=2, verbose=False)
    ld.tl.sample_distances(adata)
    ax = ld.pl.sample_map(adata, "label")
    assert "class_0" in " ".join(text.get_text() for text in ax.get_legend().get_texts())

"""Mixtures in `uns`: the entries that ggml-ot writes and reads, there and back, through files."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import lowdim as ld
from lowdim import SampleDataset

#: What ggml-ot 0.9.94 writes, from a run.
ENTRIES = {
    "component_sharing", "use_rep", "covariance_type", "n_components", "distribution_n_components",
    "fit_params", "selection", "backend", "model_family", "representation_space",
    "backend_metadata", "model", "distribution_weights", "weight_inference",
}  # fmt: skip


def cohort(S: int = 4, n: int = 60, d: int = 3, names: Any = None) -> ad.AnnData:
    """Rows of S samples of two components each, in no order."""
    rng = np.random.default_rng(0)
    codes = rng.permutation(np.repeat(np.arange(S), n))
    X = rng.normal(size=(S * n, d)) + 3.0 * codes[:, None]
    X[:, 0] += 8.0 * (rng.random(S * n) < 0.4)
    names = [f"p{s}" for s in range(S)] if names is None else names
    adata = ad.AnnData(X)
    adata.obs["sample"] = np.asarray(names)[codes]
    adata.obs["label"] = np.where(codes % 2, "odd", "even")
    adata.obsm["X_part"] = X[:, :2]
    return adata


def read_back(adata: ad.AnnData, path: Path) -> ad.AnnData:
    adata.write_h5ad(path / "mixtures.h5ad")
    return ad.read_h5ad(path / "mixtures.h5ad")


@pytest.fixture
def written_by_ggml(tmp_path: Path) -> ad.AnnData:
    """Three samples of 20 rows, fitted by ggml-ot 0.9.94: "own", "shared" and "diag"."""
    packed = Path(__file__).parent / "data" / "ggml_ot.h5ad.gz"
    path = tmp_path / "ggml_ot.h5ad"
    path.write_bytes(gzip.decompress(packed.read_bytes()))
    return ad.read_h5ad(path)


@pytest.mark.parametrize("sharing", ["sample_specific", "global"])
@pytest.mark.parametrize("kind", ["full", "diag"])
def test_entries_are_those_of_ggml_ot(sharing: str, kind: str) -> None:
    adata = cohort()
    ld.tl.fit_gmm(
        adata,
        sample_key="sample",
        use_rep="X_part",
        component_sharing=sharing,
        covariance_type=kind,
        k_comps=2,
        verbose=False,
    )
    record = adata.uns["gmm_X_part"]
    assert set(record) == ENTRIES
    S = 1 if sharing == "global" else 4
    assert {name: value.shape for name, value in record["model"].items()} == {
        "mu": (S, 2, 2),
        "var": (S, 2, 2, 2),
        "pi": (S, 2),
    }
    assert record["use_rep"] == "X_part"
    assert record["covariance_type"] == kind
    assert record["distribution_weights"].shape == (4, 2)
    assert record["weight_inference"] == {
        "weights_fit_scope": "all_cells",
        "weights_source": "stored",
        "distribution_ids": ["p0", "p1", "p2", "p3"],
    }
    assert record["fit_params"]["eps"] == 1e-4
    assert record["selection"] is None
    assert adata.obs["gmm_X_part_comp"].isin([0, 1]).all()
    np.testing.assert_allclose(adata.obsm["gmm_X_part_resp"].sum(1), 1.0)


@pytest.mark.parametrize("sharing", ["sample_specific", "global"])
@pytest.mark.parametrize("kind", ["full", "diag"])
@pytest.mark.parametrize("k_comps", [2, [1, 2, 3], None])
def test_mixtures_come_back_from_a_file(
    sharing: str, kind: str, k_comps: Any, tmp_path: Path
) -> None:
    adata = cohort()
    fitted = ld.tl.fit_gmm(
        adata,
        sample_key="sample",
        label_key="label",
        component_sharing=sharing,
        covariance_type=kind,
        k_comps=k_comps,
        k_selection_metric="heldout_nll",
        verbose=False,
    )
    again = read_back(read_back(adata, tmp_path), tmp_path)  # twice, since types change
    back = SampleDataset.from_anndata(
        again, sample_key="sample", label_key="label", gmm_key="gmm_X"
    )
    for name in ("names", "labels", "supports", "covariances"):
        np.testing.assert_array_equal(getattr(back, name), getattr(fitted, name))
    np.testing.assert_allclose(back.weights, fitted.weights, rtol=1e-14)
    R = back.gmm.predict_proba(back.source, back.groups)
    np.testing.assert_allclose(R, again.obsm["gmm_X_resp"], atol=1e-9)
    np.testing.assert_allclose(
        back.gmm.score_samples(back.source, back.groups),
        fitted.gmm.score_samples(fitted.source, fitted.groups),
        rtol=1e-9,
    )
    if k_comps == 2:
        assert back.gmm.selection_ is None
    else:
        columns = ["sample", "n_components", "score", "train_nll", "validation_nll"]
        pd.testing.assert_frame_equal(
            back.gmm.selection_[columns], fitted.gmm.selection_[columns], check_dtype=False
        )


def test_names_may_be_any_text(tmp_path: Path) -> None:
    adata = cohort(names=["a/b", "50%", "a%2Fb", "e é"])
    fitted = ld.tl.fit_gmm(adata, sample_key="sample", k_comps=[1, 2], verbose=False)
    back = SampleDataset.from_anndata(
        read_back(adata, tmp_path), sample_key="sample", gmm_key="gmm_X"
    )
    assert back.names.tolist() == sorted(["a/b", "50%", "a%2Fb", "e é"])
    np.testing.assert_array_equal(back.supports, fitted.supports)
    assert back.gmm.selection_.groupby("sample").size().to_dict() == dict.fromkeys(back.names, 2)


def test_a_file_of_ggml_ot_is_read(written_by_ggml: ad.AnnData) -> None:
    adata = written_by_ggml
    rows = np.asarray(adata.X, dtype=float)
    for key, shared, full in (
        ("own", False, True),
        ("shared", True, True),
        ("diag", False, False),
    ):
        data = SampleDataset.from_anndata(
            adata, sample_key="sample", label_key="patient_group", gmm_key=key
        )
        assert data.names.tolist() == ["p0", "p1", "p2"]
        assert data.labels.tolist() == ["g0", "g1", "g0"]
        assert data.mixtures.full == full
        assert (data.gmm.shared_weights_ is not None) == shared
        np.testing.assert_allclose(data.weights, adata.uns[key]["distribution_weights"], rtol=1e-6)
        mu = np.asarray(adata.uns[key]["model"]["mu"])
        expected = np.repeat(mu, 3, axis=0) if shared else mu
        used = data.weights > 0
        np.testing.assert_array_equal(data.supports[used], expected[used])
        # Its own responsibilities are in single precision, with eps added in its E-step.
        R = data.gmm.predict_proba(data.source, data.groups)
        np.testing.assert_allclose(R, adata.obsm[f"{key}_resp"], atol=5e-3)
        assert np.isfinite(data.gmm.score_samples(rows, adata.obs["sample"])).all()
        distances = ld.transport.mixture_distances(data.mixtures)
        assert (distances[np.triu_indices(3, 1)] > 0).all()
    table = SampleDataset.from_anndata(adata, sample_key="sample", gmm_key="own").gmm.selection_
    assert table["n_components"].tolist() == [1, 2] * 3


@pytest.mark.parametrize("key", ["own", "shared"])
def test_weights_may_be_shares_of_assigned_rows(written_by_ggml: ad.AnnData, key: str) -> None:
    data = SampleDataset.from_anndata(
        written_by_ggml, sample_key="sample", gmm_key=key, gmm_weights_source="components"
    )
    labels = written_by_ggml.obs[f"{key}_comp"].to_numpy()
    for s, name in enumerate(data.names):
        own = labels[(written_by_ggml.obs["sample"] == name).to_numpy()]
        expected = np.bincount(own, minlength=data.weights.shape[1]) / len(own)
        np.testing.assert_allclose(data.weights[s], expected, atol=0.051)  # a row may be on edge


def test_some_samples_of_a_file_are_enough() -> None:
    adata = cohort()
    fitted = ld.tl.fit_gmm(adata, sample_key="sample", k_comps=[1, 2], verbose=False)
    some = adata[adata.obs["sample"].isin(["p1", "p3"])].copy()
    back = SampleDataset.from_anndata(some, sample_key="sample", gmm_key="gmm_X")
    np.testing.assert_array_equal(back.supports, fitted.supports[[1, 3]])
    assert set(back.gmm.selection_["sample"]) == {"p1", "p3"}


@pytest.mark.parametrize(
    ("change", "options", "error", "message"),
    [
        (
            lambda a: setattr(a, "obs", a.obs.assign(sample="new")),
            {},
            ValueError,
            "'new', of which uns",
        ),
        (lambda a: a.uns.__setitem__("gmm_X", {"x": 1}), {}, ValueError, "lacks 'component_shar"),
        (lambda a: a.uns["gmm_X"].pop("weight_inference"), {}, ValueError, "weight_inference"),
        (lambda a: None, {"gmm_key": "other"}, KeyError, "'other' is not in uns"),
        (lambda a: None, {"use_rep": "X_part"}, ValueError, "use_rep='X_part' and layer=None are"),
        (lambda a: None, {"gmm_weights_source": "both"}, ValueError, "gmm_weights_source"),
    ],
)
def test_what_does_not_fit_is_named(
    change: Any, options: Mapping[str, Any], error: type[Exception], message: str
) -> None:
    adata = cohort()
    ld.tl.fit_gmm(adata, sample_key="sample", k_comps=2, verbose=False)
    change(adata)
    with pytest.raises(error, match=message):
        SampleDataset.from_anndata(adata, **{"sample_key": "sample", "gmm_key": "gmm_X", **options})


def test_the_matrix_is_that_of_the_fit() -> None:
    adata = cohort()
    adata.layers["twice"] = 2 * adata.X
    for options in ({"use_rep": "X_part"}, {"layer": "twice"}):
        key = f"gmm_{next(iter(options.values()))}"
        fitted = ld.tl.fit_gmm(adata, sample_key="sample", k_comps=2, verbose=False, **options)
        for given in ({}, options):
            back = SampleDataset.from_anndata(adata, sample_key="sample", gmm_key=key, **given)
            assert back.source.n_cols == fitted.source.n_cols
            assert back.gmm.score(back.source, back.groups) == pytest.approx(
                fitted.gmm.log_likelihoods_.mean(), abs=1e-9
            )

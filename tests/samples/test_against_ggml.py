"""Beside ggml-ot, where it is installed: files go both ways, and fits are at least as likely."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest

import lowdim as ld
from lowdim import SampleDataset

ggml_ot = pytest.importorskip("ggml_ot")

pytestmark = pytest.mark.filterwarnings("ignore")


def cohort(S: int = 4, n: int = 80, d: int = 3) -> ad.AnnData:
    """Sorted by sample: unsorted rows mislead ggml-ot."""
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(S), n)
    X = rng.normal(size=(S * n, d)) + 2.0 * codes[:, None]
    X[:, 0] += 6.0 * (rng.random(S * n) < 0.4)
    adata = ad.AnnData(X)
    adata.obs["sample"] = [f"p{s}" for s in codes]
    adata.obs["label"] = np.where(codes % 2, "odd", "even")
    return adata


def theirs(adata: ad.AnnData, **options: Any) -> Any:
    return ggml_ot.from_anndata(adata, patient_col="sample", label_col="label", **options)


@pytest.mark.parametrize("sharing", ["sample_specific", "global"])
@pytest.mark.parametrize("kind", ["full", "diag"])
@pytest.mark.parametrize("source", ["stored", "components"])
def test_it_reads_our_files(sharing: str, kind: str, source: str, tmp_path: Path) -> None:
    adata = cohort()
    ours = ld.tl.fit_gmm(
        adata,
        sample_key="sample",
        component_sharing=sharing,
        covariance_type=kind,
        k_comps=[1, 2, 3],
        gmm_key="key",
        verbose=False,
    )
    adata.write_h5ad(tmp_path / "ours.h5ad")
    again = ad.read_h5ad(tmp_path / "ours.h5ad")
    data = theirs(again, gmm_key="key", gmm_weights_source=source)
    supports = ours.supports[0] if sharing == "global" else ours.supports
    np.testing.assert_allclose(np.asarray(data.supports), supports, rtol=1e-5, atol=1e-5)
    own = SampleDataset.from_anndata(
        again, sample_key="sample", gmm_key="key", gmm_weights_source=source
    )
    np.testing.assert_allclose(np.asarray(data.weights), own.weights, atol=0.03)
    covariances = own.covariances[0] if sharing == "global" else own.covariances
    if kind == "diag":
        covariances = covariances[..., None] * np.eye(3)
    np.testing.assert_allclose(np.asarray(data.covariances), covariances, rtol=1e-4, atol=1e-5)


def test_it_validates_by_our_record() -> None:
    from ggml_ot.gmm import validate_gmm

    adata = cohort()
    ours = ld.tl.fit_gmm(
        adata,
        sample_key="sample",
        k_comps=[1, 2],
        k_selection_metric="heldout_nll",
        gmm_key="key",
        verbose=False,
    )
    table = validate_gmm(adata, gmm_key="key", patient_col="sample", label_col="label").results
    assert sorted(table["distribution_id"]) == ["p0", "p1", "p2", "p3"]
    assert table.set_index("distribution_id")["n_components"].tolist() == list(
        ours.gmm.n_components_
    )


def test_our_fits_are_likelier() -> None:
    """On its own hard task, with as many components and as much added to every variance."""
    cells = ld.data.simulate_hard_cohort(10, 500, random_state=42)
    adata = cells[np.argsort(cells.obs["sample"].astype(str), kind="stable")].copy()
    adata.obs["label"] = adata.obs["label"].astype(str)
    fit = {"component_sharing": "sample_specific", "k_comps": 12, "gmm_key": "theirs"}
    ggml_ot.gmm.fit_gmm(theirs(adata), verbose=False, **fit)
    eps = 1e-4 / np.asarray(adata.X).var(0).mean()
    ours = ld.tl.fit_gmm(adata, sample_key="sample", k_comps=12, eps=eps, verbose=False)
    other = SampleDataset.from_anndata(adata, sample_key="sample", gmm_key="theirs").gmm
    rows = (adata.X, adata.obs["sample"])
    assert ours.gmm.score(*rows) > other.score(*rows) + 0.5

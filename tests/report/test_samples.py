"""The report on samples shows what the tables say, and warns where it must."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

import lowdim as ld
from lowdim.samples import cluster_samples

from .conftest import HOSTILE, Page

KEYS = {"sample_key": "patient", "label_key": "state"}


def page_of(adata: ad.AnnData, tmp_path: Path, key: str, **options: str) -> Page:
    path = ld.report.write(adata, tmp_path / "report.html", key=key, **options)
    return Page(path.read_text("utf-8"))


@pytest.fixture(scope="module")
def cohort_once() -> ad.AnnData:
    """Eight samples with hostile names, their mixtures and distances."""
    adata = ld.data.simulate_cohort(
        8, 40, 4, n_components=3, signal="mean", separation=6.0, random_state=0
    )
    adata.obs["patient"] = [f"<b>{name}&" for name in adata.obs["sample"]]
    adata.obs["state"] = [HOSTILE + str(label) for label in adata.obs["label"]]
    adata.var_names = [f"{HOSTILE}{j}" for j in range(4)]
    ld.tl.fit_gmm(adata, **KEYS, k_comps=[1, 2, 3], gmm_key="gmm", verbose=False)
    ld.tl.sample_distances(adata, gmm_key="gmm", sample_key="patient")
    return adata


@pytest.fixture
def cohort(cohort_once: ad.AnnData) -> ad.AnnData:
    return cohort_once.copy()


def whole(page: Page) -> None:
    assert page.open == []
    assert all(anchor[1:] in page.ids for anchor in page.anchors)
    assert len(set(page.ids)) == len(page.ids)
    assert all(resource.startswith("data:") for resource in page.resources)
    assert page.tags.count("script") == 0
    assert not {"textarea", "b"} & (set(page.tags) - {"b"})
    assert all(image["alt"] for image in page.images)


def test_rows_are_the_samples(cohort: ad.AnnData, tmp_path: Path) -> None:
    page = page_of(cohort, tmp_path, "sample_distances", labels="state")
    whole(page)
    assert len(page.images) == 4  # map, heat map, mixtures, selection
    head, *rows = page.tables["samples-table"]
    matrix = ld.get.sample_distances(cohort)
    others = matrix.to_numpy(copy=True)
    np.fill_diagonal(others, np.inf)
    sizes = cohort.uns["gmm"]["distribution_n_components"]
    state = cohort.obs.groupby("patient", observed=True)["state"].first()
    for s, row in enumerate(rows):
        cells = dict(zip(head, row, strict=True))
        name = matrix.index[s]
        assert cells["sample"] == name
        assert cells["state"] == state[name]
        assert cells["rows"] == "40"
        assert cells["components"] == str(sizes[s])
        assert cells["nearest"] == matrix.index[others[s].argmin()]
        assert cells["of it"] == state[cells["nearest"]]
        assert float(cells["distance"]) == pytest.approx(others[s].min(), rel=1e-3)
    found = cluster_samples(matrix)
    ari = adjusted_rand_score(state[matrix.index], found.labels)
    assert f"adjusted Rand index of {ari:.2f}" in page.text
    assert "metric" not in page.ids
    assert "There are 4 samples of" in page.text
    assert "8 samples of 320 rows" in page.text


def test_without_labels_and_mixtures(cohort: ad.AnnData, tmp_path: Path) -> None:
    ld.tl.sample_distances(cohort, sample_key="patient", cost="w2", n_cells=20, key_added="cells")
    cohort.obs["patient"] = cohort.obs["patient"].astype("category")
    page = page_of(cohort, tmp_path, "cells")
    whole(page)
    assert len(page.images) == 2
    assert page.tables["samples-table"][0] == ["sample", "cluster", "rows", "nearest", "distance"]
    assert "W2" in page.text
    assert "cautions" not in page.ids


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_metric_has_axes_genes_and_scores(cohort: ad.AnnData, tmp_path: Path) -> None:
    ld.tl.ground_metric(cohort, **KEYS, gmm_key="gmm", n_components=2, max_iter=20)
    page = page_of(cohort, tmp_path, "ground_metric")
    whole(page)
    assert "Run ld.tl.sample_validation" in page.text
    assert "validation" not in page.ids
    metric = ld.GroundMetric(2, max_iter=5, random_state=0)
    ld.tl.sample_validation(
        cohort, **KEYS, gmm_key="gmm", n_splits=3, n_repeats=1, metric=metric, n_permutations=2
    )
    page = page_of(cohort, tmp_path, "ground_metric")
    whole(page)
    assert len(page.images) == 8
    _, *rows = page.tables["axes-table"]
    W = cohort.uns["ground_metric"]["components"]
    shares = (W**2).sum(1) / (W**2).sum()
    assert [row[0] for row in rows] == [str(k) for k in np.argsort(-shares)]
    top = ld.get.top_genes(cohort, "ground_metric", n_genes=1).set_index("axis")
    assert rows[0][4].startswith(top.loc[rows[0][0], "gene"])
    scores = ld.get.sample_validation(cohort)
    for (name, text), found in zip(page.tables["validation-table"], scores.values(), strict=True):
        assert name in scores
        assert text.startswith(f"{found.score:.3f}")
    assert "against shuffled labels" in page.tables["validation-table"][-1][1]
    assert "Only the scores of samples held out" in page.text


@pytest.mark.parametrize("worse", [True, False])
def test_a_map_that_simpler_distances_beat_is_said_to_be(
    cohort: ad.AnnData, tmp_path: Path, worse: bool
) -> None:
    metric = ld.GroundMetric(2, max_iter=3, random_state=0)
    ld.tl.sample_validation(cohort, **KEYS, gmm_key="gmm", n_splits=3, n_repeats=1, metric=metric)
    for name, predicted in cohort.uns["sample_validation"]["predictions"].items():
        wrong = predicted["label"].iloc[0] if worse and name == "learned metric" else None
        predicted["predicted"] = predicted["label"] if wrong is None else wrong
    text = page_of(cohort, tmp_path, "sample_distances").text
    said = "learned metric does worse (0.50 balanced accuracy) than sample means (1.00) and mw2 of"
    assert (said in text) == worse
    assert ("does worse" in text) == worse


@pytest.mark.parametrize("sizes", [2, [1, 2]])
def test_settings_of_the_mixtures_are_told(
    cohort: ad.AnnData, tmp_path: Path, sizes: int | list[int]
) -> None:
    ld.tl.fit_gmm(
        cohort, **KEYS, k_comps=sizes, covariance_type="diag", eps=2e-3, n_init=2,
        singularity_handling="robust", gmm_key="gmm", verbose=False,
    )  # fmt: skip
    ld.tl.sample_distances(cohort, gmm_key="gmm", sample_key="patient", cost="mixed")
    text = page_of(cohort, tmp_path, "sample_distances").text
    assert "Parameters of the mixtures" in text
    for setting in ("covariance_typediag", "eps0.002", "singularity_handlingrobust", "n_init2"):
        assert setting in text
    assert ("from 1, 2 by bic" in text) == (sizes != 2)
    for name in ("fit_params", "selection", "distribution_n_components"):
        del cohort.uns["gmm"][name]  # as others may write it
    whole(page_of(cohort, tmp_path, "sample_distances"))


def test_what_limits_conclusions_is_said(cohort: ad.AnnData, tmp_path: Path) -> None:
    kept = np.ones(cohort.n_obs, dtype=bool)
    kept[np.flatnonzero(cohort.obs["sample"] == "sample_0")[20:]] = False
    small = cohort[kept].copy()
    small.obs.loc[small.obs["sample"] == "sample_1", "state"] = None
    ld.tl.sample_distances(small, sample_key="patient", cost="w2", n_cells=20)
    text = page_of(small, tmp_path, "sample_distances", labels="state").text
    assert "1 sample with fewer than 30 cells (<b>sample_0&)" in text
    assert "1 sample without a label" in text
    with pytest.raises(ValueError, match=r"'stage' is not in adata\.obs"):
        page_of(small, tmp_path, "sample_distances", labels="stage")

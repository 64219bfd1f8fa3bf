"""Clusters and mixtures in the report: beside subspaces, and by themselves."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

import lowdim as ld

from .conftest import HOSTILE, Page


@pytest.fixture(scope="module")
def clustered(searched_once: ad.AnnData) -> ad.AnnData:
    adata = searched_once.copy()
    ld.tl.mixture(adata, n_components=range(1, 5), key_added="gaussian")
    ld.tl.mixture(adata, "kmeans", n_components=3, key_added=f"<b>{HOSTILE.replace('/', '')}")
    return adata


@pytest.fixture(scope="module")
def beside(clustered: ad.AnnData, tmp_path_factory: pytest.TempPathFactory) -> Page:
    path = tmp_path_factory.mktemp("report") / "report.html"
    return Page(ld.report.write(clustered, path, labels=HOSTILE).read_text("utf-8"))


def test_subspaces_stand_beside_all_clusterings(beside: Page, clustered: ad.AnnData) -> None:
    assert beside.open == []
    assert all(anchor[1:] in beside.ids for anchor in beside.anchors)
    assert len(set(beside.ids)) == len(beside.ids)
    assert "#clusters" in beside.anchors
    head, own, gaussian, kmeans = beside.tables["clusterings-table"]
    cells = dict(zip(head, gaussian, strict=True))
    obs = clustered.obs
    main = adjusted_rand_score(obs["subspaces"], obs["gaussian"])
    truth = adjusted_rand_score(obs[HOSTILE], obs["gaussian"])
    assert own[0] == "subspaces"
    assert cells["model"] == "Gaussian mixture"
    assert cells["chosen by"] == "BIC"
    assert cells["groups"] == str(len(obs["gaussian"].cat.categories))
    assert cells["with the subspaces"] == f"{main:.3f}"
    assert cells[f"ARI with {HOSTILE}"] == f"{truth:.3f}"
    assert kmeans[0] == "k-means"
    assert kmeans[3] == "given"
    assert beside.tags.count("script") == 2
    assert "textarea" not in beside.tags
    assert f"“<b>{HOSTILE.replace('/', '')}”" in beside.text


def test_rows_are_those_of_the_table(beside: Page, clustered: ad.AnnData) -> None:
    head, *rows = beside.tables["clustering-0-table"]
    table = ld.get.components(clustered, "gaussian", labels=HOSTILE)
    assert len(rows) == len(table)
    top = ld.get.top_genes(clustered, "gaussian", n_genes=1, by="mean")
    for row, (name, expected) in zip(rows, table.iterrows(), strict=True):
        cells = dict(zip(head, row, strict=True))
        assert cells["component"] == name
        assert cells["rows"] == str(expected["size"])
        assert cells["weight"] == f"{expected['weight']:.3f}"
        assert cells["most frequent label"] == expected["majority"]
        assert cells["markers"].startswith(top.set_index("component").loc[name, "gene"])
    assert "weight" not in beside.tables["clustering-1-table"][0]


@pytest.mark.parametrize("labels", [None, HOSTILE])
def test_a_clustering_has_a_report_of_its_own(
    clustered: ad.AnnData, labels: str | None, tmp_path: Path
) -> None:
    path = ld.report.write(clustered, tmp_path / "r.html", key="gaussian", labels=labels)
    page = Page(path.read_text("utf-8"))
    assert page.open == []
    assert all(anchor[1:] in page.ids for anchor in page.anchors)
    assert all(resource.startswith("data:") for resource in page.resources)
    n = len(clustered.obs["gaussian"].cat.categories)
    assert f"{n} components in 190 rows" in page.text
    assert "chosen by BIC from 1 to 4" in page.text
    said = dict(page.tables["criteria-table"])
    assert said["BIC"] == f"{clustered.uns['gaussian']['criteria']['bic']:,.2f}"
    assert len(page.images) == (3 if labels is None else 4)
    assert page.tags.count("script") == 0
    assert dict(page.tables["data-table"])["rows"] == "190"


def test_the_largest_size_is_cautioned_of(searched: ad.AnnData, tmp_path: Path) -> None:
    ld.tl.mixture(searched, n_components=[1, 2])
    path = ld.report.write(searched, tmp_path / "r.html", key="mixture")
    assert "is the largest that was tried" in path.read_text("utf-8")


def test_labels_that_the_user_removed_end_the_comparison(
    searched: ad.AnnData, tmp_path: Path
) -> None:
    ld.tl.mixture(searched, n_components=2)
    del searched.obs["mixture"]
    page = Page(ld.report.write(searched, tmp_path / "r.html").read_text("utf-8"))
    assert "clusters" not in page.ids


def test_counts_are_not_drawn_among_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    adata = ad.AnnData(rng.poisson(rng.gamma(1.0, 3.0, size=(2, 20))[rng.integers(2, size=200)]))
    flat = ld.NegativeBinomialMixture(dispersion="poisson", n_init=1)
    ld.tl.mixture(adata, flat, n_components=2)
    page = Page(ld.report.write(adata, tmp_path / "r.html", key="mixture").read_text("utf-8"))
    assert "Values are counts" in page.text
    assert len(page.images) == 1  # of the convergence

"""The report on a layout says what was made of what, and what it keeps."""

from __future__ import annotations

import re
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

import lowdim as ld

from .conftest import HOSTILE, Page


@pytest.fixture(scope="module")
def cells() -> ad.AnnData:
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=120)
    adata = ad.AnnData(rng.normal(size=(120, 6)) + 5 * np.eye(6)[labels])
    adata.obs["truth"] = np.array(["a", "b", "c<"])[labels]
    adata.obsm["X_pca"] = adata.X[:, :5].copy()
    ld.tl.embed(adata, use_rep="X_pca", params={"perplexity": 10, "max_iter": 150})
    return adata


@pytest.mark.parametrize("key", ["tsne", "X_tsne"])
def test_the_page_has_the_numbers_of_the_layout(
    cells: ad.AnnData, key: str, tmp_path: Path
) -> None:
    page = ld.report.write(cells, tmp_path / "r.html", key=key, labels="truth").read_text("utf-8")
    table = ld.get.embedding_quality(cells, labels="truth").loc["X_tsne"]
    assert f'<td class="number">{table["preservation_15"]:.3f}</td>' in page
    assert f'<td class="number">{table["silhouette"]:.3f}</td>' in page
    assert "t-SNE of 120 rows" in page
    assert 'obsm["X_pca"]' in page.replace("&#34;", '"')
    assert "perplexity" in page and "data:image/png" in page
    assert "Neither the distances between groups" in page
    assert not re.search(r"(src|href)=\"http", page)


def test_a_poor_layout_is_told_of(cells: ad.AnnData, tmp_path: Path) -> None:
    adata = cells.copy()
    adata.obsm["X_tsne"] = np.random.default_rng(1).normal(size=(120, 2))
    page = ld.report.write(adata, tmp_path / "r.html", key="tsne", labels="truth").read_text(
        "utf-8"
    )
    assert "it mixes groups that the data tell apart" in page
    assert "Large distances are hardly kept" in page


def test_measures_of_layouts_made_elsewhere(cells: ad.AnnData) -> None:
    adata = cells.copy()
    adata.obsm["X_umap"] = adata.obsm["X_tsne"] + 1.0
    adata.uns["umap"] = {"params": {"a": 1.0}}
    own = ld.get.embedding_quality(adata, "tsne").iloc[0]
    other = ld.get.embedding_quality(adata, "umap").iloc[0]  # compared with X_pca, as there is one
    np.testing.assert_allclose(own, other, atol=1e-3)
    of_x = ld.get.embedding_quality(adata, "umap", use_rep="X").iloc[0]
    expected = ld.metrics.neighborhood_preservation(adata.X, adata.obsm["X_umap"])
    assert of_x["preservation_15"] == expected
    with pytest.raises(ValueError, match="no layout 'pacmap'"):
        ld.get.embedding_quality(adata, "pacmap")
    with pytest.raises(ValueError, match="labels='none'"):
        ld.get.embedding_quality(adata, labels="none")


def test_subspaces_are_shown_in_the_layouts_that_are_there(
    searched_once: ad.AnnData, tmp_path: Path
) -> None:
    adata = searched_once.copy()
    before = Page(ld.report.write(adata, tmp_path / "before.html").read_text("utf-8"))
    assert "#layouts" not in before.anchors
    ld.tl.embed(adata, params={"perplexity": 5, "max_iter": 20})
    ld.tl.embed(adata, "pca")
    adata.obs["subspaces"] = adata.obs["subspaces"].cat.reorder_categories(
        adata.obs["subspaces"].cat.categories[::-1]
    )
    adata.obs.iloc[:3, adata.obs.columns.get_loc("subspaces")] = np.nan
    page = Page(ld.report.write(adata, tmp_path / "after.html").read_text("utf-8"))
    assert "#layouts" in page.anchors and "layouts" in page.ids and page.open == []
    shown = [image["alt"] for image in page.images if "layout" in str(image["alt"])]
    assert shown == ["A t-SNE layout of the rows, coloured by component."]
    assert "t-SNE of X, by component." in page.text
    page = Page(ld.report.write(adata, tmp_path / "known.html", labels=HOSTILE).read_text("utf-8"))
    shown = [image["alt"] for image in page.images if "layout" in str(image["alt"])]
    assert shown[1:] == [f"A t-SNE layout of the rows, coloured by {HOSTILE}."]

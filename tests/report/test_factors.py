"""The report on spatial factors shows what the tables say, and warns where it must."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pytest

import lowdim as ld

from .conftest import HOSTILE, Page

KEY = "spatial_factors"


def page_of(adata: ad.AnnData, tmp_path: Path, **options: str) -> Page:
    path = ld.report.write(adata, tmp_path / "report.html", key=KEY, **options)
    return Page(path.read_text("utf-8"))


@pytest.fixture(scope="module")
def page(factorized_once: ad.AnnData, tmp_path_factory: pytest.TempPathFactory) -> Page:
    adata = factorized_once.copy()
    adata.var_names = [f"{HOSTILE}{name}" for name in adata.var_names]
    return page_of(adata, tmp_path_factory.mktemp("report"), labels="half")


def test_the_page_is_whole(page: Page) -> None:
    assert page.open == []
    assert all(anchor[1:] in page.ids for anchor in page.anchors)
    assert len(set(page.ids)) == len(page.ids)
    assert all(resource.startswith("data:") for resource in page.resources)
    assert page.tags.count("script") == 0
    assert "textarea" not in page.tags
    assert len(page.images) == 6
    assert all(image["alt"] for image in page.images)


def test_rows_are_those_of_the_table(page: Page, factorized_once: ad.AnnData) -> None:
    head, *rows = page.tables["factors-table"]
    table = ld.get.factors(factorized_once)
    top = ld.get.top_genes(factorized_once, KEY, n_genes=1)
    for row, (name, expected) in zip(rows, table.iterrows(), strict=True):
        cells = dict(zip(head, row, strict=True))
        assert cells["factor"] == name
        assert cells["kind"] == expected["kind"]
        assert cells["Moran's I"] == f"{expected['moran']:.2f}"
        first = top.set_index("factor").loc[name, "gene"]
        assert cells["top genes"].startswith(f"{HOSTILE}{first}")
    most, least = page.tables["importance-table"]
    values = ld.get.spatial_importance(factorized_once)["spatial"].sort_values(ascending=False)
    assert most[1].startswith(f"{HOSTILE}{values.index[0]}")
    assert least[1].startswith(f"{HOSTILE}{values.index[-1]}")


def test_spatial_factors_alone_have_no_importance(tissue: ad.AnnData, tmp_path: Path) -> None:
    ld.tl.spatial_factors(tissue, 2)
    page = page_of(tissue, tmp_path)
    assert "importance" not in page.ids
    assert "labels" not in page.ids
    assert "2 factors in 144 rows" in page.text
    assert len(page.images) == 4


def test_what_limits_conclusions_is_said(factorized: ad.AnnData, tmp_path: Path) -> None:
    assert "cautions" not in page_of(factorized, tmp_path).ids
    record = factorized.uns[KEY]
    record["converged"] = False
    record["shares"] = np.array([0.7, 0.298, 0.002])
    record["moran"] = np.array([0.9, 0.05, 0.0])
    factorized.layers["counts"] = 5 * factorized.layers["counts"]
    factorized.varm[f"{KEY}_loadings"] *= 5
    sizes = np.r_[0.009, 0.011, np.ones(factorized.n_obs - 2)]
    factorized.obs[f"{KEY}_size_factor"] = sizes
    text = page_of(factorized, tmp_path).text
    assert "did not converge within" in text
    assert "1 row with next to no counts" in text
    assert "Factor 2 carries next to nothing" in text
    assert "Factor 1 is spatial by assumption, but hardly smooth" in text
    assert "times as much around their expected values as Poisson" in text


@pytest.mark.parametrize("n_axes", [1, 3])
def test_other_numbers_of_axes(factorized: ad.AnnData, n_axes: int, tmp_path: Path) -> None:
    factorized.obsm["spatial"] = np.random.default_rng(0).normal(size=(144, n_axes))
    page = page_of(factorized, tmp_path)
    assert len(page.images) == (5 if n_axes == 1 else 6)  # two projections
    assert ("Axes 0 and 2" in page.text) == (n_axes == 3)


def test_slides_have_maps_of_their_own(factorized: ad.AnnData, tmp_path: Path) -> None:
    factorized.uns[KEY]["params"]["sample_key"] = "slide"
    page = page_of(factorized, tmp_path)
    assert "Slide a." in page.text
    assert "Slide b." in page.text


def test_labels_that_do_not_exist(factorized: ad.AnnData, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"labels='none' is not in adata.obs"):
        page_of(factorized, tmp_path, labels="none")
    assert not (tmp_path / "report.html").exists()

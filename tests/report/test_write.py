"""The file: complete, self-contained, safe, and true to the AnnData."""

import json
import re
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

import lowdim as ld

from .conftest import HOSTILE, Page


@pytest.fixture(scope="module")
def written(searched_once: ad.AnnData, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "new" / "report.html"
    returned = ld.report.write(searched_once, path, labels=HOSTILE, title=f"All of {HOSTILE}")
    assert returned == path
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(written: str) -> Page:
    return Page(written)


def test_well_formed_with_anchors_that_resolve(page: Page) -> None:
    assert page.open == []
    assert len(set(page.ids)) == len(page.ids)
    assert len(page.anchors) >= 10
    for anchor in page.anchors:
        assert anchor.startswith("#")
        assert anchor[1:] in page.ids


def test_loads_nothing(written: str, page: Page) -> None:
    assert page.resources
    assert all(resource.startswith("data:") for resource in page.resources)
    assert not re.search(r"https?://|@import|url\(|fetch\(|XMLHttp|import\(", written)


def test_hostile_names_are_text(written: str, page: Page) -> None:
    assert "<script>alert" not in written
    assert page.tags.count("script") == 2  # the data and the view
    assert "textarea" not in page.tags
    assert page.handlers == []
    assert f"All of {HOSTILE}" in page.text
    assert f"nothing but {HOSTILE}" in page.text
    assert f"{HOSTILE}0" in page.text
    assert "</script><b>2" in page.text


def test_images_are_described(page: Page) -> None:
    assert len(page.images) == 7
    for image in page.images:
        assert str(image["src"]).startswith("data:image/png;base64,iVBOR")
        assert image["alt"]
        assert int(str(image["width"])) > 100


def test_components_are_those_of_the_fit(page: Page, searched_once: ad.AnnData) -> None:
    head, *rows = page.tables["components-table"]
    table = ld.get.components(searched_once, labels=HOSTILE)
    assert len(rows) == len(table)
    for row, (name, expected) in zip(rows, table.iterrows(), strict=True):
        cells = dict(zip(head, row, strict=True))
        assert cells["component"] == name
        assert cells["dim"] == str(expected["dim"])
        assert cells["rows"] == f"{expected['size']:,}"
        assert cells["weight"] == f"{expected['weight']:.3f}"
        assert float(cells["noise"]) == pytest.approx(expected["noise_variance"] ** 0.5, rel=0.005)
        assert cells["most frequent label"] == expected["majority"]


def test_criteria_and_agreement_are_those_of_the_fit(page: Page, searched_once: ad.AnnData) -> None:
    said = dict(page.tables["criteria-table"])
    criteria = searched_once.uns["subspaces"]["criteria"]
    assert said["log-likelihood"] == f"{criteria['log_likelihood']:,.2f}"
    assert said["parameters"] == str(criteria["n_parameters"])
    assert said["BIC"] == f"{criteria['bic']:,.2f}"
    assert said["ICL"] == f"{criteria['icl']:,.2f}"
    obs = searched_once.obs
    ari = adjusted_rand_score(obs[HOSTILE], obs["subspaces"])
    assert dict(page.tables["labels-table"])["ARI of the components"] == f"{ari:.3f}"


def test_selection_is_ranked_as_in_the_table(page: Page, searched_once: ad.AnnData) -> None:
    head, *rows = page.tables["selection-table"]
    table = ld.get.selection(searched_once)
    assert len(rows) == min(len(table), 15)
    assert [row[0] for row in rows] == [",".join(map(str, d)) for d in table["dims"][: len(rows)]]
    best = dict(zip(head, rows[0], strict=True))
    assert best["BIC"] == f"{table['bic'].iloc[0]:,.1f}"
    assert best["worse by"] == "0"


def test_the_search_and_its_settings_are_told(written: str, searched_once: ad.AnnData) -> None:
    n_runs = len(searched_once.uns["subspaces"]["search_trace"])
    assert f"which polished what {n_runs} runs of the search had found" in written
    assert "Plot of the BIC of every run of the search" in written
    settings = written.split("<caption>Settings of the search</caption>")[1].split("</table>")[0]
    assert '<th scope="row">n_components</th><td>[2, 3]</td>' in settings
    assert '<th scope="row">dims</th><td>[0, 1, 2]</td>' in settings


def test_data_summary(page: Page) -> None:
    said = dict(row for row in page.tables["data-table"])
    assert said["matrix"] == "X"
    assert said["rows"] == "190"
    assert said["columns"] == "5"
    assert said["zeros"] == "0%"


def test_embedded_scene_is_the_data(page: Page, searched_once: ad.AnnData) -> None:
    scene = json.loads(max(page.scripts, key=lambda text: text.startswith('{"axes"')))
    assert scene["component"] == searched_once.obs["subspaces"].astype(int).tolist()
    assert len(scene["points"]) == 3 * 190
    assert scene["labels"] == list(searched_once.obs[HOSTILE].cat.categories)


def test_without_labels_search_or_genes(searched: ad.AnnData, tmp_path: Path) -> None:
    searched.obsm["other"] = np.tanh(searched.X[:, :2] / 10)
    ld.tl.subspaces(searched, 2, 1, use_rep="other", key_added="own", n_init=1)
    page = Page(ld.report.write(searched, tmp_path / "r.html", key="own").read_text("utf-8"))
    assert "selection" not in page.ids
    assert "of the search" not in page.text
    assert "labels" not in page.ids
    assert "2 subspaces in 190 rows" in page.text
    assert "other 0" in page.text  # columns stand in for genes
    assert "not recorded" not in page.text


@pytest.mark.parametrize(("n_columns", "dims"), [(1, [0, 0]), (2, [1, 2]), (3, [3])])
def test_few_columns_and_one_component(n_columns: int, dims: list[int], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    adata = ad.AnnData(rng.normal(size=(60, n_columns)) + 5 * (np.arange(60) % 2)[:, None])
    ld.tl.subspaces(adata, dims=dims, n_init=1, max_iter=100, background=None)
    page = Page(ld.report.write(adata, tmp_path / "r.html").read_text("utf-8"))
    assert page.open == []
    assert "not recorded" in page.text
    assert ("figures" in page.ids) == (n_columns > 1)


def test_a_uniform_background_has_a_row(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(80, 3)), rng.uniform(-20, 20, size=(20, 3))])
    adata = ad.AnnData(X)
    ld.tl.subspaces(adata, dims=[0], background="uniform", n_init=1)
    page = Page(ld.report.write(adata, tmp_path / "r.html").read_text("utf-8"))
    assert page.tables["components-table"][-1][1] == "uniform background"


def test_errors_write_nothing(searched: ad.AnnData, tmp_path: Path) -> None:
    path = tmp_path / "r.html"
    with pytest.raises(ValueError, match="no 'nothing'"):
        ld.report.write(searched, path, key="nothing")
    with pytest.raises(ValueError, match="labels='nothing' is not in"):
        ld.report.write(searched, path, labels="nothing")
    searched.obs["empty"] = None
    with pytest.raises(ValueError, match="no row with a label"):
        ld.report.write(searched, path, labels="empty")
    assert list(tmp_path.iterdir()) == []

"""An AnnData with hostile names, a search and the fit that it chose."""

from html.parser import HTMLParser

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import lowdim as ld
from lowdim.data import subspaces as simulate

HOSTILE = "<script>alert('x')</script>&\"g\" </textarea>"

VOID = {"img", "link", "meta", "br", "input", "hr"}


class Page(HTMLParser):
    """What a browser would see: elements, the text of each cell, and resources."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.anchors: list[str] = []
        self.resources: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.handlers: list[str] = []
        self.scripts: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.table: list[list[str]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self.handlers += [name for name in given if name.startswith("on")]
        if "id" in given:
            self.ids.append(str(given["id"]))
        if tag == "a":
            self.anchors.append(str(given["href"]))
        else:
            self.resources += [str(given[k]) for k in ("src", "href", "data") if k in given]
        if tag == "img":
            self.images.append(given)
        if tag == "table":
            self.table = []
            if "id" in given:
                self.tables[str(given["id"])] = self.table
        if tag == "tr":
            self.table.append([])
        if tag in ("td", "th") and self.table:
            self.table[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("script", "style"):
            self.scripts.append(data)
            return
        self.text += data
        if {"td", "th"} & set(self.open):
            self.table[-1][-1] += data


@pytest.fixture(scope="session")
def searched_once() -> ad.AnnData:
    simulated = simulate([80, 60, 50], dims=[2, 1, 0], n_columns=5, random_state=0)
    adata = ad.AnnData(simulated.X + 3.0)
    adata.var_names = [f"{HOSTILE}{i}" for i in range(5)]
    names = np.array(["type <0>", "type &1", "</script><b>2"])
    adata.obs[HOSTILE] = pd.Categorical(names[simulated.labels])
    adata.uns["preprocessing"] = f"nothing but {HOSTILE}"
    ld.tl.select_subspaces(adata, n_components=[2, 3], dims=2, n_init=3)
    return adata


@pytest.fixture
def searched(searched_once: ad.AnnData) -> ad.AnnData:
    """190 rows, five genes; components 0, 1, 2 are a plane, a line and a point."""
    return searched_once.copy()

"""Tools, tables, pictures and reports on what `anndata.experimental.read_lazy` returns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from matplotlib.figure import Figure

import lowdim as ld

pytest.importorskip("dask")
pytest.importorskip("xarray")

pytestmark = pytest.mark.filterwarnings(
    "ignore:Transforming to str index", "ignore::sklearn.exceptions.ConvergenceWarning"
)

N, D = 120, 12


@pytest.fixture
def path(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.gamma(0.5, 3.0, (3, D))[np.arange(N) % 3]).astype(np.float32)
    adata = ad.AnnData(sp.csr_matrix(np.log1p(counts)), layers={"counts": sp.csr_matrix(counts)})
    adata.obsm["rep"] = adata.X.toarray()[:, :3]
    adata.obsm["spatial"] = rng.uniform(size=(N, 2))
    adata.obs["group"] = np.array(list("uvw"))[np.arange(N) % 3]
    adata.obs["sample"] = np.array(list("pqrs"))[rng.integers(4, size=N)]
    adata.obs["label"] = np.where(adata.obs["sample"] < "r", "x", "y")
    adata.write_h5ad(tmp_path / "data.h5ad")
    return tmp_path / "data.h5ad"


def run_tools(adata: ad.AnnData) -> None:
    ld.tl.subspaces(adata, 3, 1, n_init=2)
    ld.tl.mixture(adata, "negative_binomial", n_components=2, layer="counts", key_added="nb")
    ld.tl.embed(adata, use_rep="rep", n_pcs=2, params={"max_iter": 10, "perplexity": 8})
    ld.tl.embed(adata, "pca")
    ld.tl.spatial_factors(adata, 2, "pnmf", size_factors="mean", sample_key="sample")
    ld.tl.fit_gmm(
        adata, sample_key="sample", label_key="label", use_rep="rep", k_comps=1, verbose=False
    )
    ld.tl.sample_distances(adata, gmm_key="gmm_rep")
    ld.pp.deviance_selection(adata, 5, layer="counts", sample_key="sample")
    ld.pp.size_factors(adata, "median_ratio", layer="counts")


TABLES: dict[str, Callable[[ad.AnnData], pd.DataFrame]] = {
    "components": lambda adata: ld.get.components(adata, labels="group"),
    "genes": lambda adata: ld.get.top_genes(adata, "subspaces"),
    "quality": lambda adata: ld.get.embedding_quality(adata, "X_tsne", labels="group"),
    "quality of X": lambda adata: ld.get.embedding_quality(adata, "X_pca", labels="group"),
    "factors": ld.get.factors,
    "distances": ld.get.sample_distances,
}


def pictures(adata: ad.AnnData) -> None:
    def ax() -> Any:
        return Figure().subplots()

    ld.pl.embedding(adata, "group", basis="tsne", ax=ax())
    ld.pl.embedding(adata, "3", basis="tsne", ax=ax())
    ld.pl.subspaces(adata, ax=ax())
    ld.pl.sample_map(adata, "label", ax=ax())
    ld.pl.sample_composition(adata, "group", sample_key="sample", ax=ax())


def test_what_is_read_lazily_gives_what_is_in_memory(path: Path, tmp_path: Path) -> None:
    lazy, expected = ad.experimental.read_lazy(path), ad.read_h5ad(path)
    for adata in (lazy, expected):
        run_tools(adata)
    for kind in ("obsm", "varm"):
        own, other = getattr(lazy, kind), getattr(expected, kind)
        assert set(own) == set(other)
        for key in other:
            np.testing.assert_allclose(np.asarray(own[key]), other[key], rtol=1e-4, atol=1e-5)
    assert set(lazy.obs.columns) == set(expected.obs.columns)
    np.testing.assert_allclose(lazy.obs["size_factors"], expected.obs["size_factors"])
    for name, table in TABLES.items():
        pd.testing.assert_frame_equal(table(lazy), table(expected), rtol=1e-3, obj=name)
    pictures(lazy)
    for key in ("subspaces", "nb", "X_tsne", "spatial_factors", "sample_distances"):
        ld.report.write(lazy, tmp_path / "report.html", key=key, labels="group"
                        if key != "sample_distances" else "label")  # fmt: skip


def test_what_was_read_lazily_is_written_by_the_recipe_of_the_docs(
    path: Path, tmp_path: Path
) -> None:
    lazy = ad.experimental.read_lazy(path)
    ld.tl.mixture(lazy, "kmeans", n_components=3)
    tables = {"obs": lazy.obs.to_memory(), "var": lazy.var.to_memory(), "uns": dict(lazy.uns)}
    whole = ad.AnnData(lazy.X, obsm=dict(lazy.obsm), varm=dict(lazy.varm), **tables)
    whole.write_h5ad(tmp_path / "result.h5ad")
    found = ad.read_h5ad(tmp_path / "result.h5ad")
    np.testing.assert_array_equal(found.X.toarray(), ad.read_h5ad(path).X.toarray())
    assert found.obs["mixture"].tolist() == np.asarray(lazy.obs["mixture"]).tolist()
    assert found.uns["mixture"]["objective"] == lazy.uns["mixture"]["objective"]

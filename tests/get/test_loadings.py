"""Loadings and top genes are those of the model and of the data."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lowdim as ld


def test_loadings_are_named_by_component_and_axis(adata: ad.AnnData) -> None:
    table = ld.get.loadings(adata)
    assert list(table.columns) == ["0:0", "0:1", "1:0"]
    assert list(table.index) == list(adata.var_names)
    record = adata.uns["subspaces"]
    assert np.array_equal(table.to_numpy().T, record["bases"])


def test_loadings_follow_a_selection_of_genes(adata: ad.AnnData) -> None:
    whole = ld.get.loadings(adata)
    pd.testing.assert_frame_equal(ld.get.loadings(adata[:, ["g4", "g1"]]), whole.loc[["g4", "g1"]])


def test_no_way_back_to_genes_is_said(adata: ad.AnnData) -> None:
    ld.tl.subspaces(adata, use_rep="other", n_init=1)
    with pytest.raises(ValueError, match=r"adata\.obsm\['other'\] does not lead back to the genes"):
        ld.get.loadings(adata)


def test_points_have_no_axes(adata: ad.AnnData) -> None:
    ld.tl.subspaces(adata, 2, 0, n_init=1)
    assert ld.get.loadings(adata).shape == (6, 0)
    top = ld.get.top_genes(adata)
    assert len(top) == 0
    assert list(top.columns) == ["component", "axis", "rank", "gene", "loading"]


def test_top_genes_of_an_axis_have_the_largest_loadings(adata: ad.AnnData) -> None:
    top = ld.get.top_genes(adata, n_genes=2)
    assert list(top.columns) == ["component", "axis", "rank", "gene", "loading"]
    assert list(zip(top["component"], top["axis"], top["rank"], strict=True)) == [
        ("0", 0, 1), ("0", 0, 2), ("0", 1, 1), ("0", 1, 2), ("1", 0, 1), ("1", 0, 2),
    ]  # fmt: skip
    table = ld.get.loadings(adata)
    for (component, axis), part in top.groupby(["component", "axis"]):
        column = table[f"{component}:{axis}"]
        expected = column.abs().sort_values(ascending=False).index[:2]
        assert list(part["gene"]) == list(expected)
        assert list(part["loading"]) == list(column[expected])


def test_more_genes_than_there_are_gives_all(adata: ad.AnnData) -> None:
    assert len(ld.get.top_genes(adata, n_genes=100)) == 3 * 6


def by_hand(X: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Standardised difference of each component and gene, (K, D), row by row and slowly."""
    n_components = probabilities.shape[1]
    means = np.array(
        [np.average(X, axis=0, weights=probabilities[:, k]) for k in range(n_components)]
    )
    variance = sum(probabilities[:, [k]] * (X - means[k]) ** 2 for k in range(n_components)).mean(0)
    out = np.empty_like(means)
    for k in range(n_components):
        rest = probabilities.sum(1) - probabilities[:, k]
        out[k] = (means[k] - np.average(X, axis=0, weights=rest)) / np.sqrt(variance)
    return out


@pytest.mark.parametrize("store", [np.asarray, sp.csr_matrix, sp.csc_matrix])
def test_markers_are_standardised_differences(adata: ad.AnnData, store) -> None:
    expected = by_hand(adata.X, adata.obsm["subspaces_proba"])
    adata.X = store(adata.X)
    top = ld.get.top_genes(adata, by="mean", n_genes=6)
    assert list(top.columns) == ["component", "axis", "rank", "gene", "difference"]
    assert set(top["axis"]) == {"mean"}
    wide = top.pivot(index="component", columns="gene", values="difference")
    np.testing.assert_allclose(wide.to_numpy(), expected, rtol=1e-8)
    for _, part in top.groupby("component"):
        assert part["difference"].is_monotonic_decreasing
        assert list(part["rank"]) == [1, 2, 3, 4, 5, 6]


def test_markers_of_any_representation_come_from_the_expression(adata: ad.AnnData) -> None:
    ld.tl.subspaces(adata, 2, 0, use_rep="other", n_init=2)
    expected = by_hand(adata.X, adata.obsm["subspaces_proba"])
    top = ld.get.top_genes(adata, by="mean", n_genes=1)
    assert list(top["difference"]) == pytest.approx(list(expected.max(1)))


def test_markers_are_of_the_layer_that_was_fitted(adata: ad.AnnData) -> None:
    adata.layers["scaled"] = adata.X * np.array([1.0, 1, 1, 1, 1, -1])
    ld.tl.subspaces(adata, layer="scaled", dims=[0, 0], n_init=2)
    of_fit = ld.get.top_genes(adata, by="mean")
    pd.testing.assert_frame_equal(of_fit, ld.get.top_genes(adata, by="mean", layer="scaled"))
    adata.layers["X"] = adata.X
    assert not of_fit.equals(ld.get.top_genes(adata, by="mean", layer="X"))


def test_units_and_constant_genes_do_not_matter(adata: ad.AnnData) -> None:
    before = ld.get.top_genes(adata, by="mean", n_genes=6)
    adata.X = 1e4 * adata.X + 1e8
    after = ld.get.top_genes(adata, by="mean", n_genes=6)
    np.testing.assert_allclose(before["difference"], after["difference"], rtol=1e-4)
    adata.X[:, 2] = 0.1
    top = ld.get.top_genes(adata, by="mean", n_genes=6)
    assert (top.loc[top["gene"] == "g2", "difference"].abs() < 1e-3).all()


def test_a_component_without_rows_has_no_markers(adata: ad.AnnData) -> None:
    adata.obsm["subspaces_proba"] = np.repeat([[0.25, 0.75, 0.0]], 330, axis=0)
    assert set(ld.get.top_genes(adata, by="mean")["component"]) == {"0", "1"}


def test_a_single_component_has_no_markers(adata: ad.AnnData) -> None:
    ld.tl.subspaces(adata, 1, n_init=1)
    with pytest.raises(ValueError, match="one component"):
        ld.get.top_genes(adata, by="mean")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"key": "nothing"}, ValueError, r"no 'nothing' from lowdim \(it has \['subspaces'\]\)"),
        ({"by": "size"}, ValueError, "by='size'"),
        ({"n_genes": 0}, ValueError, "n_genes=0"),
        ({"layer": "x"}, ValueError, "layer='x' is for by='mean'"),
        ({"layer": "x", "by": "mean"}, ValueError, "layer='x' is not in"),
    ],
)
def test_errors(adata: ad.AnnData, arguments: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ld.get.top_genes(adata, **arguments)

"""Bars are the largest loadings of both signs, under their names."""

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pytest

import lowdim as ld
from lowdim import SubspaceMixture
from lowdim.pl._loadings import top_features


def bars(ax: plt.Axes) -> dict[str, float]:
    names = [label.get_text() for label in ax.get_yticklabels()]
    return dict(zip(names, [patch.get_width() for patch in ax.patches], strict=True))


def test_both_signs_share_the_bars() -> None:
    values = np.array([0.5, -0.1, 0.2, 0.3, -0.4, 0.1, -0.2])
    assert top_features(values, 4).tolist() == [0, 3, 6, 4]
    assert top_features(values, 3).tolist() == [0, 3, 4]
    assert top_features(values, 100).tolist() == [0, 3, 2, 5, 1, 6, 4]


def test_one_sign_fills_up_for_the_other() -> None:
    assert top_features(np.array([0.5, 0.3, 0.2, 0.1, -0.6]), 4).tolist() == [0, 1, 2, 4]
    assert top_features(np.array([-0.5, -0.3, -0.2, 0.1]), 3).tolist() == [3, 1, 0]
    assert top_features(np.array([0.5, 0.0, -0.2]), 3).tolist() == [0, 2]


def test_bars_are_the_loadings_of_genes(adata: ad.AnnData) -> None:
    table = ld.get.loadings(adata)
    panels = ld.pl.loadings(adata, 0, n_genes=6)
    assert panels.shape == (3,)
    for axis, ax in enumerate(panels):
        drawn = bars(ax)
        assert len(drawn) == 6
        for gene, value in drawn.items():
            assert value == pytest.approx(table.loc[gene, f"0:{axis}"])
        assert list(drawn.values()) == sorted(drawn.values(), reverse=True)
        assert ax.yaxis_inverted()
        assert ax.get_title().startswith(f"component 0, axis {axis} (")


def test_genes_behind_principal_components(adata: ad.AnnData) -> None:
    centred = adata.X - adata.X.mean(0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:4].T
    adata.obsm["X_pca"], adata.varm["PCs"] = centred @ axes, axes
    ld.tl.subspaces(adata, dims=[2, 1], use_rep="X_pca", key_added="pcs", n_init=1)
    ax = ld.pl.loadings(adata, 1, 0, key="pcs")
    table = ld.get.loadings(adata, "pcs")
    assert bars(ax) == pytest.approx(table["1:0"][list(bars(ax))].to_dict())


def test_columns_without_genes(adata: ad.AnnData, wide_model: SubspaceMixture) -> None:
    adata.obsm["other"] = adata.X[:, :4]
    ld.tl.subspaces(adata, dims=[1], use_rep="other", key_added="fit", n_init=1)
    assert set(bars(ld.pl.loadings(adata, 0, 0, key="fit"))) == {f"other {j}" for j in range(4)}
    drawn = bars(ld.pl.loadings(wide_model, 2, 0, n_genes=12))
    assert [drawn[f"column {j}"] for j in range(12)] == pytest.approx(wide_model.bases_[2][0])


def test_given_axes_are_used(adata: ad.AnnData) -> None:
    figure, grid = plt.subplots(1, 3)
    assert ld.pl.loadings(adata, 2, 0, ax=grid[0]) is grid[0]
    np.testing.assert_array_equal(ld.pl.loadings(adata, 1, ax=grid[1:]), grid[1:])
    assert ld.pl.loadings(adata, 2, ax=grid[0])[0] is grid[0]
    assert all(ax.patches for ax in grid)
    assert plt.get_fignums() == [figure.number]


def test_errors(adata: ad.AnnData) -> None:
    with pytest.raises(ValueError, match=r"component=3 is a point .* \[0, 1, 2\]"):
        ld.pl.loadings(adata, 3)
    with pytest.raises(ValueError, match="component=4 is not one of the 4 components"):
        ld.pl.loadings(adata, 4)
    with pytest.raises(ValueError, match="axis=1 is not one of the 1 axes of component 2"):
        ld.pl.loadings(adata, 2, 1)
    with pytest.raises(ValueError, match="ax has 1 Axes, but the component has 3 axes"):
        ld.pl.loadings(adata, 0, ax=plt.figure().add_subplot())
    with pytest.raises(ValueError, match="n_genes=0"):
        ld.pl.loadings(adata, 0, n_genes=0)
    with pytest.raises(TypeError, match="component='0'"):
        ld.pl.loadings(adata, "0")

"""An estimator and an AnnData, also one read from a file, look the same to the plots."""

from pathlib import Path

import anndata as ad
import numpy as np
import pytest

import lowdim as ld
from lowdim.data import SimulatedSubspaces
from lowdim.pl._fitted import read_fit, read_labels, read_probabilities, read_rows


def test_both_sources_give_the_same_arrays(
    adata: ad.AnnData, wide: SimulatedSubspaces, tmp_path: Path
) -> None:
    adata.write_h5ad(tmp_path / "a.h5ad")
    model, read = ld.get.model(adata), ad.read_h5ad(tmp_path / "a.h5ad")
    expected = read_fit(model)
    for source in (adata, read):
        fit = read_fit(source)
        assert (fit.n_components, fit.n_columns) == (4, 12)
        assert fit.stop_reason == expected.stop_reason and fit.n_iter == expected.n_iter
        for name in ("weights", "means", "noise_variances", "dims", "objective_trace"):
            np.testing.assert_array_equal(getattr(fit, name), getattr(expected, name))
        for name in ("bases", "latent_variances"):
            for ours, theirs in zip(getattr(fit, name), getattr(expected, name), strict=True):
                np.testing.assert_array_equal(ours, theirs)
        rows = read_rows(source, None, "subspaces", fit)
        np.testing.assert_array_equal(rows.rows(0, rows.n_rows), wide.X)
        np.testing.assert_array_equal(
            read_labels(source, None, "subspaces", fit), model.predict(wide.X)
        )
        np.testing.assert_allclose(
            read_probabilities(source, None, "subspaces"), model.predict_proba(wide.X)
        )


def test_all_points_has_no_axes(adata: ad.AnnData, tmp_path: Path) -> None:
    ld.tl.subspaces(adata, dims=[0, 0], n_init=1)
    adata.write_h5ad(tmp_path / "a.h5ad")
    fit = read_fit(ad.read_h5ad(tmp_path / "a.h5ad"))
    assert [basis.shape for basis in fit.bases] == [(0, 12), (0, 12)]
    ld.pl.subspaces(ad.read_h5ad(tmp_path / "a.h5ad"))


def test_rows_that_lost_their_label(adata: ad.AnnData) -> None:
    adata.obs["subspaces"] = adata.obs["subspaces"].cat.remove_categories(["1"])
    labels = read_labels(adata, None, "subspaces", read_fit(adata))
    assert sorted(np.unique(labels)) == [-1, 0, 2, 3]
    ax = ld.pl.subspaces(adata)
    assert len(ax.figure.legends[0].get_texts()) == 4


def test_labels_that_were_renamed(adata: ad.AnnData) -> None:
    adata.obs["subspaces"] = adata.obs["subspaces"].cat.rename_categories({"0": "T cells"})
    with pytest.raises(ValueError, match="'T cells', which is none of the components 0 to 3"):
        ld.pl.subspaces(adata)


def test_a_subset_of_genes(adata: ad.AnnData) -> None:
    with pytest.raises(ValueError, match="has 5 columns, but the mixture was fitted to 12"):
        ld.pl.subspaces(adata[:, :5].copy())


def test_a_selection_of_rows(adata: ad.AnnData) -> None:
    ax = ld.pl.subspaces(adata[::2], axes=(0, 1))
    assert len(ax.collections[0].get_offsets()) == 300

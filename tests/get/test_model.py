"""The estimator behind results is the one that made them."""

from pathlib import Path

import anndata as ad
import numpy as np
import pytest

import lowdim as ld

FLAT = {"mean": np.full(6, 3.0), "basis": np.eye(6)[:2]}

CASES = {
    "plain": {"dims": [2, 1, 0], "random_state": 0},
    "closest": {"dims": [1, 1], "assignment": "closest", "random_state": 3},
    "annealed": {"n_components": 2, "annealing": (0.5, 1.2), "dtype": "float64"},
    "fixed": {"dims": [1], "fixed": [FLAT], "shared_noise": True},
    "background": {"dims": [1, 0], "background": "uniform"},
    "points": {"n_components": 2, "dims": 0},
    "full": {"n_components": 1, "dims": 6},
}


@pytest.mark.parametrize("case", CASES)
def test_it_predicts_what_the_original_does(adata: ad.AnnData, tmp_path: Path, case: str) -> None:
    arguments = {"n_init": 2, **CASES[case]}
    original = ld.SubspaceMixture(**{"random_state": 0, **arguments}).fit(adata)
    ld.tl.subspaces(adata, **arguments)
    adata.write_h5ad(tmp_path / "a.h5ad")
    back = ad.read_h5ad(tmp_path / "a.h5ad")
    for model in (ld.get.model(adata), ld.get.model(back)):
        for method in ("predict", "predict_proba", "transform", "score_samples", "reconstruct"):
            ours, theirs = getattr(model, method)(adata), getattr(original, method)(adata)
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)
        assert model.n_parameters() == original.n_parameters()
        assert model.bic(adata) == pytest.approx(original.bic(adata), rel=1e-12)
        for name in ("n_iter_", "converged_", "stop_reason_", "degenerate_", "lower_bound_"):
            assert getattr(model, name) == getattr(original, name)
        assert [b.shape for b in model.bases_] == [b.shape for b in original.bases_]
        assert list(model.feature_names_in_) == list(adata.var_names)


def test_its_parameters_are_those_of_the_call(adata: ad.AnnData) -> None:
    arguments = {"dims": [1, 1], "n_init": 2, "annealing": (0.5, 1.2), "batch_size": 100}
    ld.tl.subspaces(adata, random_state=5, **arguments)
    params = ld.get.model(adata).get_params()
    assert {**arguments, "random_state": 5}.items() <= params.items()
    assert ld.get.model(adata).fit(adata).lower_bound_ == ld.get.model(adata).lower_bound_


def test_it_can_be_saved(adata: ad.AnnData, tmp_path: Path) -> None:
    ld.get.model(adata).save(tmp_path / "model.h5")
    loaded = ld.load(tmp_path / "model.h5")
    assert np.array_equal(loaded.predict_proba(adata), adata.obsm["subspaces_proba"])


def test_genes_in_another_order_are_noticed(adata: ad.AnnData) -> None:
    model = ld.get.model(adata[:, ::-1])
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(adata[:, ::-1])


def test_a_search_has_a_model_too(adata: ad.AnnData) -> None:
    ld.tl.select_subspaces(adata, [2], 1, n_init=1, max_iter=20)
    model = ld.get.model(adata)
    assert np.array_equal(model.predict_proba(adata), adata.obsm["subspaces_proba"])
    assert model.dims == list(adata.uns["subspaces"]["dims"])

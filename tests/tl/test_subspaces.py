"""ld.tl.subspaces writes what the estimator says, where it should, and nothing else."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lowdim as ld

FAST = {"dims": [2, 1, 0], "n_init": 3, "random_state": 1}


def fitted(X: np.ndarray, **parameters: object) -> ld.SubspaceMixture:
    return ld.SubspaceMixture(**{**FAST, **parameters}).fit(X)


def contents(adata: ad.AnnData) -> dict[str, set[str]]:
    return {name: set(getattr(adata, name)) for name in ("obs", "obsm", "varm", "uns", "layers")}


def test_keys_hold_what_the_estimator_says(planted: ad.AnnData) -> None:
    before = contents(planted)
    assert ld.tl.subspaces(planted, **FAST) is None
    X, model = planted.X, fitted(planted.X)
    labels = planted.obs["subspaces"]
    assert list(labels.cat.categories) == ["0", "1", "2"]
    assert (labels.astype(int) == model.predict(X)).all()
    assert np.array_equal(planted.obsm["subspaces"], model.transform(X))
    assert np.array_equal(planted.obsm["subspaces_proba"], model.predict_proba(X))
    assert np.array_equal(planted.varm["subspaces"], np.concatenate(model.bases_).T)
    assert np.array_equal(planted.varm["subspaces_means"], model.means_.T)
    record = planted.uns["subspaces"]
    for name in ("weights", "means", "noise_variances", "dims", "n_iter", "objective_trace"):
        assert np.array_equal(record[name], getattr(model, f"{name}_"))
    assert np.array_equal(record["bases"], np.concatenate(model.bases_))
    assert np.array_equal(record["latent_variances"], np.concatenate(model.latent_variances_))
    assert record["objective"] == record["lower_bound"] == model.lower_bound_
    assert record["converged"] is True
    assert record["stop_reason"] == "converged"
    assert record["version"] == ld.__version__
    assert len(record["restart_objectives"]) == 3
    added = {name: keys - before[name] for name, keys in contents(planted).items()}
    assert added == {
        "obs": {"subspaces"},
        "obsm": {"subspaces", "subspaces_proba"},
        "varm": {"subspaces", "subspaces_means"},
        "uns": {"subspaces"},
        "layers": set(),
    }


def test_criteria_are_those_of_the_estimator(planted: ad.AnnData) -> None:
    ld.tl.subspaces(planted, **FAST)
    X, model = planted.X, fitted(planted.X)
    criteria = planted.uns["subspaces"]["criteria"]
    assert criteria["n_parameters"] == model.n_parameters()
    assert criteria["log_likelihood"] == pytest.approx(model.score_samples(X).sum(), rel=1e-12)
    assert criteria["bic"] == pytest.approx(model.bic(X), rel=1e-12)
    assert criteria["icl"] == pytest.approx(model.icl(X), rel=1e-12)


@pytest.mark.parametrize("dims", [[2, 1, 0], [0, 0]])
def test_results_survive_a_file(planted: ad.AnnData, tmp_path: Path, dims: list[int]) -> None:
    ld.tl.subspaces(
        planted, **{**FAST, "dims": dims}, annealing=(0.5, 1.5), background="uniform", dtype=float
    )
    planted.write_h5ad(tmp_path / "a.h5ad")
    back = ad.read_h5ad(tmp_path / "a.h5ad")
    pd.testing.assert_series_equal(back.obs["subspaces"], planted.obs["subspaces"])
    for container in ("obsm", "varm"):
        for name in set(getattr(planted, container)):
            np.testing.assert_array_equal(
                getattr(back, container)[name], getattr(planted, container)[name]
            )
    assert_same(back.uns["subspaces"], planted.uns["subspaces"])


def assert_same(read: object, written: object) -> None:
    if isinstance(written, dict):
        assert set(read) == set(written)
        for name in written:
            assert_same(read[name], written[name])
    else:
        np.testing.assert_array_equal(read, written)
        assert isinstance(written, (str, bool, int, float, np.ndarray, np.generic))


def test_a_layer_is_fitted_instead_of_X(planted: ad.AnnData) -> None:
    ld.tl.subspaces(planted, layer="shifted", **FAST)
    model = fitted(planted.layers["shifted"])
    assert np.array_equal(planted.varm["subspaces_means"], model.means_.T)
    assert planted.uns["subspaces"]["params"]["layer"] == "shifted"
    assert "use_rep" not in planted.uns["subspaces"]["params"]


def test_a_representation_without_genes_writes_no_varm(planted: ad.AnnData) -> None:
    ld.tl.subspaces(planted, use_rep="other", **FAST)
    model = fitted(planted.obsm["other"])
    assert np.array_equal(
        planted.obsm["subspaces_proba"], model.predict_proba(planted.obsm["other"])
    )
    assert set(planted.varm) == {"PCs"}
    assert planted.uns["subspaces"]["params"]["use_rep"] == "other"
    assert "gene_means" not in planted.uns["subspaces"]["params"]


def test_a_second_call_replaces_the_first(planted: ad.AnnData) -> None:
    ld.tl.subspaces(planted, **FAST)
    ld.tl.subspaces(planted, use_rep="other", **{**FAST, "dims": [1]})
    assert set(planted.varm) == {"PCs"}  # what was there belonged to the first
    assert planted.obsm["subspaces"].shape == (330, 1)
    assert list(planted.obs["subspaces"].cat.categories) == ["0"]


def test_results_of_two_keys_stand_side_by_side(planted: ad.AnnData) -> None:
    ld.tl.subspaces(planted, **FAST)
    ld.tl.subspaces(planted, key_added="lines", **{**FAST, "dims": [1, 1]})
    assert {"subspaces", "lines"} <= set(planted.obs)
    assert planted.varm["subspaces"].shape == (6, 3)
    assert planted.varm["lines"].shape == (6, 2)


def test_copy_leaves_the_original_alone(planted: ad.AnnData) -> None:
    before = contents(planted)
    copy = ld.tl.subspaces(planted, copy=True, **FAST)
    assert contents(planted) == before
    ld.tl.subspaces(planted, **FAST)
    assert contents(copy) == contents(planted)


def test_sparse_values_give_the_same(planted: ad.AnnData) -> None:
    sparse = planted.copy()
    sparse.X = sp.csc_matrix(planted.X)
    ld.tl.subspaces(sparse, **FAST)
    ld.tl.subspaces(planted, **FAST)
    np.testing.assert_allclose(sparse.varm["subspaces"], planted.varm["subspaces"], atol=1e-6)


def test_a_backed_file_is_read_and_not_written(planted: ad.AnnData, tmp_path: Path) -> None:
    path = tmp_path / "a.h5ad"
    planted.write_h5ad(path)
    backed = ad.read_h5ad(path, backed="r")
    ld.tl.subspaces(backed, **FAST)
    ld.tl.subspaces(planted, **FAST)
    np.testing.assert_allclose(backed.obsm["subspaces"], planted.obsm["subspaces"], atol=1e-8)
    assert contents(backed) == contents(planted)
    with pytest.raises(ValueError, match="copy=True would duplicate the file"):
        ld.tl.subspaces(backed, copy=True, **FAST)
    with pytest.raises(ValueError, match=r"adata\.to_memory\(\)"):
        ld.tl.subspaces(backed[:100], **FAST)
    backed.file.close()
    assert "subspaces" not in ad.read_h5ad(path).uns


def test_a_view_becomes_data_of_its_own(planted: ad.AnnData) -> None:
    view = planted[:230]
    with pytest.warns(ad.ImplicitModificationWarning):
        ld.tl.subspaces(view, **{**FAST, "dims": [2, 1]})
    assert view.obsm["subspaces_proba"].shape == (230, 2)
    assert "subspaces" not in planted.uns


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"use_rep": "X_umap"}, ValueError, r"use_rep='X_umap' is not in adata\.obsm"),
        ({"layer": "counts"}, ValueError, r"layer='counts' is not in adata\.layers"),
        ({"layer": "shifted", "use_rep": "X_pca"}, ValueError, "pass only one"),
        ({"key_added": "a/b"}, ValueError, "key_added='a/b'"),
        ({"key_added": "other", "use_rep": "other"}, ValueError, "would overwrite"),
        ({"dims": 9}, ValueError, "dims=9"),
        ({"assignment": "fuzzy"}, ValueError, "assignment='fuzzy'"),
        ({"n_components": 3.5}, TypeError, "n_components=3.5"),
    ],
)
def test_errors_name_the_argument_and_write_nothing(
    planted: ad.AnnData, arguments: dict, error: type[Exception], message: str
) -> None:
    before = contents(planted)
    with pytest.raises(error, match=message):
        ld.tl.subspaces(planted, **{"n_init": 1, **arguments})
    assert contents(planted) == before


def test_a_failed_fit_leaves_earlier_results(planted: ad.AnnData) -> None:
    ld.tl.subspaces(planted, **FAST)
    earlier = planted.varm["subspaces"].copy()
    planted.X[3, 2] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        ld.tl.subspaces(planted, 2, n_init=1)
    assert np.array_equal(planted.varm["subspaces"], earlier)


def test_arrays_are_sent_to_the_estimator(planted: ad.AnnData) -> None:
    with pytest.raises(TypeError, match=r"adata is a ndarray.*SubspaceMixture"):
        ld.tl.subspaces(planted.X)


def test_every_parameter_reaches_the_estimator(planted: ad.AnnData) -> None:
    import inspect

    own = set(inspect.signature(ld.tl.subspaces).parameters)
    own -= {"adata", "use_rep", "layer", "key_added", "copy"}
    assert own == set(ld.SubspaceMixture().get_params())
    defaults = inspect.signature(ld.tl.subspaces).parameters
    for name, value in ld.SubspaceMixture().get_params().items():
        assert name == "random_state" or defaults[name].default == value
    given = {"assignment": "hard", "max_iter": 7, "tol": 0.5, "shared_noise": True,
             "reg_covar": 1e-4, "reassign_dims": False, "batch_size": 50, "device": "cpu",
             "dtype": "float32", "init": "points"}  # fmt: skip
    ld.tl.subspaces(planted, **FAST, **given)
    params = planted.uns["subspaces"]["params"]
    assert {name: params[name] for name in given} == given


def test_real_cells_end_to_end(tmp_path: Path) -> None:
    pytest.importorskip("scanpy")
    adata = ld.data.pbmc68k()
    ld.tl.subspaces(adata, n_components=5, dims=1, use_rep="X_pca", n_init=2, max_iter=30)
    adata.write_h5ad(tmp_path / "a.h5ad")
    back = ad.read_h5ad(tmp_path / "a.h5ad")
    table = ld.get.components(back, labels="bulk_labels")
    assert (table["purity"] * table["size"]).sum() / 700 > 0.5
    markers = ld.get.top_genes(back, by="mean")
    b_cells = table["majority"].eq("CD19+ B").idxmax()
    assert "CD79A" in set(markers.loc[markers["component"] == b_cells, "gene"])
    assert ld.get.loadings(back).shape == (765, 5)
    # The PCA is of scaled genes, X is not: no mean expression belongs to it.
    assert back.uns["subspaces"]["params"]["gene_means"] == "centred"


def test_dimensions_can_be_searched_for(planted: ad.AnnData) -> None:
    ld.tl.subspaces(planted, 3, "auto", n_init=2, max_iter=50)
    assert list(planted.uns["subspaces"]["dims"]) == [2, 1, 0]
    assert planted.uns["subspaces"]["params"]["dims"] == "auto"
    model = ld.get.model(planted)
    assert np.array_equal(model.predict_proba(planted), planted.obsm["subspaces_proba"])

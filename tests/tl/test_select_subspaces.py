"""ld.tl.select_subspaces keeps the table and the best mixture."""

import inspect
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import lowdim as ld

FAST = {"n_components": [2, 3], "dims": 2, "n_init": 2, "max_iter": 50}


def test_table_and_best_mixture_are_kept(planted: ad.AnnData, tmp_path: Path) -> None:
    assert ld.tl.select_subspaces(planted, use_rep="X_pca", **FAST) is None
    direct = ld.select_subspaces(planted.obsm["X_pca"], random_state=0, **FAST)
    best = direct.best_estimator_
    record = planted.uns["subspaces"]
    assert np.array_equal(record["dims"], best.dims_)
    assert np.array_equal(record["means"], best.means_)
    assert record["params"]["use_rep"] == "X_pca"
    assert planted.varm["subspaces"].shape == (6, best.dims_.sum())
    assert (planted.obs["subspaces"].astype(int) == best.predict(planted.obsm["X_pca"])).all()
    pd.testing.assert_frame_equal(ld.get.selection(planted), direct.table)

    planted.write_h5ad(tmp_path / "a.h5ad")
    back = ad.read_h5ad(tmp_path / "a.h5ad")
    pd.testing.assert_frame_equal(ld.get.selection(back), direct.table)
    assert ld.get.selection(back).attrs["criterion"] == "bic"
    assert back.uns["subspaces_selection"]["table"]["dims"][0] == "2,1,0"


def test_another_criterion_ranks_and_is_recorded(planted: ad.AnnData) -> None:
    copy = ld.tl.select_subspaces(planted, criterion="heldout", copy=True, **FAST)
    table = ld.get.selection(copy)
    assert table.attrs["criterion"] == "heldout"
    usable = table[~table["degenerate"]]
    assert usable["heldout"].is_monotonic_decreasing
    assert "subspaces_selection" not in planted.uns


def test_the_settings_of_the_search_are_recorded(planted: ad.AnnData, tmp_path: Path) -> None:
    arguments = {**FAST, "patience": 2, "tol": 1e-4, "use_rep": "X_pca", "random_state": 3}
    ld.tl.select_subspaces(planted, **arguments)
    planted.write_h5ad(tmp_path / "a.h5ad")
    tried = {"n_components": [2, 3], "dims": [0, 1, 2], "criterion": "bic", "patience": 2}
    for adata in (planted, ad.read_h5ad(tmp_path / "a.h5ad")):
        params = ld.get.selection(adata).attrs["params"]
        assert params.items() >= {**arguments, **tried}.items()
        assert "heldout_fraction" not in params  # nothing was held out
        assert ld.get.model(adata).search_ == tried
    ld.tl.select_subspaces(planted, criterion="heldout", heldout_fraction=0.3, **FAST)
    assert ld.get.selection(planted).attrs["params"]["heldout_fraction"] == 0.3


def test_a_fit_with_a_search_records_its_settings(planted: ad.AnnData) -> None:
    ld.tl.subspaces(planted, 3, "auto", n_init=2, max_iter=50)
    record = planted.uns["subspaces"]
    assert list(record["search"]["n_components"]) == [1, 2, 3]
    assert list(record["search"]["dims"]) == [0, 1, 2, 3, 4, 5]
    assert (record["search"]["criterion"], record["search"]["patience"]) == ("bic", 3)
    assert np.array_equal(ld.get.model(planted).search_trace_, record["search_trace"])
    ld.tl.subspaces(planted, dims=[1, 1], n_init=1)
    assert not {"search", "search_trace"} & set(planted.uns["subspaces"])


def test_a_later_fit_keeps_the_table(planted: ad.AnnData) -> None:
    ld.tl.select_subspaces(planted, **FAST)
    ld.tl.subspaces(planted, dims=[1, 1], n_init=1)
    assert list(planted.uns["subspaces"]["dims"]) == [1, 1]
    assert ld.get.selection(planted)["dims"][0] == (2, 1, 0)


def test_errors_write_nothing(planted: ad.AnnData) -> None:
    with pytest.raises(ValueError, match="criterion='aic'"):
        ld.tl.select_subspaces(planted, criterion="aic")
    with pytest.raises(ValueError, match="use_rep='nothing'"):
        ld.tl.select_subspaces(planted, use_rep="nothing")
    assert not planted.uns


def test_signatures_agree() -> None:
    tool = inspect.signature(ld.tl.select_subspaces).parameters
    direct = inspect.signature(ld.select_subspaces).parameters
    own = {"adata", "use_rep", "layer", "key_added", "copy"}
    assert set(tool) - own == set(direct) - {"X", "sample_weight"}
    for name in set(tool) - own - {"random_state"}:
        assert tool[name].default == direct[name].default

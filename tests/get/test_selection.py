"""A search's table; its contents are compared in tests/tl."""

import anndata as ad
import pytest

import lowdim as ld


def test_no_search_is_said(adata: ad.AnnData) -> None:
    message = r"ld\.tl\.select_subspaces\(adata, key_added='subspaces'\)"
    with pytest.raises(ValueError, match=message):
        ld.get.selection(adata)


def test_the_table_has_tuples_and_a_criterion(adata: ad.AnnData) -> None:
    ld.tl.select_subspaces(adata, [1, 2], 1, n_init=1, max_iter=20, key_added="best")
    table = ld.get.selection(adata, "best")
    assert table.attrs["criterion"] == "bic"
    assert all(isinstance(dims, tuple) for dims in table["dims"])
    assert list(table.columns[:3]) == ["dims", "n_components", "log_likelihood"]
    assert (table["dims"].map(len) == table["n_components"]).all()
    assert table["dims"][0] == tuple(adata.uns["best"]["dims"])

"""Rows to fit and rows to hold out."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest

import lowdim as ld


@pytest.mark.parametrize(("fraction", "count"), [(0.95, 38), (0.5, 20), (0.001, 1), (0.999, 39)])
def test_as_many_rows_as_asked_for(awkward: ad.AnnData, fraction: float, count: int) -> None:
    ld.pp.train_test_split(awkward, fraction)
    assert awkward.obs["train"].dtype == bool
    assert awkward.obs["train"].sum() == count


def test_every_sample_gives_its_share(awkward: ad.AnnData) -> None:
    awkward.obs["slide"] = ["a"] * 25 + ["b"] * 14 + ["c"]
    ld.pp.train_test_split(awkward, 0.8, sample_key="slide", key_added="fit")
    assert awkward.obs.groupby("slide")["fit"].sum().to_dict() == {"a": 20, "b": 11, "c": 1}


def test_every_row_has_its_chance_and_the_seed_decides() -> None:
    adata = ad.AnnData(np.ones((20, 1)))
    masks = []
    for seed in range(400):
        ld.pp.train_test_split(adata, 0.75, random_state=seed)
        masks.append(adata.obs["train"].to_numpy())
    np.testing.assert_allclose(np.mean(masks, axis=0), 0.75, atol=5 * np.sqrt(0.75 * 0.25 / 400))
    ld.pp.train_test_split(adata, 0.75, random_state=3)
    np.testing.assert_array_equal(adata.obs["train"], masks[3])


def test_wrong_arguments_are_named(awkward: ad.AnnData) -> None:
    for fraction in (0, 1, -0.1):
        with pytest.raises(ValueError, match=f"fraction={fraction}"):
            ld.pp.train_test_split(awkward, fraction)
    awkward.obs.loc["r5", "slide"] = None
    with pytest.raises(ValueError, match="is missing in row 5"):
        ld.pp.train_test_split(awkward, sample_key="slide")
    with pytest.raises(ValueError, match="no rows"):
        ld.pp.train_test_split(awkward[:0])
    with pytest.raises(TypeError, match="random_state"):
        ld.pp.train_test_split(awkward, random_state="x")
    assert ld.pp.train_test_split(ad.AnnData(np.ones((2, 1))), copy=True).obs["train"].sum() == 1

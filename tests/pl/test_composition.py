"""Shares of labels are those of the rows, and the labels are in a readable order."""

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pytest

import lowdim as ld
from lowdim import SubspaceMixture
from lowdim.data import SimulatedSubspaces
from lowdim.pl._composition import count_labels


def test_labels_follow_the_components_that_hold_them() -> None:
    components = np.array([0, 0, 0, 1, 1, 1, 1, -1])
    labels = ["x", "a", "x", "b", "b", None, "a", "b"]
    table = count_labels(labels, components, 3)
    assert list(table.columns) == ["x", "a", "b"]
    np.testing.assert_array_equal(table.to_numpy(), [[2, 1, 0], [0, 1, 2], [0, 0, 0]])


def test_rows_of_the_picture_sum_to_one(adata: ad.AnnData) -> None:
    ax = ld.pl.composition(adata, "subspaces", "truth")
    shares = np.asarray(ax.images[0].get_array())
    np.testing.assert_allclose(shares.sum(1), 1)
    names = [label.get_text() for label in ax.get_xticklabels()]
    for k in range(4):
        rows = adata.obs["truth"][(adata.obs["subspaces"] == str(k)).to_numpy()]
        for j, name in enumerate(names):
            assert shares[k, j] == pytest.approx((rows == name).mean())
    assert ax.get_yticklabels()[0].get_text() == "0: d = 3, n = 200"
    assert {text.get_text() for text in ax.texts} == {
        f"{100 * share:.0f}" for share in shares.ravel() if share >= 0.005
    }


def test_of_a_model(wide_model: SubspaceMixture, wide: SimulatedSubspaces) -> None:
    figure, ax = plt.subplots()
    assert ld.pl.composition(wide_model, labels=wide.labels, X=wide.X, ax=ax) is ax
    assert np.asarray(ax.images[0].get_array()).shape == (4, 4)
    assert plt.get_fignums() == [figure.number]


def test_errors(adata: ad.AnnData) -> None:
    with pytest.raises(TypeError, match="labels is None"):
        ld.pl.composition(adata)
    with pytest.raises(ValueError, match=r"labels='nothing' is not in adata.obs"):
        ld.pl.composition(adata, "subspaces", "nothing")
    with pytest.raises(ValueError, match="600 rows"):
        ld.pl.composition(adata, "subspaces", ["a"])
    with pytest.raises(ValueError, match="no entry that is not missing"):
        ld.pl.composition(adata, "subspaces", [None] * 600)

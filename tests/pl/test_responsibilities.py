"""The heat map is the probabilities, sorted and averaged within components."""

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pytest

import lowdim as ld
from lowdim import SubspaceMixture
from lowdim.data import SimulatedSubspaces
from lowdim.pl._responsibilities import label_means, sorted_means


def test_few_rows_are_drawn_one_by_one() -> None:
    p = np.array([[0.6, 0.4], [0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    edges, means = sorted_means(p, p.argmax(1), 1000)
    np.testing.assert_array_equal(edges, range(5))
    np.testing.assert_array_equal(means, p[[2, 0, 1, 3]])


def test_bins_average_rows_of_one_component() -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet([0.3] * 4, 5000)
    assigned = p.argmax(1)
    edges, means = sorted_means(p, assigned, 100)
    assert edges[0] == 0 and edges[-1] == 5000
    assert (np.diff(edges) > 0).all()
    assert 100 <= len(means) <= 104
    borders = np.cumsum(np.bincount(assigned))
    assert set(borders) <= set(edges.tolist())
    np.testing.assert_allclose(np.diff(edges) @ means, p.sum(0))
    for first, last, k in zip([0, *borders], borders, range(4), strict=False):
        inside = (edges[:-1] >= first) & (edges[:-1] < last)
        assert (np.diff(means[inside, k]) <= 1e-12).all()


def test_empty_components_and_rows_without_one() -> None:
    p = np.array([[0.9, 0.0, 0.1], [0.2, 0.0, 0.8], [0.5, 0.0, 0.5]])
    edges, means = sorted_means(p, np.array([0, 2, -1]), 10)
    np.testing.assert_array_equal(edges, [0, 1, 2])
    np.testing.assert_array_equal(means, p[:2])


def test_the_picture_is_the_probabilities(
    model: SubspaceMixture, simulated: SimulatedSubspaces
) -> None:
    ax = ld.pl.responsibilities(model, simulated.X, max_bins=200)
    [mesh] = ax.collections
    expected = sorted_means(model.predict_proba(simulated.X), model.predict(simulated.X), 200)[1]
    np.testing.assert_allclose(np.asarray(mesh.get_array()).reshape(4, -1), expected.T)
    counts = np.bincount(model.predict(simulated.X))
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names[0] == f"0: plane (d = 2), n = {counts[0]:,}" and len(names) == 4
    assert mesh.get_rasterized()


def test_means_for_labels(adata: ad.AnnData) -> None:
    names, means = label_means(adata.obsm["subspaces_proba"], adata.obs["truth"])
    assert names == ["volume", "plane", "line", "point"]
    for name, mean in zip(names, means, strict=True):
        rows = (adata.obs["truth"] == name).to_numpy()
        np.testing.assert_allclose(mean, adata.obsm["subspaces_proba"][rows].mean(0))
    ax = ld.pl.responsibilities(adata, labels="truth")
    np.testing.assert_allclose(ax.images[0].get_array(), means)
    assert ax.get_ylabel() == "truth"


def test_given_axes_are_used(adata: ad.AnnData) -> None:
    figure, grid = plt.subplots(1, 2)
    assert ld.pl.responsibilities(adata, ax=grid[0]) is grid[0]
    assert ld.pl.responsibilities(adata, labels="truth", ax=grid[1]) is grid[1]
    assert plt.get_fignums() == [figure.number]


def test_errors(adata: ad.AnnData) -> None:
    with pytest.raises(ValueError, match=r"labels has shape \(3,\), but there are 600 rows"):
        ld.pl.responsibilities(adata, labels=["a", "b", "c"])
    with pytest.raises(ValueError, match="max_bins=0"):
        ld.pl.responsibilities(adata, max_bins=0)
    del adata.obsm["subspaces_proba"]
    with pytest.raises(ValueError, match=r"adata.obsm has no 'subspaces_proba'"):
        ld.pl.responsibilities(adata)

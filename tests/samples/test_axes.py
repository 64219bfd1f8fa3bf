"""Separation along single axes: closed forms, against one-dimensional transport of SciPy."""

from __future__ import annotations

import numpy as np
import pytest

import lowdim as ld
from lowdim.samples import axis_separation
from lowdim.samples.axes import _line_distances
from lowdim.transport import Clouds, Mixtures


def test_points_on_a_line_have_their_wasserstein_distance() -> None:
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=(n, 1)) for n in (4, 6, 12)]
    weights = [rng.dirichlet(np.ones(len(part))) for part in parts]
    found = _line_distances(Clouds.of(parts, weights))
    # Brute force: quantile functions on a fine grid.
    grid = (np.arange(200_000) + 0.5) / 200_000
    quantiles = []
    for part, mass in zip(parts, weights, strict=True):
        order = np.argsort(part[:, 0])
        at = np.searchsorted(np.cumsum(mass[order]), grid).clip(max=len(part) - 1)
        quantiles.append(part[order, 0][at])
    for i in range(3):
        for j in range(3):
            expected = np.sqrt(((quantiles[i] - quantiles[j]) ** 2).mean())
            assert found[i, j] == pytest.approx(expected, abs=1e-3)


def test_gaussians_are_apart_by_their_means_and_widths() -> None:
    means = np.array([[0.0, 0], [1, 0], [0, 5], [1, 5]])[:, None]
    sd = np.array([[1.0, 2], [1, 2], [1, 2], [1, 2]])[:, None]
    mixtures = Mixtures.of(np.ones((4, 1)), means, sd**2)
    table = axis_separation(mixtures, ["a", "a", "b", "b"])
    assert table.index.tolist() == ["0", "1"]
    np.testing.assert_allclose(table["within"], [1, 0])
    np.testing.assert_allclose(table["between"], [0.5, 5])
    np.testing.assert_allclose(table["ratio"], [0.5, np.inf])
    assert table.loc["1", "silhouette"] == pytest.approx(1.0)


def test_the_plane_of_the_signal_separates_and_others_do_not() -> None:
    adata = ld.data.simulate_cohort(20, 100, 6, signal="mean", separation=6.0, random_state=0)
    dataset = ld.SampleDataset.from_anndata(adata, sample_key="sample", label_key="label")
    plane = adata.uns["truth"]["plane"]
    off = np.linalg.svd(plane)[2][2:4]
    for data in (dataset, dataset.clouds(None)):
        labels = None if data is dataset else dataset.labels
        table = axis_separation(data, labels, np.concatenate([plane, off]))
        assert table["ratio"][:2].max() > 1.5 > 1.2 > table["ratio"][2:].max()
        assert table["silhouette"][:2].max() > 0.2 > table["silhouette"][2:].max()


def test_bad_arguments_are_errors() -> None:
    mixtures = Mixtures.of(np.ones((3, 1)), np.zeros((3, 1, 2)), np.ones((3, 1, 2)))
    with pytest.raises(ValueError, match="labels are missing"):
        axis_separation(mixtures)
    with pytest.raises(ValueError, match=r"labels has shape \(3,\) and 'a' for 3 samples"):
        axis_separation(mixtures, ["a", "a", "a"])
    with pytest.raises(ValueError, match=r"projection has shape \(1, 3\)"):
        axis_separation(mixtures, ["a", "a", "b"], np.ones((1, 3)))
    with pytest.raises(TypeError, match="got ndarray"):
        axis_separation(np.zeros((3, 3)), ["a", "a", "b"])

"""Markers are as large as their rows are close to their subspace, or as a value says."""

from typing import Any

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pytest
import scipy.sparse as sp
from matplotlib.collections import PathCollection

import lowdim as ld
from lowdim import SubspaceMixture
from lowdim.data import SimulatedSubspaces, as_rows
from lowdim.pl import _sizes
from lowdim.pl._fitted import read_fit
from lowdim.pl._points import point_size
from lowdim.pl._sizes import distances_to_own


def sizes_of(ax: Any) -> np.ndarray:
    [points] = [c for c in ax.collections if isinstance(c, PathCollection)]
    return np.asarray(points.get_sizes())


def legend_of(ax: Any) -> list[str]:
    return [text.get_text() for text in ax.figure.legends[0].get_texts()]


def own_distances(model: SubspaceMixture, X: np.ndarray) -> np.ndarray:
    out = []
    for x, k in zip(X, model.predict(X), strict=True):
        off = x - model.means_[k]
        out.append(np.linalg.norm(off - model.bases_[k].T @ (model.bases_[k] @ off)))
    return np.array(out)


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix, np.float32])
def test_distances_are_to_the_own_subspace(
    wide_model: SubspaceMixture,
    wide: SimulatedSubspaces,
    kind: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_sizes, "_BLOCK_VALUES", 1000)  # several blocks
    labels = wide_model.predict(wide.X)
    labels[5] = -1
    distances = distances_to_own(as_rows(kind(wide.X)), read_fit(wide_model), labels)
    expected = own_distances(wide_model, wide.X)
    assert np.isnan(distances[5])
    np.testing.assert_allclose(np.delete(distances, 5), np.delete(expected, 5), rtol=1e-4)


def test_rows_shrink_with_their_distance(
    wide_model: SubspaceMixture, wide: SimulatedSubspaces
) -> None:
    distances = own_distances(wide_model, wide.X)
    usual, relative = point_size(600), distances / np.median(distances)
    for ax in (
        ld.pl.subspaces(wide_model, wide.X, size="distance"),
        ld.pl.subspaces(wide_model, wide.X, size="distance", elevation=10)[0, 0],
    ):
        expected = usual * np.maximum(4 / (1 + relative) ** 2, 0.2)
        np.testing.assert_allclose(np.sort(sizes_of(ax)), np.sort(expected))
        entries = legend_of(ax)[4:]
        middle = f"{np.median(distances):.2g}"
        assert len(entries) == 3 and entries[1] == f"distance to its subspace {middle}"


def test_sizes_go_with_their_rows(wide_model: SubspaceMixture, wide: SimulatedSubspaces) -> None:
    values = np.arange(1.0, 601.0)
    ax = ld.pl.subspaces(wide_model, wide.X, axes=(0, 1), size=values)
    [points] = [c for c in ax.collections if isinstance(c, PathCollection)]
    size_at = dict(zip(map(tuple, points.get_offsets()), points.get_sizes(), strict=True))
    drawn = np.array([size_at[tuple(row)] for row in wide.X[:, :2]])
    assert (np.diff(drawn) >= 0).all() and drawn[-1] == 4 * point_size(600)
    np.testing.assert_allclose(drawn[300] / drawn[150], values[300] / values[150])
    assert legend_of(ax)[4:] == ["size 1.5e+02", "size 3e+02", "size 6e+02"]


def test_a_column_of_obs(adata: ad.AnnData) -> None:
    adata.obs["mass"] = np.abs(adata.obs["depth"])
    adata.obs.loc[adata.obs_names[:3], "mass"] = np.nan
    ax = ld.pl.subspaces(adata, size="mass")
    assert legend_of(ax)[-1].startswith("mass ")
    assert np.isclose(sizes_of(ax), 0.2 * point_size(600)).sum() >= 3
    assert set(sizes_of(ld.pl.subspaces(adata, size=7))) == {7.0}


def test_sizes_of_a_sample_and_of_shades(
    model: SubspaceMixture, simulated: SimulatedSubspaces
) -> None:
    ax = ld.pl.subspaces(model, simulated.X, size="distance", max_points=500, n_dims=3)
    assert len(sizes_of(ax)) == 500
    shaded = ld.pl.subspaces(model, simulated.X, size="distance", max_points=500)
    assert len(shaded.images) == 1 and len(legend_of(shaded)) == 4


def test_rows_without_a_size() -> None:
    assert _sizes._by_distance(np.full(3, np.nan), 10.0).areas == 2.0
    assert _sizes._by_value(np.zeros(3), "mass", 10.0).examples == ()
    on_it = _sizes._by_distance(np.zeros(3), 10.0)
    np.testing.assert_array_equal(on_it.areas, [40.0] * 3)
    assert on_it.examples == ((0.0, 40.0),)


@pytest.mark.parametrize(
    ("size", "error", "message"),
    [
        (0, ValueError, "size=0"),
        ([1, 2], ValueError, r"size has shape \(2,\), but there are 600 rows"),
        (-np.ones(600), ValueError, "-1; areas cannot be negative"),
        ("nothing", ValueError, "size='nothing' is not in adata.obs"),
        ("truth", TypeError, "not numbers"),
    ],
)
def test_errors_name_the_size(
    adata: ad.AnnData, size: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ld.pl.subspaces(adata, size=size)
    assert plt.get_fignums() == []

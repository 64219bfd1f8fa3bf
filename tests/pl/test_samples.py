"""Pictures of samples: maps, distances, mixtures and compositions show the numbers they are of."""

from __future__ import annotations

from typing import Any

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex, to_rgb
from scipy.spatial.distance import pdist, squareform

import lowdim as ld
from lowdim.pl._colors import MISSING, PALETTE
from lowdim.pl._names import brief
from lowdim.pl._sample_mixtures import ellipses
from lowdim.samples import classical_mds, cluster_samples, embed_samples


def distances(S: int, seed: int = 0) -> tuple[pd.DataFrame, pd.Series]:
    """Samples in three groups, and their labels."""
    rng = np.random.default_rng(seed)
    codes = np.arange(S) % 3
    names = [f"p{i:03d}" for i in range(S)]
    points = 8 * np.eye(4)[codes] + rng.normal(size=(S, 4))
    labels = pd.Series(np.array(["control", "mild", "severe"], object)[codes], names, name="state")
    return pd.DataFrame(squareform(pdist(points)), names, names), labels


@pytest.fixture(scope="module")
def cohort_once() -> ad.AnnData:
    """Eight samples in no order, with mixtures, a label, an age and cell types."""
    adata = ld.data.simulate_cohort(8, 60, 4, n_components=3, signal="mean", random_state=0)
    adata.obs["age"] = adata.obs["sample"].astype(str).str[-1].astype(float)
    ld.tl.fit_gmm(adata, sample_key="sample", k_comps=[1, 2, 3], gmm_key="gmm", verbose=False)
    return adata


@pytest.fixture
def cohort(cohort_once: ad.AnnData) -> ad.AnnData:
    return cohort_once.copy()


def record(adata: ad.AnnData, matrix: np.ndarray) -> None:
    """Distances in `uns` as the tools write them."""
    names = np.array(sorted(adata.obs["sample"].unique()), dtype=object)
    params = {"sample_key": "sample"}
    adata.uns["sample_distances"] = {"distances": matrix, "names": names, "params": params}


def offsets(ax: Any) -> np.ndarray:
    return np.concatenate([collection.get_offsets() for collection in ax.collections])


# Maps ---------------------------------------------------------------------------------------


def test_the_map_shows_the_embedding_in_the_labels_colours() -> None:
    matrix, labels = distances(12)
    labels.iloc[4] = None
    ax = ld.pl.sample_map(matrix, labels)
    np.testing.assert_allclose(offsets(ax), embed_samples(matrix))
    own = ax.collections[0].get_facecolors()[:, :3]
    expected = [to_rgb(dict(zip(["control", "mild", "severe"], PALETTE, strict=False)).get(
        label, MISSING)) for label in labels]  # fmt: skip
    np.testing.assert_allclose(own, expected)
    legend = ax.get_legend()
    assert legend.get_title().get_text() == "state"
    shown = [text.get_text() for text in legend.get_texts()]
    assert shown == ["control (4)", "mild (3)", "severe (4)", "missing (1)"]
    assert [text.get_text() for text in ax.texts] == list(matrix.index)


def test_clusters_have_markers() -> None:
    matrix, _ = distances(12)
    for clusters in (3, "auto", cluster_samples(matrix, 3), np.arange(12) % 3):
        ax = ld.pl.sample_map(matrix, clusters=clusters)
        assert len(ax.collections) == 3
        sizes = [len(collection.get_offsets()) for collection in ax.collections]
        assert sizes == [4, 4, 4]
        assert ax.get_legend().get_texts()[0].get_text() == "cluster 0 (4)"


@pytest.mark.parametrize("method", ["classical", "diffusion", "tsne"])
@pytest.mark.parametrize("S", [2, 3, 60])
def test_any_method_draws_few_and_many(method: str, S: int) -> None:
    matrix, labels = distances(S)
    ax = ld.pl.sample_map(matrix, labels, method=method)
    assert len(ax.texts) == (S if S <= 30 else 0)
    assert offsets(ax).shape == (S, 2)
    ax.figure.canvas.draw()
    if method == "classical":
        _, explained = classical_mds(matrix)
        assert ax.get_xlabel() == f"axis 1 ({explained[0]:.0%})"


def test_values_have_a_scale(cohort: ad.AnnData) -> None:
    record(cohort, distances(8)[0].to_numpy())
    ax = ld.pl.sample_map(cohort, "age", names=False)
    assert len(ax.figure.axes) == 2
    assert ax.figure.axes[1].get_xlabel() == "age"
    assert not ax.texts


def test_names_stand_apart() -> None:
    matrix, _ = distances(20)
    ax = ld.pl.sample_map(matrix * 100)
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts]
    overlaps = sum(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert overlaps <= 2


def test_long_names_keep_both_ends() -> None:
    assert brief("short") == "short"
    assert brief("a_patient_with_a_long_name_017") == "a_patie…g_name_017"


# Distances ----------------------------------------------------------------------------------


def test_the_heat_map_is_in_the_order_of_the_tree() -> None:
    matrix, labels = distances(14)
    ax = ld.pl.sample_distances(matrix, labels, n_clusters=3)
    heat, tree, _, strip = ax.child_axes
    order = cluster_samples(matrix).order
    np.testing.assert_allclose(heat.images[0].get_array(), matrix.to_numpy()[np.ix_(order, order)])
    assert [t.get_text() for t in heat.get_yticklabels()] == list(matrix.index[order])
    rgb = strip.images[0].get_array()[:, 0]
    codes = labels.astype("category").cat.codes.to_numpy()
    np.testing.assert_allclose(rgb, [to_rgb(PALETTE[codes[s]]) for s in order])
    heights = [segment[1, 0] for segment in tree.collections[0].get_segments()]
    np.testing.assert_allclose(sorted(heights), cluster_samples(matrix).tree[:, 2])
    frames = sorted((patch.get_xy()[0], patch.get_width()) for patch in heat.patches)
    assert [start for start, _ in frames] == [-0.5, 4.5, 9.5] or len(frames) == 3
    assert sum(width for _, width in frames) == 14


def test_leaves_of_the_tree_stand_beside_their_rows() -> None:
    matrix, _ = distances(9)
    heat, tree, *_ = ld.pl.sample_distances(matrix).child_axes
    leaves = [
        y for segment in tree.collections[0].get_segments() for x, y in segment[[0, -1]] if x == 0
    ]
    assert sorted(leaves) == list(range(9))
    assert heat.get_ylim() == tree.get_ylim()


def test_several_strips_share_no_colour(cohort: ad.AnnData) -> None:
    record(cohort, distances(8)[0].to_numpy())
    cohort.obs["site"] = cohort.obs["sample"].astype(str).str[-1].astype(int).mod(2).astype(str)
    ax = ld.pl.sample_distances(cohort, ["label", "site", "age"])
    strips = ax.child_axes[3:]
    assert [strip.get_xticklabels()[0].get_text() for strip in strips] == ["label", "site", "age"]
    used = [{to_hex(rgb) for rgb in strip.images[0].get_array()[:, 0]} for strip in strips[:2]]
    assert not used[0] & used[1]
    shown = [text.get_text() for text in ax.get_legend().get_texts()]
    assert shown == [
        "label", "class_0 (4)", "class_1 (4)", "site", "0 (4)", "1 (4)", "age", "0", "7",
    ]  # fmt: skip


def test_more_labels_than_colours() -> None:
    matrix, _ = distances(80)
    ax = ld.pl.sample_distances(matrix, [f"site {i}" for i in range(80)])
    assert len(ax.get_legend().get_texts()) == 80
    with pytest.raises(TypeError, match="ax is a str"):
        ld.pl.sample_distances(matrix, ax="here")


def test_distances_are_drawn_within_given_axes() -> None:
    figure, grid = plt.subplots(1, 2, figsize=(12, 5))
    matrix, labels = distances(200)
    assert ld.pl.sample_distances(matrix, labels, ax=grid[0]) is grid[0]
    figure.canvas.draw()
    own = grid[0].get_window_extent()
    for child in grid[0].child_axes[:2]:
        box = child.get_window_extent()
        assert own.x0 - 1 <= box.x0 < box.x1 <= own.x1 + 1
        assert own.y0 - 1 <= box.y0 < box.y1 <= own.y1 + 1
    assert not grid[0].child_axes[0].get_yticklabels()
    assert plt.get_fignums() == [figure.number]


@pytest.mark.parametrize("draw", [ld.pl.sample_map, ld.pl.sample_distances])
def test_what_is_missing_or_does_not_fit_is_said(draw: Any, cohort: ad.AnnData) -> None:
    matrix, _ = distances(8)
    with pytest.raises(ValueError, match="no 'sample_distances' with distances; run ld"):
        draw(cohort)
    record(cohort, matrix.to_numpy())
    with pytest.raises(ValueError, match=r"'stage' is not in adata.obs"):
        draw(cohort, "stage")
    with pytest.raises(ValueError, match=r"obs\['component'\] differs within 'sample_0'"):
        draw(cohort, "component")
    with pytest.raises(ValueError, match=r"labels has shape .3,., but there are 8 samples"):
        draw(matrix, ["a", "b", "c"])
    with pytest.raises(ValueError, match=r"names a column of adata.obs, but there is no AnnData"):
        draw(matrix, "state")
    with pytest.raises(ValueError, match="not symmetric"):
        draw(np.triu(matrix))
    cohort.uns["sample_distances"]["params"] = {}
    assert draw(cohort, "label") is not None  # by the column that has the samples' names
    cohort.obs["again"] = cohort.obs["sample"]
    with pytest.raises(ValueError, match=r"'sample', 'again' have their names\); pass sample_key"):
        draw(cohort, "label")
    assert draw(cohort, "label", sample_key="sample") is not None
    del cohort.obs["sample"], cohort.obs["again"]
    with pytest.raises(ValueError, match="No column of obs has the names of the samples"):
        draw(cohort, "label")
    plt.close("all")
    assert not plt.get_fignums()


def test_labels_of_samples_keep_their_order_and_gaps(cohort: ad.AnnData) -> None:
    record(cohort, distances(8)[0].to_numpy())
    column = pd.Categorical(cohort.obs["label"], ["class_1", "class_0"])
    cohort.obs["stage"] = column
    cohort.obs.loc[cohort.obs["sample"] == "sample_2", "stage"] = None
    ax = ld.pl.sample_map(cohort, "stage")
    shown = [text.get_text() for text in ax.get_legend().get_texts()]
    assert shown == ["class_1 (4)", "class_0 (3)", "missing (1)"]
    by_name = dict.fromkeys(["sample_0", "sample_1"], "seen")
    assert ld.pl.sample_map(cohort, by_name).get_legend().get_texts()[1].get_text() == "missing (6)"


# Mixtures -----------------------------------------------------------------------------------


def test_ellipses_are_at_one_and_two_standard_deviations() -> None:
    rng = np.random.default_rng(0)
    root = rng.normal(size=(2, 2))
    mean, covariance = rng.normal(size=2), root @ root.T
    for sd, curve in zip((1, 2), ellipses(mean, covariance), strict=True):
        off = curve - mean
        squared = np.einsum("ij,ij->i", off @ np.linalg.inv(covariance), off)
        np.testing.assert_allclose(squared, sd**2)


def test_a_panel_for_each_sample_has_its_cells_and_components(cohort: ad.AnnData) -> None:
    panels = ld.pl.sample_mixtures(cohort, (2, 0), sample_key="sample", labels="label")
    dataset = ld.SampleDataset.from_anndata(cohort, sample_key="sample", gmm_key="gmm")
    assert len(panels) == 8
    for s, panel in enumerate(panels):
        own = (cohort.obs["sample"] == dataset.names[s]).to_numpy()
        cells = np.sort(panel.collections[0].get_offsets(), axis=0)
        np.testing.assert_allclose(cells, np.sort(cohort.X[own][:, [2, 0]], axis=0), rtol=1e-6)
        curves = [c.get_segments() for c in panel.collections[1:]]
        assert len(curves) == dataset.gmm.n_components_[s]
        centres = np.array([curve[0][:-1].mean(0) for curve in curves])
        means = dataset.supports[s][: len(curves)][:, [2, 0]]
        np.testing.assert_allclose(centres, means, atol=1e-9)
        assert panel.get_xlim() == panels[0].get_xlim()
    assert panels[1].get_title() == "sample_1\nclass_1"
    assert panels[0].get_ylabel() == "feature_0"


def test_mixtures_by_label_in_a_learned_plane(cohort: ad.AnnData) -> None:
    dataset = ld.SampleDataset.from_anndata(
        cohort, sample_key="sample", label_key="label", gmm_key="gmm"
    )
    plane = cohort.uns["truth"]["plane"]
    panels = ld.pl.sample_mixtures(dataset, projection=plane, by="label", cells=False)
    assert [panel.get_title() for panel in panels] == [
        "class_0 (4 samples)", "class_1 (4 samples)",
    ]  # fmt: skip
    sizes = dataset.gmm.n_components_
    assert len(panels[0].collections) == sizes[dataset.labels == "class_0"].sum()
    curve = panels[0].collections[0].get_segments()[0]
    first = plane @ dataset.supports[0][0]
    np.testing.assert_allclose(curve[:-1].mean(0), first, atol=1e-9)
    alone = ld.pl.sample_mixtures(dataset, projection=plane, by="all")
    assert len(alone.collections) == 1 + sizes.sum()
    assert [t.get_text() for t in alone.get_legend().get_texts()] == [
        "1 sd", "class_0 (4)", "class_1 (4)",
    ]  # fmt: skip


def test_many_cells_are_shaded(cohort: ad.AnnData) -> None:
    ax = ld.pl.sample_mixtures(
        cohort, sample_key="sample", samples=["sample_3"], max_points=10, by="all"
    )
    assert len(ax.images) == 1


def test_bad_arguments_of_mixtures_are_errors(cohort: ad.AnnData) -> None:
    dataset = ld.SampleDataset.from_anndata(cohort, sample_key="sample", gmm_key="gmm")
    with pytest.raises(ValueError, match=r"axes=\(0, 4\) must be two numbers from 0 to 3"):
        ld.pl.sample_mixtures(dataset, (0, 4))
    with pytest.raises(ValueError, match=r"projection has shape \(2, 3\)"):
        ld.pl.sample_mixtures(dataset, projection=np.ones((2, 3)))
    with pytest.raises(ValueError, match="samples has 'x'"):
        ld.pl.sample_mixtures(dataset, samples=["x"])
    with pytest.raises(ValueError, match="no labels; pass by='all'"):
        ld.pl.sample_mixtures(dataset, by="label")
    with pytest.raises(TypeError, match="sample_key is None"):
        ld.pl.sample_mixtures(cohort)
    with pytest.raises(TypeError, match="got ndarray"):
        ld.pl.sample_mixtures(cohort.X)
    cohort.uns["other"] = cohort.uns["gmm"]
    with pytest.raises(KeyError, match="not in uns, but 'gmm', 'other': name one by gmm_key"):
        ld.pl.sample_mixtures(cohort, sample_key="sample")
    with pytest.raises(ValueError, match="no mixtures yet"):
        ld.pl.sample_mixtures(ld.SampleDataset.from_anndata(cohort, sample_key="sample"))


# Composition --------------------------------------------------------------------------------


def bars(ax: Any) -> dict[str, list[float]]:
    """Heights of the parts, from left to right."""
    texts = [text.get_text() for text in ax.get_legend().get_texts()][::-1]
    return {
        text: [float(np.ptp(path.vertices[:, 1])) for path in part.get_paths()]
        for text, part in zip(texts, ax.collections, strict=True)
    }


def test_bars_are_shares_grouped_by_label() -> None:
    table = pd.DataFrame(
        {"T": [1, 6, 2, 8], "B": [9, 4, 8, 2]}, ["s1", "s2", "s3", "s4"], dtype=float
    )
    ax = ld.pl.sample_composition(table * 7, labels=["x", "y", "y", None])
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["s1", "s3", "s2", "s4"]
    drawn = bars(ax)
    np.testing.assert_allclose(drawn["B"], [0.9, 0.8, 0.4, 0.2])
    np.testing.assert_allclose(drawn["T"], [0.1, 0.2, 0.6, 0.8])
    assert [text.get_text() for text in ax.texts] == ["x (1)", "y (2)", "missing (1)"]
    gaps = np.diff([path.vertices[:, 0].min() for path in ax.collections[0].get_paths()])
    np.testing.assert_allclose(gaps, [1.7, 1.0, 1.7])


def test_composition_of_cells(cohort: ad.AnnData) -> None:
    cohort.obs.loc[cohort.obs_names[:5], "component"] = np.nan
    ax = ld.pl.sample_composition(cohort, "component", "label", sample_key="sample")
    table = pd.crosstab(cohort.obs["sample"], cohort.obs["component"], normalize="index")
    order = [tick.get_text() for tick in ax.get_xticklabels()]
    for name, heights in bars(ax).items():
        kind = next(kind for kind in table.columns if str(kind) == name)
        np.testing.assert_allclose(heights, table.loc[order, kind])


def test_the_smallest_of_many_parts_are_one() -> None:
    shares = np.random.default_rng(0).dirichlet(np.ones(40), size=70)
    ax = ld.pl.sample_composition(pd.DataFrame(shares))
    assert len(ax.collections) == 30
    assert bars(ax)["11 others"][0] > 0
    assert tuple(ax.collections[-1].get_facecolor()[0, :3]) == to_rgb(MISSING)
    assert not ax.get_xticklabels()


def test_bad_compositions_are_errors(cohort: ad.AnnData) -> None:
    with pytest.raises(ValueError, match=r"parts='type' is not in adata.obs"):
        ld.pl.sample_composition(cohort, "type", sample_key="sample")
    with pytest.raises(ValueError, match="'b' has no shares"):
        ld.pl.sample_composition(pd.DataFrame({"x": [1, 0]}, ["a", "b"]))
    with pytest.raises(TypeError, match="got ndarray"):
        ld.pl.sample_composition(np.ones((2, 2)))

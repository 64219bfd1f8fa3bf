"""Pictures of layouts show every row where it is, in the colours that the legend says."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from matplotlib.colors import to_rgb
from PIL import Image

import lowdim as ld
from lowdim.embedding import Snapshots
from lowdim.pl._colors import MISSING, PALETTE


@pytest.fixture
def cells() -> ad.AnnData:
    rng = np.random.default_rng(0)
    adata = ad.AnnData(sp.csr_matrix(rng.poisson(1.0, size=(60, 4)).astype(np.float32)))
    adata.var_names = ["CD3", "CD4", "CD8", "CD19"]
    adata.layers["twice"] = adata.X * 2
    adata.obs["type"] = pd.Categorical(["T", "B", "NK"] * 20)
    adata.obs["depth"] = rng.random(60)
    adata.obsm["X_tsne"] = rng.normal(size=(60, 3)).astype(np.float32)
    adata.obsm["mine"] = rng.normal(size=(60, 2))
    return adata


def colors_by_place(ax: plt.Axes) -> dict[tuple[float, ...], tuple[float, ...]]:
    """The colour of the point at every place, to six digits."""
    points = ax.collections[0]
    places, colors = points.get_offsets(), points.get_facecolors()
    colors = np.broadcast_to(colors, (len(places), 4))
    return {
        tuple(np.round(p, 6).tolist()): tuple(np.round(c[:3], 6).tolist())
        for p, c in zip(places, colors, strict=True)
    }


def test_every_row_is_where_it_is_in_the_colour_of_its_group(cells: ad.AnnData) -> None:
    ax = ld.pl.embedding(cells, "type")
    found = colors_by_place(ax)
    order = {"B": 0, "NK": 1, "T": 2}
    assert len(found) == 60
    for place, label in zip(cells.obsm["X_tsne"][:, :2], cells.obs["type"], strict=True):
        color = found[tuple(np.round(place.astype(float), 6).tolist())]
        np.testing.assert_allclose(color, to_rgb(PALETTE[order[label]]), atol=1e-6)
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["B (20)", "NK (20)", "T (20)"]
    assert ax.get_xlabel() == "t-SNE 1" and ax.get_title() == "type"
    assert not ax.get_xticks().size


def test_genes_and_values_have_a_scale(cells: ad.AnnData) -> None:
    panels = ld.pl.embedding(cells, ["CD8", "depth", None], basis="mine")
    assert [panel.get_title() for panel in panels] == ["CD8", "depth", ""]
    assert len(panels[0].figure.axes) == 5  # two scales
    assert panels[0].get_xlabel() == "mine 1"
    values = cells.X[:, 2].toarray().ravel()
    scale = panels[0].figure.axes[3]
    twice = ld.pl.embedding(cells, "CD8", layer="twice")
    low, high = np.percentile(values, [0.5, 99.5])
    np.testing.assert_allclose(scale.get_ylim(), [low, high])
    np.testing.assert_allclose(twice.figure.axes[1].get_ylim(), [2 * low, 2 * high])


def test_names_stand_at_the_middle_of_their_groups(cells: ad.AnnData) -> None:
    cells.obs.loc[cells.obs_names[:3], "type"] = np.nan
    ax = ld.pl.embedding(cells, "type", legend="on data", palette={"T": "red"})
    assert ax.get_legend() is None
    texts = {text.get_text(): text.get_position() for text in ax.texts}
    assert set(texts) == {"T", "B", "NK"}
    own = (cells.obs["type"] == "T").to_numpy()
    np.testing.assert_allclose(texts["T"], np.median(cells.obsm["X_tsne"][own, :2], axis=0))
    colors = set(colors_by_place(ax).values())
    assert colors == {(1.0, 0.0, 0.0), tuple(np.round(to_rgb(MISSING), 6).tolist())}


def test_many_rows_are_shaded_and_the_picture_says_so(cells: ad.AnnData) -> None:
    ax = ld.pl.embedding(cells, "type", max_points=20)
    assert len(ax.images) == 1 and not ax.collections
    assert "60 rows, shaded" in ax.texts[0].get_text()
    solid = ld.pl.embedding(cells, "type", axes=(0, 1, 2), max_points=20)
    assert "20 of 60 rows" in solid.texts[0].get_text()
    assert len(solid.collections[0]._offsets3d[0]) == 20


def test_shading_does_not_depend_on_the_order_of_rows(cells: ad.AnnData) -> None:
    images = []
    for order in (np.arange(60), np.random.default_rng(1).permutation(60)):
        ax = ld.pl.embedding(cells[order].copy(), "type", max_points=20)
        images.append(np.asarray(ax.images[0].get_array()))
    np.testing.assert_allclose(*images, atol=1e-12)


def test_arrays_and_given_axes() -> None:
    rng = np.random.default_rng(0)
    layout, labels = rng.normal(size=(30, 2)), rng.integers(3, size=30)
    figure, axes = plt.subplots(1, 2)
    drawn = ld.pl.embedding(layout, {"a": labels, "b": rng.random(30)}, ax=axes)
    assert drawn.tolist() == axes.tolist()
    assert [ax.get_title() for ax in axes] == ["a", "b"]
    assert ld.pl.embedding(layout[:, :1], labels).get_xlabel() == "axis 1"
    figure.canvas.draw()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"basis": "umap"}, ValueError, "basis='umap' is not in adata.obsm"),
        ({"color": "CD7"}, ValueError, "neither in adata.obs"),
        ({"color": np.zeros(3)}, ValueError, "color has shape"),
        ({"color": []}, ValueError, "color is empty"),
        ({"axes": (0, 5)}, ValueError, "axes="),
        ({"legend": "below"}, ValueError, "legend="),
        ({"max_points": 0}, ValueError, "max_points=0"),
        ({"ax": 3}, TypeError, "ax is a int"),
    ],
)
def test_what_makes_no_sense_is_told(
    cells: ad.AnnData, options: dict, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ld.pl.embedding(cells, **options)
    with pytest.raises(ValueError, match="row 4"):
        ld.pl.embedding(np.where(np.arange(12).reshape(6, 2) == 9, np.nan, 0.0))


def test_the_table_of_measures_has_a_panel_for_each() -> None:
    rng = np.random.default_rng(0)
    X, labels = rng.normal(size=(90, 5)), np.arange(90) % 3
    table = pd.concat(
        ld.metrics.embedding_quality(X, X[:, :2] + noise, labels, name=str(noise))
        for noise in (0.0, 1.0)
    )
    panels = ld.pl.embedding_quality(table)
    assert len(panels) == table.shape[1] - 1
    assert panels[0].get_title() == "15 neighbours kept"
    np.testing.assert_allclose(panels[0].lines[0].get_xdata(), table["preservation_15"])
    with pytest.raises(ValueError, match="table must have"):
        ld.pl.embedding_quality(table[["silhouette"]])


def test_snapshots_are_played_frame_by_frame(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X, labels = rng.normal(size=(40, 5)), np.arange(40) % 2
    seen = Snapshots()
    model = ld.TSNE(perplexity=5, max_iter=60, callbacks=seen, callbacks_every=20, random_state=0)
    model.fit(X)
    assert seen.iterations == [20, 40, 60] and len(seen) == 3
    np.testing.assert_array_equal(seen.layouts[-1], model.embedding_)
    assert not np.array_equal(seen.layouts[0], seen.layouts[1])
    assert seen.objectives[-1] == pytest.approx(model.kl_divergence_)
    film = ld.pl.animate(seen, labels)
    film._draw_frame(1)
    ax = film._fig.axes[0]
    offsets = np.asarray(ax.collections[0].get_offsets())
    assert sorted(map(tuple, offsets.tolist())) == sorted(
        map(tuple, seen.layouts[1].astype(float).tolist())
    )
    assert ax.get_title() == "iteration 40"
    low, high = ax.get_xlim()
    assert low < offsets[:, 0].min() and offsets[:, 0].max() < high
    film.save(tmp_path / "layout.gif", writer="pillow")
    with Image.open(tmp_path / "layout.gif") as saved:
        assert saved.n_frames == 3
    for wrong in (Snapshots(), [np.zeros((3, 3))], [np.zeros((3, 2)), np.zeros((4, 2))]):
        with pytest.raises(ValueError, match="snapshots holds"):
            ld.pl.animate(wrong)

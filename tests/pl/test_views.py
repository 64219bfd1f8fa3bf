"""Pictures from several sides: grids, boxes, colours of one's own, and room for labels."""

from typing import Any

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.colors import to_rgb
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

import lowdim as ld
from lowdim import SubspaceMixture
from lowdim.data import SimulatedSubspaces
from lowdim.pl._colors import MISSING
from lowdim.pl._projection import choose_projection


def points_of(ax: Any) -> PathCollection:
    [points] = [c for c in ax.collections if isinstance(c, PathCollection)]
    return points


def colors_of(ax: Any) -> list[str]:
    """The colours of the points that were drawn, (N, 3)."""
    ax.figure.draw_without_rendering()
    return points_of(ax).get_facecolors()[:, :3]


def legend_of(ax: Any) -> list[str]:
    return [text.get_text() for text in ax.figure.legends[0].get_texts()]


def test_every_elevation_with_every_azimuth(adata: ad.AnnData) -> None:
    panels = ld.pl.subspaces(adata, elevation=[70, 0], azimuth=[20, 90, 160], color="truth")
    assert panels.shape == (2, 3)
    seen = [[(ax.elev, ax.azim) for ax in line] for line in panels]
    assert seen == [[(e, a) for a in (20, 90, 160)] for e in (70, 0)]
    rows = {ax.get_subplotspec().rowspan.start for ax in panels[1]}
    assert rows == {1} and panels[0, 2].get_subplotspec().colspan.start == 2
    assert all(len(points_of(ax)._offsets3d[0]) == adata.n_obs for ax in panels.flat)
    assert len(panels[0, 0].figure.legends) == 1
    assert "plane, n = 150" in legend_of(panels[0, 0])


@pytest.mark.parametrize(
    ("angles", "shape", "seen"),
    [
        ({"elevation": 10}, (1, 1), (10, -60)),
        ({"azimuth": [5, 6]}, (1, 2), (30, 5)),
        ({"elevation": np.array([1, 2]), "azimuth": 3}, (2, 1), (1, 3)),
    ],
)
def test_one_angle_is_enough(adata: ad.AnnData, angles: Any, shape: Any, seen: Any) -> None:
    panels = ld.pl.subspaces(adata, **angles)
    assert panels.shape == shape
    assert (panels[0, 0].elev, panels[0, 0].azim) == seen


def test_values_in_a_grid_share_a_colour_bar(adata: ad.AnnData) -> None:
    panels = ld.pl.subspaces(adata, elevation=[20, 60], azimuth=[0, 45], color="depth")
    [bar] = [ax for ax in panels[0, 0].figure.axes if ax not in list(panels.flat)]
    assert bar.get_xlabel() == "depth"


def test_axes_that_point_at_the_viewer_have_no_labels(adata: ad.AnnData) -> None:
    [[side, top, usual]] = ld.pl.subspaces(adata, elevation=0, azimuth=[0, 90, 45])
    assert not side.xaxis.label.get_visible() and side.yaxis.label.get_visible()
    assert not top.yaxis.label.get_visible() and top.xaxis.label.get_visible()
    assert all(axis.label.get_visible() for axis in (usual.xaxis, usual.yaxis, usual.zaxis))
    side.figure.draw_without_rendering()
    assert {text.get_text() for text in side.get_xticklabels()} == {""}


@pytest.mark.parametrize("n_dims", [2, 3])
def test_boxes_have_the_standard_deviations_of_each_axis(
    wide_model: SubspaceMixture, wide: SimulatedSubspaces, n_dims: int
) -> None:
    projection = choose_projection(ld.data.as_rows(wide.X), n_dims)
    ax = ld.pl.subspaces(wide_model, wide.X, n_dims=n_dims, shape="box", sd=1.5)
    drawn = [
        np.array(line.get_data_3d() if n_dims == 3 else line.get_data()).T for line in ax.lines
    ]
    for k, d in ((0, 3), (1, 2)):
        sides = 2 * 1.5 * np.sqrt(wide_model.latent_variances_[k])
        for side, axis in zip(sides, wide_model.bases_[k] @ projection.directions.T, strict=True):
            along = [
                line
                for line in drawn
                if len(line) == 2 and np.allclose(line[1] - line[0], side * axis)
            ]
            assert len(along) == 2 ** (d - 1)
            centre = projection.points(wide_model.means_[k][None])[0]
            np.testing.assert_allclose(np.mean(along, axis=(0, 1)), centre, atol=1e-9)
    faces = [c for c in ax.collections if isinstance(c, (Poly3DCollection, PolyCollection))]
    assert len(faces) == (3 if n_dims == 3 else 2)  # the point's sphere is a surface as well


@pytest.mark.parametrize("kind", [list, np.asarray, pd.Series, pd.Categorical])
def test_labels_in_colours_of_their_own(adata: ad.AnnData, kind: Any) -> None:
    truth = kind(adata.obs["truth"].tolist())
    wanted = {"plane": "red", "line": (0.0, 0.0, 1.0)}
    for color, ax in [
        (truth, ld.pl.subspaces(adata, color=truth, palette=wanted, n_dims=3)),
        ("truth", ld.pl.subspaces(adata, color="truth", palette=wanted)),
    ]:
        colors = colors_of(ax)
        for name, n in (("red", 150), ("blue", 150), (MISSING, 300)):
            assert np.isclose(colors, to_rgb(name)).all(1).sum() == n, color
    ax = ld.pl.subspaces(adata, color="truth", palette=["red", "blue", "green", "black", "white"])
    assert np.isclose(colors_of(ax), to_rgb("blue")).all(1).sum() == 150


def test_components_in_colours_of_their_own(adata: ad.AnnData) -> None:
    ax = ld.pl.subspaces(adata, palette={0: "red", "3": "blue"})
    colors = colors_of(ax)
    assert np.isclose(colors, to_rgb("red")).all(1).sum() == (adata.obs["subspaces"] == "0").sum()
    assert np.isclose(colors, to_rgb("blue")).all(1).sum() == (adata.obs["subspaces"] == "3").sum()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"elevation": 3, "views": [(1, 2)]}, ValueError, "either"),
        ({"elevation": []}, ValueError, r"elevation=\[\]"),
        ({"azimuth": "left"}, TypeError, "azimuth='left'"),
        ({"azimuth": [np.nan]}, ValueError, "azimuth"),
        ({"elevation": 3, "n_dims": 2}, ValueError, "views is for 3"),
        ({"shape": "cube"}, ValueError, "shape='cube'"),
        ({"palette": "red"}, TypeError, "palette='red'"),
        ({"palette": ["red"]}, ValueError, "1 colours for 4 labels"),
        ({"palette": {0: "nothing"}}, ValueError, "'nothing', which is no colour"),
    ],
)
def test_errors_name_the_argument(
    adata: ad.AnnData, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ld.pl.subspaces(adata, **arguments)
    assert plt.get_fignums() == []


def test_an_axes_takes_no_angles(adata: ad.AnnData) -> None:
    ax = plt.figure().add_subplot(projection="3d")
    with pytest.raises(ValueError, match="leave out ax or views"):
        ld.pl.subspaces(adata, ax=ax, elevation=3)

"""What is drawn is the model: rows, axes, discs and ellipses, in their places and colours."""

from typing import Any

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb
from matplotlib.patches import Ellipse
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

import lowdim as ld
from lowdim import SubspaceMixture
from lowdim.data import SimulatedSubspaces
from lowdim.pl._colors import MISSING, PALETTE
from lowdim.pl._fitted import read_fit
from lowdim.pl._flats import draw_flat
from lowdim.pl._geometry import project_flats
from lowdim.pl._projection import Projection, choose_projection


def covariance_of(model: SubspaceMixture, k: int) -> np.ndarray:
    basis, noise = model.bases_[k], model.noise_variances_[k]
    spread = (basis.T * (model.latent_variances_[k] - noise)) @ basis
    return spread + noise * np.eye(basis.shape[1])


def matching_line(lines: list[Any], ends: np.ndarray) -> bool:
    """Whether one of the lines has these ends, in either order."""
    data = [
        np.array(line.get_data_3d() if ends.shape[1] == 3 else line.get_data()).T for line in lines
    ]
    return any(
        d.shape == ends.shape and (np.allclose(d, ends) or np.allclose(d[::-1], ends)) for d in data
    )


def points_of(ax: Any) -> PathCollection:
    [points] = [c for c in ax.collections if isinstance(c, PathCollection)]
    return points


def legend_of(ax: Any) -> list[str]:
    legend = ax.get_legend() or ax.figure.legends[0]
    return [text.get_text() for text in legend.get_texts()]


def sorted_rows(X: np.ndarray) -> np.ndarray:
    return X[np.lexsort(X.T)]


def test_lines_end_where_the_model_says(
    model: SubspaceMixture, simulated: SimulatedSubspaces
) -> None:
    for axes in [(0, 2), (0, 1, 2)]:
        ax = ld.pl.subspaces(model, simulated.X, axes=axes, sd=1.5)
        for k in (1, 3):
            reach = 1.5 * np.sqrt(model.latent_variances_[k][0]) * model.bases_[k][0]
            ends = np.stack([model.means_[k] - reach, model.means_[k] + reach])[:, axes]
            assert matching_line(ax.lines, ends)


def test_lines_in_principal_axes(wide_model: SubspaceMixture, wide: SimulatedSubspaces) -> None:
    ax = ld.pl.subspaces(wide_model, wide.X)
    centre = wide.X.mean(0)
    directions = np.linalg.svd(wide.X - centre, full_matrices=False)[2][:2]
    drawn = np.asarray(points_of(ax).get_offsets())
    coordinates = (wide.X - centre) @ directions.T
    # The sign of a principal axis is arbitrary; the longer tail tells it.
    turned = np.sign((drawn**3).sum(0) * (coordinates**3).sum(0))
    np.testing.assert_allclose(sorted_rows(drawn), sorted_rows(coordinates * turned), atol=1e-9)
    reach = 2 * np.sqrt(wide_model.latent_variances_[2][0]) * wide_model.bases_[2][0]
    ends = np.stack([wide_model.means_[2] - reach, wide_model.means_[2] + reach])
    assert matching_line(ax.lines, (ends - centre) @ directions.T * turned)


@pytest.mark.parametrize("axes", [None, (4, 7)])
def test_ellipses_are_the_projected_covariances(
    wide_model: SubspaceMixture, wide: SimulatedSubspaces, axes: Any
) -> None:
    projection = choose_projection(ld.data.as_rows(wide.X), 2, axes)
    ax = ld.pl.subspaces(wide_model, wide.X, axes=axes, sd=2.5)
    outlines = [
        p
        for p in ax.patches
        if isinstance(p, Ellipse) and p.get_linewidth() and p.get_facecolor()[3] == 0
    ]
    assert len(outlines) == 4
    for k in range(4):
        expected = projection.directions @ covariance_of(wide_model, k) @ projection.directions.T
        centre = projection.points(wide_model.means_[k][None])[0]
        [outline] = [o for o in outlines if np.allclose(o.center, centre)]
        angle = np.radians(outline.angle)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        half = np.array([outline.width, outline.height]) / 2 / 2.5
        np.testing.assert_allclose((turn * half**2) @ turn.T, expected, rtol=1e-9, atol=1e-9)
    filled = [p for p in ax.patches if isinstance(p, Ellipse) and p.get_facecolor()[3] > 0]
    assert len(filled) == 2  # d = 3 and d = 2


def test_a_plane_is_a_disc_in_the_plane(
    model: SubspaceMixture, simulated: SimulatedSubspaces
) -> None:
    ax = ld.pl.subspaces(model, simulated.X, n_dims=3, sd=2)
    rims = [np.array(line.get_data_3d()).T for line in ax.lines if len(line.get_data_3d()[0]) > 2]
    offsets = rims[0] - model.means_[0]
    latent = offsets @ model.bases_[0].T
    np.testing.assert_allclose(latent @ model.bases_[0], offsets, atol=1e-9)
    np.testing.assert_allclose((latent**2 / model.latent_variances_[0]).sum(1), 4.0)
    assert any(isinstance(c, Poly3DCollection) for c in ax.collections)


def test_volumes_and_points_are_ellipsoids(
    wide_model: SubspaceMixture, wide: SimulatedSubspaces
) -> None:
    ax = plt.figure().add_subplot(projection="3d")
    projection = choose_projection(ld.data.as_rows(wide.X), 3)
    for flat in project_flats(read_fit(wide_model), projection):
        if len(flat.axes) not in (0, 3):
            continue
        before = len(ax.lines)
        draw_flat(ax, flat, "#0072b2", sd=2.0)
        k = flat.component
        covariance = projection.directions @ covariance_of(wide_model, k) @ projection.directions.T
        rings = [np.array(line.get_data_3d()).T for line in ax.lines[before:]]
        for ring in (r for r in rings if len(r) > 1):
            offsets = ring - projection.points(wide_model.means_[k][None])
            distances = (offsets @ np.linalg.inv(covariance) * offsets).sum(1)
            np.testing.assert_allclose(distances, 4.0)
    assert np.allclose(covariance, wide_model.noise_variances_[3] * np.eye(3))  # d = 0, last


def test_every_row_is_there_in_the_colour_of_its_component(
    model: SubspaceMixture, simulated: SimulatedSubspaces
) -> None:
    points = points_of(ld.pl.subspaces(model, simulated.X, axes=(0, 1)))
    drawn = np.asarray(points.get_offsets())
    np.testing.assert_array_equal(sorted_rows(drawn), sorted_rows(simulated.X[:, :2]))
    label_at = dict(zip(map(tuple, simulated.X[:, :2]), model.predict(simulated.X), strict=True))
    expected = [to_rgb(PALETTE[label_at[tuple(row)]]) for row in drawn]
    np.testing.assert_allclose(points.get_facecolors()[:, :3], expected)
    assert points.get_rasterized()


def test_the_legend_tells_dimension_and_size(
    model: SubspaceMixture, simulated: SimulatedSubspaces
) -> None:
    ax = ld.pl.subspaces(model, simulated.X)
    counts = np.bincount(model.predict(simulated.X))
    assert legend_of(ax) == [
        f"0: plane (d = 2), n = {counts[0]:,}",
        f"1: line (d = 1), n = {counts[1]:,}",
        f"2: point (d = 0), n = {counts[2]:,}",
        f"3: line (d = 1), n = {counts[3]:,}",
    ]
    assert not ld.pl.subspaces(model, simulated.X, legend=False).figure.legends


def test_axis_labels_tell_the_share_of_variance(
    wide_model: SubspaceMixture, wide: SimulatedSubspaces, adata: ad.AnnData
) -> None:
    ax = ld.pl.subspaces(wide_model, wide.X, n_dims=3)
    variances = np.linalg.eigvalsh(np.cov(wide.X.T))[::-1]
    shares = variances / variances.sum()
    labels = [ax.get_xlabel(), ax.get_ylabel(), ax.get_zlabel()]
    assert labels == [f"PC {i + 1} ({shares[i]:.0%})" for i in range(3)]
    by_gene = ld.pl.subspaces(adata, axes=(3, 1))
    assert (by_gene.get_xlabel(), by_gene.get_ylabel()) == ("g3", "g1")


def test_columns_go_by_the_names_of_what_was_fitted(
    adata: ad.AnnData, wide: SimulatedSubspaces
) -> None:
    def labels(*args: Any, **kwargs: Any) -> list[str]:
        ax = ld.pl.subspaces(*args, axes=(2, 0), **kwargs)
        return [ax.get_xlabel(), ax.get_ylabel()]

    for rep in ("X_pca", "X_vae"):
        adata.obsm[rep] = wide.X[:, :4]
        ld.tl.subspaces(adata, dims=[1, 0], use_rep=rep, key_added=f"of_{rep}", n_init=1)
    assert labels(adata, key="of_X_pca") == ["PC 3", "PC 1"]
    assert labels(adata, key="of_X_vae") == ["X_vae 2", "X_vae 0"]
    frame = pd.DataFrame(wide.X, columns=[f"marker {j}" for j in range(12)])
    named = SubspaceMixture(dims=[1, 0], n_init=1).fit(frame)
    assert labels(named, wide.X) == labels(named, frame) == ["marker 2", "marker 0"]
    plain = SubspaceMixture(dims=[1, 0], n_init=1).fit(wide.X)
    assert labels(plain, wide.X) == ["column 2", "column 0"]


def test_labels_of_neighbouring_views_are_apart(
    model: SubspaceMixture, simulated: SimulatedSubspaces
) -> None:
    X = simulated.X * [2.5, 1.8, 1.0]
    wider = SubspaceMixture(dims=[2, 1, 0, 1], init=simulated.labels).fit(X)
    views = [(20, -60), (20, 30)]
    panels = ld.pl.subspaces(wider, X, views=views, legend=False)
    panels[0].figure.draw_without_rendering()
    left, right = (panel.zaxis.label.get_window_extent() for panel in panels)
    assert left.x1 + 10 < right.x0


def test_an_anndata_gives_the_picture_of_its_model(
    adata: ad.AnnData, wide: SimulatedSubspaces
) -> None:
    ours, theirs = ld.pl.subspaces(adata), ld.pl.subspaces(ld.get.model(adata), wide.X)
    np.testing.assert_allclose(points_of(ours).get_offsets(), points_of(theirs).get_offsets())
    assert legend_of(ours) == legend_of(theirs)
    assert len(ours.lines) == len(theirs.lines)
    for a, b in zip(ours.lines, theirs.lines, strict=True):
        np.testing.assert_allclose(a.get_xydata(), b.get_xydata())


def test_representations_and_layers_are_found(adata: ad.AnnData) -> None:
    adata.obsm["X_small"] = adata.X[:, :2] * 3
    adata.layers["twice"] = 2 * adata.X
    ld.tl.subspaces(adata, dims=[1, 0], use_rep="X_small", key_added="small", n_init=1)
    ax = ld.pl.subspaces(adata, key="small")
    np.testing.assert_array_equal(
        sorted_rows(np.asarray(points_of(ax).get_offsets())), sorted_rows(adata.obsm["X_small"])
    )
    ld.tl.subspaces(adata, dims=[1, 0], layer="twice", key_added="twice", n_init=1)
    ax = ld.pl.subspaces(adata, key="twice", axes=(0, 1))
    np.testing.assert_array_equal(
        sorted_rows(np.asarray(points_of(ax).get_offsets())), sorted_rows(2 * adata.X[:, :2])
    )


def test_given_axes_are_used(model: SubspaceMixture, simulated: SimulatedSubspaces) -> None:
    figure = plt.figure()
    flat, deep = figure.add_subplot(121), figure.add_subplot(122, projection="3d")
    opened = plt.get_fignums()
    assert ld.pl.subspaces(model, simulated.X, ax=flat) is flat
    assert ld.pl.subspaces(model, simulated.X, ax=deep) is deep
    assert plt.get_fignums() == opened
    assert len(points_of(flat).get_offsets()) == len(simulated.X)
    assert flat.get_legend() is not None and not figure.legends


def test_views_make_one_panel_each(model: SubspaceMixture, simulated: SimulatedSubspaces) -> None:
    views = [(20, -60), (5, 10), (80, 0)]
    panels = ld.pl.subspaces(model, simulated.X, views=views)
    assert panels.shape == (3,)
    assert [(panel.elev, panel.azim) for panel in panels] == views
    assert all(panel.name == "3d" and len(panel.collections) >= 3 for panel in panels)
    assert len(panels[0].figure.legends) == 1
    assert ld.pl.subspaces(model, simulated.X, views=[(1, 2)]).shape == (1,)


def test_labels_of_any_kind(adata: ad.AnnData) -> None:
    ax = ld.pl.subspaces(adata, color="truth")
    entries = legend_of(ax)
    assert entries[:4] == ["line, n = 150", "plane, n = 150", "point, n = 100", "volume, n = 200"]
    assert entries[4] == "component 0: d = 3, n = 200"
    assert ax.figure.legends[0].get_title().get_text() == "truth"
    codes = np.arange(adata.n_obs) % 3
    assert legend_of(ld.pl.subspaces(adata, color=codes))[0] == "0, n = 200"
    truth = adata.obs["truth"].astype("category").cat.remove_categories("line")
    assert "missing, n = 150" in legend_of(ld.pl.subspaces(adata, color=truth))


def test_values_get_a_colour_bar(adata: ad.AnnData) -> None:
    ax = ld.pl.subspaces(adata, color="depth")
    [bar] = [a for a in ax.figure.axes if a is not ax]
    assert bar.get_xlabel() == "depth"
    assert len(legend_of(ax)) == 4
    values = adata.obs["depth"].to_numpy().copy()
    values[:7] = np.nan
    grey = np.isclose(
        points_of(ld.pl.subspaces(adata, color=values)).get_facecolors()[:, :3], to_rgb(MISSING)
    ).all(1)
    assert grey.sum() == 7


def test_no_colour(adata: ad.AnnData) -> None:
    ax = ld.pl.subspaces(adata, color=None)
    np.testing.assert_allclose(np.unique(points_of(ax).get_facecolors()[:, :3]), to_rgb(MISSING)[0])
    assert len(legend_of(ax)) == 4


def test_many_rows_are_shaded_or_sampled(
    model: SubspaceMixture, simulated: SimulatedSubspaces
) -> None:
    ax = ld.pl.subspaces(model, simulated.X, max_points=1000)
    assert len(ax.images) == 1 and not ax.collections
    ax = ld.pl.subspaces(model, simulated.X, max_points=1000, n_dims=3)
    assert len(points_of(ax)._offsets3d[0]) == 1000
    assert "1,000 of 4,600 rows drawn" in ax.figure.legends[0].get_title().get_text()


def test_a_uniform_background_is_grey_and_has_no_place(simulated: SimulatedSubspaces) -> None:
    rng = np.random.default_rng(0)
    X = np.vstack([simulated.X[4000:4300], rng.uniform(-15, 15, (100, 3))])
    model = SubspaceMixture(dims=[1, 0], background="uniform", random_state=0, n_init=2).fit(X)
    ax = ld.pl.subspaces(model, X)
    assert legend_of(ax)[2].startswith("2: background, n = ")
    assert [text.get_text() for text in ax.texts] == ["0", "1"]
    n_grey = np.isclose(points_of(ax).get_facecolors()[:, :3], to_rgb(MISSING)).all(1).sum()
    assert n_grey == (model.predict(X) == 2).sum()


def test_sparse_rows_and_frames(wide_model: SubspaceMixture, wide: SimulatedSubspaces) -> None:
    dense = points_of(ld.pl.subspaces(wide_model, wide.X, axes=(1, 2))).get_offsets()
    sparse = points_of(ld.pl.subspaces(wide_model, sp.csr_matrix(wide.X), axes=(1, 2)))
    np.testing.assert_allclose(sparse.get_offsets(), dense)


def test_scales_are_equal_unless_lengths_differ_much(
    wide_model: SubspaceMixture, wide: SimulatedSubspaces
) -> None:
    assert ld.pl.subspaces(wide_model, wide.X).get_aspect() == 1.0
    X = wide.X * np.array([1, 100, *[1] * 10])
    model = SubspaceMixture(dims=[1], n_init=1).fit(X)
    assert ld.pl.subspaces(model, X, axes=(0, 1)).get_aspect() == "auto"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_dims": 4}, ValueError, "n_dims=4"),
        ({"n_dims": 2, "axes": (0, 1, 2)}, ValueError, "n_dims is for 2, axes is for 3"),
        ({"axes": (0, 12)}, ValueError, r"axes=\(0, 12\).* 0 to 11"),
        ({"axes": (1, 1)}, ValueError, "different column numbers"),
        ({"axes": "01"}, ValueError, "axes='01'"),
        ({"sd": 0}, ValueError, "sd=0"),
        ({"ax": "here"}, TypeError, "ax is a str"),
        ({"views": (20, 30)}, ValueError, "elevation, azimuth"),
        ({"views": [(1, 2)], "n_dims": 2}, ValueError, "views is for 3"),
        ({"color": "nothing"}, ValueError, "color='nothing' is not in adata.obs.*truth"),
        ({"color": [1, 2]}, ValueError, "600 rows"),
        ({"color": "depth", "cmap": "nothing"}, ValueError, "nothing"),
        ({"key": "other"}, ValueError, "other.*ld.tl.subspaces"),
        ({"X": np.ones((3, 12))}, TypeError, "leave X out"),
        ({"max_points": 0}, ValueError, "max_points=0"),
    ],
)
def test_errors_name_the_argument(
    adata: ad.AnnData, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ld.pl.subspaces(adata, **arguments)
    assert plt.get_fignums() == []


def test_errors_of_models(wide_model: SubspaceMixture, wide: SimulatedSubspaces) -> None:
    with pytest.raises(TypeError, match="X is None"):
        ld.pl.subspaces(wide_model)
    with pytest.raises(ValueError, match="has 5 columns, but the mixture was fitted to 12"):
        ld.pl.subspaces(wide_model, wide.X[:, :5])
    with pytest.raises(ValueError, match=r"color='truth' names a column of adata.obs"):
        ld.pl.subspaces(wide_model, wide.X, color="truth")
    with pytest.raises(ValueError, match="not fitted"):
        ld.pl.subspaces(SubspaceMixture(), wide.X)
    with pytest.raises(TypeError, match="got list"):
        ld.pl.subspaces([1, 2], wide.X)
    thin = SubspaceMixture(dims=[0], n_init=1).fit(wide.X[:, :1])
    with pytest.raises(ValueError, match=r"1 column\(s\)"):
        ld.pl.subspaces(thin, wide.X[:, :1])


def test_a_flat_projects_by_its_directions(wide_model: SubspaceMixture) -> None:
    directions = np.linalg.qr(np.random.default_rng(0).normal(size=(12, 3)))[0].T
    projection = Projection(np.arange(12.0), directions, ("a", "b", "c"))
    for flat in project_flats(read_fit(wide_model), projection):
        k = flat.component
        np.testing.assert_allclose(flat.mean, directions @ (wide_model.means_[k] - np.arange(12.0)))
        np.testing.assert_allclose(
            flat.covariance, directions @ covariance_of(wide_model, k) @ directions.T, atol=1e-12
        )
        np.testing.assert_allclose(
            flat.axes,
            np.sqrt(wide_model.latent_variances_[k])[:, None] * wide_model.bases_[k] @ directions.T,
        )

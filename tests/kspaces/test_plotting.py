"""Figures under kspaces' names: its arguments, and right where its own fail (B27, B29, B30)."""

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kspaces
import kspaces.plotting as theirs
import matplotlib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb
from mpl_toolkits.mplot3d.art3d import Poly3DCollection
from sklearn.decomposition import PCA

from lowdim.kspaces import affine_subspace
from lowdim.kspaces import plotting as ours

matplotlib.use("Agg")
import matplotlib.pyplot as plt

VIEWS = ("view_3D_pca_mpl", "view_3D_pretransformed_mpl")
NAMES = (
    *VIEWS, "project_space", "plot_point_3D", "plot_line_3D", "plot_plane", "plot_prism",
    "color_by_cluster", "set_colors", "clip_line", "plot_spaces", "plot_2D", "plot_spaces_2D",
    "plot_3D", "plot_origin", "view_3D",
)  # fmt: skip


@pytest.fixture(autouse=True)
def clean_pyplot(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """Counts calls of show instead of showing; no setting changes and no figure stays."""
    shown: list[bool] = []
    monkeypatch.setattr(plt, "show", lambda *_, **__: shown.append(True))
    before = dict(matplotlib.rcParams)
    yield shown
    plt.close("all")
    assert dict(matplotlib.rcParams) == before


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=(60, 5)) * [5.0, 4.0, 3.0, 2.0, 1.0] + np.arange(5)


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    return np.repeat(["a", "b", "c"], [30, 20, 10])


def space(d: int, D: int = 5, sigmas: Any = (5.0, 2.0, 1.0, 0.7, 0.6)) -> affine_subspace:
    """A space of d dimensions in general position."""
    axes = np.linalg.qr(np.random.default_rng(d).normal(size=(D, D)))[0]
    return affine_subspace(axes[:d], np.arange(D) + 0.5, 0.5, sigmas[:d], 0.3)


def as_theirs(s: affine_subspace) -> kspaces.affine_subspace:
    return kspaces.affine_subspace(s.vectors, s.translation, s.sigma, s.latent_sigmas, s.prior)


def draw(points: Any, **options: Any) -> tuple[Any, np.ndarray]:
    """A view from one side, which takes less time than six."""
    options = {"elevation": [20], "azimuth": [30], "show": False, "return_figure": True, **options}
    return ours.view_3D_pca_mpl(points, **options)


def points_of(ax: Any) -> list[PathCollection]:
    return [c for c in ax.collections if isinstance(c, PathCollection)]


def colors_of(ax: Any) -> np.ndarray:
    """Colours of the points, which matplotlib knows after drawing them in depth's order."""
    ax.figure.draw_without_rendering()
    [points] = points_of(ax)
    return points.get_facecolors()[:, :3]


def n_drawn(ax: Any) -> int:
    return sum(len(c._offsets3d[0]) for c in points_of(ax))


def legend_texts(axs: np.ndarray) -> list[str]:
    figure = axs.flat[0].figure
    legend = figure.legends[0] if figure.legends else axs[0, 0].get_legend()
    return [text.get_text() for text in legend.get_texts()]


def line_data(ax: Any) -> list[np.ndarray]:
    return [np.array(line.get_data_3d()).T for line in ax.lines]


@pytest.mark.parametrize("name", NAMES)
def test_signatures_are_those_of_kspaces(name: str) -> None:
    mine = list(inspect.signature(getattr(ours, name)).parameters.values())
    peers = list(inspect.signature(getattr(theirs, name)).parameters.values())
    for ours_, theirs_ in zip(mine, peers, strict=False):
        assert ours_.name == theirs_.name and ours_.kind == theirs_.kind
        if isinstance(theirs_.default, (list, dict)):
            assert ours_.default in (None, ())
        else:
            assert ours_.default == theirs_.default
    assert len(mine) >= len(peers)
    assert all(extra.default is not inspect.Parameter.empty for extra in mine[len(peers) :])


# B29: no view without subtypes ----------------------------------------------------------------


@pytest.mark.parametrize("name", VIEWS)
def test_b29_subtypes_may_be_left_out(name: str, X: np.ndarray) -> None:
    points = X[:, :3] if "pretransformed" in name else X
    with pytest.raises(TypeError):
        getattr(theirs, name)(points)
    figure, axs = getattr(ours, name)(points, return_figure=True)
    assert axs.shape == (2, 3) and figure is axs[0, 0].figure
    assert [(ax.elev, ax.azim) for ax in axs.flat] == [
        (elevation, azimuth) for elevation in (70, 0) for azimuth in (20, 90, 160)
    ]
    assert [n_drawn(ax) for ax in axs.flat] == [60] * 6
    np.testing.assert_array_equal(colors_of(axs[0, 0]), 0)  # black
    assert not figure.legends


# B30 ------------------------------------------------------------------------------------------


def test_b30_planes_are_drawn_where_they_are(X: np.ndarray, labels: np.ndarray) -> None:
    plane = space(2)
    with pytest.raises(TypeError, match="alpha"):
        theirs.view_3D_pca_mpl(X, subtypes=labels, spaces=[plane], space_colors=["r"])
    _, axs = draw(X, spaces=[plane], elevation=20, azimuth=[10, 20])
    pca = PCA(3).fit(X)
    limits = np.stack([pca.transform(X).min(0), pca.transform(X).max(0)])
    seen = ours.project_space(plane, pca)
    normal = np.cross(*seen.vectors)
    for ax in axs.flat:
        assert len([c for c in ax.collections if isinstance(c, Poly3DCollection)]) == 1
        [rim] = line_data(ax)
        np.testing.assert_allclose((rim - seen.translation) @ normal, 0, atol=1e-9)
        assert (rim >= limits[0] - 1e-9).all() and (rim <= limits[1] + 1e-9).all()
        on_face = np.isclose(rim[:, None], limits[None]).any(axis=(1, 2))
        assert on_face.all() and len(rim) >= 4


def test_b30_spaces_have_default_colours(X: np.ndarray, labels: np.ndarray) -> None:
    spaces = [space(1), space(0)]
    if not hasattr(plt.cm, "get_cmap"):  # matplotlib >= 3.9
        with pytest.raises(AttributeError, match="get_cmap"):
            theirs.view_3D_pca_mpl(X, subtypes=labels, spaces=spaces)
    _, axs = draw(X, spaces=spaces)
    tab10 = matplotlib.colormaps["tab10"].colors
    assert [to_rgb(line.get_color()) for line in axs[0, 0].lines] == list(tab10[:2])
    assert legend_texts(axs) == ["line 0", "point 1"]
    assert ours.set_colors([], 12)[11] != ours.set_colors([], 12)[1]
    assert ours.set_colors(["red"], 2) == ["red", "red"]


@pytest.mark.parametrize("whole", [False, True])
def test_b30_colour_maps_of_values(X: np.ndarray, labels: np.ndarray, whole: bool) -> None:
    values = np.linspace(0, 1, 60)
    given = values if whole else values[labels == "b"]
    with pytest.raises(ValueError):
        theirs.view_3D_pca_mpl(
            X, subtypes=labels, cmap_dict={k: ("viridis", values[labels == k]) for k in "abc"}
        )
    figure, axs = draw(
        X, subtypes=labels, cmap_dict={"b": ("viridis", given)}, color_dict={"a": "red"}
    )
    bars = [ax for ax in figure.axes if ax not in list(axs.flat)]
    assert [bar.get_xlabel() for bar in bars] == ["b"]
    assert legend_texts(axs) == ["a", "c"]
    colors = colors_of(axs[0, 0])
    assert np.isclose(colors, to_rgb("red")).all(1).sum() == 30
    assert np.isclose(colors, to_rgb("gray")).all(1).sum() == 10
    low, high = matplotlib.colormaps["viridis"]([0.0, 1.0])[:, :3]
    assert np.isclose(colors, low).all(1).any() and np.isclose(colors, high).all(1).any()


@pytest.mark.parametrize(
    "kind",
    [list, np.asarray, pd.Series, pd.Categorical, lambda v: pd.Series(v, index=range(9, 69))],
)
def test_b30_labels_of_any_kind(X: np.ndarray, labels: np.ndarray, kind: Callable) -> None:
    color_dict = {"a": "red", "b": "blue"}
    _, axs = draw(X, subtypes=kind(labels.tolist()), color_dict=color_dict)
    colors = colors_of(axs[0, 0])
    counts = [np.isclose(colors, to_rgb(name)).all(1).sum() for name in ("red", "blue", "gray")]
    assert counts == [30, 20, 10] and n_drawn(axs[0, 0]) == 60
    assert legend_texts(axs) == ["a", "b", "c"]  # by number


def test_b30_kspaces_drops_all_points_of_a_list(X: np.ndarray, labels: np.ndarray) -> None:
    _, axs = theirs.view_3D_pca_mpl(
        X, subtypes=labels.tolist(), color_dict={"a": "red"}, show=False, return_figure=True
    )
    assert n_drawn(axs[0, 0]) == 0


def edge_lengths(edges: Any) -> list[float]:
    return sorted(np.round([np.linalg.norm(edge[1] - edge[0]) for edge in edges], 9).tolist())


def test_b30_prisms_have_the_sides_of_each_axis() -> None:
    volume = affine_subspace(np.eye(3), np.zeros(3), 0.1, [5.0, 2.0, 1.0], 1.0)
    peer = plt.figure().add_subplot(projection="3d")
    theirs.plot_prism(volume, volume, peer)
    assert edge_lengths(np.array(peer.collections[0]._segments3d)) == [10.0] * 12
    ax = plt.figure().add_subplot(projection="3d")
    ours.plot_prism(volume, volume, ax)
    assert edge_lengths(line_data(ax)) == [2.0] * 4 + [4.0] * 4 + [10.0] * 4
    for edge in line_data(ax):  # each along its own axis
        offset = np.abs(edge[1] - edge[0])
        assert offset[offset > 0] == pytest.approx([10.0, 4.0, 2.0][int(offset.argmax())])
    cube = plt.figure().add_subplot(projection="3d")
    ours.plot_prism(volume, volume, cube, scale=3.0)
    assert edge_lengths(line_data(cube)) == [3.0] * 12
    with pytest.raises(ValueError, match="d = 2"):
        ours.plot_prism(space(2, 3), volume, ax)


def test_prisms_are_projected(X: np.ndarray) -> None:
    volume, pca = space(3), PCA(3).fit(X)
    _, axs = draw(X, spaces=[volume])
    expected = [
        np.linalg.norm(2 * sigma * pca.components_ @ axis)
        for sigma, axis in zip(volume.latent_sigmas, volume.vectors, strict=True)
    ]
    np.testing.assert_allclose(edge_lengths(line_data(axs[0, 0])), np.repeat(sorted(expected), 4))
    _, axs = draw(X, spaces=[volume], prism_scale=1.0)
    sides = [np.linalg.norm(pca.components_ @ axis) for axis in volume.vectors]
    np.testing.assert_allclose(edge_lengths(line_data(axs[0, 0])), np.repeat(sorted(sides), 4))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("plot_2D", (2, {"assignment_probabilities": np.eye(2)[[0, 1] * 30]})),
        ("plot_spaces", (2, {})),
        ("plot_spaces", (3, {"color_probabilities": np.eye(2)[[0, 1] * 30]})),
        ("plot_3D", (3, {"color_probabilities": np.eye(2)[[0, 1] * 30]})),
        ("view_3D", (5, {"aspect": "equal"})),
    ],
)
def test_b30_older_figures_are_drawn(
    name: str, arguments: Any, X: np.ndarray, clean_pyplot: list[bool]
) -> None:
    D, options = arguments
    spaces = [space(0, D), space(1, D)]
    arguments = options if name == "view_3D" else {"spaces": spaces, **options}
    if name != "view_3D":  # view_3D fails from its arrow of the origin on
        with pytest.raises((AttributeError, TypeError)):
            getattr(theirs, name)(X[:, :D], **arguments)
    clean_pyplot.clear()
    opened = plt.get_fignums()
    assert getattr(ours, name)(X[:, :D], **arguments) is None
    assert clean_pyplot == [True] and plt.get_fignums() == opened
    if name == "view_3D":
        arguments = {**arguments, "spaces": spaces}
    _, axs = getattr(ours, name)(X[:, :D], **arguments, return_figure=True)
    if D == 2:
        assert len(axs.lines) == 2 and len(points_of(axs)[0].get_offsets()) == 60
        assert axs.get_legend() is not None
    else:
        assert axs.shape == (3, 3) and all(n_drawn(ax) == 60 for ax in axs.flat)
        assert legend_texts(axs)[-2:] == ["point 0", "line 1"]


def covariance_of(s: Any) -> np.ndarray:
    noise = s.sigma**2
    return (s.vectors.T * (s.latent_sigmas**2 - noise)) @ s.vectors + noise * np.eye(s.D)


@pytest.mark.parametrize("d", range(6))
@pytest.mark.parametrize("p", range(1, 6))
def test_b30_any_space_is_seen_in_any_view(d: int, p: int) -> None:
    s, vis = space(d), space(p)
    vis.update_vectors(np.linalg.qr(np.random.default_rng(99).normal(size=(5, 5)))[0][:p])
    seen = ours.project_space(s, vis)
    assert (seen.d, seen.D) == (min(d, p), p)
    np.testing.assert_allclose(seen.vectors @ seen.vectors.T, np.eye(seen.d), atol=1e-12)
    np.testing.assert_allclose(seen.translation, vis.transform(s.translation))
    np.testing.assert_allclose(
        covariance_of(seen), vis.vectors @ covariance_of(s) @ vis.vectors.T, atol=1e-12
    )
    assert (seen.sigma, seen.prior) == (s.sigma, s.prior)


def test_views_that_turn_nothing_keep_the_order_of_vectors(X: np.ndarray) -> None:
    vis = space(3)
    s = affine_subspace(vis.vectors[[2, 0]], vis.translation, 0.1, [1.0, 3.0], 1.0)
    seen = ours.project_space(s, vis)
    np.testing.assert_allclose(seen.vectors, np.eye(3)[[2, 0]], atol=1e-12)
    np.testing.assert_allclose(seen.vectors, theirs_vectors(s, vis), atol=1e-12)
    assert seen.latent_sigmas.tolist() == [1.0, 3.0]
    pca = PCA(3).fit(X)
    line = ours.project_space(space(1), pca)
    direction = pca.components_ @ space(1).vectors[0]
    np.testing.assert_allclose(line.vectors[0], direction / np.linalg.norm(direction))
    end_on = affine_subspace(space(4).vectors[3:], np.zeros(5), 0.1, [2.0], 1.0)
    view = affine_subspace(space(4).vectors[:3], np.zeros(5), 0.1, [1.0] * 3, 1.0)
    assert ours.project_space(end_on, view).d == 0


def theirs_vectors(s: Any, vis: Any) -> np.ndarray:
    """What kspaces answers for spaces of its own."""
    return theirs.project_space(as_theirs(s), as_theirs(vis)).vectors


def test_what_is_no_view() -> None:
    with pytest.raises(ValueError, match="is a point"):
        ours.project_space(space(1), space(0))
    with pytest.raises(ValueError, match="vis is a list"):
        ours.project_space(space(1), [1, 2])
    with pytest.raises(ValueError, match="vis is a PCA"):
        ours.project_space(space(1), PCA(3))
    with pytest.raises(ValueError, match="D=4"):
        ours.project_space(space(1, 4), space(2))


# B27 ------------------------------------------------------------------------------------------


def test_b27_the_legend_is_where_and_as_large_as_asked(X: np.ndarray, labels: np.ndarray) -> None:
    options = {"subtypes": labels, "legend_loc": "lower right", "fontsize": 7, "markerscale": 3}
    _, peers = theirs.view_3D_pca_mpl(X, **options, show=False, return_figure=True)
    ignored = peers[0, 0].get_legend()
    assert ignored._get_loc() == 2 and ignored.get_texts()[0].get_fontsize() == 10
    _, axs = draw(X, **options, title="all")
    legend = axs[0, 0].get_legend()
    assert legend._get_loc() == 4 and not axs[0, 0].figure.legends
    assert {text.get_fontsize() for text in legend.get_texts()} == {7}
    assert axs[0, 0].xaxis.label.get_fontsize() == 7
    assert axs[0, 0].figure.get_suptitle() == "all"
    [size, *_] = [handle.get_markersize() for handle in legend.legend_handles]
    assert size == pytest.approx(3 * np.sqrt(2))
    _, axs = draw(X, subtypes=labels, legend=False)
    assert not axs[0, 0].figure.legends and axs[0, 0].get_legend() is None


def test_the_legend_covers_no_panel(X: np.ndarray, labels: np.ndarray) -> None:
    spaces = [space(d) for d in range(5)]
    figure, axs = draw(X, subtypes=labels, spaces=spaces, elevation=[20, 60], azimuth=[30, 70])
    assert legend_texts(axs)[3:] == ["point 0", "line 1", "plane 2", "prism 3"]
    figure.draw_without_rendering()
    left = figure.legends[0].get_window_extent().x0
    assert all(ax.get_tightbbox().x1 <= left for ax in axs.flat)


# Files, figures and shapes --------------------------------------------------------------------


@pytest.mark.parametrize("name", VIEWS)
def test_save_show_and_return(
    name: str, X: np.ndarray, tmp_path: Path, clean_pyplot: list[bool]
) -> None:
    view, points = getattr(ours, name), X[:, :3] if "pretransformed" in name else X
    assert view(points, save=str(tmp_path / "figure.png")) is None
    assert clean_pyplot == [True] and plt.get_fignums() == []
    assert (tmp_path / "figure.png").read_bytes()[:4] == b"\x89PNG"
    assert view(points, show=False) is None
    assert clean_pyplot == [True] and plt.get_fignums() == []
    figure, _ = view(points, show=False, return_figure=True)
    assert plt.get_fignums() == [figure.number] and list(tmp_path.iterdir()) != []


@pytest.mark.parametrize(
    ("elevation", "azimuth", "shape"),
    [([70, 0], [20], (2, 1)), ([70], [20, 90], (1, 2)), (30, 40, (1, 1)), ([], [20], None)],
)
def test_grids_of_any_shape(X: np.ndarray, elevation: Any, azimuth: Any, shape: Any) -> None:
    if shape is None:
        with pytest.raises(ValueError, match="elevation"):
            draw(X, elevation=elevation, azimuth=azimuth)
        return
    _, axs = draw(X, elevation=elevation, azimuth=azimuth)
    assert axs.shape == shape


def test_the_axes_are_those_of_a_pca_of_all_points(X: np.ndarray) -> None:
    many = np.random.default_rng(1).normal(size=(6000, 4)) * [4, 3, 2, 1]
    _, axs = draw(many, axis_labels=["x", "y", "z"])
    drawn = np.array(points_of(axs[0, 0])[0]._offsets3d).T
    expected = PCA(3).fit_transform(many)
    np.testing.assert_allclose(drawn[np.lexsort(drawn.T)], expected[np.lexsort(expected.T)])
    np.testing.assert_allclose(
        [axs[0, 0].get_xlim(), axs[0, 0].get_ylim(), axs[0, 0].get_zlim()],
        np.stack([expected.min(0), expected.max(0)], axis=1),
    )
    assert points_of(axs[0, 0])[0].get_rasterized()
    assert [axs[0, 0].get_xlabel(), axs[0, 0].get_zlabel()] == ["x", "z"]
    sparse = sp.csr_matrix(np.where(np.abs(X) > 1, X, 0))
    for points in (sparse, pd.DataFrame(X), X.tolist(), X[:, :3]):
        assert n_drawn(draw(points)[1][0, 0]) == 60


def test_spaces_of_kspaces_are_drawn_as_well(X: np.ndarray) -> None:
    spaces = [space(d) for d in range(5)]
    mine, peers = (
        draw(X, spaces=s)[1][0, 0] for s in (spaces, [as_theirs(space) for space in spaces])
    )
    for a, b in zip(line_data(mine), line_data(peers), strict=True):
        np.testing.assert_allclose(a, b)


def test_lines_reach_the_edges_of_the_picture(X: np.ndarray) -> None:
    line, pca = space(1), PCA(3).fit(X)
    _, axs = draw(X, spaces=[line])
    [ends] = line_data(axs[0, 0])
    limits = np.stack([pca.transform(X).min(0), pca.transform(X).max(0)])
    assert np.isclose(ends[:, None], limits[None]).any(axis=(1, 2)).all()
    seen = ours.project_space(line, pca)
    assert np.linalg.matrix_rank(np.vstack([ends - seen.translation, seen.vectors]), 1e-9) == 1


def test_single_spaces() -> None:
    limits = [(-4.0, 4.0)] * 3
    ax = plt.figure().add_subplot(projection="3d")
    point = affine_subspace([], [1, 2, 3], 0.1, [], 1.0)
    line = affine_subspace([[0, 0, 1]], [1, 2, 3], 0.1, [0.5], 1.0)
    ours.plot_point_3D(ax, *limits, point, color="blue", alpha_s=0.5)
    ours.plot_line_3D(ax, *limits, line, linestyle="--")
    ours.plot_line_3D(ax, *limits, line, sd_length=2)
    dot, whole, part = line_data(ax)
    np.testing.assert_array_equal(dot, [[1, 2, 3]])
    np.testing.assert_allclose(np.sort(whole[:, 2]), [-4, 4])
    np.testing.assert_allclose(np.sort(part[:, 2]), [2, 4])
    assert ax.lines[0].get_color() == "blue" and ax.lines[1].get_linestyle() == "--"
    outside = affine_subspace([[0, 0, 1]], [9, 9, 9], 0.1, [0.5], 1.0)
    assert ours.clip_line(outside, *limits).shape == (0, 3)
    ours.plot_line_3D(ax, *limits, outside)
    upright = affine_subspace([[1, 0, 0], [0, 0, 1]], [0, 1, 0], 0.1, [1, 1], 1.0)
    ours.plot_plane(ax, *limits, upright)  # kspaces divides by zero
    assert len(ax.lines) == 4
    np.testing.assert_allclose(
        sorted(map(tuple, line_data(ax)[3][:4])), [(-4, 1, -4), (-4, 1, 4), (4, 1, -4), (4, 1, 4)]
    )
    ours.plot_plane(ax, *limits, affine_subspace(np.eye(3)[:2], [0, 0, 9], 0.1, [1, 1], 1.0))
    assert len(ax.lines) == 4


def test_sizes_follow_the_distance(X: np.ndarray) -> None:
    vis = space(3)
    coordinates, distances = vis.transform(X), vis.orthogonal_distance(X)
    distances[0] = 0.0  # kspaces: an infinite marker
    _, axs = ours.view_3D_pretransformed_mpl(
        coordinates, distances=distances.tolist(), scale_by_distance=2, s_points=3,
        show=False, return_figure=True,
    )  # fmt: skip
    points = points_of(axs[0, 0])[0]
    with np.errstate(divide="ignore"):
        expected = np.minimum(3 / np.log1p(distances) ** 2, 300)
    np.testing.assert_allclose(np.sort(points.get_sizes()), np.sort(expected))
    assert [text.split()[0] for text in legend_texts(axs)] == ["distance"] * 3
    _, axs = ours.view_3D_pretransformed_mpl(coordinates, show=False, return_figure=True)
    assert set(points_of(axs[0, 0])[0].get_sizes()) == {2.0}
    assert axs[0, 0].get_xlabel() == "Basis 1"


def test_points_in_one_plane_or_place() -> None:
    for points in (np.eye(3)[[0, 1, 0, 1]], np.full((4, 3), 1e9)):
        _, axs = ours.view_3D_pretransformed_mpl(points, show=False, return_figure=True)
        axs[0, 0].figure.draw_without_rendering()


def test_colours_of_clusters() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    assert ours.color_by_cluster([]) == "dimgray"
    assert ours.color_by_cluster(probabilities, ["red", "blue"]).tolist() == ["red", "blue", "red"]
    with pytest.raises(TypeError):
        theirs.color_by_cluster(probabilities, ["red", "blue"])
    assert ours.color_by_cluster(probabilities).tolist()[1] == ours.set_colors([], 2)[1]
    with pytest.raises(ValueError, match="1 entries for 2 clusters"):
        ours.color_by_cluster(probabilities, ["red"])


def test_null_models_and_labels_in_two_dimensions(capsys: pytest.CaptureFixture) -> None:
    points = np.random.default_rng(0).normal(size=(30, 2))
    spaces = [space(0, 2), space(1, 2), space(2, 2)]
    _, ax = ours.plot_2D(points, spaces, null=space(1, 2), return_figure=True)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == [
        "Space 0 (point)", "Space 1 (line)", "null",
    ]  # fmt: skip
    reach = np.ptp(np.array(ax.lines[1].get_data()).T, axis=0)
    assert np.linalg.norm(reach) == pytest.approx(2 * 10 * 5.0)
    assert ax.lines[2].get_linestyle() == "--"
    ours.plot_spaces(np.ones((3, 4)), [])
    assert "view_3D_pca_mpl" in capsys.readouterr().out
    ours.view_3D(np.random.default_rng(0).normal(size=(30, 4)), "equal", print_PCs=True)
    assert capsys.readouterr().out.count("PC") == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subtypes": ["a"]}, "subtypes has 1 entries for 60 points"),
        ({"subtypes": ["a"] * 60, "cmap_dict": {"a": ("viridis", [1, 2])}}, "2 values for 60"),
        ({"s_points": 0}, "s_points=0"),
        ({"axis_labels": ["x"]}, "three texts"),
        ({"aspect": "wide"}, "wide"),
        ({"spaces": [space(1, 4)]}, "D=4"),
        ({"spaces": [space(3, 4)]}, "D=4"),
        ({"subtypes": ["a"] * 60, "color_dict": {"a": "no colour"}}, "no colour"),
    ],
)
def test_errors_name_the_argument(X: np.ndarray, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw(X, **options)
    assert plt.get_fignums() == []


def test_errors_of_points(X: np.ndarray) -> None:
    with pytest.raises(ValueError, match="2 columns"):
        draw(X[:, :2])
    with pytest.raises(ValueError, match="5 columns"):
        ours.view_3D_pretransformed_mpl(X)
    with pytest.raises(ValueError, match="60 numbers"):
        ours.view_3D_pretransformed_mpl(X[:, :3], distances=[1.0])
    with pytest.raises(ValueError, match="not negative"):
        ours.view_3D_pretransformed_mpl(X[:, :3], distances=-np.ones(60))

"""The older figures of kspaces, for notebooks that were written with them."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex

from lowdim.kspaces._grid import (
    PointColors,
    Scene,
    add_legend,
    color_points,
    draw_scene,
    finish,
    size_points,
)
from lowdim.kspaces._overlays import AS_IT_IS, Overlay, as_view, vectors_of
from lowdim.kspaces._print import say
from lowdim.kspaces._rows import read_points
from lowdim.pl._colors import code_coloring, palette
from lowdim.pl._flats import Pen
from lowdim.pl._points import draw_points
from lowdim.pl._projection import principal_axes


def set_colors(colors: Any, num_colors: int) -> Any:
    """As many colours as asked for.

    Parameters
    ----------
    colors : sequence of colours
        Repeated as often as needed. If empty, matplotlib's tab10 is taken, or tab20 for more
        than ten.
    num_colors : int

    Returns
    -------
    list of num_colors colours
    """
    if not len(colors):
        table = colormaps["tab10" if num_colors <= 10 else "tab20"]
        colors = [to_hex(table(i)) for i in range(table.N)]
    return [colors[i % len(colors)] for i in range(num_colors)]


def color_by_cluster(probabilities: Any, colors: Any = ()) -> Any:
    """The colour of each point's most probable cluster.

    Parameters
    ----------
    probabilities : array-like of shape (N, K)
        Or an empty list.
    colors : sequence of K colours, optional
        By default those of `set_colors`.

    Returns
    -------
    ndarray of N colours; "dimgray" without probabilities

    Raises
    ------
    ValueError
        There are fewer colours than clusters.
    """
    if len(probabilities) == 0:
        return "dimgray"
    clusters = np.argmax(np.asarray(probabilities), axis=1)
    n_clusters = np.shape(probabilities)[1]
    if not len(colors):
        colors = set_colors((), n_clusters)
    if len(colors) < n_clusters:
        raise ValueError(f"colors has {len(colors)} entries for {n_clusters} clusters.")
    return np.asarray(colors)[clusters]


def plot_spaces(
    points: Any,
    spaces: Any,
    null: Any = (),
    color_probabilities: Any = (),
    scale: float = 10,
    alpha_s: float = 1,
    show: bool = True,
    return_figure: bool = False,
) -> Any:
    """Draw points and spaces: `plot_2D` for two columns, `plot_3D` for three.

    Parameters
    ----------
    points : array-like of shape (N, 2) or (N, 3)
        Of more columns nothing is drawn; `view_3D_pca_mpl` does that.
    color_probabilities : array-like of shape (N, K), optional
        Colours points by their most probable space.
    spaces, null, scale, alpha_s, show, return_figure
        As in `plot_2D`.
    """
    D = np.shape(points)[1]
    if D == 2:
        return plot_2D(
            points, spaces, null, scale, color_probabilities, alpha_s, show, return_figure
        )
    if D == 3:
        return plot_3D(
            points,
            spaces,
            null,
            color_probabilities=color_probabilities,
            alpha_s=alpha_s,
            show=show,
            return_figure=return_figure,
        )
    say(f"plot_spaces draws two or three columns, not {D}; use view_3D_pca_mpl.")
    return None


def plot_2D(
    points: Any,
    spaces: Any,
    null: Any = (),
    scale: float = 10,
    assignment_probabilities: Any = (),
    alpha_s: float = 1,
    show: bool = True,
    return_figure: bool = False,
) -> Any:
    """Draw points in two columns, and spaces among them.

    Parameters
    ----------
    points : array-like of shape (N, 2)
    spaces : list of affine_subspace
        Points and lines (d < 2); others fill the plane and are left out.
    null : affine_subspace or list of them, optional
        Drawn in grey.
    scale : float, default=10
        How many standard deviations lines reach from their translation.
    assignment_probabilities : array-like of shape (N, K), optional
        Colours points by their most probable space.
    alpha_s : float, default=1
        Opacity of the spaces.
    show : bool, default=True
        Call ``pyplot.show()``.
    return_figure : bool, default=False
        Return the figure and its Axes; the figure is closed otherwise.
    """
    rows = np.asarray(points, dtype=np.float64)
    figure, ax = plt.subplots(layout="constrained")
    colors = _by_cluster(len(rows), assignment_probabilities, len(spaces))
    draw_points(ax, rows, colors.coloring, size=4.0)
    plot_spaces_2D(ax, spaces, null, scale=scale, alpha_s=alpha_s)
    ax.set_aspect("equal")
    ax.set_xlim(rows[:, 0].min(), rows[:, 0].max())
    ax.set_ylim(rows[:, 1].min(), rows[:, 1].max())
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="upper left", bbox_to_anchor=(1.02, 1))
    return finish(figure, ax, "", show, return_figure)


def plot_spaces_2D(
    ax: Any,
    spaces: Any,
    null: Any = (),
    colors: Any = (),
    scale: float = 10,
    labels: Any = (),
    alpha_s: float = 1,
) -> None:
    """Draw points and lines (d < 2) in axes of two dimensions; see `plot_2D`.

    Parameters
    ----------
    colors : sequence of colours, optional
        As `set_colors` takes them.
    labels : list of str, optional
        What the legend calls the spaces.
    ax, spaces, null, scale, alpha_s
        As in `plot_2D`.
    """
    colors = set_colors(colors, len(spaces))
    kinds = ("point", "line")
    for i, (space, color) in enumerate(zip(spaces, colors, strict=True)):
        if space.d < 2:
            label = labels[i] if i < len(labels) else f"Space {i} ({kinds[space.d]})"
            _draw_2d(Pen(ax, color, alpha_s), space, scale, label)
    for space in [null] if hasattr(null, "d") else null:
        if space.d < 2:
            _draw_2d(Pen(ax, "gray", alpha_s, "--"), space, scale, "null")


def plot_3D(
    points: Any,
    spaces: Any,
    null: Any = (),
    axis_labels: Any = ("X-axis", "Y-axis", "Z-axis"),
    title: str = "title",
    equal_dims: bool = True,
    color_probabilities: Any = (),
    alpha_s: float = 1,
    show: bool = True,
    return_figure: bool = False,
) -> Any:
    """Draw points in three columns, and spaces among them, from nine sides.

    Parameters
    ----------
    points : array-like of shape (N, 3)
    spaces, null : list of affine_subspace
        With d <= 3; those of `null` in black and, if lines, dashed.
    axis_labels : three str
    title : str, default="title"
        Of each panel.
    equal_dims : bool, default=True
        One scale for all axes.
    color_probabilities : array-like of shape (N, K), optional
        Colours points by their most probable space.
    alpha_s, show, return_figure
        As in `plot_2D`.
    """
    source = read_points(points)
    null = [null] if hasattr(null, "d") else list(null)
    scene = Scene(
        points=AS_IT_IS.rows(source),
        colors=_by_cluster(source.n_rows, color_probabilities, len(spaces)),
        sizing=size_points(source.n_rows, 1.0),
        alpha=0.5,
        aspect="equal" if equal_dims else "auto",
        axis_labels=axis_labels,
        title="",
        fontsize=10,
        overlay=Overlay(spaces, AS_IT_IS, set_colors((), len(spaces)), alpha_s),
    )
    figure, axs = draw_scene(scene, (0, 30, 70), (20, 90, 160), (5.0, 3.6))
    dashed = Overlay(null, AS_IT_IS, ["black"] * len(null), alpha_s, linestyle="--")
    for ax in axs.flat:
        dashed.draw(ax, scene.limits)
        ax.set_title(title)
    add_legend(scene, axs, "upper left", 1)
    return finish(figure, axs, "", show, return_figure)


def plot_origin(pca: Any, ax: Any, origin_scale: float = 10) -> None:
    """Draw where the origin lies in a view, and an arrow from it along (1, 1, ..., 1).

    Parameters
    ----------
    pca : sklearn.decomposition.PCA or affine_subspace
        With three components or vectors.
    ax : Axes3D
    origin_scale : float, default=10
        Length of the arrow before it is projected.
    """
    view = as_view(pca)
    D = len(view.origin)
    [start] = view.points(np.zeros((1, D)))
    [arrow] = view.vectors(np.full((1, D), origin_scale / np.sqrt(D)))
    ax.quiver(*start, *arrow, color="black", linewidth=2, arrow_length_ratio=0.15)
    Pen(ax, "black").dot(start)


def view_3D(
    points: Any,
    aspect: str,
    spaces: Any = (),
    subtypes: Any = (),
    title: str = "",
    plot_origin_: bool = True,
    origin_scale: float = 10,
    print_PCs: bool = False,
    color_dict: Any = None,
    show: bool = True,
    return_figure: bool = False,
) -> Any:
    """Draw points and spaces in the first three principal axes of the points from nine sides.

    `view_3D_pca_mpl` can do more.

    Parameters
    ----------
    points : array-like of shape (N, D), D >= 3
    aspect : str
        As `Axes3D.set_aspect` takes it.
    spaces : list of affine_subspace, optional
        Those with d > 3 are left out.
    subtypes : sequence of length N, optional
        Labels of the points.
    title : str, default=""
    plot_origin_ : bool, default=True
        Draw the origin and an arrow of length `origin_scale`; see `plot_origin`.
    print_PCs : bool, default=False
        Print the principal axes.
    color_dict : dict, optional
        Colours by subtype; by default, "unknown" is grey, and others differ.
    show, return_figure
        As in `plot_2D`.
    """
    source = read_points(points)
    view = principal_axes(source, 3, source.n_rows)
    if print_PCs:
        for i, axis in enumerate(view.directions):
            say(f"PC{i + 1}: {axis}")
    subtypes = subtypes if len(subtypes) else ["projected point"] * source.n_rows
    scene = Scene(
        points=view.rows(source),
        colors=color_points(source.n_rows, subtypes, color_dict or _distinct(subtypes)),
        sizing=size_points(source.n_rows, 2.0),
        alpha=0.3,
        aspect=aspect,
        axis_labels=("pc1", "pc2", "pc3"),
        title=title,
        fontsize=12,
        overlay=Overlay(spaces, view, set_colors((), len(spaces))),
    )
    figure, axs = draw_scene(scene, (70, 30, 0), (20, 90, 160))
    for ax in axs.flat if plot_origin_ else ():
        plot_origin(view, ax, origin_scale)
    add_legend(scene, axs, "upper left", 5)
    return finish(figure, axs, "", show, return_figure)


def _by_cluster(n: int, probabilities: Any, n_spaces: int) -> PointColors:
    """Points in the colours of their spaces, or grey without probabilities."""
    if len(probabilities) == 0:
        return PointColors(code_coloring(np.zeros(n, dtype=np.int64), ["points"], ["dimgray"]))
    n_colors = max(n_spaces, np.shape(probabilities)[1])
    colors = set_colors((), n_colors)
    codes = np.argmax(np.asarray(probabilities), axis=1)
    return PointColors(code_coloring(codes, [str(k) for k in range(n_colors)], colors))


def _distinct(subtypes: Any) -> dict[Any, str]:
    """A colour for each label, in order of their appearance."""
    kinds = list(dict.fromkeys(subtypes))
    return dict(zip(kinds, palette(len(kinds)), strict=True)) | {"unknown": "gray"}


def _draw_2d(pen: Pen, space: Any, scale: float, label: str) -> None:
    """A point or a line, named for the legend."""
    mean = np.asarray(space.translation, dtype=np.float64)
    if space.d == 0:
        [artist] = pen.dot(mean)
    else:
        reach = scale * np.asarray(space.latent_sigmas)[0] * vectors_of(space)[0]
        [artist] = pen.line(mean + np.array([[-1.0], [1.0]]) * reach)
    artist.set_label(label)

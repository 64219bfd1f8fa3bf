"""Figures of points and spaces, under kspaces' names; drawn by `lowdim.pl`.

`lowdim.pl.subspaces` draws a fitted model directly, and from an AnnData as well.
"""

from __future__ import annotations

from typing import Any

from lowdim.kspaces._grid import Scene, add_legend, color_points, draw_scene, finish, size_points
from lowdim.kspaces._legacy_plots import (
    color_by_cluster,
    plot_2D,
    plot_3D,
    plot_origin,
    plot_spaces,
    plot_spaces_2D,
    set_colors,
    view_3D,
)
from lowdim.kspaces._overlays import (
    AS_IT_IS,
    Overlay,
    clip_line,
    plot_line_3D,
    plot_plane,
    plot_point_3D,
    plot_prism,
    project_space,
)
from lowdim.kspaces._rows import read_points
from lowdim.pl._projection import principal_axes

__all__ = [
    "clip_line",
    "color_by_cluster",
    "plot_2D",
    "plot_3D",
    "plot_line_3D",
    "plot_origin",
    "plot_plane",
    "plot_point_3D",
    "plot_prism",
    "plot_spaces",
    "plot_spaces_2D",
    "project_space",
    "set_colors",
    "view_3D",
    "view_3D_pca_mpl",
    "view_3D_pretransformed_mpl",
]


def view_3D_pca_mpl(
    points: Any,
    aspect: str = "equal",
    subtypes: Any = (),
    spaces: Any = (),
    title: str = "",
    axis_labels: Any = None,
    color_dict: Any = None,
    cmap_dict: Any = None,
    space_colors: Any = (),
    s_points: float = 2,
    alpha_points: float = 1,
    alpha_spaces: float = 0.5,
    prism_scale: float | None = None,
    elevation: Any = None,
    azimuth: Any = None,
    legend: bool = True,
    legend_loc: Any = "upper left",
    save: Any = "",
    show: bool = True,
    markerscale: float = 5,
    fontsize: float = 10,
    return_figure: bool = False,
) -> Any:
    """Draw points and spaces in the first three principal axes of the points, from several sides.

    A space is drawn as far as the points reach: a point (d = 0), a line (1), a plane (2), or a box
    along its vectors (3). Others are left out.

    Parameters
    ----------
    points : array-like of shape (N, D), D >= 3
        An array, sparse matrix, DataFrame, tensor or list.
    aspect : str, default="equal"
        As `Axes3D.set_aspect` takes it.
    subtypes : sequence of length N, optional
        Labels of the points: a list, array, Series or categories.
    spaces : list of affine_subspace, optional
        In D dimensions.
    title : str, default=""
    axis_labels : three str, default "PC 1", "PC 2" and "PC 3"
    color_dict : dict, optional
        Colours by subtype; grey for those that it lacks. Without it, points are black.
    cmap_dict : dict, optional
        By subtype, a colour map and the values that it colours by: one for each point, or each
        of the subtype. It goes before `color_dict`, and adds a colour bar.
    space_colors : list of colours, optional
        Of the spaces, from the first again where there are more; by default matplotlib's tab10,
        or tab20 for more than ten.
    s_points : float, default=2
        Area of the points in square points.
    alpha_points, alpha_spaces : float, default=1 and 0.5
        Opacity.
    prism_scale : float, optional
        Length of the sides of all boxes; by default two standard deviations along each.
    elevation, azimuth : float or sequence of float, default (70, 0) and (20, 90, 160)
        Where the cameras are, in degrees: a line of panels per elevation, a column per azimuth.
    legend : bool, default=True
        Whether to list the subtypes and spaces.
    legend_loc : str, default="upper left"
        Where the legend lies in the first panel; by default it lies to the right of all panels.
    save : path, default=""
        Where to save the figure, if anywhere.
    show : bool, default=True
        Call ``pyplot.show()``.
    markerscale, fontsize : float, default=5 and 10
        Markers of the legend in terms of those drawn; texts of title, labels and legend.
    return_figure : bool, default=False
        Return the figure, which is closed otherwise.

    Returns
    -------
    None, or the figure and its Axes, an array of shape (n elevations, n azimuths)

    Raises
    ------
    TypeError, ValueError
        An argument cannot be used.
    """
    source = read_points(points)
    if source.n_cols < 3:
        raise ValueError(f"points has {source.n_cols} columns; three dimensions need D >= 3.")
    view = principal_axes(source, 3, source.n_rows)
    spaces, colors = list(spaces), set_colors(list(space_colors), len(spaces))
    overlay = Overlay(spaces, view, colors, alpha_spaces, prism_scale)
    scene = Scene(
        points=view.rows(source),
        colors=color_points(source.n_rows, subtypes, color_dict, cmap_dict),
        sizing=size_points(source.n_rows, s_points),
        alpha=alpha_points,
        aspect=aspect,
        axis_labels=("PC 1", "PC 2", "PC 3") if axis_labels is None else axis_labels,
        title=title,
        fontsize=fontsize,
        overlay=overlay,
    )
    figure, axs = draw_scene(scene, elevation, azimuth)
    if legend:
        add_legend(scene, axs, legend_loc, markerscale)
    return finish(figure, axs, save, show, return_figure)


def view_3D_pretransformed_mpl(
    points: Any,
    aspect: str = "equal",
    subtypes: Any = (),
    title: str = "",
    axis_labels: Any = None,
    color_dict: Any = None,
    cmap_dict: Any = None,
    s_points: float = 2,
    scale_by_distance: float = 1,
    distances: Any = None,
    alpha_points: float = 1,
    elevation: Any = None,
    azimuth: Any = None,
    legend: bool = True,
    legend_loc: Any = "upper left",
    save: Any = "",
    show: bool = True,
    markerscale: float = 5,
    fontsize: float = 10,
    return_figure: bool = False,
) -> Any:
    """Draw points in three dimensions, such as their coordinates in a space, from several sides.

    Parameters
    ----------
    points : array-like of shape (N, 3)
        For example what ``transform`` of a space with d = 3 returns.
    axis_labels : three str, default "Basis 1", "Basis 2" and "Basis 3"
    s_points : float, default=2
        Area of the points in square points, before they are scaled.
    scale_by_distance : float, default=1
        With `distances`, areas are ``s_points / log1p(distance) ** scale_by_distance``, but no
        larger than a hundred times `s_points`. (In kspaces, a point on the space is infinite.)
    distances : array-like of shape (N,), optional
        For example what ``orthogonal_distance`` of the space returns; >= 0.
    aspect, subtypes, title, color_dict, cmap_dict, alpha_points, elevation, azimuth
        As in `view_3D_pca_mpl`.
    legend, legend_loc, save, show, markerscale, fontsize, return_figure
        As in `view_3D_pca_mpl`.

    Returns
    -------
    None, or the figure and its Axes, an array of shape (n elevations, n azimuths)

    Raises
    ------
    TypeError, ValueError
        An argument cannot be used.
    """
    source = read_points(points)
    if source.n_cols != 3:
        raise ValueError(
            f"points has {source.n_cols} columns; pass three, or all of them to view_3D_pca_mpl."
        )
    scene = Scene(
        points=AS_IT_IS.rows(source),
        colors=color_points(source.n_rows, subtypes, color_dict, cmap_dict),
        sizing=size_points(source.n_rows, s_points, distances, scale_by_distance),
        alpha=alpha_points,
        aspect=aspect,
        axis_labels=("Basis 1", "Basis 2", "Basis 3") if axis_labels is None else axis_labels,
        title=title,
        fontsize=fontsize,
    )
    figure, axs = draw_scene(scene, elevation, azimuth)
    if legend:
        add_legend(scene, axs, legend_loc, markerscale)
    return finish(figure, axs, save, show, return_figure)

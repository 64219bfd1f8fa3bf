"""In how many dimensions, from which sides and on which Axes a picture is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lowdim._validation import check_in
from lowdim.pl._figure import check_axes, grid_of_axes, is_3d, one_axes

_VIEW_SPACE = 0.15
"""Between panels in 3-D, as a share of their width: the layout does not see their z-labels."""

_ELEVATION, _AZIMUTH = 30.0, -60.0
"""The camera's position where only one of the angles is given: matplotlib's own."""

_END_ON = 0.2
"""An axis of which less of its length is seen has no room for ticks or a label."""

_LEVEL = 15.0
"""Below this elevation in degrees, labels share a line with the ticks."""

_PADS = {False: 8.0, True: 12.0}
"""Points between the ticks and the label, and where they get in each other's way."""

ZOOM = 0.82
"""Of the box in its panel in 3-D, which leaves room for labels that the layout does not see."""


@dataclass(frozen=True)
class Cameras:
    """Where to look at a picture in three dimensions from.

    Attributes
    ----------
    positions
        (elevation, azimuth) in degrees, one panel each.
    n_columns
        The most panels side by side.
    shape
        Of the array of Axes.
    """

    positions: tuple[tuple[float, float], ...]
    n_columns: int
    shape: tuple[int, ...]


def read_cameras(views: Any, elevation: Any = None, azimuth: Any = None) -> Cameras | None:
    """The positions in `views`, or every elevation with every azimuth; None without any.

    Raises
    ------
    TypeError, ValueError
        They are no angles, or both are given.
    """
    if elevation is None and azimuth is None:
        return None if views is None else _listed(views)
    if views is not None:
        raise ValueError("views holds elevations and azimuths; leave out either it or these.")
    elevations = _angles(elevation, "elevation", _ELEVATION)
    azimuths = _angles(azimuth, "azimuth", _AZIMUTH)
    positions = tuple((e, a) for e in elevations for a in azimuths)
    return Cameras(positions, len(azimuths), (len(elevations), len(azimuths)))


def picture_dims(n_dims: Any, axes: Any, ax: Any, cameras: Cameras | None) -> int:
    """2 or 3, whichever the arguments agree on."""
    wanted = {}
    if n_dims is not None:
        wanted["n_dims"] = check_in(n_dims, "n_dims", (2, 3))
    if axes is not None:
        if np.shape(axes) not in ((2,), (3,)):
            raise ValueError(f"axes={axes!r} must be two or three column numbers.")
        wanted["axes"] = len(axes)
    if cameras is not None:
        if ax is not None:
            raise ValueError("views makes a figure of its own; leave out ax or views.")
        wanted["views"] = 3
    if ax is not None:
        wanted["ax"] = 3 if is_3d(ax) else 2
        check_axes(ax, n_dims=wanted["ax"])
    if len(set(wanted.values())) > 1:
        said = ", ".join(f"{name} is for {d}" for name, d in wanted.items())
        raise ValueError(f"The picture cannot have different numbers of dimensions: {said}.")
    return next(iter(wanted.values()), 2)


def make_panels(
    n_dims: int,
    ax: Any,
    cameras: Cameras | None,
    figsize: tuple[float, float] | None,
    legend_width: float = 0.0,
) -> np.ndarray:
    """The Axes to draw on, (n,), with their cameras set; `legend_width` in inches is left free."""
    n = 1 if cameras is None else len(cameras.positions)
    n_columns = 1 if cameras is None else cameras.n_columns
    if figsize is None:
        figsize = (4.6 * n_columns + legend_width, 4.6 * -(-n // n_columns))
    if cameras is None:
        panels = np.empty(1, dtype=object)
        panels[0] = one_axes(ax, n_dims=n_dims, figsize=figsize)
        return panels
    panels = grid_of_axes(n, n_dims=3, n_columns=n_columns, figsize=figsize)
    panels[0].figure.get_layout_engine().set(wspace=_VIEW_SPACE)
    for panel, (elevation, azimuth) in zip(panels, cameras.positions, strict=True):
        panel.view_init(elev=elevation, azim=azimuth)
    return panels


def finish_ticks(ax: Any) -> None:
    """As many ticks in 3-D as there is room for, and none on an axis that points at the viewer."""
    elevation, azimuth = np.radians([ax.elev, ax.azim])
    camera = (
        np.cos(elevation) * np.cos(azimuth),
        np.cos(elevation) * np.sin(azimuth),
        np.sin(elevation),
    )
    for name, towards in zip("xyz", camera, strict=True):
        seen = np.sqrt(max(0.0, 1 - towards**2))  # the length of the axis on the page
        axis = getattr(ax, f"{name}axis")
        if seen < _END_ON:
            axis.set_ticklabels([])
            axis.label.set_visible(False)
            continue
        ax.locator_params(axis=name, nbins=5 if seen > 0.5 else 2)
        axis.labelpad = _PADS[abs(ax.elev) < _LEVEL or seen < 0.5]
    ax.tick_params(labelsize="small")


def _listed(views: Any) -> Cameras:
    if np.ndim(views) != 2 or np.shape(views)[1] != 2 or not len(views):
        raise ValueError(
            f"views={views!r} must be a list of (elevation, azimuth), such as [(20, 30)]."
        )
    n = len(views)
    positions = tuple((float(elevation), float(azimuth)) for elevation, azimuth in views)
    return Cameras(positions, 2 if n in (2, 4) else min(n, 3), (n,))


def _angles(angles: Any, name: str, default: float) -> list[float]:
    """One angle or several as a list."""
    if angles is None:
        return [default]
    try:
        values = np.atleast_1d(np.asarray(angles, dtype=np.float64))
    except (TypeError, ValueError):
        raise TypeError(f"{name}={angles!r} must be an angle in degrees, or several.") from None
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(f"{name}={angles!r} must be an angle in degrees, or several.")
    return [float(value) for value in values]

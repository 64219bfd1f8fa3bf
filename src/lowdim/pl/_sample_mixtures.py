"""The mixtures of samples as ellipses over their cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import LineCollection

from lowdim._validation import check_in, check_positive_int
from lowdim.get._gmm_key import find_gmm_key
from lowdim.pl._colors import INK, MISSING, PALETTE, chosen_colors, darker, plain_coloring
from lowdim.pl._figure import several_axes
from lowdim.pl._fitted import is_anndata
from lowdim.pl._legend import line_handle
from lowdim.pl._names import brief
from lowdim.pl._points import draw_points
from lowdim.samples import SampleDataset
from lowdim.samples._rows import listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lowdim._typing import Float64Array, IntArray

SD = (1.0, 2.0)
"""Outlines of a component, in standard deviations."""

_CROWD = 3
"""Samples in a panel beyond which their components have thin outlines, at one sd only."""

_MOST_PANELS = 16
_BLOCK_BYTES = 2**26
_SEEN = 0.01
"""Share of the cells that may lie outside the picture, half on every side."""


@dataclass(frozen=True, eq=False)
class _Picture:
    """Cells and components in the plane, and what tells samples apart.

    Attributes
    ----------
    cells : (N, 2)
    codes : (N,)
        Number of every cell's sample.
    weights : (S, K)
    means : (S, K, 2)
    covariances : (S, K, 2, 2)
    names : (S,)
    labels : (S,) or None
    colors : dict of colours by label
    """

    cells: Float64Array
    codes: IntArray
    weights: Float64Array
    means: Float64Array
    covariances: Float64Array
    names: np.ndarray
    labels: np.ndarray | None
    colors: dict[str, str]

    def color(self, sample: int) -> str:
        """Of a sample: that of its label."""
        return PALETTE[0] if self.labels is None else self.colors[self.labels[sample]]


def sample_mixtures(
    dataset_or_adata: Any,
    axes: tuple[int, int] = (0, 1),
    *,
    gmm_key: str | None = None,
    sample_key: str | None = None,
    labels: str | None = None,
    projection: Any = None,
    by: str | None = None,
    samples: Sequence[str] | None = None,
    cells: bool = True,
    palette: Any = None,
    max_points: int | None = None,
    n_columns: int = 4,
    ax: Any = None,
) -> Any:
    """Draw the components of samples as ellipses over their cells, in two columns or a plane.

    Outlines are at one and two standard deviations of a component, of many samples in one panel at
    one, and the thicker the larger its weight; they have the colour of the sample's label.

    Parameters
    ----------
    dataset_or_adata
        Samples with their mixtures, such as `lowdim.tl.fit_gmm` returns, or an AnnData after it.
    axes
        Two columns of the data, or with a `projection` two of its rows.
    gmm_key, sample_key, labels
        With an AnnData: the key of `uns` of the mixtures, by default "gmm_X" or the only one, and
        the columns of `obs` with the samples and, if they have some, their labels.
    projection
        The plane to draw in: a fitted `GroundMetric`, or a matrix (r, D) of which each row gives
        an axis; by default columns as they are.
    by
        "sample": a panel for each sample; "label": for each label; "all": a single one. By default
        by sample up to 16 of them, and beyond that by label, if there are any.
    samples
        Names of those to draw, in order; by default all.
    cells
        Whether to draw the cells; more than `max_points` in a panel are shaded.
    palette
        Colours of the labels, as a dict or a list.
    max_points
        The most cells that are drawn one by one in a panel, by default 100,000.
    n_columns
        The most panels side by side.
    ax
        Where to draw: an Axes for each panel; by default in a new figure.

    Returns
    -------
    An array of the Axes; of "all" the only one.

    Raises
    ------
    TypeError, ValueError
        An argument cannot be used, or the samples have no mixtures.
    """
    dataset = _dataset(dataset_or_adata, gmm_key, sample_key, labels)
    picture, axis_names = _read(dataset, axes, projection, palette)
    chosen = _chosen(picture.names, samples)
    panels = _panels(picture, chosen, by)
    n_columns = check_positive_int(n_columns, "n_columns")
    size = {1: (5.6, 4.8), 2: (3.8, 3.5), 3: (3.8, 3.5)}.get(len(panels), (2.7, 2.6))
    drawn = several_axes(ax, len(panels), "panels", n_columns=n_columns, size=size)
    low, high = _limits(picture, chosen)
    for i, (panel, (title, members)) in enumerate(zip(drawn, panels, strict=True)):
        _draw(panel, picture, members, cells=cells, max_points=max_points)
        panel.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
        panel.set_title(title, fontsize="medium")
        if i % n_columns == 0:
            panel.set_ylabel(axis_names[1])
        if i >= len(panels) - n_columns:
            panel.set_xlabel(axis_names[0])
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize="small")
    _describe(drawn[0], picture, panels[0][1], alone=len(panels) == 1)
    return drawn[0] if len(panels) == 1 and panels[0][0] == "" else drawn


def _dataset(
    source: Any, gmm_key: str | None, sample_key: str | None, labels: str | None
) -> SampleDataset:
    """Samples with mixtures, whatever holds them."""
    if isinstance(source, SampleDataset):
        given = {"gmm_key": gmm_key, "sample_key": sample_key, "labels": labels}
        for name, value in given.items():
            if value is not None:
                raise TypeError(f"{name}={value!r} is for an AnnData; a SampleDataset has its own.")
        return source
    if not is_anndata(source):
        raise TypeError(
            f"Expected the SampleDataset that lowdim.tl.fit_gmm returns, or an AnnData after it; "
            f"got {type(source).__name__}."
        )
    if sample_key is None:
        raise TypeError("sample_key is None; name the column of obs that has the samples.")
    return SampleDataset.from_anndata(
        source, sample_key=sample_key, label_key=labels, gmm_key=find_gmm_key(source, gmm_key)
    )


def _read(
    dataset: SampleDataset, axes: Any, projection: Any, palette: Any
) -> tuple[_Picture, list[str]]:
    """Everything in the plane, and what its axes are called."""
    D = dataset.source.n_cols
    W = np.eye(D) if projection is None else getattr(projection, "components_", projection)
    W = np.asarray(W, dtype=np.float64)
    if W.ndim != 2 or W.shape[1] != D:
        raise ValueError(f"projection has shape {W.shape}; pass (r, {D}), or a fitted metric.")
    if np.shape(axes) != (2,) or not all(
        isinstance(axis, int | np.integer) and 0 <= axis < len(W) for axis in axes
    ):
        raise ValueError(f"axes={axes!r} must be two numbers from 0 to {len(W) - 1}.")
    P = W[list(axes)]
    mixtures = dataset.mixtures.mapped(P)
    covariances = mixtures.covariances
    if covariances.ndim == 3:
        covariances = covariances[..., None] * np.eye(2)
    labels = dataset.labels
    kinds = [] if labels is None else sorted(set(labels))
    picture = _Picture(
        _projected(dataset.source, P),
        dataset.groups.codes,
        mixtures.weights,
        mixtures.means,
        covariances,
        dataset.names,
        labels,
        dict(zip(kinds, chosen_colors(kinds, palette), strict=True)),
    )
    known = dataset.source.feature_names
    if projection is not None:
        return picture, [f"learned axis {axis}" for axis in axes]
    return picture, [f"column {axis}" if known is None else str(known[axis]) for axis in axes]


def _projected(source: Any, P: Float64Array) -> Float64Array:
    """All rows in the plane, (N, 2), read in blocks."""
    out = np.empty((source.n_rows, 2))
    step = max(1, _BLOCK_BYTES // (8 * source.n_cols))
    for start in range(0, source.n_rows, step):
        stop = min(start + step, source.n_rows)
        out[start:stop] = source.rows(start, stop) @ P.T
    return out


def _chosen(names: np.ndarray, wanted: Sequence[str] | None) -> list[int]:
    """Numbers of the samples to draw."""
    if wanted is None:
        return list(range(len(names)))
    number = {str(name): s for s, name in enumerate(names)}
    asked = [wanted] if isinstance(wanted, str) else [str(name) for name in wanted]
    strange = [name for name in asked if name not in number]
    if strange or not asked:
        raise ValueError(f"samples has {listed(strange)}; the data have {listed(names)}.")
    return [number[name] for name in asked]


def _panels(picture: _Picture, chosen: list[int], by: str | None) -> list[tuple[str, list[int]]]:
    """Title and samples of every panel."""
    if by is None:
        few = len(chosen) <= _MOST_PANELS
        by = "sample" if few else "all" if picture.labels is None else "label"
    check_in(by, "by", ("sample", "label", "all"))
    if by == "all":
        return [("", chosen)]
    if by == "label":
        if picture.labels is None:
            raise ValueError("by='label', but the samples have no labels; pass by='all'.")
        kinds = [kind for kind in picture.colors if kind in set(picture.labels[chosen])]
        found = [(kind, [s for s in chosen if picture.labels[s] == kind]) for kind in kinds]
        return [(f"{brief(kind)} ({len(own)} samples)", own) for kind, own in found]
    if picture.labels is None:
        return [(brief(picture.names[s]), [s]) for s in chosen]
    return [(f"{brief(picture.names[s])}\n{brief(picture.labels[s])}", [s]) for s in chosen]


def _limits(picture: _Picture, chosen: list[int]) -> tuple[Float64Array, Float64Array]:
    """The corners of a frame around nearly all cells and all means of some weight."""
    own = picture.cells[np.isin(picture.codes, chosen)]
    ends = np.quantile(own, [_SEEN / 2, 1 - _SEEN / 2], axis=0)
    heavy = picture.weights[chosen] > _SEEN
    means = picture.means[chosen][heavy]
    spread = np.sqrt(np.diagonal(picture.covariances[chosen][heavy], axis1=1, axis2=2))
    low = np.minimum(ends[0], (means - SD[-1] * spread).min(0, initial=np.inf))
    high = np.maximum(ends[1], (means + SD[-1] * spread).max(0, initial=-np.inf))
    gap = 0.04 * np.where(high > low, high - low, 1.0)
    return low - gap, high + gap


def _draw(
    ax: Axes, picture: _Picture, members: list[int], *, cells: bool, max_points: int | None
) -> None:
    """Cells of some samples in grey, and their components."""
    if cells:
        own = picture.cells[np.isin(picture.codes, members)]
        draw_points(ax, own, plain_coloring(len(own)), alpha=0.45, max_points=max_points)
    crowded = len(members) > _CROWD
    for s in members:
        color = darker(picture.color(s))
        for k in np.flatnonzero(picture.weights[s] > 0):
            width = (0.4 if crowded else 0.8) + 2.0 * picture.weights[s, k]
            curves = ellipses(picture.means[s, k], picture.covariances[s, k])
            ax.add_collection(
                LineCollection(
                    curves if not crowded else curves[:1], colors=[color], linewidths=width,
                    alpha=0.5 if crowded else 0.95, zorder=3,
                ),
                autolim=False,
            )  # fmt: skip


def ellipses(mean: Float64Array, covariance: Float64Array, sd: Any = SD) -> list[Float64Array]:
    """Outlines of a Gaussian in the plane, a closed curve (65, 2) for each number of sd."""
    angles = np.linspace(0, 2 * np.pi, 65)
    variances, vectors = np.linalg.eigh(covariance)
    circle = np.column_stack([np.cos(angles), np.sin(angles)])
    shape = circle * np.sqrt(variances.clip(min=0)) @ vectors.T
    return [mean + size * shape for size in sd]


def _describe(ax: Axes, picture: _Picture, members: list[int], *, alone: bool) -> None:
    """What the outlines are; of a single panel also what their colours are."""
    handles = [line_handle(INK, "1 sd" if len(members) > _CROWD else "1 and 2 sd")]
    if alone and picture.labels is not None:
        shown = picture.labels[members]
        handles += [
            line_handle(darker(color), f"{brief(kind)} ({int((shown == kind).sum())})")
            for kind, color in picture.colors.items()
            if kind in set(shown)
        ]
    ax.legend(
        handles=handles, loc="best" if alone else "upper right", fontsize="x-small",
        framealpha=0.8, handlelength=1.2, edgecolor=MISSING,
    )  # fmt: skip

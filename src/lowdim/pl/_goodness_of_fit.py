"""How well factors describe what was observed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim._validation import check_in
from lowdim.get._fit_quality import FitQuality, fit_quality
from lowdim.get._fitted_factors import read_factors, read_places
from lowdim.pl._colors import INK, PALETTE
from lowdim.pl._factor_loadings import short_name
from lowdim.pl._figure import settle, several_axes
from lowdim.pl._tissue import draw_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from matplotlib.axes import Axes

_PANELS = ("counts", "genes", "rows")
_PANEL = (4.2, 3.4)
_NAMED = 5
"""Genes that are named at most: those of largest deviance."""

_ROOM = (60.0, 14.0)
"""Of a name, in pixels."""

_OUTSTANDING = 1.5
"""Times the median deviance, from which a gene is named."""


def goodness_of_fit(
    adata: AnnData,
    *,
    key: str = "spatial_factors",
    panel: str | None = None,
    axes: tuple[int, int] | None = None,
    ax: Any = None,
) -> Any:
    """Draw observed against expected counts, and where the fit is worst.

    Parameters
    ----------
    adata
        An AnnData after `lowdim.tl.spatial_factors`, with the matrix that was fitted.
    key
        The `key_added` of the fit.
    panel
        "counts": the mean of all counts with about the same expected value, with one standard
        deviation as found (bars) and as the model has it (band); bars longer than the band are
        noise that the likelihood does not know. "genes": mean deviance of each gene against its
        mean count. "rows": mean deviance of each row on the map, or, where rows have several
        slides or other than two axes, as a histogram. By default all, but without "counts" with
        Gaussian noise.
    axes
        Two axes to draw of places in three dimensions.
    ax
        Where to draw: an Axes, or one for each panel; by default in a new figure.

    Returns
    -------
    The Axes for one `panel`, otherwise an array of three, or of two with Gaussian noise.

    Raises
    ------
    TypeError, ValueError
        An argument cannot be used, there is no such fit, or no counts.
    """
    if panel is not None:
        check_in(panel, "panel", _PANELS)
    fit = read_factors(adata, key)
    counted = fit.likelihood != "gaussian"
    if panel == "counts" and not counted:
        raise ValueError("panel='counts' is for counts, and the fit has Gaussian noise.")
    wanted = [panel] if panel else list(_PANELS if counted else _PANELS[1:])
    quality = fit_quality(adata, key)
    panels = several_axes(ax, len(wanted), "panels", n_columns=3, size=_PANEL)
    for own, name in zip(panels, wanted, strict=True):
        if name == "counts":
            _draw_counts(own, quality)
        elif name == "genes":
            _draw_genes(own, quality, fit.genes, counted=counted)
        else:
            places, samples = read_places(adata, key)
            own.set_title("rows", fontsize="medium", color=INK)
            draw_rows(
                own, places, samples, quality.row_deviances,
                label="mean deviance", adata=adata, axes=axes,
            )  # fmt: skip
    if ax is None:
        settle(panels[0].figure)
    return panels if panel is None else panels[0]


def _draw_counts(ax: Axes, quality: FitQuality) -> None:
    expected, observed = quality.expected, quality.observed
    least = float(expected.min(initial=1.0)) / 3
    ax.plot(expected, expected, color="0.5", linewidth=0.8, zorder=1)
    ax.fill_between(
        expected, (expected - quality.model_sd).clip(min=least), expected + quality.model_sd,
        color=PALETTE[5], alpha=0.35, linewidth=0, label="model, ± sd",
    )  # fmt: skip
    ax.errorbar(
        expected, observed, yerr=[np.minimum(quality.sd, observed - least).clip(min=0), quality.sd],
        fmt="o", color=INK, markersize=3, linewidth=0.8, label="observed, mean ± sd",
    )  # fmt: skip
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_ylim(bottom=least)
    ax.set_xlabel("expected count")
    ax.set_ylabel("observed count")
    ax.set_title(f"deviance explained: {quality.explained:.0%}", fontsize="medium", color=INK)
    ax.legend(fontsize="small", frameon=False, loc="upper left")
    ax.spines[["top", "right"]].set_visible(False)


def _draw_genes(ax: Axes, quality: FitQuality, genes: list[str], *, counted: bool) -> None:
    means, deviances = quality.gene_means, quality.gene_deviances
    known = (means > 0) | (not counted)
    ax.plot(means[known], deviances[known], ".", color=PALETTE[0], markersize=4, alpha=0.7)
    if counted:
        ax.set_xscale("log")
    ax.set_ylim(0, 1.1 * deviances[known].max(initial=0.0) or 1.0)  # room for the highest name
    outstanding = known & (deviances > _OUTSTANDING * np.median(deviances[known]))
    _name(ax, genes, means, deviances, outstanding)
    ax.set_xlabel(f"mean {'count' if counted else 'value'} of the gene")
    ax.set_ylabel("mean deviance")
    ax.set_title("genes", fontsize="medium", color=INK)
    ax.spines[["top", "right"]].set_visible(False)


def _name(
    ax: Axes, genes: Sequence[str], x: np.ndarray, y: np.ndarray, outstanding: np.ndarray
) -> None:
    """Names of the few highest points, but for those that would lie on another name."""
    taken: list[np.ndarray] = []
    for j in np.argsort(-y, kind="stable")[:_NAMED]:
        place = ax.transData.transform((x[j], y[j]))
        if not outstanding[j] or any((np.abs(place - t) < _ROOM).all() for t in taken):
            continue
        taken.append(place)
        ax.annotate(
            short_name(genes[j]), (x[j], y[j]), xytext=(-3, 3),
            textcoords="offset points", ha="right", fontsize="small", color=INK,
        )  # fmt: skip

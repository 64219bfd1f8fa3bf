"""Maps of spatial factors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim._validation import check_in, check_positive_int
from lowdim.get._fitted_factors import FittedSpatialFactors, read_factors, read_places
from lowdim.pl._colors import INK
from lowdim.pl._figure import settle, several_axes
from lowdim.pl._fitted import is_anndata
from lowdim.pl._tissue import draw_line, draw_map, panel_size, tissue_of

if TYPE_CHECKING:
    from lowdim._typing import Float64Array

_LINE_PANEL = (4.2, 2.2)


def spatial_factors(
    model_or_adata: Any,
    coordinates: Any = None,
    *,
    key: str = "spatial_factors",
    factors: Any = None,
    uncertainty: bool | str = False,
    sample: Any = None,
    axes: tuple[int, int] | None = None,
    image: bool = True,
    size: float | None = None,
    cmap: str | None = None,
    max_points: int | None = None,
    n_columns: int = 4,
    ax: Any = None,
) -> Any:
    """Draw a map of each factor, or its course where places have one axis.

    Parameters
    ----------
    model_or_adata
        An AnnData after `lowdim.tl.spatial_factors`, or a fitted estimator of factors.
    coordinates
        With an estimator: where the rows are, (N, D).
    key
        With an AnnData: the `key_added` of the fit.
    factors
        Number of a factor, or several; by default all.
    uncertainty
        True draws posterior standard deviations instead of the means, "relative" these over the
        means. Along one axis the means always have a band of two standard deviations.
    sample
        With an AnnData of several slides: which of them.
    axes
        Two axes to draw of places in three dimensions.
    image
        Whether to draw over the image in ``uns["spatial"]`` where there is one.
    size
        Diameter of the spots, as a share of the distance between neighbours.
    cmap
        Colour map; by default "viridis", or for real-valued factors one with white at zero.
    max_points
        The most spots that are drawn one by one, by default 100,000; of more, squares show means.
    n_columns
        The most panels side by side.
    ax
        Where to draw: an Axes for each factor; by default in a new figure.

    Returns
    -------
    The Axes for a single number in `factors`, otherwise an array of them.

    Raises
    ------
    TypeError, ValueError
        An argument cannot be used, or the fit or its places are not there.
    """
    fit = read_factors(model_or_adata, key)
    chosen, single = _chosen(factors, fit)
    check_in(uncertainty, "uncertainty", (False, True, "relative"))
    places, rows, sample = _places(model_or_adata, coordinates, key, fit, sample)
    values, what = _values(fit, uncertainty)
    n_columns = check_positive_int(n_columns, "n_columns")
    linear = places.shape[1] == 1
    adata = model_or_adata if is_anndata(model_or_adata) else None
    tissue = None if linear else tissue_of(places, adata, sample, axes)
    size_of_panel = _LINE_PANEL if tissue is None else panel_size(tissue)
    panels = several_axes(ax, len(chosen), "factors", n_columns=n_columns, size=size_of_panel)
    signed = not fit.nonnegative and not uncertainty
    for panel, k in zip(panels, chosen, strict=True):
        if tissue is None:
            band = None if uncertainty else fit.deviations[rows, k]
            draw_line(panel, places, values[rows, k], band)
            panel.set_xlabel("coordinate")
            panel.set_ylabel(what or "factor")
        else:
            draw_map(
                panel, tissue, values[rows, k], cmap=cmap or ("RdBu_r" if signed else "viridis"),
                from_zero=not signed, symmetric=signed, label=what, size=size, image=image,
                max_points=max_points,
            )  # fmt: skip
        panel.set_title(_title(fit, k), fontsize="medium", color=INK)
    if ax is None:
        settle(panels[0].figure)
    return panels[0] if single else panels


def _chosen(factors: Any, fit: FittedSpatialFactors) -> tuple[list[int], bool]:
    """Numbers of factors, and whether a single number was given."""
    if factors is None:
        return list(range(fit.n_factors)), False
    single = np.ndim(factors) == 0
    chosen = [
        check_positive_int(k, "factors", minimum=0) for k in ([factors] if single else factors)
    ]
    strange = [k for k in chosen if k >= fit.n_factors]
    if strange or not chosen:
        raise ValueError(f"factors={factors!r}: pass numbers from 0 to {fit.n_factors - 1}.")
    return chosen, single


def _places(
    source: Any, coordinates: Any, key: str, fit: FittedSpatialFactors, sample: Any
) -> tuple[Float64Array, np.ndarray, str | None]:
    """Places (n, D) of the rows to draw, which these are, (N,) booleans, and their slide."""
    n = len(fit.factors)
    everything = np.ones(n, dtype=bool)
    if not is_anndata(source):
        if coordinates is None:
            raise TypeError("coordinates is None; an estimator keeps none, so pass them (N, D).")
        if sample is not None:
            raise TypeError("sample is for an AnnData; pass the rows of one slide.")
        places = np.asarray(coordinates, dtype=np.float64)
        places = places[:, None] if places.ndim == 1 else places
        if len(places) != n:
            raise ValueError(f"coordinates has {len(places)} rows, but the factors have {n}.")
        return places, everything, None
    if coordinates is not None:
        raise TypeError("coordinates is given although the AnnData holds them; leave it out.")
    found, samples = read_places(source, key)
    if found is None:
        raise ValueError(f"key={key!r} was fitted to rows without coordinates: there is no map.")
    if samples is None:
        if sample is not None:
            raise ValueError(f"sample={sample!r}: the fit has no sample_key, and thus one slide.")
        return found, everything, None
    known = sorted(set(samples))
    if sample is None and len(known) == 1:
        sample = known[0]
    if sample is None or str(sample) not in known:
        raise ValueError(f"sample={sample!r} is not one of the slides; pass one of {known}.")
    rows = samples == str(sample)
    return found[rows], rows, str(sample)


def _values(fit: FittedSpatialFactors, uncertainty: bool | str) -> tuple[Float64Array, str]:
    """What is drawn, (N, L), and what to call it."""
    if uncertainty == "relative":
        fit.need_nonnegative("The relative standard deviation")
        return fit.deviations / np.maximum(fit.factors, np.finfo(float).tiny), "sd / mean"
    return (fit.deviations, "sd") if uncertainty else (fit.factors, "")


def _title(fit: FittedSpatialFactors, k: int) -> str:
    parts = [f"factor {k}"]
    if fit.n_spatial < fit.n_factors and k >= fit.n_spatial:
        parts.append("nonspatial")
    if fit.moran is not None:
        parts.append(f"I = {fit.moran[k]:.2f}")
    return ", ".join(parts)

"""Which features make up the axes of a component."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim._validation import check_positive_int
from lowdim.get._fitted_factors import is_factorization
from lowdim.get._record import has_factors
from lowdim.pl._colors import PALETTE
from lowdim.pl._factor_loadings import factor_loadings
from lowdim.pl._figure import check_axes, grid_of_axes, one_axes
from lowdim.pl._fitted import FittedSubspaces, read_fit, read_loadings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lowdim._typing import Float64Array, IntArray

_POSITIVE, _NEGATIVE = PALETTE[1], PALETTE[0]


def loadings(
    model_or_adata: Any,
    component: int | None = None,
    axis: int | None = None,
    n_genes: int = 12,
    *,
    key: str = "subspaces",
    ax: Any = None,
) -> Any:
    """Draw the features that load most on the axes of a component, or on factors.

    Half of the bars are the largest positive loadings and half the largest negative ones, as
    far as there are any; the other sign fills what is missing. Genes of a nonnegative factor are
    those that mark it most, as in `lowdim.get.top_genes`: bars are their shares of the factor's
    rate, and the numbers beside them the factor's share of theirs.

    Parameters
    ----------
    model_or_adata
        A fitted `SubspaceMixture`, or an AnnData after `lowdim.tl.subspaces`, whose genes are
        the features where it knows the way back to them; a fitted estimator of factors, or an
        AnnData after `lowdim.tl.spatial_factors`.
    component
        Which component, 0 to K - 1, or which factor; by default all factors.
    axis
        Which of the component's axes, 0 to d - 1, by decreasing variance; by default all of them.
    n_genes
        The number of bars.
    key
        With an AnnData: the `key_added` of the fit.
    ax
        Where to draw: an Axes, or d of them if `axis` is None, or one for each factor; by default
        in a new figure.

    Returns
    -------
    The Axes for a single `axis` or factor, otherwise an array of them.

    Raises
    ------
    TypeError, ValueError
        An argument cannot be used, the fit is not there, or the component has no axes.
    """
    n_genes = check_positive_int(n_genes, "n_genes")
    if is_factorization(model_or_adata) or has_factors(model_or_adata, key):
        if axis is not None:
            raise TypeError(f"axis={axis!r} is for subspaces; a factor has no axes.")
        return factor_loadings(model_or_adata, component, n_genes, key, ax)
    fit = read_fit(model_or_adata, key)
    component = _check_number(component, "component", fit.n_components, "components")
    d = int(fit.dims[component])
    if d == 0:
        lines = np.flatnonzero(fit.dims > 0).tolist()
        raise ValueError(
            f"component={component} is a point (d = 0) and has no axes; those that have some are "
            f"{lines}."
        )
    names, bases = read_loadings(model_or_adata, key, fit)
    height = 1.0 + 0.24 * min(n_genes, len(names))
    if axis is not None:
        axis = _check_number(axis, "axis", d, f"axes of component {component}")
        panel = one_axes(ax, figsize=(4.5, height))
        _draw_axis(panel, fit, component, axis, names, bases[component][axis], n_genes)
        return panel
    panels = _panels(ax, d, height)
    for i, panel in enumerate(panels):
        _draw_axis(panel, fit, component, i, names, bases[component][i], n_genes)
    return panels


def top_features(values: Float64Array, n: int) -> IntArray:
    """Numbers of the `n` features with the largest loadings of either sign, descending."""
    order = np.argsort(-values, kind="stable")
    n_positive, n_negative = int((values > 0).sum()), int((values < 0).sum())
    head = min(n_positive, max(n - n // 2, n - n_negative))
    tail = min(n_negative, n - head)
    return np.concatenate([order[:head], order[len(order) - tail :]])


def _panels(ax: Any, d: int, height: float) -> np.ndarray:
    """One Axes for each of d axes, (d,)."""
    if ax is None:
        columns = min(d, 3)
        size = (3.6 * columns, height * -(-d // columns))
        return grid_of_axes(d, n_columns=columns, figsize=size)
    given = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
    if len(given) != d:
        raise ValueError(
            f"ax has {len(given)} Axes, but the component has {d} axes; pass as many, or choose "
            "one axis."
        )
    for one in given:
        check_axes(one)
    return given


def _draw_axis(
    ax: Axes,
    fit: FittedSubspaces,
    component: int,
    axis: int,
    names: list[str],
    values: Float64Array,
    n_genes: int,
) -> None:
    """The bars of one axis, the largest on top."""
    draw_signed_bars(ax, names, values, n_genes)
    latent = fit.latent_variances[component]
    share = latent[axis] / latent.sum()
    ax.set_title(f"component {component}, axis {axis} ({share:.0%})", fontsize="medium")


def draw_signed_bars(ax: Axes, names: list[str], values: Float64Array, n_genes: int) -> None:
    """The features with the largest loadings of either sign, the largest on top."""
    top = top_features(values, n_genes)
    colors = [_POSITIVE if value > 0 else _NEGATIVE for value in values[top]]
    ax.barh(np.arange(len(top)), values[top], color=colors, height=0.75)
    ax.set_yticks(np.arange(len(top)), [names[j] for j in top])
    ax.invert_yaxis()
    ax.axvline(0, color="0.3", linewidth=0.8)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_xlabel("loading")


def _check_number(value: Any, name: str, n: int, what: str) -> int:
    number = check_positive_int(value, name, minimum=0)
    if number >= n:
        raise ValueError(f"{name}={value} is not one of the {n} {what}; pass 0 to {n - 1}.")
    return number

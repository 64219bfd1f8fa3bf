"""The report's figures as images in the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib
from matplotlib.figure import Figure

from lowdim import pl
from lowdim.get._fitted_factors import read_places
from lowdim.pl._heatmap import draw_shares
from lowdim.pl._tissue import panel_size, tissue_of

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


_DPI = 144
_CSS_PIXELS = 96
_PAGE = 10.2
"""Width of the text in inches."""

_STYLE: dict[Any, Any] = {
    "font.size": 9.0,
    "axes.titlesize": 9.0,
    "axes.edgecolor": "#555555",
    "axes.labelcolor": "#222222",
    "legend.fontsize": 8.5,
}


@dataclass(frozen=True)
class Picture:
    """An image in the page.

    Attributes
    ----------
    source
        A data URI.
    width
        In CSS pixels, at which it was drawn.
    alt
        What it shows, for those who cannot see it.
    """

    source: str
    width: int
    alt: str


@contextmanager
def style() -> Iterator[None]:
    """The report's style, whatever the user has set; put back afterwards."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def scatter(adata: AnnData, key: str, color: str = "component") -> Picture:
    """Rows in two dimensions with the subspaces, by component or by a column of `obs`."""
    what = "component" if color == "component" else f"the column {color}"
    return drawn(
        lambda ax: pl.subspaces(adata, key=key, color=color, ax=ax),
        (6.4, 6.0),
        f"Scatter plot of the rows in two dimensions, coloured by {what}, with the subspaces "
        "drawn as points, lines and ellipses.",
    )


def solid(adata: AnnData, key: str) -> Picture:
    """Rows in three dimensions, for where scripts do not run."""
    return drawn(
        lambda ax: pl.subspaces(adata, key=key, ax=ax),
        (6.2, 5.4),
        "Scatter plot of the rows in three dimensions with the subspaces.",
        projection="3d",
    )


def responsibilities(adata: AnnData, key: str, n_components: int) -> Picture:
    """The probability of each component for all rows."""
    return drawn(
        lambda ax: pl.responsibilities(adata, key=key, ax=ax),
        (7.5, 1.6 + 0.3 * n_components),
        "Heat map of the probability of each component for all rows, sorted by component.",
    )


def composition(adata: AnnData, key: str, labels: str, n_components: int, n_labels: int) -> Picture:
    """The share of each label in each component."""
    return drawn(
        lambda ax: pl.composition(adata, key, labels, ax=ax),
        (4.0 + 0.42 * n_labels, 2.4 + 0.32 * n_components),
        f"Heat map of the share of each value of {labels} among the rows of each component.",
    )


def selection(adata: AnnData, key: str) -> Picture:
    """The criterion of all mixtures of a search."""
    return drawn(
        lambda ax: pl.selection(adata, key=key, ax=ax),
        (7.5, 4.2),
        "Plot of the criterion of every mixture that was tried against the number of components.",
    )


def elbow(adata: AnnData, key: str) -> Picture:
    """The criterion of every number of components."""
    return drawn(
        lambda ax: pl.elbow(adata, key=key, ax=ax),
        (6.4, 3.6),
        "Plot of the criterion against the number of components, with the number chosen.",
    )


def convergence(adata: AnnData, key: str, *, searched: bool) -> Picture:
    """The objective at each step, and where the restarts ended; or the runs of a search."""
    return drawn(
        lambda ax: pl.convergence(adata, key=key, ax=ax),
        (6.4, 3.4),
        "Plot of the BIC of every run of the search, in order, and of the best so far."
        if searched
        else "Plot of the objective at each step of the best run, and where the others ended.",
    )


def convergence_of_factors(adata: AnnData, key: str) -> Picture:
    """The bound after every round."""
    return drawn(
        lambda ax: pl.convergence(adata, key=key, ax=ax),
        (6.4, 3.4),
        "Plot of the bound on the log-likelihood per row after every round.",
    )


def maps(
    adata: AnnData, key: str, numbers: list[int], sample: str | None, axes: tuple[int, int] | None
) -> Picture:
    """Spatial factors on the tissue, of a slide if there are several."""
    places, _ = read_places(adata, key)
    size = (4.2, 2.2)
    if places is not None and places.shape[1] > 1:
        size = panel_size(tissue_of(places, adata, sample, axes))
    return drawn_panels(
        lambda ax: pl.spatial_factors(
            adata, key=key, factors=numbers, sample=sample, axes=axes, ax=ax
        ),
        len(numbers),
        max(1, int(_PAGE // size[0])),
        size,
        "Maps of the factors, one panel each, coloured by their value at every place.",
    )


def genes_of_factors(adata: AnnData, key: str, n_factors: int) -> Picture:
    """Bars of the genes that mark each factor."""
    return drawn_panels(
        lambda ax: pl.loadings(adata, n_genes=8, key=key, ax=ax),
        n_factors,
        4,
        (2.5, 2.2),
        "Bars of the genes that mark each factor, with their share of the factor's rate.",
    )


def importance(adata: AnnData, key: str, axes: tuple[int, int] | None) -> Picture:
    """Spatial importance of genes and rows."""
    return drawn_panels(
        lambda ax: pl.spatial_importance(adata, key=key, axes=axes, ax=ax),
        2,
        2,
        (4.2, 3.4),
        "Spatial importance of the genes in their order, and of the rows on the map.",
    )


def goodness(adata: AnnData, key: str, n_panels: int, axes: tuple[int, int] | None) -> Picture:
    """Observed against expected counts, and the deviance of genes and rows."""
    return drawn_panels(
        lambda ax: pl.goodness_of_fit(adata, key=key, axes=axes, ax=ax),
        n_panels,
        3,
        (3.4, 3.0),
        "Observed against expected counts, and the mean deviance of each gene and row.",
    )


def factors_by_label(shares: pd.DataFrame, labels: str) -> Picture:
    """Mean share of each factor in the rows of each label."""
    lines, columns = [str(name) for name in shares.index], list(shares.columns)

    def draw(ax: Any) -> None:
        draw_shares(ax, shares.to_numpy(), lines, columns, "mean share of the rate")
        ax.set_xlabel("factor")

    return drawn(
        draw,
        (3.0 + 0.42 * len(columns), 1.6 + 0.3 * len(lines)),
        f"Heat map of the mean share of each factor in the rate of rows, by {labels}.",
    )


def drawn_panels(
    draw: Callable[[Any], Any], n: int, n_columns: int, size: tuple[float, float], alt: str
) -> Picture:
    """Draw on n Axes of a figure that pyplot does not know."""
    columns = min(n, n_columns)
    lines = -(-n // columns)
    figure = Figure(figsize=(size[0] * columns, size[1] * lines), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False).ravel()
    for empty in grid[n:]:
        empty.remove()
    draw(grid[:n])
    return _encode(figure, alt)


def drawn(
    draw: Callable[[Any], Any],
    size: tuple[float, float],
    alt: str,
    projection: str | None = None,
) -> Picture:
    """Draw on the only Axes of a figure that pyplot does not know."""
    figure = Figure(figsize=size)
    draw(figure.add_subplot(projection=projection))
    return _encode(figure, alt)


def _encode(figure: Figure, alt: str) -> Picture:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, bbox_inches="tight", pad_inches=0.05)
    data = buffer.getvalue()
    width = int.from_bytes(data[16:20], "big")  # of the image header
    source = "data:image/png;base64," + base64.b64encode(data).decode("ascii")
    return Picture(source, round(width * _CSS_PIXELS / _DPI), alt)

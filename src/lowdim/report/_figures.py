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

if TYPE_CHECKING:
    from anndata import AnnData


_DPI = 144
_CSS_PIXELS = 96

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
    return _picture(
        lambda ax: pl.subspaces(adata, key=key, color=color, ax=ax),
        (6.4, 6.0),
        f"Scatter plot of the rows in two dimensions, coloured by {what}, with the subspaces "
        "drawn as points, lines and ellipses.",
    )


def solid(adata: AnnData, key: str) -> Picture:
    """Rows in three dimensions, for where scripts do not run."""
    return _picture(
        lambda ax: pl.subspaces(adata, key=key, ax=ax),
        (6.2, 5.4),
        "Scatter plot of the rows in three dimensions with the subspaces.",
        projection="3d",
    )


def responsibilities(adata: AnnData, key: str, n_components: int) -> Picture:
    """The probability of each component for all rows."""
    return _picture(
        lambda ax: pl.responsibilities(adata, key=key, ax=ax),
        (7.5, 1.6 + 0.3 * n_components),
        "Heat map of the probability of each component for all rows, sorted by component.",
    )


def composition(adata: AnnData, key: str, labels: str, n_components: int, n_labels: int) -> Picture:
    """The share of each label in each component."""
    return _picture(
        lambda ax: pl.composition(adata, key, labels, ax=ax),
        (4.0 + 0.42 * n_labels, 2.4 + 0.32 * n_components),
        f"Heat map of the share of each value of {labels} among the rows of each component.",
    )


def selection(adata: AnnData, key: str) -> Picture:
    """The criterion of all mixtures of a search."""
    return _picture(
        lambda ax: pl.selection(adata, key=key, ax=ax),
        (7.5, 4.2),
        "Plot of the criterion of every mixture that was tried against the number of components.",
    )


def elbow(adata: AnnData, key: str) -> Picture:
    """The criterion of every number of components."""
    return _picture(
        lambda ax: pl.elbow(adata, key=key, ax=ax),
        (6.4, 3.6),
        "Plot of the criterion against the number of components, with the number chosen.",
    )


def convergence(adata: AnnData, key: str, *, searched: bool) -> Picture:
    """The objective at each step, and where the restarts ended; or the runs of a search."""
    return _picture(
        lambda ax: pl.convergence(adata, key=key, ax=ax),
        (6.4, 3.4),
        "Plot of the BIC of every run of the search, in order, and of the best so far."
        if searched
        else "Plot of the objective at each step of the best run, and where the others ended.",
    )


def _picture(
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

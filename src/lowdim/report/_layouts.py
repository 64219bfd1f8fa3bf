"""Layouts of the same rows, as a report on subspaces shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lowdim import pl
from lowdim.embedding.methods import title_of
from lowdim.get._embedding_quality import fitted_matrix, has_layout, layout_record
from lowdim.report._components import component_colors
from lowdim.report._data import matrix_name
from lowdim.report._figures import Picture, drawn

if TYPE_CHECKING:
    from anndata import AnnData

    from lowdim.pl._fitted import FittedSubspaces

_LINEAR = ("pca", "kernel_pca")
"""Methods whose picture is, or is like, that of the leading directions."""

_SIZE = (6.4, 5.6)
"""Of a picture in inches."""


@dataclass(frozen=True)
class ShownLayout:
    """A layout that `lowdim.tl.embed` made.

    Attributes
    ----------
    method
        What pictures call it.
    matrix
        What it was made from.
    by_component, by_label
        The second is None without labels.
    """

    method: str
    matrix: str
    by_component: Picture
    by_label: Picture | None


def layouts(
    adata: AnnData, fit: FittedSubspaces, key: str, labels: str | None
) -> list[ShownLayout]:
    """All layouts of the rows but linear ones, coloured by component and by label."""
    colors = component_colors(fit)
    own = dict(zip(map(str, adata.obs[key].cat.categories), colors, strict=False))
    shown = []
    for name in adata.obsm:
        record: Any = layout_record(adata, name) if has_layout(adata, name) else None
        if record is None or record["method"] in _LINEAR:
            continue
        method = title_of(str(record["method"]))
        shown.append(
            ShownLayout(
                method,
                matrix_name(fitted_matrix(adata, name)),
                _picture(adata, name, method, key, "component", own),
                None if labels is None else _picture(adata, name, method, labels, labels, None),
            )
        )
    return shown


def _picture(
    adata: AnnData, name: str, method: str, column: str, what: str, colors: Any
) -> Picture:
    def draw(ax: Any) -> None:
        pl.embedding(adata, column, basis=name, palette=colors, ax=ax)
        ax.set_title("")

    return drawn(draw, _SIZE, f"A {method} layout of the rows, coloured by {what}.")

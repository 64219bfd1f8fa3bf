"""What each component is, and which genes make it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim import get
from lowdim._keys import MixtureKeys
from lowdim.pl._colors import MISSING, palette
from lowdim.pl._fitted import FittedSubspaces, read_loadings
from lowdim.pl._loadings import top_features
from lowdim.report._text import kind

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from lowdim._typing import Float64Array

_N_MARKERS = 12
_N_LOADINGS = 10


@dataclass(frozen=True)
class Gene:
    """A gene and how much it says: a difference in standard deviations, or a loading."""

    name: str
    value: float


@dataclass(frozen=True)
class Axis:
    """An axis of a component.

    Attributes
    ----------
    share
        Of the variance within the subspace.
    sd
        Standard deviation of the rows along it.
    features
        Those with the largest loadings of either sign, descending.
    """

    share: float
    sd: float
    features: list[Gene]


@dataclass(frozen=True)
class Component:
    """A component as the report shows it.

    Attributes
    ----------
    name, color, kind, dim
        Number, colour in all figures, words for its dimension, and the dimension.
    size, share_of_rows, weight
        Rows assigned to it, their share, and its mixing proportion.
    noise_sd, share_in_subspace, mean_probability
        Standard deviation per direction off the subspace; share of its variance along its axes;
        mean probability of the component for its rows.
    majority, purity
        The most frequent label and its share; None without labels.
    markers
        Genes whose mean is highest above that of the other components, in standard deviations.
    axes
        By decreasing variance.
    """

    name: str
    color: str
    kind: str
    dim: int
    size: int
    share_of_rows: float
    weight: float
    noise_sd: float
    share_in_subspace: float
    mean_probability: float
    majority: str | None
    purity: float | None
    markers: list[Gene]
    axes: list[Axis]

    @property
    def largest_loading(self) -> float:
        """The length of the longest bar."""
        values = [abs(gene.value) for axis in self.axes for gene in axis.features]
        return max(values, default=0.0) or 1.0


def describe(adata: AnnData, fit: FittedSubspaces, key: str, labels: str | None) -> list[Component]:
    """All components of a fit in their order."""
    table = get.components(adata, key, labels=labels)
    marker_lists = marker_genes(adata, key)
    names, bases = read_loadings(adata, key, fit)
    colors = component_colors(fit)
    return [
        Component(
            name=name,
            color=colors[k],
            kind=kind(row["dim"], uniform=bool(fit.is_uniform[k])),
            dim=int(row["dim"]),
            size=int(row["size"]),
            share_of_rows=row["size"] / adata.n_obs,
            weight=row["weight"],
            noise_sd=float(np.sqrt(row["noise_variance"])),
            share_in_subspace=row["share_in_subspace"],
            mean_probability=row["mean_probability"],
            majority=label_text(row.get("majority")),
            purity=row.get("purity"),
            markers=marker_lists.get(name, []),
            axes=_axes(names, bases[k], fit.latent_variances[k]),
        )
        for k, (name, row) in enumerate(records(table))
    ]


def component_colors(fit: FittedSubspaces) -> list[str]:
    """The colour of each component, as in the figures."""
    colors = palette(fit.n_components)
    return [MISSING if out else color for color, out in zip(colors, fit.is_uniform, strict=True)]


def records(table: pd.DataFrame) -> list[tuple[str, dict[str, Any]]]:
    """Name and columns of each component."""
    return [
        (str(name), {column: table[column].iloc[k] for column in table.columns})
        for k, name in enumerate(table.index)
    ]


def label_text(value: Any) -> str | None:
    """A label as text; None where a component has no labelled row."""
    return None if value is None or value != value else str(value)


def marker_genes(adata: AnnData, key: str) -> dict[str, list[Gene]]:
    """Markers by component; none if there is one component or no expression to read."""
    by, value = "mean", "difference"
    if MixtureKeys(key).fold_changes in adata.varm:
        by, value = "fold_change", "log2_fold_change"
    try:
        table = get.top_genes(adata, key, n_genes=_N_MARKERS, by=by)
    except (TypeError, ValueError):
        return {}
    table = table[table[value] > 0]
    return {
        str(name): _genes(part["gene"], part[value].to_numpy())
        for name, part in table.groupby("component")
    }


def _axes(names: list[str], basis: Float64Array, variances: Float64Array) -> list[Axis]:
    """The features of each axis of a component, and what share of its variance the axis has."""
    axes = []
    for values, variance in zip(basis, variances, strict=True):
        top = top_features(values, _N_LOADINGS)
        axes.append(
            Axis(
                share=float(variance / variances.sum()),
                sd=float(np.sqrt(variance)),
                features=_genes([names[j] for j in top], values[top]),
            )
        )
    return axes


def _genes(names: Any, values: Any) -> list[Gene]:
    return [Gene(str(name), float(value)) for name, value in zip(names, values, strict=True)]

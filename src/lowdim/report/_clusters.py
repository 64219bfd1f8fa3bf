"""Clusters and mixtures other than of subspaces, as the report shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim import get
from lowdim._keys import MixtureKeys
from lowdim.data.columns import column
from lowdim.get._record import find_mixture
from lowdim.pl._fitted import read_fit, read_rows
from lowdim.report import _figures
from lowdim.report._agreement import Agreement, compare
from lowdim.report._components import (
    Gene,
    component_colors,
    label_text,
    marker_genes,
    records,
)
from lowdim.report._data import matrix_name
from lowdim.report._trust import CRITERIA, Convergence, cautions, describe_convergence

if TYPE_CHECKING:
    from anndata import AnnData

    from lowdim.pl._fitted import FittedSubspaces

_MODELS = {
    "kmeans": "k-means",
    "soft_kmeans": "soft k-means",
    "gaussian": "Gaussian mixture",
    "negative_binomial": "negative-binomial mixture",
}
_MARKERS = {
    "negative_binomial": "the log2 fold change; they are ranked by its ratio to its standard error"
}
_MOST_COLUMNS = 500
"""Columns up to which Gaussians are drawn: the axes of their covariances cost their cube."""

ADVICE = {
    "negative_binomial": "Values are counts, such as those of unique molecules, and not "
    "normalised: the model has size factors for the depth of each row."
}
"""What data suit a family; Gaussian noise otherwise."""


@dataclass(frozen=True)
class Row:
    """A cluster or component; see `lowdim.report._components.Component`."""

    name: str
    color: str
    size: int
    share_of_rows: float
    weight: float
    mean_probability: float | None
    majority: str | None
    purity: float | None
    markers: list[Gene]


@dataclass(frozen=True)
class Clustering:
    """A fit of `lowdim.tl.mixture`.

    Attributes
    ----------
    key, anchor
        Its `key_added`, and what to call its place in the page.
    model, part, parts
        What it is, and what its groups are called.
    matrix
        What was fitted.
    selection, sizes
        What its size was chosen by, and from which; None and "" if it was given.
    rows
        Its groups.
    has_probabilities
        Whether rows have probabilities.
    marker_words
        The unit of the markers.
    agreement
        With known labels.
    ari_with_main
        Adjusted Rand index between it and the fit that the report is about; None if it is that.
    course
        How the fit went.
    cautions
        What limits conclusions.
    figures
        By name; None where there is nothing to draw.
    """

    key: str
    anchor: str
    model: str
    part: str
    parts: str
    matrix: str
    selection: str | None
    sizes: str
    rows: list[Row]
    has_probabilities: bool
    marker_words: str
    agreement: Agreement | None
    ari_with_main: float | None
    course: Convergence
    cautions: list[str]
    figures: dict[str, Any]


def mixture_keys(adata: AnnData) -> list[str]:
    """The `key_added` of every fit of `lowdim.tl.mixture` whose labels are still there."""
    return [
        name
        for name, record in adata.uns.items()
        if isinstance(record, Mapping) and record.get("family") in _MODELS and name in adata.obs
    ]


def describe_clusters(
    adata: AnnData, key: str, labels: str | None, *, anchor: str = "clustering", main: str = ""
) -> Clustering:
    """Gather what the report says of a fit, and compare it with the fit under `main`, if any."""
    from sklearn.metrics import adjusted_rand_score

    record: Any = find_mixture(adata, key)
    fit = read_fit(adata, key)
    source = read_rows(adata, None, key, fit)
    family = str(record["family"])
    agreement = None
    if labels is not None:
        agreement = compare(adata, source if family == "gaussian" else None, key, labels)
    course = describe_convergence(fit, bool(record["converged"]), source.n_rows)
    selection, sizes, largest = _choice(adata, key)
    part = "cluster" if "cluster_centers" in record else "component"
    said = cautions(fit, course, None, agreement, bool(record.get("degenerate", False)))
    if fit.n_components == largest:
        said.append(
            f"The number of {part}s chosen, {largest}, is the largest that was tried; more may be "
            "better still."
        )
    return Clustering(
        key=key,
        anchor=anchor,
        model=_MODELS[family],
        part=part,
        parts=f"{part}s",
        matrix=matrix_name(record["params"]),
        selection=selection,
        sizes=sizes,
        rows=_rows(adata, fit, key, labels),
        has_probabilities=MixtureKeys(key).probabilities in adata.obsm,
        marker_words=_MARKERS.get(family, "the difference of means in standard deviations"),
        agreement=agreement,
        ari_with_main=(
            float(adjusted_rand_score(*(column(adata.obs, own).astype(str) for own in (main, key))))
            if main
            else None
        ),
        course=course,
        cautions=said,
        figures=_draw(adata, fit, key, labels, agreement, selection, alone=not main),
    )


def _choice(adata: AnnData, key: str) -> tuple[str | None, str, int]:
    """What decided on the number of groups, from which, and the largest of them."""
    if MixtureKeys(key).selection not in adata.uns:
        return None, "", 0
    table = get.selection(adata, key)
    sizes = table["n_components"].tolist()
    following = sizes == list(range(sizes[0], sizes[-1] + 1)) and len(sizes) > 2
    text = f"{sizes[0]} to {sizes[-1]}" if following else ", ".join(map(str, sizes))
    return CRITERIA[table.attrs["criterion"]], text, int(sizes[-1])


def _rows(adata: AnnData, fit: FittedSubspaces, key: str, labels: str | None) -> list[Row]:
    markers = marker_genes(adata, key)
    colors = component_colors(fit)
    return [
        Row(
            name=name,
            color=colors[k],
            size=int(row["size"]),
            share_of_rows=row["size"] / adata.n_obs,
            weight=row["weight"],
            mean_probability=row.get("mean_probability"),
            majority=label_text(row.get("majority")),
            purity=row.get("purity"),
            markers=markers.get(name, []),
        )
        for k, (name, row) in enumerate(records(get.components(adata, key, labels=labels)))
    ]


def _draw(
    adata: AnnData,
    fit: FittedSubspaces,
    key: str,
    labels: str | None,
    agreement: Agreement | None,
    selection: str | None,
    *,
    alone: bool,
) -> dict[str, Any]:
    """All figures that are shown; the course of the fit only where it stands alone."""
    has_place = bool(np.isfinite(fit.noise_variances).all())
    has_place &= 2 <= fit.n_columns <= _MOST_COLUMNS
    with _figures.style():
        return {
            "scatter": _figures.scatter(adata, key) if has_place else None,
            "composition": (
                None
                if labels is None or agreement is None
                else _figures.composition(adata, key, labels, fit.n_components, agreement.n_labels)
            ),
            "selection": None if selection is None else _figures.elbow(adata, key),
            "convergence": _figures.convergence(adata, key, searched=False) if alone else None,
        }

"""Everything that the template shows, gathered from an AnnData."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim._keys import SubspaceKeys
from lowdim._version import __version__
from lowdim.get._embedding_quality import has_layout, layout_record
from lowdim.get._record import find_factors, find_fit, has_factors
from lowdim.get._sample_distances import has_distances
from lowdim.pl._fitted import read_fit, read_rows
from lowdim.report import _figures, _text
from lowdim.report._agreement import compare
from lowdim.report._clusters import ADVICE, describe_clusters, mixture_keys
from lowdim.report._components import describe
from lowdim.report._data import GAUSSIAN_NOISE, summarize
from lowdim.report._embedding import describe_embedding
from lowdim.report._factors import describe_factors
from lowdim.report._layouts import ShownLayout, layouts
from lowdim.report._samples import describe_samples
from lowdim.report._trust import cautions, describe_convergence, describe_selection, matches
from lowdim.report._view3d import MAX_POINTS, SD, scene

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anndata import AnnData

    from lowdim._keys import SubspaceRecord
    from lowdim.pl._fitted import FittedSubspaces

_PACKAGES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "torch",
    "anndata",
    "pandas",
    "matplotlib",
)


def gather(adata: AnnData, key: str, labels: str | None, title: str | None) -> dict[str, Any]:
    """The content of a report, and the name of its template; see `lowdim.report.write`."""
    of_factors, of_samples = has_factors(adata, key), has_distances(adata, key)
    of_layout = has_layout(adata, key)
    if of_samples:
        record: Any = adata.uns[key]
    elif of_layout:
        record = layout_record(adata, key)
    else:
        record = find_factors(adata, key) if of_factors else find_fit(adata, key)
    content = {
        "key": key,
        "labels": labels,
        "random_state": record["params"].get("random_state"),
        "params": _parameters(record["params"]),
        "versions": _versions(str(record["version"])),
        "written": datetime.now(UTC).strftime("%d %B %Y, %H:%M UTC"),
    }
    if of_samples:
        return {**content, **describe_samples(adata, key, labels, title)}
    if of_layout:
        return {**content, **describe_embedding(adata, key, labels, title)}
    if of_factors:
        return {**content, **describe_factors(adata, key, labels, title)}
    if "bases" in record:
        return {**content, **_subspaces(adata, record, key, labels, title)}
    return {**content, **_clusters(adata, record, key, labels, title)}


def _subspaces(
    adata: AnnData, record: SubspaceRecord, key: str, labels: str | None, title: str | None
) -> dict[str, Any]:
    """What a report on subspaces says, and beside them on other clusterings of the same rows."""
    fit = read_fit(adata, key)
    source = read_rows(adata, None, key, fit)
    agreement = None if labels is None else compare(adata, source, key, labels)
    components = describe(adata, fit, key, labels)
    course = describe_convergence(fit, bool(record["converged"]), source.n_rows)
    selection = describe_selection(adata, key)
    params = dict(record["params"])
    current = selection is not None and matches(adata, selection, key)
    return {
        "template": "subspaces.html",
        "title": title or _title(fit, source.n_rows, "subspace"),
        "data": summarize(adata, source, params),
        "advice": GAUSSIAN_NOISE,
        "dims": fit.dims.tolist(),
        "components": components,
        "has_genes": SubspaceKeys(key).loadings in adata.varm,
        "gene_means": params.get("gene_means"),
        "criteria": dict(record["criteria"]),
        "course": course,
        "selection": selection,
        "selection_is_current": current,
        "agreement": agreement,
        "cautions": cautions(
            fit, course, selection if current else None, agreement, bool(record["degenerate"])
        ),
        "figures": _draw(adata, fit, key, labels, agreement.n_labels if agreement else 0),
        "layouts": _layouts(adata, fit, key, labels),
        "scene": scene(adata, source, fit, components, key, labels),
        "max_points": MAX_POINTS,
        "sd": SD,
        "search": _pairs(record.get("search", {})),
        "clusters": [
            describe_clusters(adata, other, labels, anchor=f"clustering-{i}", main=key)
            for i, other in enumerate(mixture_keys(adata))
        ],
    }


def _clusters(
    adata: AnnData, record: Any, key: str, labels: str | None, title: str | None
) -> dict[str, Any]:
    """What a report on clusters or another mixture says."""
    clustering = describe_clusters(adata, key, labels)
    fit = read_fit(adata, key)
    source = read_rows(adata, None, key, fit)
    return {
        "template": "clusters.html",
        "title": title or _title(fit, source.n_rows, clustering.part),
        "data": summarize(adata, source, record["params"]),
        "advice": ADVICE.get(record["family"], GAUSSIAN_NOISE),
        "clustering": clustering,
        "criteria": record.get("criteria"),
        "cautions": clustering.cautions,
    }


def _title(fit: FittedSubspaces, n_rows: int, part: str) -> str:
    return f"{_text.count(fit.n_components, part)} in {_text.count(n_rows, 'row')}"


def _draw(
    adata: AnnData, fit: FittedSubspaces, key: str, labels: str | None, n_labels: int
) -> dict[str, Any]:
    """All figures; those for which there is nothing to draw are None."""
    has_plane = fit.n_columns >= 2
    with _figures.style():
        return {
            "scatter": _figures.scatter(adata, key) if has_plane else None,
            "by_label": (
                _figures.scatter(adata, key, labels) if labels is not None and has_plane else None
            ),
            "solid": _figures.solid(adata, key) if fit.n_columns >= 3 else None,
            "responsibilities": _figures.responsibilities(adata, key, fit.n_components),
            "composition": (
                _figures.composition(adata, key, labels, fit.n_components, n_labels)
                if labels is not None
                else None
            ),
            "selection": (
                _figures.selection(adata, key) if SubspaceKeys(key).selection in adata.uns else None
            ),
            "convergence": _figures.convergence(adata, key, searched=len(fit.search_trace) > 0),
        }


def _layouts(
    adata: AnnData, fit: FittedSubspaces, key: str, labels: str | None
) -> list[ShownLayout]:
    with _figures.style():
        return layouts(adata, fit, key, labels)


def _parameters(params: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values of the parameters, by name."""
    hidden = {"gene_means", "verbose"}
    if isinstance(params.get("dims"), np.ndarray):
        hidden.add("n_components")  # a list of dimensions overrides it
    return _pairs({name: value for name, value in params.items() if name not in hidden})


def _pairs(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, _text.parameter(value)) for name, value in sorted(values.items())]


def _versions(fitted_with: str) -> list[tuple[str, str]]:
    """Versions of what fitted and what wrote."""
    found = [
        ("lowdim, of the fit", fitted_with),
        ("lowdim, of this report", __version__),
        ("Python", platform.python_version()),
    ]
    for name in _PACKAGES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return [*found, ("system", platform.platform(terse=True))]

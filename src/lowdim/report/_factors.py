"""What a report on spatial factors says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim import get
from lowdim.data import as_rows
from lowdim.data.columns import column
from lowdim.get._fit_quality import FitQuality, fit_quality
from lowdim.get._fitted_factors import FittedSpatialFactors, read_factors, read_places
from lowdim.get._record import find_factors
from lowdim.report import _figures, _text
from lowdim.report._components import Gene
from lowdim.report._data import summarize

if TYPE_CHECKING:
    from anndata import AnnData

_MODELS = {
    "nsf": "nonnegative spatial factorization",
    "nsfh": "nonnegative spatial factorization, hybrid",
    "rsf": "real-valued spatial factorization",
    "pnmf": "probabilistic nonnegative factorization",
    "fa": "factor analysis",
    "mefisto": "factor analysis with spatial factors",
}
_NOISE = {
    "poisson": "Poisson",
    "negative_binomial": "negative-binomial",
    "gaussian": "Gaussian",
}
_COUNTS = (
    "Values are counts, such as those of unique molecules, and not normalised: size factors, if "
    "there are any, are part of the model."
)
_VALUES = "Values are on a scale on which Gaussian noise makes sense, and not raw counts."

_N_GENES = 12
_MOST_SLIDES = 6
"""Slides of which maps are drawn."""

_NEGLIGIBLE = 0.005
"""Share of the rate below which a factor says next to nothing."""

_ROUGH = 0.1
"""Moran's I below which a spatial factor is hardly smooth."""

_THIN = 0.01
"""Size factor below which a row says next to nothing, as a share of the median."""

_OVERDISPERSED = 2.0
"""Variance over that of the model from which another likelihood is called for."""


@dataclass(frozen=True)
class Factor:
    """A factor as the report shows it; see `lowdim.get.factors`."""

    name: str
    kind: str
    moran: float | None
    share: float
    n_genes: int
    relative_sd: float
    genes: list[Gene]


def describe_factors(
    adata: AnnData, key: str, labels: str | None, title: str | None
) -> dict[str, Any]:
    """Everything that the template shows of factors.

    Raises
    ------
    ValueError
        `labels` is no column of `obs`.
    """
    if labels is not None and labels not in adata.obs:
        raise ValueError(
            f"labels={labels!r} is not in adata.obs, which has {sorted(adata.obs.columns)}."
        )
    record, fit = find_factors(adata, key), read_factors(adata, key)
    source = as_rows(adata, layer=record["params"].get("layer"))
    quality = fit_quality(adata, key)
    hybrid = fit.nonnegative and 0 < fit.n_spatial < fit.n_factors
    n_factors = _text.count(fit.n_factors, "factor")
    return {
        "template": "factors.html",
        "title": title or f"{n_factors} in {_text.count(adata.n_obs, 'row')}",
        "model": _MODELS.get(record["model"], record["model"]),
        "data": summarize(adata, source, record["params"]),
        "advice": _VALUES if fit.likelihood == "gaussian" else _COUNTS,
        "factors": _rows(adata, key, fit),
        "n_spatial": fit.n_spatial,
        "nonnegative": fit.nonnegative,
        "likelihood": _NOISE[fit.likelihood],
        "baseline": (
            "the mean of each gene"
            if fit.likelihood == "gaussian"
            else "a constant rate for each gene"
        ),
        "hybrid": hybrid,
        "importance": _importance(adata, key) if hybrid else [],
        "explained": quality.explained,
        "record": record,
        "length_scales": _length_scales(record),
        "cautions": _cautions(fit, quality),
        "figures": _draw(adata, key, fit, labels, hybrid=hybrid),
    }


def _length_scales(record: Any) -> str:
    """The length scales of the spatial factors, or from which to which they go."""
    values = np.asarray(record.get("length_scales", ()))
    if not values.size:
        return ""
    ends = [_text.number(values.min()), _text.number(values.max())]
    return " to ".join(dict.fromkeys(ends))


def _rows(adata: AnnData, key: str, fit: FittedSpatialFactors) -> list[Factor]:
    table = get.factors(adata, key)
    top = get.top_genes(adata, key, n_genes=_N_GENES)
    value = "share" if "share" in top else "loading"
    rows = []
    for name in table.index:
        own = top[top["factor"] == name]
        genes = zip(own["gene"], own[value], strict=True)
        moran = None if fit.moran is None else float(table.loc[name, "moran"])
        rows.append(
            Factor(
                name=str(name),
                kind=str(table.loc[name, "kind"]),
                moran=moran,
                share=float(table.loc[name, "share"]),
                n_genes=int(table.loc[name, "n_genes"]),
                relative_sd=float(table.loc[name, "relative_sd"]),
                genes=[Gene(str(gene), float(size)) for gene, size in genes],
            )
        )
    return rows


def _importance(adata: AnnData, key: str) -> list[tuple[str, list[Gene]]]:
    """The genes of largest and of smallest spatial importance."""
    values = get.spatial_importance(adata, key)["spatial"]
    ordered = values.sort_values(ascending=False, kind="stable")
    ends = (("most spatial", ordered), ("least spatial", ordered[::-1]))
    return [
        (words, [Gene(str(g), float(v)) for g, v in own.iloc[:_N_GENES].items()])
        for words, own in ends
    ]


def _cautions(fit: FittedSpatialFactors, quality: FitQuality) -> list[str]:
    """What limits conclusions, in plain words."""
    said = []
    if not fit.converged:
        said.append(
            f"The fit did not converge within {len(fit.lower_bounds)} rounds. Raise max_iter, or "
            "tol if the curve of the bound is already flat."
        )
    thin = int((fit.size_factors < _THIN * np.median(fit.size_factors)).sum())
    if thin:
        said.append(
            f"{_text.count(thin, 'row')} with next to no counts (size factors below {_THIN:.0%} of "
            "the median): factors there come from the places around, or from nothing, and say "
            "little. Consider fitting without."
        )
    weak = np.flatnonzero(fit.shares < _NEGLIGIBLE)
    if len(weak):
        said.append(
            f"{_listed(weak)} next to nothing (less than {_NEGLIGIBLE:.1%} of the total): fewer "
            "factors may do."
        )
    if fit.moran is not None:
        rough = np.flatnonzero(fit.moran[: fit.n_spatial] < _ROUGH)
        if len(rough):
            said.append(
                f"{_listed(rough, 'is', 'are')} spatial by assumption, but hardly smooth (Moran's "
                f"I below {_ROUGH}): what it shows may be noise, or belong to nonspatial factors."
            )
    common = quality.expected > 1
    if fit.likelihood == "poisson" and common.any():
        ratio = float(np.median((quality.sd[common] / quality.model_sd[common]) ** 2))
        if ratio > _OVERDISPERSED:
            said.append(
                f"Counts vary {ratio:.1f} times as much around their expected values as Poisson "
                "counts do. Factors then take up noise, and their standard deviations are too "
                "small: try likelihood='negative_binomial'."
            )
    return said


def _listed(numbers: Any, one: str = "carries", several: str = "carry") -> str:
    names = ", ".join(str(k) for k in numbers)
    return f"Factor {names} {one}" if len(numbers) == 1 else f"Factors {names} {several}"


def _draw(
    adata: AnnData, key: str, fit: FittedSpatialFactors, labels: str | None, *, hybrid: bool
) -> dict[str, Any]:
    """All figures; None or an empty list where there is nothing to draw."""
    n_axes, slides = 0, [None]
    counted = fit.likelihood != "gaussian"
    places, samples = read_places(adata, key)
    if places is not None:
        n_axes = places.shape[1]
        slides = [None] if samples is None else sorted(set(samples))[:_MOST_SLIDES]
    planes: list[Any] = [None] if n_axes < 3 else [(0, 1), (0, 2)]
    numbers = list(range(fit.n_factors))
    drawn = [(slide, plane) for slide in slides for plane in planes] if n_axes else []
    with _figures.style():
        return {
            "maps": [
                (_caption(slide, plane), _figures.maps(adata, key, numbers, slide, plane))
                for slide, plane in drawn
            ],
            "genes": _figures.genes_of_factors(adata, key, fit.n_factors),
            "importance": _figures.importance(adata, key, planes[0]) if hybrid else None,
            "goodness": _figures.goodness(adata, key, 2 + counted, planes[0]),
            "convergence": _figures.convergence_of_factors(adata, key),
            "labels": (
                _figures.factors_by_label(
                    get.factor_shares(adata, key)
                    .groupby(column(adata.obs, labels).astype(str))
                    .mean(),
                    labels,
                )
                if labels is not None and fit.nonnegative
                else None
            ),
        }


def _caption(slide: Any, plane: Any) -> str:
    words = [] if slide is None else [f"Slide {slide}."]
    if plane is not None:
        words.append(f"Axes {plane[0]} and {plane[1]} of the places.")
    return " ".join(words)

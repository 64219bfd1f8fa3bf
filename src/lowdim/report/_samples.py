"""What a report on samples says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim import get
from lowdim.data import as_rows
from lowdim.get._metric import has_metric
from lowdim.get._sample_labels import labels_of_samples
from lowdim.get._sample_validation import has_validation, permutation_tests
from lowdim.report import _figures, _sample_figures, _text
from lowdim.report._components import Gene
from lowdim.report._data import GAUSSIAN_NOISE, summarize
from lowdim.report._sample_settings import mixture_settings
from lowdim.samples import SampleDataset, axis_separation, cluster_samples
from lowdim.samples._schema import model_of

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from lowdim.samples import CrossValidation, SampleClusters

VALIDATION = "sample_validation"
"""Where a cross-validation is looked for."""

_COSTS = {
    "mw2": "mixture Wasserstein distance (MW2)",
    "mixed": "means plus squared Bures distance",
    "w1": "Wasserstein distance of the cells (W1)",
    "w2": "Wasserstein distance of the cells (W2)",
}
_N_GENES = 12
_FEW = 30
"""Cells below which a sample says little as a distribution."""

_FEW_SAMPLES = 10
"""Samples of a label below which scores are coarse."""


@dataclass(frozen=True)
class Sample:
    """A sample as the report shows it."""

    name: str
    label: str
    cluster: int
    n_rows: int | None
    n_components: int | None
    nearest: str
    distance: float
    nearest_label: str


@dataclass(frozen=True)
class Axis:
    """An axis of a ground metric; what separates is missing without the samples' distributions."""

    name: str
    share: float
    ratio: float | None
    silhouette: float | None
    genes: list[Gene]


def describe_samples(
    adata: AnnData, key: str, labels: str | None, title: str | None
) -> dict[str, Any]:
    """Everything that the template shows of samples.

    Raises
    ------
    ValueError
        `labels` is no column of `obs`, or not one with a value for each sample.
    """
    record: Any = adata.uns[key]
    params = dict(record["params"])
    learned = has_metric(adata, key)
    labels = labels or params.get("label_key")
    matrix = get.sample_distances(adata, key)
    names = np.asarray(matrix.index)
    known = None
    if labels is not None:
        known = labels_of_samples(adata, names, labels, params.get("sample_key"))
    groups = cluster_samples(matrix)
    dataset = _dataset(adata, params, known)
    model = None if dataset is None else dataset.gmm
    validation = get.sample_validation(adata, VALIDATION) if _validated(adata) else {}
    axes = _axes(adata, key, dataset, known) if learned else []
    n_samples = _text.count(len(names), "sample")
    return {
        "template": "samples.html",
        "title": title or f"{n_samples} of {_text.count(adata.n_obs, 'row')}",
        "data": summarize(adata, _source(adata, params), _matrix(adata, params)),
        "advice": GAUSSIAN_NOISE,
        "cost": _COSTS.get(str(params.get("cost")), str(params.get("cost"))),
        "learned": learned,
        "label_name": labels,
        "kinds": [] if known is None else _kinds(known),
        "samples": _rows(matrix, known, groups, dataset),
        "has_mixtures": model is not None,
        "mixture_settings": mixture_settings(adata, params.get("gmm_key")),
        "n_clusters": groups.n_clusters,
        "silhouette": float(groups.silhouettes.max()),
        "agreement": None if known is None or known.isna().all() else groups.agreement(known),
        "near": None if known is None else _nearest_agreement(matrix, known),
        "axes": axes,
        "has_genes": learned and key in adata.varm,
        "validation": [
            (name, found.score, float(found.by_repeat[found.scoring].std(ddof=0)))
            for name, found in validation.items()
        ],
        "scoring": next((v.scoring.replace("_", " ") for v in validation.values()), ""),
        "permutation": permutation_tests(adata, VALIDATION) if validation else {},
        "cautions": [
            *_cautions(dataset, known, learned=learned, validated=bool(validation)),
            *_beaten(validation),
        ],
        "figures": _draw(adata, key, labels, groups, dataset, validation),
    }


def _validated(adata: AnnData) -> bool:
    return has_validation(adata, VALIDATION)


def _dataset(
    adata: AnnData, params: dict[str, Any], known: pd.Series | None
) -> SampleDataset | None:
    """The samples with their rows, and their mixtures if there are some."""
    sample_key = params.get("sample_key")
    if sample_key is None:
        return None
    dataset = SampleDataset.from_anndata(
        adata, sample_key=sample_key, gmm_key=params.get("gmm_key"),
        use_rep=params.get("use_rep"), layer=params.get("layer"),
    )  # fmt: skip
    if known is None or known.isna().any():
        return dataset
    return replace(dataset, labels=known.reindex(dataset.names).astype(str).to_numpy(dtype=object))


def _matrix(adata: AnnData, params: dict[str, Any]) -> dict[str, Any]:
    """The layer or representation that was used, which mixtures know of themselves."""
    gmm_key = params.get("gmm_key")
    if gmm_key is None or params.get("use_rep") or params.get("layer"):
        return params
    model_of(adata.uns[gmm_key], gmm_key)  # raises where it holds none
    return {**params, "use_rep": adata.uns[gmm_key].get("use_rep")}


def _source(adata: AnnData, params: dict[str, Any]) -> Any:
    used = _matrix(adata, params)
    return as_rows(adata, layer=used.get("layer"), use_rep=used.get("use_rep"))


def _kinds(known: pd.Series) -> list[tuple[str, int]]:
    counts = known.value_counts(sort=False)
    return [(str(kind), int(n)) for kind, n in counts.items() if n]


def _rows(
    matrix: pd.DataFrame,
    known: pd.Series | None,
    groups: SampleClusters,
    dataset: SampleDataset | None,
) -> list[Sample]:
    """What is known of every sample."""
    others = matrix.to_numpy(copy=True)
    np.fill_diagonal(others, np.inf)
    near = others.argmin(1)
    counts = {} if dataset is None else dict(zip(dataset.names, dataset.groups.counts, strict=True))
    sizes = {}
    if dataset is not None and dataset.gmm is not None:
        sizes = dict(zip(dataset.names, dataset.gmm.n_components_, strict=True))
    shown = ["–"] * len(near) if known is None else known.astype(str).where(known.notna(), "–")
    texts = list(shown)
    return [
        Sample(
            name=str(name),
            label=texts[s],
            cluster=int(groups.labels[s]),
            n_rows=int(counts[name]) if name in counts else None,
            n_components=int(sizes[name]) if name in sizes else None,
            nearest=str(matrix.index[near[s]]),
            distance=float(others[s, near[s]]),
            nearest_label=texts[near[s]],
        )
        for s, name in enumerate(matrix.index)
    ]


def _nearest_agreement(matrix: pd.DataFrame, known: pd.Series) -> tuple[float, float] | None:
    """How often the nearest sample has the same label, and how often any other has."""
    there = known.notna().to_numpy()
    labels = known[there].astype(str).to_numpy()
    if len(labels) < 3 or len(set(labels)) < 2:
        return None
    others = matrix.to_numpy(copy=True)[np.ix_(there, there)]
    np.fill_diagonal(others, np.inf)
    same = labels[:, None] == labels
    chance = (same.sum(1) - 1) / (len(labels) - 1)
    return float((labels[others.argmin(1)] == labels).mean()), float(chance.mean())


def _axes(
    adata: AnnData, key: str, dataset: SampleDataset | None, known: pd.Series | None
) -> list[Axis]:
    """Axes of the metric, the longest first."""
    W = np.asarray(adata.uns[key]["components"], dtype=np.float64)
    shares = (W**2).sum(1) / ((W**2).sum() or 1.0)
    separation = None
    if dataset is not None and known is not None and known.notna().all():
        separation = axis_separation(dataset, known.astype(str).to_numpy(), W)
    top = get.top_genes(adata, key, _N_GENES) if key in adata.varm else None
    axes = []
    for k in np.argsort(-shares, kind="stable"):
        row = None if separation is None else separation.iloc[k]
        own = () if top is None else top[top["axis"] == str(k)][["gene", "loading"]].to_numpy()
        axes.append(
            Axis(
                name=str(k),
                share=float(shares[k]),
                ratio=None if row is None else float(row["ratio"]),
                silhouette=None if row is None else float(row["silhouette"]),
                genes=[Gene(str(gene), float(value)) for gene, value in own],
            )
        )
    return axes


def _cautions(
    dataset: SampleDataset | None, known: pd.Series | None, *, learned: bool, validated: bool
) -> list[str]:
    """What limits conclusions, in plain words."""
    said = []
    if dataset is not None:
        small = dataset.names[dataset.groups.counts < _FEW]
        if len(small):
            said.append(
                f"{_text.count(len(small), 'sample')} with fewer than {_FEW} cells "
                f"({', '.join(map(str, small[:5]))}): their distances are mostly noise."
            )
    if learned:
        said.append(
            "The metric was learned from these samples and their labels, so that labels are apart "
            "on the map by design."
            + (
                " Only the scores of samples held out tell how well it does."
                if validated
                else " Run ld.tl.sample_validation to learn how well it does on samples held out."
            )
        )
    if known is not None:
        counts = known.value_counts()
        counts = counts[counts > 0]
        if len(counts) and counts.min() < _FEW_SAMPLES:
            said.append(
                f"There are {int(counts.min())} samples of {counts.idxmin()}: scores move in "
                "coarse steps, and one sample more or less changes them."
            )
        if known.isna().any():
            said.append(f"{_text.count(int(known.isna().sum()), 'sample')} without a label.")
    return said


def _beaten(validation: dict[str, CrossValidation]) -> list[str]:
    """A sentence if simpler distances predict better than the last kind."""
    if not validation:
        return []
    *simpler, (name, own) = validation.items()
    better = {kind: found.score for kind, found in simpler if found.score > own.score}
    if not better:
        return []
    scores = " and ".join(f"{kind} ({score:.2f})" for kind, score in better.items())
    return [
        f"On samples held out, {name} does worse ({own.score:.2f} "
        f"{own.scoring.replace('_', ' ')}) than {scores}: report the simpler distances, or say so."
    ]


def _draw(
    adata: AnnData,
    key: str,
    labels: str | None,
    groups: SampleClusters,
    dataset: SampleDataset | None,
    validation: dict[str, Any],
) -> dict[str, Any]:
    """All figures; None where there is nothing to draw."""
    learned = has_metric(adata, key)
    W = np.asarray(adata.uns[key]["components"], dtype=np.float64) if learned else None
    model = None if dataset is None else dataset.gmm
    plane = W if W is not None and len(W) > 1 else None
    last = next(reversed(validation.values()), None)
    with _figures.style():
        return {
            "map": _sample_figures.sample_map(adata, key, labels, groups),
            "distances": _sample_figures.distances(adata, key, labels, len(groups.names)),
            "mixtures": (
                _sample_figures.mixtures(dataset, plane)
                if dataset is not None and model is not None and dataset.source.n_cols > 1
                else None
            ),
            "selection": (
                _sample_figures.selection(model)
                if model is not None and model.selection_ is not None
                else None
            ),
            "history": _sample_figures.history(adata, key) if learned else None,
            "loadings": (
                _sample_figures.loadings(adata, key) if learned and key in adata.varm else None
            ),
            "scores": _sample_figures.scores(adata, VALIDATION) if validation else None,
            "confusion": (
                None if last is None else _sample_figures.confusion(last, len(last.confusion))
            ),
        }

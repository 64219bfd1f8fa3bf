"""What a report on a layout says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lowdim import get, pl
from lowdim.data import as_rows
from lowdim.embedding.methods import title_of
from lowdim.get._embedding_quality import fitted_matrix, layout_key, layout_record
from lowdim.report import _figures, _text
from lowdim.report._data import summarize

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

_SAMPLE_SIZE = 2_000
"""Rows whose neighbours are looked at."""

_ADVICE = (
    "Distances between rows should mean something: log-normalised expression or principal "
    "components, but not raw counts."
)
_MEASURES = {
    "trustworthiness": (
        "trustworthiness",
        "neighbours in the picture are neighbours in the data: 1 is perfect",
    ),
    "continuity": (
        "continuity",
        "neighbours in the data are neighbours in the picture: 1 is perfect",
    ),
    "distance_correlation": (
        "correlation of distances",
        "rank correlation of the distances of all kinds of pairs; low where far groups lie at will",
    ),
    "triplet_accuracy": (
        "triplets in order",
        "which of two rows is nearer to a third, as in the data; one half by chance",
    ),
    "label_accuracy": (
        "labels of neighbours",
        "rows whose label their neighbours in the picture have as well",
    ),
    "label_accuracy_data": ("the same in the data", "what no picture needs to exceed"),
    "silhouette": (
        "silhouette",
        "how far labels lie apart in the picture, whether they do in the data or not",
    ),
}
_LOW = 0.3
"""Correlation of distances below which far groups lie at will."""

_LOST = 0.05
"""Accuracy of labels that is lost against the data, from which it is told."""


def describe_embedding(
    adata: AnnData, key: str, labels: str | None, title: str | None
) -> dict[str, Any]:
    """Everything that the template shows of a layout.

    Raises
    ------
    ValueError
        `labels` is no column of `obs`.
    """
    name = layout_key(adata, key)
    record: Any = layout_record(adata, key)
    matrix = fitted_matrix(adata, name)
    source = as_rows(adata, layer=matrix.get("layer"), use_rep=matrix.get("use_rep"))
    table = get.embedding_quality(adata, name, labels=labels, sample_size=_SAMPLE_SIZE)
    method = title_of(str(record["method"]))
    return {
        "template": "embedding.html",
        "title": title or f"{method} of {_text.count(adata.n_obs, 'row')}",
        "data": summarize(adata, source, matrix),
        "advice": _ADVICE,
        "method": method,
        "graph": record["params"].get("neighbors_key"),
        "n_components": adata.obsm[name].shape[1],
        "n_asked": min(_SAMPLE_SIZE, adata.n_obs),
        "n_iter": record.get("n_iter"),
        "stop_reason": record.get("stop_reason"),
        "kl_divergence": record.get("kl_divergence"),
        "measures": _measures(table),
        "first": (str(table.columns[0]), float(table[table.columns[0]].iloc[0])),
        "cautions": _cautions(table, record),
        "figures": _draw(adata, name, labels),
    }


def _measures(table: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Measures, their values and what they say."""
    found = []
    for column in map(str, table.columns):
        value = f"{float(table[column].iloc[0]):.3f}"
        if column.startswith("preservation_"):
            k = column.removeprefix("preservation_")
            found.append((f"{k} neighbours kept", value, f"share of the {k} nearest rows"))
        else:
            found.append((_MEASURES[column][0], value, _MEASURES[column][1]))
    return found


def _cautions(table: pd.DataFrame, record: Any) -> list[str]:
    """What limits conclusions, in plain words."""
    said = []
    if str(record["method"]) not in ("pca", "kernel_pca"):
        said.append(
            "Neither the distances between groups nor their sizes or densities can be read off: "
            "the layout keeps neighbours. Find groups that matter in the data, and show them here."
        )
    row = table.iloc[0]
    if row.get("distance_correlation", 1.0) < _LOW:
        said.append(
            f"Large distances are hardly kept (rank correlation {row['distance_correlation']:.2f}):"
            " where groups lie to each other says nothing."
        )
    if row.get("label_accuracy_data", 0.0) - row.get("label_accuracy", 0.0) > _LOST:
        said.append(
            f"Neighbours tell the label of {_text.percent(row['label_accuracy_data'])} of the rows "
            f"in the data, but of {_text.percent(row['label_accuracy'])} in the picture: it mixes "
            "groups that the data tell apart."
        )
    if record.get("stop_reason") == "interrupted":
        said.append("The fit was interrupted before its end.")
    return said


def _draw(adata: AnnData, name: str, labels: str | None) -> dict[str, Any]:
    def draw(ax: Any) -> None:
        pl.embedding(adata, labels, basis=name, ax=ax)

    words = "" if labels is None else f", coloured by {labels}"
    with _figures.style():
        return {"layout": _figures.drawn(draw, (6.6, 6.0), f"The layout of the rows{words}.")}

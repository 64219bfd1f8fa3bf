"""``lowdim embed``: lay the rows of a file out."""

from __future__ import annotations

from argparse import Namespace
from functools import partial
from typing import TYPE_CHECKING, Any

from lowdim.cli._fit_file import Facts, Lines, Whole, fit_file
from lowdim.cli._usage import UsageError

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.figure import Figure

_SAMPLE_SIZE = 2_000
"""Rows whose neighbours are looked at for the measures."""


def run(arguments: Namespace) -> None:
    """Fit, judge, and write what was found."""
    if arguments.neighbors is not None and (arguments.layer or arguments.use_rep):
        raise UsageError("--neighbors names a graph; leave out --layer and --use-rep.")
    if arguments.neighbors is not None and arguments.landmarks is not None:
        raise UsageError("--neighbors names a graph, in which --landmarks have no place; use one.")
    if arguments.key is None:
        arguments.key = f"X_{arguments.method.replace('-', '_')}"
    quality: dict[str, pd.DataFrame] = {}
    fit_file(
        arguments,
        partial(_fit, arguments=arguments),
        "Layout",
        whole=partial(_whole, arguments=arguments),
        describe=partial(_describe, arguments=arguments, quality=quality),
        tables=lambda adata: quality,
        pictures=partial(_pictures, arguments=arguments),
    )


def _whole(adata: AnnData, *, arguments: Namespace) -> Whole | None:
    """All layouts but linear ones hold all rows, unless landmarks stand for them."""
    from lowdim.embedding.methods import METHODS

    alone = (arguments.use_rep, arguments.neighbors, arguments.landmarks) == (None,) * 3
    if not alone or arguments.method == "pca":
        return None
    title = METHODS[arguments.method.replace("-", "_")].title
    remedy = "--use-rep names a smaller matrix, and --landmarks lays out some of the rows."
    return Whole.of(adata, arguments.layer, title, remedy)


def _fit(adata: AnnData, *, arguments: Namespace) -> None:
    """Fit; the layout goes into `adata`."""
    from lowdim import tl

    given = {"perplexity": arguments.perplexity, "n_neighbors": arguments.n_neighbors}
    tl.embed(
        adata,
        arguments.method.replace("-", "_"),
        n_components=arguments.n_components,
        use_rep=arguments.use_rep,
        layer=arguments.layer,
        neighbors_key=arguments.neighbors,
        n_landmarks=arguments.landmarks,
        init=arguments.init,
        params={
            **{name: value for name, value in given.items() if value is not None},
            **dict(arguments.set or ()),
        },
        key_added=arguments.key,
        random_state=arguments.random_state,
        n_jobs=arguments.n_jobs,
        checkpoint=arguments.checkpoint,
        verbose=int(not arguments.quiet),
    )


def _describe(
    adata: AnnData, *, arguments: Namespace, quality: dict[str, pd.DataFrame]
) -> tuple[Facts, Lines]:
    """What was found, for programs and for people; the table of measures goes into `quality`."""
    from lowdim import get
    from lowdim._keys import EmbeddingKeys
    from lowdim.get._embedding_quality import fitted_matrix
    from lowdim.report._data import matrix_name

    record: dict[str, Any] = adata.uns[EmbeddingKeys(arguments.key).record]
    table = get.embedding_quality(
        adata, arguments.key, labels=arguments.labels, sample_size=_SAMPLE_SIZE
    )
    quality["quality"] = table.rename_axis("layout")
    measures = {str(name): float(table[name].iloc[0]) for name in table.columns}
    where = matrix_name(fitted_matrix(adata, arguments.key))
    facts: Facts = {
        "key": arguments.key,
        "method": record["method"],
        "matrix": where,
        "n_rows": adata.n_obs,
        "n_components": arguments.n_components,
        "n_iter": record.get("n_iter"),
        "kl_divergence": record.get("kl_divergence"),
        "quality": measures,
    }
    source = where if arguments.neighbors is None else f"graph {arguments.neighbors!r}"
    lines = [("data", f"{adata.n_obs:,} rows, {source}"), ("method", str(record["method"]))]
    if facts["kl_divergence"] is not None:
        lines.append(("KL divergence", f"{facts['kl_divergence']:.4f}"))
    return facts, lines + [(name.replace("_", " "), f"{own:.3f}") for name, own in measures.items()]


def _pictures(adata: AnnData, *, arguments: Namespace) -> dict[str, Figure]:
    """The layout, coloured by the labels, or by the columns that were asked for."""
    from matplotlib.figure import Figure

    from lowdim import pl

    color = arguments.color or [arguments.labels]
    figure = Figure(figsize=(6.4 * len(color), 5.4), layout="constrained")
    axes = figure.subplots(1, len(color), squeeze=False).ravel()
    pl.embedding(adata, list(color), basis=arguments.key, ax=axes)
    return {"layout": figure}

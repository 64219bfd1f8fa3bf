"""``lowdim samples``: compare the samples in a file as distributions."""

from __future__ import annotations

from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim.cli._fit_file import Facts, Lines, fit_file
from lowdim.cli._usage import UsageError

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

GMM = "gmm"
"""Key of the mixtures in the result."""

METRIC = "ground_metric"
"""Key of the map."""

AXES, MARGIN, EPOCHS = 2, 10.0, 100
"""Of the map, unless the user says."""

_FEWEST = 4
"""Samples of every label that a cross-validation takes."""


def run(arguments: Namespace) -> None:
    """Fit, measure, judge, and write what was found."""
    if arguments.label_key is None:
        for name in ("metric", "group_key", "n_permutations"):
            if getattr(arguments, name):
                raise UsageError(f"--{name.replace('_', '-')} needs --label-key.")
    for name in () if arguments.metric else ("axes", "alpha", "epochs"):
        if getattr(arguments, name) is not None:
            raise UsageError(f"--{name} is for --metric.")
    arguments.labels = None  # those of the report are checked below, under their own name
    distances_key = arguments.key
    arguments.key = METRIC if arguments.metric else distances_key  # of the report
    fit_file(
        arguments,
        partial(_fit, arguments=arguments, key=distances_key),
        "Samples",
        describe=partial(_describe, arguments=arguments, key=distances_key),
        tables=partial(_tables, arguments=arguments, key=distances_key),
    )


def _fit(adata: AnnData, *, arguments: Namespace, key: str) -> None:
    """Mixtures, distances, a map if it is wanted, and predicted labels; all go into `adata`."""
    from lowdim import tl
    from lowdim.samples import GroundMetric

    for option in ("sample_key", "label_key", "group_key"):
        name = getattr(arguments, option)
        if name is not None and name not in adata.obs:
            raise ValueError(
                f"--{option.replace('_', '-')} {name} is not a column of obs, which has "
                f"{sorted(adata.obs.columns)}."
            )
    arguments.labels = arguments.label_key
    columns = {"sample_key": arguments.sample_key, "label_key": arguments.label_key}
    matrix = {"use_rep": arguments.use_rep, "layer": arguments.layer}
    seed = arguments.random_state
    sizes = arguments.components
    tl.fit_gmm(
        adata, **columns, **matrix, k_comps=sizes[0] if sizes and len(sizes) == 1 else sizes,
        covariance_type=arguments.covariance_type, eps=arguments.eps, gmm_key=GMM,
        random_state=seed, n_jobs=arguments.n_jobs, checkpoint=_checkpoint(arguments, "mixtures"),
        verbose=not arguments.quiet,
    )  # fmt: skip
    tl.sample_distances(
        adata, gmm_key=GMM, sample_key=arguments.sample_key, **matrix, cost=arguments.cost,
        key_added=key,
    )  # fmt: skip
    if arguments.label_key is None:
        return
    settings: dict[str, Any] = {
        "n_components": arguments.axes or AXES,
        "cost": "mixed",
        "alpha": arguments.alpha or MARGIN,
        "max_iter": arguments.epochs or EPOCHS,
        "random_state": seed,
    }
    if arguments.metric:
        tl.ground_metric(
            adata, **columns, **matrix, gmm_key=GMM, key_added=METRIC, **settings,
            checkpoint=_checkpoint(arguments, "metric"),
        )  # fmt: skip
    if _smallest(adata, arguments) >= _FEWEST or arguments.group_key is not None:
        tl.sample_validation(
            adata, **columns, gmm_key=GMM, cost=arguments.cost, group_key=arguments.group_key,
            metric=GroundMetric(**settings) if arguments.metric else None,
            n_splits=min(5, _smallest(adata, arguments)), n_permutations=arguments.n_permutations,
            random_state=seed, n_jobs=arguments.n_jobs, verbose=int(not arguments.quiet),
            checkpoint=_checkpoint(arguments, "validation"),
        )  # fmt: skip


def _checkpoint(arguments: Namespace, part: str) -> Path | None:
    """The file that keeps a part of the work: one for each, beside the one that was named."""
    if arguments.checkpoint is None:
        return None
    path = Path(arguments.checkpoint)
    return path.with_name(f"{path.stem}.{part}{path.suffix}")


def _smallest(adata: AnnData, arguments: Namespace) -> int:
    """Samples of the label that has fewest."""
    pairs = adata.obs[[arguments.sample_key, arguments.label_key]].astype(str).drop_duplicates()
    return int(pairs[arguments.label_key].value_counts().min())


def _describe(adata: AnnData, *, arguments: Namespace, key: str) -> tuple[Facts, Lines]:
    """What was found, for programs and for people."""
    from lowdim import get
    from lowdim.get._sample_validation import has_validation, permutation_tests
    from lowdim.report._data import matrix_name
    from lowdim.samples import cluster_samples
    from lowdim.samples._rows import spanned
    from lowdim.samples._schema import model_of

    matrix, model = get.sample_distances(adata, key), model_of(adata.uns[GMM], GMM)
    groups = cluster_samples(matrix)
    sizes = np.asarray(model.n_components_)
    facts: Facts = {
        "key": key,
        "matrix": matrix_name({"use_rep": arguments.use_rep, "layer": arguments.layer}),
        "n_rows": adata.n_obs,
        "n_samples": len(matrix),
        "n_components": dict(zip(map(str, matrix.index), sizes.tolist(), strict=True)),
        "cost": arguments.cost,
        "clusters": dict(zip(map(str, matrix.index), groups.labels.tolist(), strict=True)),
    }
    lines = [
        ("data", f"{adata.n_obs:,} rows of {len(matrix)} samples, {facts['matrix']}"),
        ("mixtures", f"{spanned(sizes)} components, median {np.median(sizes):g}"),
        ("distances", f"{arguments.cost}, {_spread(matrix)}"),
        ("clusters", f"{groups.n_clusters}, mean silhouette {groups.silhouettes.max():.2f}"),
    ]
    if arguments.metric:
        history = adata.uns[METRIC]["history"]
        facts["metric"] = {"key": METRIC, "loss": float(np.min(history["loss"]))}
        lines.append(("metric", f"{arguments.axes or AXES} axes, in {METRIC!r}"))
    if has_validation(adata, "sample_validation"):
        tests = permutation_tests(adata, "sample_validation")
        facts["validation"] = {}
        for name, found in get.sample_validation(adata).items():
            p = tests[name].p_value if name in tests else None
            facts["validation"][name] = {found.scoring: found.score, "p_value": p}
            words = f"{found.score:.2f} {found.scoring.replace('_', ' ')}"
            lines.append((name, words + ("" if p is None else f", p = {p:.2g}")))
    return facts, lines


def _spread(matrix: pd.DataFrame) -> str:
    """Smallest, median and largest distance."""
    pairs = matrix.to_numpy()[np.triu_indices(len(matrix), 1)]
    return f"{pairs.min():.4g} to {pairs.max():.4g}, median {np.median(pairs):.4g}"


def _tables(adata: AnnData, *, arguments: Namespace, key: str) -> dict[str, pd.DataFrame]:
    """Distances, and what else is a table."""
    import pandas as pd

    from lowdim import get
    from lowdim.get._sample_validation import has_validation

    tables = {"sample_distances": get.sample_distances(adata, key)}
    if arguments.metric:
        tables["metric_distances"] = get.sample_distances(adata, METRIC)
        if METRIC in adata.varm:
            tables["top_genes"] = get.top_genes(adata, METRIC, n_genes=50)
    if has_validation(adata, "sample_validation"):
        found = get.sample_validation(adata)
        parts = [one.predictions.assign(distances=name) for name, one in found.items()]
        tables["predictions"] = pd.concat(parts, ignore_index=True)
    return tables

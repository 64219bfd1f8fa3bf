"""How well components agree with known labels, beside k-means on the same columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lowdim._keys import MixtureKeys
from lowdim.data.columns import column
from lowdim.get._record import n_components

if TYPE_CHECKING:
    from anndata import AnnData

    from lowdim._typing import Float64Array
    from lowdim.data.sources import RowSource

_MAX_VALUES = 10_000_000
"""Entries of the matrix up to which k-means takes seconds."""


@dataclass(frozen=True)
class Agreement:
    """Components against labels.

    Attributes
    ----------
    labels
        The column of `obs`.
    n_labels
        Different labels.
    n_rows
        Rows with a label.
    ari
        Adjusted Rand index of the components: 1 if the groupings are the same, about 0 by chance.
    purity
        Share of the rows whose label is the most frequent of their component.
    kmeans_ari
        The index of k-means with as many clusters, on the same columns; None where the data are
        too large for it to be had in passing.
    """

    labels: str
    n_labels: int
    n_rows: int
    ari: float
    purity: float
    kmeans_ari: float | None


def compare(adata: AnnData, source: RowSource | None, key: str, labels: str) -> Agreement:
    """Compare the components of a fit to `source` with a column of `obs`.

    Without `source`, k-means is left out.

    Raises
    ------
    ValueError
        There is no such column, or all of it is missing.
    """
    import pandas as pd
    from sklearn.metrics import adjusted_rand_score

    if labels not in adata.obs:
        raise ValueError(
            f"labels={labels!r} is not in adata.obs, which has {sorted(adata.obs.columns)}."
        )
    labelled = column(adata.obs, labels)
    assigned = column(adata.obs, MixtureKeys(key).labels)
    known = (labelled.notna() & assigned.notna()).to_numpy()
    if not known.any():
        raise ValueError(f"labels={labels!r} has no row with a label.")
    truth = labelled[known].astype(str).to_numpy()
    mine = assigned[known].astype(str).to_numpy()
    clusters = None if source is None else _kmeans(source, n_components(adata.uns[key]))
    return Agreement(
        labels=labels,
        n_labels=len(np.unique(truth)),
        n_rows=len(truth),
        ari=float(adjusted_rand_score(truth, mine)),
        purity=float(pd.crosstab(mine, truth).to_numpy().max(1).sum() / len(truth)),
        kmeans_ari=(
            None if clusters is None else float(adjusted_rand_score(truth, clusters[known]))
        ),
    )


def _kmeans(source: RowSource, n_clusters: int) -> Float64Array | None:
    """Clusters of all rows, the best of ten starts; None for large data."""
    from sklearn.cluster import KMeans

    n_rows, n_columns = source.n_rows, source.n_cols
    if n_rows * n_columns > _MAX_VALUES or n_rows < n_clusters:
        return None
    rows = source.rows(0, n_rows)
    return np.asarray(KMeans(n_clusters, n_init=10, random_state=0).fit_predict(rows))

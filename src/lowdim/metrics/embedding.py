"""All measures of a layout in one row of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim.metrics.distances import METRICS, distance_correlation, random_triplet_accuracy
from lowdim.metrics.divergence import kl_divergence
from lowdim.metrics.neighborhoods import (
    SAMPLE_SIZE,
    continuity,
    neighborhood_preservation,
    trustworthiness,
)
from lowdim.metrics.separation import knn_label_accuracy, silhouette

if TYPE_CHECKING:
    import pandas as pd


def embedding_quality(
    X: Any,
    layout: Any,
    labels: Any = None,
    *,
    graph: Any = None,
    n_neighbors: Any = (15, 50),
    metric: str = "euclidean",
    sample_size: int | None = SAMPLE_SIZE,
    random_state: Any = 0,
    name: str = "layout",
) -> pd.DataFrame:
    """How well a layout keeps what is near, what is far and which rows belong together.

    Parameters
    ----------
    X : array-like, sparse, DataFrame, AnnData or row source, shape (N, D)
        What the layout was made from.
    layout : array-like of shape (N, d)
    labels : array-like of shape (N,), optional
        Known groups.
    graph : Graph or sparse matrix of shape (N, N), optional
        Affinities, for the divergence.
    n_neighbors : sequence of int, default=(15, 50)
        For the preservation of neighbours; those that few rows do not allow are left out. The first
        serves the other measures too.
    metric : str, default="euclidean"
        Of the rows; distances far apart are left out unless it is "euclidean", "manhattan" or
        "cosine".
    sample_size : int or None, default=5000
        Rows that are looked at; None is all.
    random_state : int, Generator or RandomState, default=0
    name : str, default="layout"
        Name of the row.

    Returns
    -------
    DataFrame with one row
        ``preservation_15``, ``preservation_50``, ..., ``trustworthiness``, ``continuity``,
        ``distance_correlation``, ``triplet_accuracy``; with `labels` ``label_accuracy``,
        ``label_accuracy_data`` (of X itself) and ``silhouette``; with `graph` ``kl_divergence``.
        Rows of several layouts go under each other by ``pandas.concat``.

    Raises
    ------
    TypeError, ValueError
        An argument cannot be used.

    See Also
    --------
    lowdim.metrics.trustworthiness, lowdim.metrics.neighborhood_preservation
    """
    import pandas as pd

    n = len(layout)
    sizes = [k for k in np.atleast_1d(n_neighbors).tolist() if k < n / 2] or [max(1, (n - 1) // 3)]
    sampled: dict[str, Any] = {"sample_size": sample_size, "random_state": random_state}
    common = {"metric": metric, **sampled}
    kept = neighborhood_preservation(X, layout, sizes, **common)
    found = {f"preservation_{k}": float(share) for k, share in zip(sizes, kept, strict=True)}
    found["trustworthiness"] = trustworthiness(X, layout, sizes[0], **common)
    found["continuity"] = continuity(X, layout, sizes[0], **common)
    if metric in METRICS:
        drawn: dict[str, Any] = {"metric": metric, "random_state": random_state}
        found["distance_correlation"] = distance_correlation(X, layout, **drawn)
        found["triplet_accuracy"] = random_triplet_accuracy(X, layout, **drawn)
    if labels is not None:
        found["label_accuracy"] = knn_label_accuracy(layout, labels, sizes[0], **sampled)
        found["label_accuracy_data"] = knn_label_accuracy(X, labels, sizes[0], **common)
        found["silhouette"] = silhouette(layout, labels, **sampled)
    if graph is not None:
        found["kl_divergence"] = kl_divergence(graph, layout, random_state=random_state)
    return pd.DataFrame(found, index=pd.Index([name]))

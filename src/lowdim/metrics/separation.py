"""Whether rows with the same label lie together."""

from __future__ import annotations

from typing import Any

import numpy as np

from lowdim._random import generator
from lowdim.metrics._rows import chosen_rows, distance_blocks, nearest, read_matrix, read_sizes
from lowdim.metrics.neighborhoods import SAMPLE_SIZE


def knn_label_accuracy(
    X: Any,
    labels: Any,
    n_neighbors: int = 15,
    *,
    metric: str = "euclidean",
    sample_size: int | None = SAMPLE_SIZE,
    random_state: Any = 0,
) -> float:
    """Share of rows whose label is the most frequent among their nearest neighbours.

    Parameters
    ----------
    X : array-like, sparse, DataFrame, AnnData or row source, shape (N, D)
        A layout; or the data, for what can be expected of one.
    labels : array-like of shape (N,)
        Rows whose label is missing are left out. Of labels that are as frequent, the first in
        order counts.
    n_neighbors : int, default=15
    metric : str, default="euclidean"
        Any that `sklearn.metrics.pairwise_distances` knows.
    sample_size : int or None, default=5000
        Rows whose label is predicted, drawn at random; None is all.
    random_state : int, Generator or RandomState, default=0

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        An argument cannot be used, or there is no label.
    """
    rows, codes, n_labels = _labelled(X, labels)
    k = read_sizes(n_neighbors, len(codes) - 1)[0]
    asked = chosen_rows(len(codes), sample_size, random_state)
    correct = 0
    for own, distances in distance_blocks(rows, asked, metric):
        votes = codes[nearest(distances, k)] + n_labels * np.arange(len(own))[:, None]
        counts = np.bincount(votes.ravel(), minlength=len(own) * n_labels)
        most = counts.reshape(-1, n_labels).argmax(1)
        correct += int(np.count_nonzero(most == codes[own]))
    return correct / len(asked)


def silhouette(
    layout: Any,
    labels: Any,
    *,
    metric: str = "euclidean",
    sample_size: int | None = SAMPLE_SIZE,
    random_state: Any = 0,
) -> float:
    """Mean silhouette of rows: how much nearer they are to their own label than to the next one.

    That of scikit-learn. Methods that draw groups apart raise it, whether or not these are far
    apart in the data.

    Parameters
    ----------
    layout : array-like of shape (N, d)
    labels : array-like of shape (N,)
        At least two; rows whose label is missing are left out.
    metric, random_state
        As of `knn_label_accuracy`.
    sample_size : int or None, default=5000
        Rows among which it is worked out.

    Returns
    -------
    float
        Between -1 and 1; nan where rows have one label only, or each their own.
    """
    from sklearn.metrics import silhouette_score

    rows, codes, _ = _labelled(layout, labels)
    asked = chosen_rows(len(codes), sample_size, generator(random_state))
    if not 1 < len(np.unique(codes[asked])) < len(asked):
        return float("nan")
    return float(silhouette_score(rows[asked], codes[asked], metric=metric))


def _labelled(X: Any, labels: Any) -> tuple[Any, np.ndarray, int]:
    """Rows with a label, the number of the label of each, and how many there are."""
    import pandas as pd

    rows = read_matrix(X, "X")
    values = pd.Series(np.asarray(labels)) if not hasattr(labels, "iloc") else labels
    if values.shape != (rows.shape[0],):
        raise ValueError(
            f"labels has shape {values.shape}, expected ({rows.shape[0]},): one for each row."
        )
    codes, kinds = pd.factorize(values, sort=True)
    known = codes >= 0
    if not known.any():
        raise ValueError("labels are all missing; pass some.")
    return (rows if known.all() else rows[known]), codes[known], len(kinds)

"""Prediction from distances, and how good it is."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.cluster import AgglomerativeClustering
from sklearn.metrics import (
    adjusted_rand_score,
    normalized_mutual_info_score,
    silhouette_score,
)

from lowdim._validation import check_positive_int

#: Of predictions: the share that is right, and its mean over classes.
SCORINGS = ("balanced_accuracy", "accuracy")


def knn_predict(
    distances: Any, labels: Any, train: Any, test: Any, n_neighbors: int = 5
) -> np.ndarray:
    """Labels of samples from those of their nearest neighbours.

    Parameters
    ----------
    distances : (S, S)
    labels : (S,)
    train, test : (n,)
        Numbers of samples: among which neighbours are, and which to predict.
    n_neighbors : int, default=5
        Taken as the size of the smallest class of `train` if that is less. Of classes with as many
        neighbours the one wins whose neighbours are nearer.

    Returns
    -------
    Labels of the test samples.
    """
    distances, labels = np.asarray(distances), np.asarray(labels)
    train, test = np.asarray(train), np.asarray(test)
    return vote(distances[np.ix_(test, train)], labels[train], n_neighbors)


def vote(distances: np.ndarray, labels: np.ndarray, n_neighbors: int) -> np.ndarray:
    """Labels by the nearest of some samples, from distances to all of these, (n, n_train)."""
    k = at_most(check_positive_int(n_neighbors, "n_neighbors"), labels)
    classes, codes = np.unique(labels, return_inverse=True)
    nearest = codes[np.argsort(distances, axis=1, kind="stable")[:, :k]]
    # What ranks add to votes sums up to less than one: it decides between equal numbers only.
    votes = 1 + 0.5 ** np.arange(1, k + 1)
    ballots = (np.eye(len(classes))[nearest] * votes[:, None]).sum(1)
    return np.asarray(classes[ballots.argmax(1)])


def at_most(n_neighbors: int, labels: np.ndarray) -> int:
    """No more neighbours than the smallest class has samples."""
    return int(min(n_neighbors, np.unique(labels, return_counts=True)[1].min()))


def prediction_scores(labels: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Accuracy, and its mean over the classes that there are."""
    right = labels == predicted
    return {
        "accuracy": float(right.mean()),
        "balanced_accuracy": float(np.mean([right[labels == c].mean() for c in np.unique(labels)])),
    }


def cluster_scores(distances: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """How well samples group by class: average linkage into as many clusters as classes.

    NaN where there are no two classes, or no more samples than classes.
    """
    n_classes = len(np.unique(labels))
    if not 1 < n_classes < len(labels):
        return {"ari": np.nan, "nmi": np.nan, "silhouette": np.nan}
    linkage = AgglomerativeClustering(n_classes, metric="precomputed", linkage="average")
    found = linkage.fit_predict(distances)
    return {
        "ari": float(adjusted_rand_score(labels, found)),
        "nmi": float(normalized_mutual_info_score(labels, found)),
        "silhouette": float(silhouette_score(distances, labels, metric="precomputed")),
    }

"""Groups of samples, from the distances between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lowdim._validation import check_in, check_positive_int
from lowdim.samples._matrices import read_distances

LINKAGES = ("average", "complete", "single")
#: The most clusters that are tried where the user names no number.
MAX_CLUSTERS = 10


@dataclass(frozen=True)
class SampleClusters:
    """Samples in clusters, and the tree that they were cut from.

    Attributes
    ----------
    names : (S,)
        Of the samples.
    labels : (S,)
        The cluster of each: 0 is the largest, and of clusters of one size the one with the first
        sample.
    tree : (S - 1, 4)
        As `scipy.cluster.hierarchy.linkage` returns it.
    order : (S,)
        The leaves of the tree from left to right, such that neighbours are as near as can be
        (Bar-Joseph et al. 2001).
    silhouettes : Series
        The mean silhouette of every number of clusters that was tried.
    """

    names: np.ndarray
    labels: np.ndarray
    tree: np.ndarray
    order: np.ndarray
    silhouettes: pd.Series

    @property
    def n_clusters(self) -> int:
        """How many there are."""
        return int(self.labels.max()) + 1

    def agreement(self, labels: Any) -> dict[str, float]:
        """How well the clusters agree with known labels; see `clustering_agreement`."""
        return clustering_agreement(self.labels, labels)


def cluster_samples(
    distances: Any, n_clusters: int | None = None, *, linkage: str = "average"
) -> SampleClusters:
    """Hierarchical clustering of samples.

    Parameters
    ----------
    distances : array-like or DataFrame of shape (S, S)
        Symmetric, with zeros on the diagonal.
    n_clusters : int, optional
        By default the number from 2 to 10, and below S, with the largest mean silhouette
        (Rousseeuw 1987).
    linkage : {"average", "complete", "single"}, default="average"
        What the distance of two clusters is: the mean, the largest or the smallest of those
        between their samples.

    Raises
    ------
    ValueError, TypeError
        The distances or an argument cannot be used.
    """
    from scipy.cluster.hierarchy import cut_tree, leaves_list

    check_in(linkage, "linkage", LINKAGES)
    matrix, names = read_distances(distances)
    S = len(matrix)
    if n_clusters is None:
        tried = list(range(2, min(MAX_CLUSTERS, S - 1) + 1)) or [1]
    else:
        tried = [check_positive_int(n_clusters, "n_clusters")]
        if tried[0] > S:
            raise ValueError(f"n_clusters={n_clusters} is more than the {S} samples.")
    tree = sample_tree(matrix, linkage)
    cuts = cut_tree(tree, n_clusters=tried).T
    scores = [_silhouette(matrix, cut) for cut in cuts]
    best = int(np.nanargmax(scores)) if np.isfinite(scores).any() else 0
    return SampleClusters(
        names=names,
        labels=_by_size(cuts[best]),
        tree=tree,
        order=leaves_list(tree),
        silhouettes=pd.Series(scores, index=pd.Index(tried, name="n_clusters"), name="silhouette"),
    )


def sample_tree(matrix: np.ndarray, linkage: str) -> np.ndarray:
    """The tree of a distance matrix, with its leaves in the best order, (S - 1, 4)."""
    from scipy.cluster.hierarchy import linkage as build
    from scipy.spatial.distance import squareform

    return np.asarray(build(squareform(matrix, checks=False), linkage, optimal_ordering=True))


def clustering_agreement(found: Any, known: Any) -> dict[str, float]:
    """Agreement of clusters with labels: ``ari`` and ``nmi``.

    Parameters
    ----------
    found, known : array-like of shape (S,)
        Clusters and labels; samples whose label is missing are left out.

    Returns
    -------
    The adjusted Rand index (Hubert and Arabie 1985), which is 0 on average for clusters at random,
    and the normalised mutual information, which is not; both are 1 where they are the same.

    Raises
    ------
    ValueError
        Their lengths differ, or no label is known.
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    clusters, labels = np.asarray(found), np.asarray(known, dtype=object)
    if clusters.ndim != 1 or clusters.shape != labels.shape:
        raise ValueError(
            f"known has shape {labels.shape}, but there are {clusters.shape} clusters; pass one "
            "label per sample."
        )
    there = ~pd.isna(labels)
    if not there.any():
        raise ValueError("known has no label that is not missing.")
    names, clusters = labels[there].astype(str), clusters[there]
    return {
        "ari": float(adjusted_rand_score(names, clusters)),
        "nmi": float(normalized_mutual_info_score(names, clusters)),
    }


def _silhouette(matrix: np.ndarray, labels: np.ndarray) -> float:
    """The mean silhouette; nan where it is not defined."""
    from sklearn.metrics import silhouette_score

    if not 1 < labels.max() + 1 < len(labels):
        return np.nan
    return float(silhouette_score(matrix, labels, metric="precomputed"))


def _by_size(labels: np.ndarray) -> np.ndarray:
    """Clusters numbered by falling size, then by their first sample."""
    kinds, first, counts = np.unique(labels, return_index=True, return_counts=True)
    order = np.lexsort((first, -counts))
    number = np.empty(len(kinds), dtype=np.int64)
    number[order] = np.arange(len(kinds))
    return number[np.searchsorted(kinds, labels)]

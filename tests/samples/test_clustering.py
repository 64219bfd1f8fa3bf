"""Groups of samples: known groups are found, numbers are by size, scores are the known ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform
from sklearn.metrics import silhouette_score

from lowdim.samples import cluster_samples, clustering_agreement

QUICK = settings(derandomize=True, deadline=None, max_examples=30)


def groups(sizes: list[int], seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Distances between samples in groups far apart, shuffled, and their groups."""
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    points = 10.0 * np.eye(len(sizes))[codes] + rng.normal(size=(len(codes), len(sizes)))
    names = [f"p{i}" for i in range(len(codes))]
    return pd.DataFrame(squareform(pdist(points)), names, names), codes


@pytest.mark.parametrize("linkage", ["average", "complete", "single"])
def test_groups_are_found_and_named_by_size(linkage: str) -> None:
    distances, codes = groups([4, 9, 6])
    found = cluster_samples(distances, linkage=linkage)
    assert found.n_clusters == 3
    assert found.agreement(codes) == {"ari": 1.0, "nmi": pytest.approx(1.0)}
    assert np.bincount(found.labels).tolist() == [9, 6, 4]
    assert found.names.tolist() == list(distances.index)
    ordered = found.labels[found.order]
    assert np.count_nonzero(np.diff(ordered)) == 2


def test_the_number_has_the_largest_silhouette() -> None:
    distances, _ = groups([5, 5, 5, 5])
    found = cluster_samples(distances)
    assert found.silhouettes.index.tolist() == list(range(2, 11))
    assert found.silhouettes.idxmax() == found.n_clusters == 4
    direct = silhouette_score(distances.to_numpy(), found.labels, metric="precomputed")
    assert found.silhouettes.max() == pytest.approx(direct)


@QUICK
@given(st.integers(2, 12), st.data())
def test_as_many_clusters_as_asked_for_even_with_ties(S: int, data: st.DataObject) -> None:
    n = data.draw(st.integers(1, S))
    ties = np.ones((S, S)) - np.eye(S)
    found = cluster_samples(ties, n)
    assert found.n_clusters == n
    sizes = np.bincount(found.labels)
    assert (np.diff(sizes) <= 0).all()
    assert sorted(found.order) == list(range(S))


def test_two_samples_are_one_cluster() -> None:
    found = cluster_samples([[0, 1], [1, 0]])
    assert found.labels.tolist() == [0, 0]
    assert found.silhouettes.isna().all()


def test_agreement_leaves_out_missing_labels() -> None:
    known = ["a", "a", None, "b", np.nan, "b"]
    assert clustering_agreement([0, 0, 1, 1, 0, 1], known) == {"ari": 1.0, "nmi": 1.0}
    with pytest.raises(ValueError, match="no label that is not missing"):
        clustering_agreement([0, 1], [None, None])
    with pytest.raises(ValueError, match="one label per sample"):
        clustering_agreement([0, 1], ["a"])


def test_bad_arguments_are_errors() -> None:
    distances, _ = groups([3, 3])
    with pytest.raises(ValueError, match="n_clusters=7 is more than the 6 samples"):
        cluster_samples(distances, 7)
    with pytest.raises(ValueError, match="linkage='ward' is not a choice"):
        cluster_samples(distances, linkage="ward")

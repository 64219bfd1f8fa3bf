"""First layouts: names, estimators, graphs in pieces."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.random_projection import GaussianRandomProjection

import lowdim as ld
from lowdim.affinities import UMAPAffinity
from lowdim.embedding._initial import check_init, first_layout, needs_rows
from lowdim.embedding._spectral.eigenmaps import laplacian_eigenmaps, spectral_layout


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(300, 6)) * [9, 5, 2, 1, 1, 1]


@pytest.fixture(scope="module")
def graph(rows) -> sp.csr_matrix:
    return UMAPAffinity(10).graph(rows).matrix


def first(init, rows, graph, c: int = 2, **scale) -> np.ndarray:
    checked = check_init(init, len(rows), c, has_rows=True)
    return first_layout(checked, c, rows, graph, np.random.default_rng(0), **scale)


@pytest.mark.parametrize("init", ["pca", "spectral", "random", PCA(3)])
def test_the_scale_is_the_one_asked_for(rows, graph, init) -> None:
    small = first(init, rows, graph)
    assert small.shape == (300, 2)
    assert small[:, 0].std() == pytest.approx(1e-4, rel=0.1)
    large = first(init, rows, graph, reach=10.0)
    assert np.abs(large).max() == pytest.approx(10.0, rel=0.02)
    again = first(init, rows, graph, reach=10.0)
    assert np.array_equal(large, again)


def test_places_are_taken_as_they_are(rows, graph) -> None:
    places = np.random.default_rng(1).normal(size=(300, 2))
    assert np.array_equal(first(places, rows, graph, reach=10.0), places)
    assert np.array_equal(first(pd.DataFrame(places), rows, graph), places)
    assert not needs_rows(places)


def test_estimators_are_used_as_fitted_or_fitted_first(rows, graph) -> None:
    model = PCA(4).fit(rows[:50])
    layout = first(model, rows, graph, reach=10.0)
    coordinates = model.transform(rows)[:, :2]
    for a in range(2):
        assert abs(np.corrcoef(layout[:, a], coordinates[:, a])[0, 1]) > 1 - 1e-6
    fresh = PCA(4)
    by_fresh, by_name = first(fresh, rows, graph), first("pca", rows, graph)
    assert not hasattr(fresh, "components_")
    for a in range(2):
        assert abs(np.corrcoef(by_fresh[:, a], by_name[:, a])[0, 1]) > 0.999
    one = first(GaussianRandomProjection(1, random_state=0), rows, graph, reach=10.0)
    assert np.abs(one[:, 1]).max() < 0.1  # there are no more columns
    assert needs_rows(model)


def test_a_mixture_of_subspaces_gives_what_it_reconstructs(blobs) -> None:
    X, labels = blobs
    mixture = ld.SubspaceMixture(dims=[1, 1, 1], random_state=0).fit(X)
    graph = UMAPAffinity(10).graph(X).matrix
    layout = first(mixture, X, graph, reach=10.0)
    wanted = PCA(2).fit_transform(mixture.reconstruct(X))
    for a in range(2):
        assert abs(np.corrcoef(layout[:, a], wanted[:, a])[0, 1]) > 0.999
    for kind in (ld.TSNE, ld.UMAP):
        Y = kind(init=mixture, random_state=0).fit_transform(X)
        centres = np.array([Y[labels == k].mean(0) for k in range(3)])
        spread = max(Y[labels == k].std() for k in range(3))
        gaps = np.linalg.norm(centres[:, None] - centres[None], axis=2) + 1e9 * np.eye(3)
        assert gaps.min() > 2 * spread


class Wrong(BaseEstimator):
    """An estimator whose transform has too few rows."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return np.zeros((3, 2))


def test_estimators_that_do_not_fit_are_refused(rows, graph) -> None:
    with pytest.raises(ValueError, match="init=Wrong has a transform of shape"):
        first(Wrong(), rows, graph)
    with pytest.raises(ValueError, match="init=PCA needs rows"):
        check_init(PCA(2), 300, 2, has_rows=False)


@pytest.mark.parametrize("c", [1, 2, 3])
def test_pieces_stand_side_by_side(c: int) -> None:
    rng = np.random.default_rng(0)
    sizes = [120, 60, 30, 2, 1, 1]
    pieces = [UMAPAffinity(8).graph(rng.normal(size=(n, 4))).matrix for n in sizes[:3]]
    pieces += [sp.csr_matrix(np.array([[0.0, 1.0], [1.0, 0.0]])), sp.csr_matrix((1, 1))]
    graph = sp.csr_matrix(sp.block_diag([*pieces, sp.csr_matrix((1, 1))]), dtype=np.float32)
    order = rng.permutation(sum(sizes))
    labels = np.repeat(np.arange(len(sizes)), sizes)[order]
    Y = spectral_layout(graph[order][:, order], c, np.random.default_rng(0))
    assert np.isfinite(Y).all()
    boxes = [(Y[labels == k].min(0), Y[labels == k].max(0)) for k in range(len(sizes))]
    for i, (low, high) in enumerate(boxes):
        for other_low, other_high in boxes[:i]:
            assert ((low > other_high) | (other_low > high)).any()


def test_a_whole_graph_has_its_eigenvectors(graph) -> None:
    Y = spectral_layout(graph, 2, np.random.default_rng(0))
    assert np.array_equal(Y, laplacian_eigenmaps(graph, 2, np.random.default_rng(0)))
    degree = np.asarray(graph.sum(1)).ravel()
    walked = (graph @ Y) / degree[:, None]
    for a in range(2):
        assert np.corrcoef(walked[:, a], Y[:, a])[0, 1] > 0.999

"""The same numbers as other packages, where these are installed, from the same neighbours."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.spatial.distance import cdist
from sklearn.datasets import load_digits

from lowdim.affinities import (
    EntropicAffinity,
    GaussianAffinity,
    MAGICAffinity,
    MultiscaleAffinity,
    QuadraticAffinity,
    SelfTuningAffinity,
    SinkhornAffinity,
    StudentAffinity,
    SymmetricEntropicAffinity,
    UMAPAffinity,
    UniformAffinity,
    pacmap_pairs,
)
from lowdim.neighbors import Neighbors, nearest_neighbors

pytestmark = pytest.mark.slow

N = 500


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    """Digits with a little noise, so that no two distances are the same."""
    X = load_digits().data[:N]
    return (X + np.random.default_rng(0).normal(scale=0.01, size=X.shape)).astype(np.float32)


def given(openTSNE, found: Neighbors):
    return openTSNE.nearest_neighbors.PrecomputedNeighbors(found.indices, found.distances)


def test_entropic_affinities_of_opentsne(rows: np.ndarray) -> None:
    openTSNE = pytest.importorskip("openTSNE")
    found = nearest_neighbors(rows, 90)
    theirs = openTSNE.affinity.PerplexityBasedNN(perplexity=30, knn_index=given(openTSNE, found)).P
    ours = EntropicAffinity(30).from_neighbors(found).matrix
    assert abs(ours - theirs).sum() < 1e-5


def test_other_affinities_of_opentsne(rows: np.ndarray) -> None:
    openTSNE = pytest.importorskip("openTSNE")
    found = nearest_neighbors(rows, 90)
    affinity = openTSNE.affinity
    pairs = [
        (
            affinity.Uniform(knn_index=given(openTSNE, found), symmetrize="mean"),
            UniformAffinity(90),
        ),
        (
            affinity.FixedSigmaNN(sigma=12.0, k=90, knn_index=given(openTSNE, found)),
            GaussianAffinity(12.0),
        ),
        (
            affinity.Multiscale(perplexities=[5, 25], knn_index=given(openTSNE, found)),
            MultiscaleAffinity((5, 25)),
        ),
    ]
    for theirs, ours in pairs:
        made = ours.from_neighbors(found).matrix
        assert abs(made - theirs.P).sum() < 1e-5, type(ours).__name__


@pytest.mark.parametrize("connectivity", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("mix", [0.0, 0.5, 1.0])
def test_memberships_of_umap(rows: np.ndarray, connectivity: float, mix: float) -> None:
    umap = pytest.importorskip("umap")
    X = np.concatenate([rows, rows[:20], rows[:3], rows[:3]])  # with copies
    found = nearest_neighbors(X, 14)
    own = np.arange(len(X), dtype=np.int32)[:, None]
    indices = np.hstack([own, found.indices])
    distances = np.hstack([np.zeros((len(X), 1), np.float32), found.distances])
    theirs = umap.umap_.fuzzy_simplicial_set(
        X,
        15,
        np.random.RandomState(0),
        "euclidean",
        knn_indices=indices,
        knn_dists=distances,
        set_op_mix_ratio=mix,
        local_connectivity=connectivity,
    )[0]
    affinity = UMAPAffinity(15, set_op_mix_ratio=mix, local_connectivity=connectivity)
    ours = affinity.from_neighbors(found).matrix
    assert abs(ours - theirs).max() < 1e-5


def by_torchdr(affinity, X: np.ndarray) -> np.ndarray:
    import torch

    made = affinity(torch.from_numpy(X))
    return np.asarray(made.detach(), np.float64)


def test_dense_affinities_of_torchdr(rows: np.ndarray) -> None:
    torchdr = pytest.importorskip("torchdr")
    X = rows.astype(np.float64)
    squares = cdist(X, X, "sqeuclidean")
    found = nearest_neighbors(X, N - 1, metric="sqeuclidean")
    bandwidth = float(np.sqrt(squares.mean() / 8))
    everything = {"n_neighbors": "all", "normalization": "all"}
    pairs = [
        (
            torchdr.NormalizedGaussianAffinity(sigma=2 * bandwidth**2),
            GaussianAffinity(bandwidth, **everything).from_neighbors(found),
        ),
        (
            torchdr.NormalizedStudentAffinity(degrees_of_freedom=2.0),
            StudentAffinity(2.0, **everything).from_neighbors(found),
        ),
        (
            torchdr.SinkhornAffinity(eps=200.0, tol=1e-10, max_iter=5000),
            SinkhornAffinity(200.0, tol=1e-10, max_iter=5000).from_squares(squares),
        ),
        (
            torchdr.SinkhornAffinity(eps=0.5, base_kernel="student", tol=1e-10, max_iter=5000),
            SinkhornAffinity(0.5, kernel="student", tol=1e-10).from_squares(squares),
        ),
    ]
    for theirs, ours in pairs:
        expected = by_torchdr(theirs, X)
        off = np.abs(ours.matrix.toarray() - expected) * N
        assert off.max() < 1e-5, type(theirs).__name__


def test_diffusions_of_torchdr(rows: np.ndarray) -> None:
    torchdr = pytest.importorskip("torchdr")
    X = rows.astype(np.float64) / 10
    found = nearest_neighbors(X, N - 1, metric="sqeuclidean")
    magic = by_torchdr(torchdr.MAGICAffinity(K=7), X)
    ours = MAGICAffinity(7, n_neighbors="all").transitions(found).toarray()
    assert np.abs(ours - magic).max() < 1e-5
    tuned = by_torchdr(torchdr.SelfTuningAffinity(K=7), X)
    made = SelfTuningAffinity(7, n_neighbors="all").from_neighbors(found).matrix.toarray()
    assert np.abs(made - tuned).max() * N < 1e-5


def test_quadratic_affinities_of_torchdr(rows: np.ndarray) -> None:
    torchdr = pytest.importorskip("torchdr")
    X = rows[:150].astype(np.float64) / 30
    theirs = torchdr.DoublyStochasticQuadraticAffinity(eps=1.0, tol=1e-8, max_iter=5000, lr=0.05)
    expected = by_torchdr(theirs, X)
    made = QuadraticAffinity(1.0, tol=1e-9).graph(X).matrix.toarray()
    assert np.abs(made - expected).max() * 150 < 1e-5


def test_symmetric_entropic_affinities_of_torchdr(rows: np.ndarray) -> None:
    torchdr = pytest.importorskip("torchdr")
    X = rows[:150].astype(np.float64) / 30
    theirs = torchdr.SymmetricEntropicAffinity(
        perplexity=10, optimizer="LBFGS", tol=1e-8, max_iter=3000, lr=1.0
    )
    expected = by_torchdr(theirs, X)
    expected *= 1 / expected.sum()
    made = SymmetricEntropicAffinity(10, tol=1e-7).graph(X).matrix.toarray()
    assert np.abs(made - expected).max() * 150 < 3e-5  # their rows sum to one within 2e-5


def test_pairs_of_pacmap(rows: np.ndarray) -> None:
    pacmap = pytest.importorskip("pacmap")
    pairs = pacmap_pairs(rows, 10, random_state=0)
    near, mid_near, further, _ = pacmap.pacmap.generate_pair(
        rows.copy(),
        n_neighbors=10,
        n_MN=5,
        n_FP=20,
        distance="euclidean",
        verbose=False,
    )
    sets = [np.sort(own.reshape(N, -1, 2)[:, :, 1], axis=1) for own in (near, mid_near, further)]
    same = [len(np.intersect1d(a, b)) for a, b in zip(sets[0], pairs.near, strict=True)]
    assert np.mean(same) > 9.95
    distances = cdist(rows, rows)
    own = np.arange(N)[:, None]
    for theirs, ours in ((sets[1], pairs.mid_near), (sets[2], pairs.further)):
        assert theirs.shape == ours.shape
        quantiles = np.linspace(0.2, 0.8, 7)
        expected = np.quantile(distances[own, theirs], quantiles)
        found = np.quantile(distances[own, ours], quantiles)
        np.testing.assert_allclose(found, expected, rtol=0.03)


def test_what_is_compared_is_symmetric(rows: np.ndarray) -> None:
    found = nearest_neighbors(rows, 90)
    for affinity in (EntropicAffinity(30), UMAPAffinity(15), SelfTuningAffinity(), MAGICAffinity()):
        matrix = affinity.from_neighbors(found).matrix
        assert isinstance(matrix, csr_matrix) and abs(matrix - matrix.T).max() == 0

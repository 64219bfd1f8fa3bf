"""Laplacian eigenmaps: eigenvectors, courses, new rows, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.stats import spearmanr
from sklearn.datasets import load_digits
from sklearn.manifold import SpectralEmbedding

import lowdim as ld
from lowdim.affinities import EntropicAffinity, SelfTuningAffinity, UMAPAffinity
from lowdim.neighbors import nearest_neighbors


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    return load_digits().data


@pytest.mark.parametrize("n", [200, 1200])
def test_coordinates_are_scikit_learns(digits, n: int) -> None:
    model = ld.LaplacianEigenmaps(3, random_state=0).fit(digits[:n])
    peer = SpectralEmbedding(3, affinity="precomputed", random_state=0)
    theirs = peer.fit_transform(model.affinities_.matrix.astype(np.float64))
    theirs *= np.sign((theirs * model.embedding_).sum(0))
    scale = np.abs(model.embedding_).max()
    np.testing.assert_allclose(model.embedding_, theirs, atol=5e-6 * scale)


@pytest.mark.parametrize("n", [200, 1200])
def test_coordinates_are_eigenvectors_of_the_walk(digits, n: int) -> None:
    model = ld.LaplacianEigenmaps(4, random_state=0).fit(digits[:n])
    W = model.affinities_.matrix.astype(np.float64)
    sums = np.asarray(W.sum(1)).ravel()
    Y = model.embedding_
    left = (W @ Y) / sums[:, None] - Y * model.eigenvalues_
    assert np.linalg.norm(left, axis=0).max() < 1e-6 * np.linalg.norm(Y, axis=0).min()
    np.testing.assert_allclose(Y.T @ (sums[:, None] * Y), np.eye(4), atol=1e-6)
    np.testing.assert_allclose(sums @ Y, 0.0, atol=1e-6)
    assert (np.diff(model.eigenvalues_) <= 0).all()


@pytest.mark.parametrize(
    "affinity", [None, EntropicAffinity(10), UMAPAffinity(10), SelfTuningAffinity()]
)
def test_a_course_is_in_order(affinity: object) -> None:
    rng = np.random.default_rng(0)
    t = np.sort(rng.random(500))
    X = np.c_[np.cos(4 * t), np.sin(4 * t), 0.01 * rng.normal(size=500)]
    model = ld.LaplacianEigenmaps(2, affinity=affinity, random_state=0).fit(X[::2])
    assert abs(spearmanr(model.embedding_[:, 0], t[::2]).statistic) > 0.99
    new = model.transform(X[1::2])
    assert abs(spearmanr(new[:, 0], t[1::2]).statistic) > 0.99
    assert np.median(np.abs(new - model.embedding_)) < 0.05 * np.ptp(model.embedding_)
    parts = [model.transform(X[1::2][::-1][part]) for part in (slice(0, 7), slice(7, None))]
    assert np.array_equal(np.concatenate(parts)[::-1], new)


def test_steps_make_a_diffusion_map(digits) -> None:
    plain = ld.LaplacianEigenmaps(3, random_state=0).fit(digits[:400])
    map_ = ld.LaplacianEigenmaps(3, n_steps=5, random_state=0).fit(digits[:400])
    np.testing.assert_allclose(map_.embedding_, plain.embedding_ * plain.eigenvalues_**5, rtol=1e-9)
    new = [model.transform(digits[400:410]) for model in (plain, map_)]
    np.testing.assert_allclose(new[1], new[0] * plain.eigenvalues_**5, rtol=1e-9)


def test_the_same_seed_gives_the_same_coordinates(digits) -> None:
    fits = [
        ld.LaplacianEigenmaps(2, random_state=1, n_jobs=jobs).fit_transform(digits[:600])
        for jobs in (1, 2)
    ]
    assert np.array_equal(*fits)


def test_parts_are_told_apart_with_a_warning() -> None:
    graph = np.kron(np.eye(3), np.ones((15, 15)))
    model = ld.LaplacianEigenmaps(2, affinity="precomputed")
    with pytest.warns(UserWarning, match="3 parts"):
        Y = model.fit_transform(graph)
    assert model.n_parts_ == 3
    centres = Y[::15]
    np.testing.assert_allclose(Y, np.repeat(centres, 15, axis=0), atol=1e-9)
    assert np.linalg.norm(centres[:, None] - centres, axis=2)[np.triu_indices(3, 1)].min() > 0.01


def test_sparse_rows_given_distances_and_copies(blobs) -> None:
    X, _ = blobs
    X = X + np.repeat([[0.0], [1.0], [2.0]], 100, axis=0)
    whole = ld.LaplacianEigenmaps(n_neighbors=120).fit(X)
    sparse = ld.LaplacianEigenmaps(n_neighbors=120).fit(sp.csr_matrix(X))
    np.testing.assert_allclose(np.abs(sparse.embedding_), np.abs(whole.embedding_), atol=1e-3)
    given = ld.LaplacianEigenmaps(n_neighbors=120, neighbors=nearest_neighbors(X, 120)).fit(X)
    assert np.array_equal(given.embedding_, whole.embedding_)
    copies = np.repeat(np.random.default_rng(0).normal(size=(20, 3)), 3, axis=0)
    assert np.isfinite(ld.LaplacianEigenmaps().fit_transform(copies)).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_components": 0}, "n_components=0"),
        ({"n_components": 60}, "n_components=60"),
        ({"n_neighbors": 60}, "n_neighbors=60"),
        ({"n_steps": -1}, "n_steps=-1"),
        ({"tol": 0}, "tol=0"),
        ({"metric": "angle"}, "metric='angle'"),
        ({"affinity": "umap"}, "affinity='umap'"),
        ({"neighbors": "near"}, "neighbors='near'"),
    ],
)
def test_bad_arguments_are_named(arguments: dict, message: str) -> None:
    X = np.random.default_rng(0).normal(size=(60, 5))
    with pytest.raises(ValueError, match=message):
        ld.LaplacianEigenmaps(**arguments).fit(X)


def test_rows_without_a_neighbour_are_named() -> None:
    graph = np.ones((6, 6))
    graph[2], graph[:, 2] = 0, 0
    with pytest.raises(ValueError, match="first row 2"):
        ld.LaplacianEigenmaps(affinity="precomputed").fit(graph)

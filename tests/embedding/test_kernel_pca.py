"""Kernel PCA: scikit-learn's with all rows as landmarks, near it with fewer."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.decomposition
from sklearn.datasets import load_digits, make_circles

import lowdim as ld

KERNELS = [
    {"kernel": "linear"},
    {"kernel": "rbf", "gamma": 1e-3},
    {"kernel": "poly", "gamma": 0.01, "degree": 2},
    {"kernel": "cosine"},
]


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    return load_digits().data[:500]


@pytest.mark.parametrize("numbers", KERNELS)
@pytest.mark.parametrize("k", [4, 60])
def test_components_are_scikit_learns(X, numbers: dict, k: int) -> None:
    peer = sklearn.decomposition.KernelPCA(k, **numbers).fit(X[:400])
    model = ld.KernelPCA(k, random_state=0, **numbers).fit(X[:400])
    m = len(model.eigenvalues_)
    np.testing.assert_allclose(model.eigenvalues_, peer.eigenvalues_[:m], rtol=1e-6)
    leading = slice(0, 4)
    for rows in (X[:400], X[400:]):
        theirs, own = peer.transform(rows)[:, leading], model.transform(rows)[:, leading]
        theirs *= np.sign((theirs * own).sum(0))
        np.testing.assert_allclose(own, theirs, atol=1e-6 * np.abs(own).max())
    np.testing.assert_allclose(model.embedding_, model.transform(X[:400]), atol=1e-9)
    sparse = ld.KernelPCA(k, random_state=0, **numbers).fit(sp.csr_matrix(X[:400]))
    np.testing.assert_allclose(sparse.eigenvalues_, model.eigenvalues_, rtol=1e-6)


def test_a_given_kernel_is_used(X) -> None:
    kernel = X @ X.T
    model = ld.KernelPCA(3, kernel="precomputed").fit(kernel)
    pca = ld.PCA(3).fit(X)
    np.testing.assert_allclose(np.abs(model.embedding_), np.abs(pca.transform(X)), atol=1e-6)
    np.testing.assert_allclose(model.transform(kernel[:7]), model.embedding_[:7], atol=1e-8)


@pytest.mark.parametrize("numbers", KERNELS)
def test_landmarks_come_near_and_all_of_them_are_exact(X, numbers: dict) -> None:
    exact = ld.KernelPCA(4, **numbers).fit(X)
    near = ld.KernelPCA(4, n_landmarks=200, random_state=0, **numbers).fit(X)
    shares = near.eigenvalues_ / exact.eigenvalues_
    assert (shares < 1 + 1e-9).all()  # a part of the space never explains more
    assert (shares > 0.93).all()
    almost = ld.KernelPCA(4, n_landmarks=499, random_state=0, **numbers).fit(X)
    assert (almost.eigenvalues_ > near.eigenvalues_ - 1e-9 * near.eigenvalues_).all()
    np.testing.assert_allclose(near.embedding_, near.transform(X), atol=1e-8)
    np.testing.assert_allclose((near.embedding_**2).sum(0), near.eigenvalues_, rtol=1e-6)


def test_rings_come_apart() -> None:
    rings, labels = make_circles(400, factor=0.3, noise=0.05, random_state=0)
    for n_landmarks in (None, 100):
        model = ld.KernelPCA(1, kernel="rbf", gamma=2.0, n_landmarks=n_landmarks, random_state=0)
        Y = model.fit_transform(rings)[:, 0]
        low, high = sorted([Y[labels == k] for k in (0, 1)], key=np.mean)
        assert low.max() < high.min()


def test_the_same_seed_gives_the_same_components(X) -> None:
    models = [
        ld.KernelPCA(3, kernel="rbf", n_landmarks=100, random_state=s).fit(X) for s in (0, 0, 1)
    ]
    assert np.array_equal(models[0].embedding_, models[1].embedding_)
    assert not np.array_equal(models[0].landmarks_, models[2].landmarks_)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_components": 0}, "n_components=0"),
        ({"kernel": "best"}, "kernel='best'"),
        ({"gamma": 0}, "gamma=0"),
        ({"degree": 0}, "degree=0"),
        ({"coef0": -1}, "coef0=-1"),
        ({"n_landmarks": 1}, "n_landmarks=1"),
        ({"kernel": "precomputed"}, r"X has shape \(30, 4\)"),
    ],
)
def test_bad_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ld.KernelPCA(**arguments).fit(np.random.default_rng(0).normal(size=(30, 4)))


def test_what_is_no_kernel_and_equal_rows_are_refused() -> None:
    distances = np.abs(np.subtract.outer(np.arange(30.0), np.arange(30.0)))
    with pytest.raises(ValueError, match="eigenvalues from"):
        ld.KernelPCA(2, kernel="precomputed", n_landmarks=20, random_state=0).fit(distances)
    with pytest.raises(ValueError, match="the same for all rows"):
        ld.KernelPCA(2).fit(np.ones((10, 3)))

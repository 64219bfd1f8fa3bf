"""Rows with neighbours, their affinities and layouts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.sparse as sp

from lowdim.embedding._crew import PARTS, part_bounds


def _extent_of(Y: np.ndarray) -> np.ndarray:
    """Least and largest coordinates of the points of every part."""
    bounds = part_bounds(len(Y))
    extent = np.zeros((PARTS, 2, Y.shape[1]), np.float32)
    for p in range(PARTS):
        own = Y[bounds[p] : bounds[p + 1]]
        if len(own):
            extent[p] = own.min(0), own.max(0)
    return extent


def _pairwise(Y: np.ndarray, dof: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Differences, (N, N, d), and weights, (N, N), without those of points with themselves."""
    gaps = Y[:, None].astype(np.float64) - Y[None]
    weights = (1 + (gaps**2).sum(-1) / dof) ** -dof
    np.fill_diagonal(weights, 0)
    return gaps, weights


def _repulsion_of(Y: np.ndarray, dof: float = 1.0) -> tuple[np.ndarray, float]:
    """Forces and the sum of weights, pair by pair in float64."""
    gaps, weights = _pairwise(Y, dof)
    return np.einsum("ij,ijd->id", weights ** (1 + 1 / dof), gaps), float(weights.sum())


def _kl_divergence(P: sp.csr_matrix, Y: np.ndarray, dof: float = 1.0) -> float:
    """By its definition."""
    _, weights = _pairwise(Y, dof)
    p = P.toarray().astype(np.float64)
    q = weights / weights.sum()
    return float(np.sum(p[p > 0] * np.log(p[p > 0] / q[p > 0])))


@pytest.fixture(scope="session")
def extent_of() -> Callable[[np.ndarray], np.ndarray]:
    return _extent_of


@pytest.fixture(scope="session")
def pairwise() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    return _pairwise


@pytest.fixture(scope="session")
def repulsion_of() -> Callable[..., tuple[np.ndarray, float]]:
    return _repulsion_of


@pytest.fixture(scope="session")
def kl_divergence() -> Callable[..., float]:
    return _kl_divergence


@pytest.fixture(scope="session")
def affinities() -> sp.csr_matrix:
    """Joint probabilities of 120 points with some neighbours each."""
    rng = np.random.default_rng(0)
    graph = sp.random(120, 120, density=0.08, random_state=0, format="csr")
    graph = graph + sp.csr_matrix(
        (rng.random(120), (np.arange(120), (np.arange(120) + 1) % 120)), shape=(120, 120)
    )
    graph = graph + graph.T
    graph.setdiag(0)
    graph.eliminate_zeros()
    return sp.csr_matrix(graph / graph.sum(), dtype=np.float32)


@pytest.fixture(scope="session")
def blobs() -> tuple[np.ndarray, np.ndarray]:
    """300 rows in three groups, and the group of each."""
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(3), 100)
    return rng.normal(size=(300, 6)) + 8.0 * np.eye(6)[labels], labels

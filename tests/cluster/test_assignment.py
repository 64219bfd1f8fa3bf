"""Nearest centroids that are kept up as centroids move, against brute force at every move."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from lowdim import KMeans
from lowdim.cluster._assignment import Assignment, nearest_labels
from lowdim.data.blocks import DenseBlock, SparseBlock


def squared_distances(x: np.ndarray, means: np.ndarray) -> np.ndarray:
    """(R, K, n)."""
    return np.square(x[None, None] - means[:, :, None]).sum(-1)


def make_block(x: np.ndarray, kind: str, weights: np.ndarray | None) -> tuple[Any, np.ndarray]:
    """A block, and its rows as float64."""
    weight = None if weights is None else torch.from_numpy(weights)
    if kind.startswith("sparse"):
        dtype = np.float32 if kind == "sparse float32" else np.float64
        mean, scale = x.mean(0), 2.0
        block = SparseBlock(sp.csr_matrix(x.astype(dtype)), mean, scale, 0, weight)
        return block, (x.astype(dtype).astype(float) - mean) / scale
    rows = x.astype(np.float32 if kind == "float32" else np.float64)
    return DenseBlock(torch.from_numpy(rows), weights=weight), rows.astype(float)


def check(
    assignment: Assignment, x: np.ndarray, means: np.ndarray, weights: Any, tol: float
) -> None:
    """Every row has a nearest centroid, and sums are those of the rows with that label."""
    d2, labels = squared_distances(x, means), assignment.labels
    own = np.take_along_axis(d2, labels[:, None], 1)[:, 0]
    scale = np.square(x).sum(1).max() + np.square(means).sum(2).max()
    assert (own - d2.min(1)).max() <= tol * scale
    w = np.ones(len(x)) if weights is None else weights
    member = (labels[:, None] == np.arange(means.shape[1])[:, None]) * w
    counts, sums, objective = assignment.sums()
    np.testing.assert_allclose(counts, member.sum(2), atol=1e-10)
    np.testing.assert_allclose(sums, member @ x, atol=1e-7 if tol > 1e-10 else 1e-10 * scale)
    np.testing.assert_allclose(objective, -(own * w).sum(1), rtol=1e-6, atol=tol * scale * len(x))


@pytest.mark.parametrize("kind", ["float64", "float32", "sparse", "sparse float32"])
@pytest.mark.parametrize(("n_columns", "k"), [(1, 3), (3, 1), (3, 2), (10, 7), (40, 12)])
def test_every_move_ends_at_the_nearest(kind: str, n_columns: int, k: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(700, n_columns)) * (rng.random((700, n_columns)) < 0.6)
    weights = rng.uniform(0, 2, 700) * (rng.random(700) < 0.9)
    block, rows = make_block(x, kind, weights)
    tol = 1e-5 if "32" in kind else 1e-13
    means = rng.normal(size=(3, k, n_columns))
    found = Assignment(block, means)
    check(found, rows, means, weights, tol)
    first = -(found.sums()[2])
    np.testing.assert_allclose(found.squares, first, rtol=10 * tol)
    for step in (1.0, 0.3, 0.1, 0.03, 1e-2, 1e-3, 1e-4, 1e-5, 0.0, 0.0, 0.3, 2.0, 1e-3):
        means = means + step * rng.normal(size=means.shape) * (rng.random((3, k, 1)) < 0.7)
        found.move(means)
        check(found, rows, means, weights, tol)


def test_a_lone_jump_past_still_centroids_is_seen() -> None:
    """The centroid that moves farthest is a row's own, another's, or nobody's."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 2))
    block, rows = make_block(x, "float64", None)
    means = rng.normal(size=(1, 5, 2))
    found = Assignment(block, means)
    for _ in range(60):
        means = means.copy()
        means[0, rng.integers(5)] = rng.normal(size=2)
        found.move(means)
        check(found, rows, means, None, 1e-13)


def test_many_small_steps_add_up() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(400, 4))
    block, rows = make_block(x, "float64", None)
    means, heading = rng.normal(size=(2, 6, 4)), 0.01 * rng.normal(size=(2, 6, 4))
    found = Assignment(block, means)
    for _ in range(300):  # far enough for sums to be made anew several times
        means = means + heading
        found.move(means)
    check(found, rows, means, None, 1e-13)


def test_restarts_may_leave_the_batch() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(300, 3))
    block, rows = make_block(x, "float64", None)
    means = rng.normal(size=(4, 5, 3))
    found = Assignment(block, means)
    for left in ([0, 2, 3], [1, 2], [1]):
        means = means[left] + 0.01 * rng.normal(size=(len(left), 5, 3))
        found.move(means)
        check(found, rows, means, None, 1e-13)


@pytest.mark.parametrize("kind", ["float64", "float32"])
def test_differences_decide_what_products_cannot(kind: str) -> None:
    """Two centroids so close, and so far from the origin, that rounded products do not tell."""
    rng = np.random.default_rng(4)
    gap = 1e-9 if kind == "float64" else 1e-4
    x = 1.0 + gap * rng.normal(size=(200, 3))
    block, rows = make_block(x, kind, None)
    means = 1.0 + gap * np.array([[[-1.0, 0, 0], [1.0, 0, 0], [0, 1.0, 0]]])
    labels, _ = nearest_labels(block, torch.from_numpy(means))
    np.testing.assert_array_equal(labels, squared_distances(rows, means).argmin(1))


def test_rows_that_tie_go_to_the_first() -> None:
    x = np.array([[0.0, 1.0], [0.0, -1.0], [0.0, 0.0], [0.0, 1.0]])
    block, _ = make_block(x, "float64", None)
    means = np.array([[[1.0, 0.0], [-1.0, 0.0], [1.0, 0.0]]])
    found = Assignment(block, means)
    np.testing.assert_array_equal(found.labels, 0)
    found.move(means[:, ::-1].copy())
    np.testing.assert_array_equal(found.labels, 0)


# Lloyd's algorithm on top ---------------------------------------------------------------------


def plain_lloyd(X: np.ndarray, means: np.ndarray, n_steps: int) -> list[float]:
    """Inertia at every step; no cluster may lose all rows."""
    trace = []
    for _ in range(n_steps):
        d2 = squared_distances(X, means[None])[0]
        labels = d2.argmin(0)
        trace.append(d2.min(0).sum())
        means = np.stack([X[labels == k].mean(0) for k in range(len(means))])
    return trace


@pytest.mark.parametrize("batch_size", [None, 170])
@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("n_columns", [2, 30])
def test_every_step_is_one_of_lloyds(
    n_columns: int, kept: bool, batch_size: int, blobs: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not kept:  # as of rows in a file: blocks are made anew for every pass
        monkeypatch.setattr("lowdim.data.standardized.CACHE_BYTES", 0)
    X, _ = blobs(600, n_columns, 6, spread=1.0)
    model = KMeans(6, init=X[:6], tol=0, batch_size=batch_size).fit(X)
    trace = plain_lloyd(X, X[:6], model.n_iter_)
    np.testing.assert_allclose(model.inertia_trace_, trace, rtol=1e-11)

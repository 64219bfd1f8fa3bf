"""Starting parameters: sound, spread out, and drawn only from the generator handed down."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from lowdim.data import as_rows
from lowdim.data.standardized import StandardizedRows
from lowdim.mixture._subspace.initialize import STRATEGIES, Starter, kmeans, sample_index


def standardized(X: object, weight: np.ndarray | None = None) -> StandardizedRows:
    return StandardizedRows(
        as_rows(X), device=torch.device("cpu"), dtype=torch.float64, sample_weight=weight
    )


def starter(X: object, max_dim: int = 2, seed: int = 0) -> Starter:
    rows = standardized(X)
    sample = rows.subset(np.arange(rows.n_rows))
    return Starter(sample, np.random.default_rng(seed), rows.n_columns, max_dim)


def blobs(n_columns: int, n_blobs: int = 4) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(size=(50, n_columns)) + 10 * k for k in range(n_blobs)])


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("n_columns", [1, 2, 5, 12, 80])
@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix], ids=["dense", "csr"])
def test_starts_are_sound(strategy: str, n_columns: int, form: type) -> None:
    dims = torch.tensor([[0, 1, min(2, n_columns)]]).repeat(4, 1)
    start = starter(form(blobs(n_columns)), min(2, n_columns)).start([strategy] * 4, dims)
    assert start.shape == (4, 3, n_columns)
    assert torch.equal(start.dims, dims)
    np.testing.assert_allclose(start.weights.sum(1), 1)
    assert (start.noise >= 1e-2).all()
    assert (start.latent >= start.noise[..., None]).all()
    assert torch.isfinite(start.means).all()
    assert (start.sketch is not None) == (n_columns > 64)
    for frame in (start.bases, start.sketch):
        if frame is not None:
            inner = frame @ frame.mT
            torch.testing.assert_close(inner, torch.eye(inner.shape[-1]).double().expand_as(inner))
    assert not torch.equal(start.means[0], start.means[1])  # restarts differ


def test_starts_survive_rows_that_are_all_alike() -> None:
    for n_columns in (3, 80):
        start = starter(np.ones((10, n_columns))).start(
            list(STRATEGIES), torch.tensor([[1, 2]] * 3)
        )
        assert torch.isfinite(start.bases).all()
        assert (start.noise > 0).all()


@pytest.mark.parametrize("n_columns", [2, 12, 80])
def test_kmeans_finds_clear_clusters(n_columns: int) -> None:
    rows = standardized(blobs(n_columns))
    block = rows.subset(np.arange(200))
    right = 0
    for seed in range(10):
        labels = kmeans(block, 4, np.random.default_rng(seed))
        assert labels.shape == (200,)
        groups = labels.reshape(4, 50)
        right += (groups == groups[:, :1]).all() and len(set(groups[:, 0])) == 4
    assert right >= 8  # seeds far apart rarely fall into one blob


def test_kmeans_with_fewer_distinct_rows_than_clusters() -> None:
    block = standardized(np.repeat(np.eye(3), 5, axis=0)).subset(np.arange(15))
    labels = kmeans(block, 6, np.random.default_rng(0))
    assert (labels.reshape(3, 5) == labels.reshape(3, 5)[:, :1]).all()


def test_the_sample_respects_weights() -> None:
    X = blobs(3)
    weight = np.zeros(200)
    weight[50:60] = 1
    index = sample_index(standardized(X, weight), np.random.default_rng(0))
    assert index.tolist() == list(range(50, 60))
    index = sample_index(standardized(X), np.random.default_rng(0))
    assert index.tolist() == list(range(200))  # few rows: all of them


def test_the_sample_is_bounded_and_sorted() -> None:
    rows = standardized(np.random.default_rng(0).normal(size=(9000, 2)))
    index = sample_index(rows, np.random.default_rng(0))
    assert len(index) == 4000
    assert (np.diff(index) > 0).all()


@pytest.mark.parametrize("n_columns", [3, 80])
def test_dead_components_move_to_badly_explained_rows(n_columns: int) -> None:
    X = np.concatenate([blobs(n_columns, 1), blobs(n_columns, 1)[:10] + 100])
    own = starter(X)
    # Both components sit on the first blob; the ten rows far away are explained by neither.
    labels = np.r_[np.arange(50) % 2, np.zeros(10, int)]
    start = own.from_labels(labels, torch.tensor([[1, 1]]))
    on_blob = own.from_labels(np.r_[np.zeros(50, int), np.ones(10, int)], torch.tensor([[1, 1]]))
    start.means[0, :] = on_blob.means[0, 0]
    moved = own.reseed(start, torch.tensor([[False, True]]))
    assert torch.equal(moved.means[0, 0], start.means[0, 0])
    far = on_blob.means[0, 1]
    assert (moved.means[0, 1] - far).norm() < (start.means[0, 1] - far).norm() / 10
    assert moved.weights.sum() == pytest.approx(1)
    assert torch.equal(moved.dims, start.dims)

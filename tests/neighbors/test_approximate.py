"""Approximate neighbours: how many are right, and that this is measured."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from lowdim.neighbors import NeighborIndex, nearest_neighbors

METHODS = ["approximate", "faiss"]


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    """Groups along curves in 20 columns."""
    rng = np.random.default_rng(0)
    t = rng.random((6000, 3))
    curves = np.cos(t @ rng.normal(size=(3, 20)) * 4 + rng.integers(0, 6, (6000, 1)))
    return (curves + 0.05 * rng.normal(size=curves.shape)).astype(np.float32)


def share(found: np.ndarray, true: np.ndarray) -> float:
    return float(
        np.mean([len(np.intersect1d(*pair)) for pair in zip(found, true, strict=True)])
        / true.shape[1]
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_recall_is_high_and_measured(
    rows: np.ndarray, method: str, metric: str, caplog: pytest.LogCaptureFixture
) -> None:
    if method == "faiss":
        pytest.importorskip("faiss")
    true = nearest_neighbors(rows, 15, metric=metric, method="exact")
    with caplog.at_level(logging.INFO, "lowdim"):
        found = nearest_neighbors(rows, 15, metric=metric, method=method, random_state=0)
    recall = share(found.indices, true.indices)
    assert recall > 0.98
    assert found.recall == pytest.approx(recall, abs=0.02)
    assert f"recall {found.recall:.4f}" in caplog.text
    assert (found.indices != np.arange(len(rows))[:, None]).all()
    right = found.indices == true.indices
    np.testing.assert_allclose(found.distances[right], true.distances[right], rtol=1e-4, atol=1e-6)


def test_auto_is_exact_for_few_rows_and_sparse_ones(rows: np.ndarray) -> None:
    assert NeighborIndex(rows).method_ == "exact"
    many = np.random.default_rng(0).normal(size=(20_001, 2))
    assert NeighborIndex(many, random_state=0).method_ == "approximate"
    assert NeighborIndex(many, metric="manhattan").method_ == "exact"


def test_the_same_seed_gives_the_same_neighbors_on_any_number_of_threads(rows) -> None:
    first = nearest_neighbors(rows, 10, method="approximate", random_state=3, n_jobs=1)
    again = nearest_neighbors(rows, 10, method="approximate", random_state=3, n_jobs=3)
    np.testing.assert_array_equal(first.indices, again.indices)
    np.testing.assert_array_equal(first.distances, again.distances)
    assert first.recall == again.recall


@pytest.mark.parametrize("method", METHODS)
def test_new_rows_find_themselves_in_any_company(rows: np.ndarray, method: str) -> None:
    if method == "faiss":
        pytest.importorskip("faiss")
    index = NeighborIndex(rows, method=method, random_state=0)
    found = index.query(rows[:300], 5)
    np.testing.assert_array_equal(found.indices[:, 0], np.arange(300))
    assert found.recall > 0.98
    order = np.random.default_rng(1).permutation(300)
    np.testing.assert_array_equal(index.query(rows[order], 5).indices, found.indices[order])
    np.testing.assert_array_equal(index.query(rows[7:8], 5).indices, found.indices[7:8])


@pytest.mark.parametrize("n", [2, 3, 10, 60])
def test_few_rows_have_all_neighbors(n: int) -> None:
    X = np.random.default_rng(0).normal(size=(n, 3))
    found = nearest_neighbors(X, n - 1, method="approximate", random_state=0)
    np.testing.assert_array_equal(found.indices, nearest_neighbors(X, n - 1).indices)
    assert found.recall == 1


def test_copies_are_no_obstacle() -> None:
    X = np.repeat(np.random.default_rng(0).normal(size=(40, 3)), 50, axis=0)
    found = nearest_neighbors(X, 20, method="approximate", random_state=0)
    np.testing.assert_array_equal(found.distances, 0)
    same = nearest_neighbors(np.ones((500, 3)), 4, method="approximate", random_state=0)
    np.testing.assert_array_equal(same.distances, 0)
    assert (same.indices != np.arange(500)[:, None]).all()


def test_faiss_is_not_needed_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    X = np.random.default_rng(0).normal(size=(300, 3))
    nearest_neighbors(X, 5, method="approximate", random_state=0)
    with pytest.raises(ImportError, match=r"lowdim\[ann\]"):
        nearest_neighbors(X, 5, method="faiss")


def test_rows_that_need_more_cells_leave_the_others_alone() -> None:
    """Two rows far from all others, of which only cells with few points are near."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(3000, 2)), 100 + rng.normal(size=(40, 2)) * 30])
    index = NeighborIndex(X, method="approximate", random_state=0)
    found = index.query(np.concatenate([X[:50], [[500.0, 500.0]]]), 300)
    np.testing.assert_array_equal(index.query(X[:50], 300).indices, found.indices[:50])
    assert (np.diff(np.sort(found.indices, axis=1), axis=1) > 0).all()

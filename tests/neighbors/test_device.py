"""Neighbours whose candidates a pretended device finds are those of the host, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from accelerator import pretended
from hypothesis import given, settings
from hypothesis import strategies as st

from lowdim.neighbors import NeighborIndex, Neighbors, nearest_neighbors

SEARCH = "lowdim.neighbors._device_search"


def assert_same(found: Neighbors, expected: Neighbors) -> None:
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_allclose(found.distances, expected.distances, rtol=1.2e-7, atol=0)
    assert found.recall is None and found.metric == expected.metric


@pytest.mark.parametrize("free_bytes", [2**30, 1000])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "cosine", "correlation"])
def test_neighbors_are_those_of_the_host(
    metric: str, dtype: str, free_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of points that stay there or are sent for every block of rows; and those of new rows."""
    monkeypatch.setattr(f"{SEARCH}.QUERIES", 256)
    monkeypatch.setattr(f"{SEARCH}.TILE_VALUES", 256 * 128)
    monkeypatch.setattr(f"{SEARCH}.SETTLED", 100)
    rng = np.random.default_rng(0)
    X, new = ((rng.normal(size=(n, 7)) + 30).astype(dtype) for n in (600, 300))
    host = NeighborIndex(X, metric=metric)
    with pretended(free_bytes) as log:
        index = NeighborIndex(X, metric=metric, device="cuda")
        found, of_new = index.neighbors(15), index.query(new, 4)
    assert log.calls > 20
    assert_same(found, host.neighbors(15))
    assert_same(of_new, host.query(new, 4))


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 60), st.integers(1, 4), st.integers(1, 3), st.integers(0, 10**6))
def test_ties_and_copies(n: int, d: int, n_values: int, seed: int) -> None:
    """The lower index comes first, whatever candidates the device has come upon."""
    rng = np.random.default_rng(seed)
    X = rng.integers(0, n_values, size=(n, d)).astype(np.float32)
    k = int(rng.integers(1, n))
    with pretended():
        found = nearest_neighbors(X, k, device="cuda")
    assert_same(found, nearest_neighbors(X, k))


def test_rows_far_from_the_others_and_many_copies() -> None:
    """Where rounding hides which of many points are the nearest, all are looked at."""
    rng = np.random.default_rng(0)
    close = 1000 + 1e-3 * rng.normal(size=(300, 3))
    X = np.concatenate([close, rng.normal(size=(50, 3)), np.repeat([[5.0, 5.0, 5.0]], 60, 0)])
    with pretended():
        found = nearest_neighbors(X, 12, device="cuda")
    assert_same(found, nearest_neighbors(X, 12))


def test_all_other_points() -> None:
    X = np.random.default_rng(0).normal(size=(40, 3))
    with pretended():
        found = nearest_neighbors(X, 39, device="cuda")
        alone = NeighborIndex(X, device="cuda").query(X[:1], 40)
    assert_same(found, nearest_neighbors(X, 39))
    assert alone.indices[0, 0] == 0 and len(set(alone.indices[0])) == 40


@pytest.mark.parametrize(
    ("form", "metric"), [(sp.csr_matrix, "euclidean"), (np.asarray, "manhattan")]
)
def test_what_is_left_to_the_host(form: Any, metric: str, caplog: pytest.LogCaptureFixture) -> None:
    X = form(np.random.default_rng(0).poisson(1.0, size=(80, 6)) + np.eye(80, 6))
    caplog.set_level("INFO", "lowdim")
    with pretended() as log:
        found = nearest_neighbors(X, 5, metric=metric, device="cuda")
    assert log.calls == 0 and "host" in caplog.text
    assert_same(found, nearest_neighbors(X, 5, metric=metric))


def test_auto_is_exact_there_and_cells_are_the_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lowdim.neighbors.search.EXACT_ROWS", 100)
    X = np.random.default_rng(0).normal(size=(300, 4))
    assert NeighborIndex(X).method_ == "approximate"
    with pretended() as log:
        assert NeighborIndex(X, device="cuda").method_ == "exact"
        cells = nearest_neighbors(X, 5, method="approximate", random_state=0, device="cuda")
    assert log.calls == 0
    expected = nearest_neighbors(X, 5, method="approximate", random_state=0)
    np.testing.assert_array_equal(cells.indices, expected.indices)


def test_the_host_waits_once_per_block_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    X = np.random.default_rng(0).normal(size=(600, 4))
    monkeypatch.setattr(f"{SEARCH}.QUERIES", 100)
    for n_values in (100 * 50, 100 * 300):
        monkeypatch.setattr(f"{SEARCH}.TILE_VALUES", n_values)
        for free_bytes in (2**30, 1000):
            with pretended(free_bytes) as log:
                nearest_neighbors(X, 5, device="cuda")
            assert log.waits == 6


def test_products_that_torch_may_round_are_made_in_double_precision(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    X = np.random.default_rng(0).normal(size=(60, 4))
    seen = []

    def noted(left: torch.Tensor, *rest: Any) -> torch.Tensor:
        seen.append(left.dtype)
        return nearest_keys(left, *rest)

    import lowdim.neighbors._device_search as search

    nearest_keys = search._nearest_keys
    monkeypatch.setattr(search, "_nearest_keys", noted)
    before = torch.get_float32_matmul_precision()
    try:
        for precision in ("highest", "high"):
            torch.set_float32_matmul_precision(precision)
            with pretended():
                found = nearest_neighbors(X, 5, device="cuda")
            assert_same(found, nearest_neighbors(X, 5))
    finally:
        torch.set_float32_matmul_precision(before)
    assert seen == [torch.float32, torch.float64]


def test_a_device_that_is_not_there() -> None:
    for device, error in (("tpu", ValueError), (3, TypeError)):
        with pytest.raises(error, match="device"):
            nearest_neighbors(np.eye(5), 1, device=device)

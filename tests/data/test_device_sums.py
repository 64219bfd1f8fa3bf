"""Sums for accelerators are those of float64, however the work is cut up."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lowdim.data import device_sums


@pytest.fixture(params=[(4096, 2**26), (7, 2**26), (7, 100), (4096, 1)])
def cut(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stretches of so many rows, and so many numbers at a time."""
    monkeypatch.setattr(device_sums, "STRETCH", request.param[0])
    monkeypatch.setattr(device_sums, "AT_A_TIME", request.param[1])


@pytest.mark.usefixtures("cut")
@pytest.mark.parametrize("n", [0, 1, 7, 30, 45])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_they_are_the_plain_sums(n: int, dtype: torch.dtype, tolerance: float) -> None:
    rng = np.random.default_rng(n)
    rows, weights = rng.normal(size=(n, 5)), rng.random((3, n))
    sketches = rng.normal(size=(3, 2, 5))
    x, r, w = (torch.from_numpy(part) for part in (rows, weights, sketches))
    x = x.to(dtype)
    z = np.einsum("cwd,nd->cwn", sketches, rows)
    z = np.concatenate([np.ones((3, 1, n)), z], 1)
    found = {
        "products": (device_sums.products(r, x), weights @ rows),
        "second": (
            device_sums.second_moments(x, r),
            np.einsum("cn,ni,nj->cij", weights, rows, rows),
        ),
        "sketched": (
            device_sums.sketched_moments(x, r, w),
            np.einsum("cn,cwn,nd->cwd", weights, z, rows),
        ),
    }
    for got, expected in found.values():
        assert got.dtype == torch.float64
        np.testing.assert_allclose(got.numpy(), expected, rtol=tolerance, atol=tolerance * (1 + n))


def test_many_rows_in_single_precision_lose_few_digits() -> None:
    rows = torch.rand((300_000, 2), generator=torch.Generator().manual_seed(0)) + 1
    found = device_sums.products(torch.ones((1, len(rows))).double(), rows)
    expected = rows.double().sum(0)
    assert float((found[0] / expected - 1).abs().max()) < 1e-6

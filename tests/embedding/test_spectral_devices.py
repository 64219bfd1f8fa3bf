"""Spectral methods on a pretended device: answers of the host, in so many waits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from accelerator import pretended

import lowdim as ld

RNG = np.random.default_rng(0)
#: Falling variances about a mean far from zero, so that every axis is told from the others.
ROWS = RNG.normal(size=(700, 30)) * np.linspace(3.0, 0.3, 30) + RNG.normal(size=30) * 5
FITTED = ("explained_variance_", "explained_variance_ratio_", "singular_values_", "mean_")
FORMS = {"dense": np.asarray, "sparse": sp.csr_matrix}


def assert_alike(found: Any, expected: Any, tolerance: float) -> None:
    """The same axes, signs included, and numbers."""
    np.testing.assert_allclose(found.components_, expected.components_, atol=tolerance)
    for name in (*FITTED, "noise_variance_"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=tolerance)


@pytest.mark.parametrize("free_bytes", [2**30, 1000])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-8), ("float32", 1e-4)])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("solver", ["covariance_eigh", "randomized", "full"])
def test_components_are_those_of_the_host(
    solver: str,
    form: str,
    dtype: str,
    tolerance: float,
    free_bytes: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of rows that stay there, and of rows that are sent in every pass."""
    if (solver, form) == ("full", "sparse"):
        pytest.skip("sparse rows stay sparse")
    monkeypatch.setattr("lowdim.data.standardized.default_block_rows", lambda *_: 250)
    X = FORMS[form](ROWS.astype(dtype))
    settings: dict[str, Any] = {"svd_solver": solver, "random_state": 0, "tol": 1e-12}
    expected = ld.PCA(4, **settings).fit(X)
    with pretended(free_bytes):
        found = ld.PCA(4, device="cuda", **settings).fit(X)
        Y = found.transform(X)
    assert_alike(found, expected, tolerance)
    assert Y.dtype == dtype
    np.testing.assert_allclose(Y, expected.transform(X), atol=tolerance * np.ptp(Y))


def test_shares_of_the_variance_and_whitening() -> None:
    for settings in ({"n_components": 0.8}, {"whiten": True}, {}):
        expected = ld.PCA(**settings).fit(ROWS)
        with pretended():
            found = ld.PCA(**settings, device="cuda").fit(ROWS)
            Y = found.transform(ROWS[:9])
        assert found.n_components_ == expected.n_components_
        assert_alike(found, expected, 1e-8)
        np.testing.assert_allclose(Y, expected.transform(ROWS[:9]), atol=1e-8)


def test_pieces_are_the_whole() -> None:
    with pretended():
        found = ld.IncrementalPCA(4, device="cuda")
        for piece in np.array_split(ROWS, 3):
            found.partial_fit(piece)
        whole = ld.IncrementalPCA(4, device="cuda").fit(ROWS)
    expected = ld.PCA(4).fit(ROWS)
    for model in (found, whole):
        assert_alike(model, expected, 1e-8)
    assert found.n_samples_seen_ == len(ROWS)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_small_and_large_numbers_in_single_precision(scale: float) -> None:
    X = (ROWS * scale).astype(np.float32)
    expected = ld.PCA(3, random_state=0).fit(X)
    with pretended():
        found = ld.PCA(3, device="cuda").fit(X)
        Y = found.transform(X)
    assert_alike(found, expected, 1e-4)
    np.testing.assert_allclose(Y, expected.transform(X), atol=1e-4 * np.abs(Y).max())


def test_constant_rows_have_no_variance() -> None:
    with pretended():
        found = ld.PCA(2, device="cuda").fit(np.full((50, 4), 3.0))
    np.testing.assert_allclose(found.explained_variance_, 0.0, atol=1e-20)


@pytest.mark.parametrize("free_bytes", [2**30, 1000])
def test_the_host_waits_once_per_block_of_the_krylov_space(
    free_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many blocks of rows there are; the covariance comes in one transfer."""
    X = RNG.normal(size=(300, 400))
    settings: dict[str, Any] = {"svd_solver": "randomized", "random_state": 0, "tol": 1e-12}
    per_pass = []
    for n_rows in (300, 60):
        monkeypatch.setattr("lowdim.data.standardized.default_block_rows", lambda *_, n=n_rows: n)
        counts = []
        for limit in (3, 5):
            with pretended(free_bytes) as log:
                model = ld.PCA(3, device="cuda", max_iter=limit, **settings).fit(X)
            assert model.n_iter_ == limit
            counts.append(len(log.reads))
        per_pass.append((counts[1] - counts[0]) / 2)
        with pretended(free_bytes) as log:
            ld.PCA(3, device="cuda", svd_solver="covariance_eigh").fit(X)
        assert len(log.reads) == 1
    assert per_pass == [1, 1]


@pytest.mark.parametrize("model", [ld.PCA(2), ld.IncrementalPCA(2)], ids=lambda m: type(m).__name__)
def test_a_device_that_is_not_there(model: Any) -> None:
    for device, error in (("tpu", ValueError), (3, TypeError)):
        with pytest.raises(error, match="device"):
            model.set_params(device=device).fit(ROWS)
    model.set_params(device="cpu").fit(ROWS)
    with pytest.raises(ValueError, match="tpu"):
        model.set_params(device="tpu").transform(ROWS)

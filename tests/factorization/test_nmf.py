"""The nonnegative factorization that fits begin with."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import NMF, non_negative_factorization

from lowdim.factorization import _counts, _nmf
from lowdim.factorization._counts import DenseCounts
from lowdim.factorization._nmf import factorize


def planted(n: int = 300) -> tuple[torch.Tensor, np.ndarray]:
    """Counts of three factors, and their loadings."""
    rng = np.random.default_rng(0)
    H, W = rng.gamma(0.5, 2.0, size=(n, 3)), rng.gamma(0.5, 2.0, size=(24, 3))
    return torch.from_numpy(rng.poisson(H @ W.T)).double(), W


def divergence(counts: torch.Tensor, H: torch.Tensor, W: torch.Tensor) -> float:
    rates = H @ W.T
    return float((rates - counts * rates.clamp(min=1e-10).log()).sum())


def fitted(counts: torch.Tensor, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    H, W = factorize(DenseCounts(counts), 3, rng, n_init=4, n_iter=60, polish=200)
    return H.double(), W.double()


def test_the_divergence_is_that_of_scikit_learn() -> None:
    counts, _ = planted()
    peer = NMF(
        3, init="nndsvda", solver="mu", beta_loss="kullback-leibler", max_iter=2000, tol=1e-9
    )
    H = torch.from_numpy(peer.fit_transform(counts.numpy()))
    W = torch.from_numpy(peer.components_.T)
    expected = divergence(counts, H, W)
    assert divergence(counts, *fitted(counts)) < expected + 1e-4 * abs(expected)


def test_starts_on_some_rows_serve_all(monkeypatch: pytest.MonkeyPatch) -> None:
    counts, truth = planted(900)
    monkeypatch.setattr(_nmf, "MOST_ROWS", 300)
    H, W = fitted(counts)
    assert H.shape == (900, 3)
    both = np.corrcoef(truth.T, W.T.numpy())[:3, 3:]
    assert both.max(1).min() > 0.98
    best, _, _ = non_negative_factorization(
        counts.numpy(), H=W.T.numpy(), n_components=3, update_H=False, solver="mu",
        beta_loss="kullback-leibler", max_iter=1000, tol=1e-8,
    )  # fmt: skip
    least = divergence(counts, torch.from_numpy(best), W)
    assert least - 1e-6 <= divergence(counts, H, W)
    nothing = divergence(counts, H.mean(0).expand(H.shape), W)
    assert divergence(counts, H, W) < least + 0.05 * (nothing - least)


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    counts, _ = planted()
    rng = np.random.default_rng(0)
    H, W = (torch.from_numpy(rng.random((n, 3))) + 0.1 for n in counts.shape)
    whole = _nmf._stepped(DenseCounts(counts), H, W, 100)
    monkeypatch.setattr(_counts, "CHUNK_VALUES", 500)
    chunked = _nmf._stepped(DenseCounts(counts), H, W, 100)
    for one, other in zip(whole, chunked, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-9, atol=1e-12)


def test_steps_never_raise_the_divergence() -> None:
    counts, _ = planted()
    rng = np.random.default_rng(0)
    H, W = (torch.from_numpy(rng.random((n, 3))) + 0.1 for n in counts.shape)
    course = [divergence(counts, H, W)]
    for _ in range(20):
        H, W = _nmf._stepped(DenseCounts(counts), H, W, 1)
        course.append(divergence(counts, H, W))
    assert np.all(np.diff(course) <= 1e-9 * abs(course[0]))

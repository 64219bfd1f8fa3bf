"""Components of all samples as one list: each once where that pays, else as often as it is."""

from __future__ import annotations

import numpy as np
import pytest

from lowdim.samples import _support
from lowdim.samples._map_transport import MapTransport
from lowdim.samples._support import Support
from lowdim.transport import Mixtures, mixture_distances


def recurring(S: int, M: int, K: int, D: int = 3) -> Mixtures:
    """Every sample has K of M components."""
    rng = np.random.default_rng(0)
    means, roots = rng.normal(size=(M, D)), rng.normal(size=(M, D, D))
    covariances = roots @ roots.swapaxes(1, 2)
    chosen = np.stack([rng.permutation(M)[:K] for _ in range(S)])
    mixtures = Mixtures.of(rng.dirichlet(np.ones(K), S), means[chosen], covariances[chosen])
    assert mixtures.shared is not None
    return mixtures


def test_what_recurs_is_listed_once() -> None:
    support = Support.of(recurring(12, 8, 6))
    assert support.is_shared and len(support.means) == 8
    assert len(support.rows) == 72


def test_a_table_that_would_be_large_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    mixtures, W = recurring(12, 8, 6), np.random.default_rng(1).normal(size=(2, 3))
    pairs = np.stack(np.triu_indices(12, 1), axis=1)
    slopes = np.random.default_rng(2).normal(size=len(pairs))
    listed = MapTransport(Support.of(mixtures), cost="mw2").distances(W, pairs)
    told = listed.distances, listed.gradient(slopes)
    monkeypatch.setattr(_support, "RECURRING", 7)
    support = Support.of(mixtures)
    assert not support.is_shared and len(support.means) == 72
    own = MapTransport(support, cost="mw2").distances(W, pairs)
    np.testing.assert_allclose(own.distances, told[0], rtol=1e-10)
    np.testing.assert_allclose(own.gradient(slopes), told[1], rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(own.distances, mixture_distances(mixtures.mapped(W), pairs))


def test_a_table_of_more_costs_than_pairs_have_is_not_made() -> None:
    mixtures = recurring(6, 90, 60)  # 8,100 costs; 15 pairs that need some hundred each
    assert not Support.of(mixtures).is_shared

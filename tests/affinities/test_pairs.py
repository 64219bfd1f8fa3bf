"""PaCMAP's pairs: which rows may be partners, and which are likely."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from lowdim.affinities import pacmap_pairs
from lowdim.affinities.pairs import others
from lowdim.neighbors import nearest_neighbors

X = np.random.default_rng(0).normal(size=(400, 5))


def test_partners_are_others_and_different() -> None:
    pairs = pacmap_pairs(X, 10, random_state=0)
    assert pairs.near.shape == (400, 10) and pairs.near.dtype == np.int32
    assert pairs.mid_near.shape == (400, 5) and pairs.further.shape == (400, 20)
    for own in (pairs.near, pairs.mid_near, pairs.further):
        assert (own != np.arange(400)[:, None]).all()
        assert (np.diff(np.sort(own, axis=1), axis=1) > 0).all()
    both = np.sort(np.hstack([pairs.near, pairs.further]), axis=1)
    assert (np.diff(both, axis=1) > 0).all()


def test_near_partners_have_the_least_scaled_distances() -> None:
    distances = np.sqrt(((X[:, None] - X) ** 2).sum(2))
    np.fill_diagonal(distances, np.inf)
    scales = np.sort(distances, axis=1)[:, 3:6].mean(1)
    scaled = distances**2 / np.outer(scales, scales)
    expected = np.argsort(scaled, axis=1)[:, :10]
    found = pacmap_pairs(X, 10, neighbors=nearest_neighbors(X, 399), random_state=0).near
    assert (np.sort(found, axis=1) == np.sort(expected, axis=1)).mean() > 0.999


def test_mid_near_partners_are_the_second_of_six() -> None:
    """The rank of the second nearest of six has a beta distribution, with mean 2/7."""
    ranks = np.argsort(np.argsort(((X[:, None] - X) ** 2).sum(2), axis=1), axis=1) / 400
    draws = [
        ranks[np.arange(400)[:, None], pacmap_pairs(X, 10, random_state=seed).mid_near]
        for seed in range(4)
    ]
    assert np.mean(draws) == pytest.approx(2 / 7, abs=0.01)
    assert np.std(draws) == pytest.approx(np.sqrt(2 * 5 / (49 * 8)), abs=0.01)


def test_draws_are_even_among_what_is_left() -> None:
    taken = np.tile(np.array([[0, 3]], np.int32), (20_000, 1))
    drawn = others(taken, 2, 6, np.random.default_rng(0))
    counts = np.bincount(drawn.ravel(), minlength=6)
    assert counts[0] == counts[3] == 0 and (drawn[:, 0] != drawn[:, 1]).all()
    np.testing.assert_allclose(counts[[1, 2, 4, 5]], 10_000, rtol=0.04)


def test_the_same_seed_draws_the_same_and_sparse_rows_will_do() -> None:
    first, again = (pacmap_pairs(X, 5, random_state=7) for _ in range(2))
    sparse = pacmap_pairs(sp.csr_matrix(X), 5, random_state=7)
    for name in ("near", "mid_near", "further"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
        np.testing.assert_array_equal(getattr(first, name), getattr(sparse, name))


def test_too_few_rows_and_wrong_neighbors_are_named() -> None:
    with pytest.raises(ValueError, match="X has 20 rows, too few"):
        pacmap_pairs(X[:20], 10)
    with pytest.raises(ValueError, match="neighbors are 3 of 400 rows"):
        pacmap_pairs(X, 10, neighbors=nearest_neighbors(X, 3))

"""The functions of one number, and the sums that stand in for long ones."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from lowdim.mixture._counts.chebyshev import SizeNodes
from lowdim.mixture._counts.matrix import Counts
from lowdim.mixture._counts.merge import merge
from lowdim.mixture._counts.model import Sizes
from lowdim.mixture._counts.near_rows import Held
from lowdim.mixture._counts.special import log, log1p, log_rising, zero_slopes


def test_logarithms_are_those_of_the_library() -> None:
    values = np.exp(np.random.default_rng(0).uniform(-40, 40, 20_000))
    np.testing.assert_allclose([log1p(y) for y in values], np.log1p(values), rtol=5e-16)
    np.testing.assert_allclose([log(y) for y in values], np.log(values), rtol=5e-16, atol=5e-16)
    assert log1p(0.0) == 0.0


@pytest.mark.parametrize("phi", [1e-6, 1e-3, 0.3, 1.0, 50.0, 1e3])
def test_rising_products_are_sums_of_logarithms(phi: float) -> None:
    for x in (0, 1, 2, 3, 16, 17, 18, 100, 30_000):
        expected = np.log1p(np.arange(x) * phi).sum()
        assert log_rising(float(x), phi) == pytest.approx(expected, rel=1e-11, abs=1e-13)
    assert log_rising(9.0, 0.0) == 0.0


@pytest.mark.parametrize("y", [1e-9, 1e-3, 0.0199, 0.0201, 0.5, 30.0])
def test_slopes_of_rows_without_counts(y: float) -> None:
    """Against differences of the cost log(1 + y) / phi, and of its slope, at a = 1."""
    value, first, second = zero_slopes(y)
    assert value == pytest.approx(np.log1p(y), rel=1e-14)
    h = max(1e-4 * y, 1e-7)
    if y > 1e-4:
        cost = [np.log1p(p) / p for p in (y - h, y + h)]
        assert first == pytest.approx(-(cost[1] - cost[0]) / (2 * h), rel=1e-5)
        slope = [zero_slopes(p)[1] for p in (y - h, y + h)]
        assert second == pytest.approx((slope[1] - slope[0]) / (2 * h), rel=1e-5)
    else:
        assert (first, second) == pytest.approx((0.5, -2 / 3), rel=1e-8)


def test_nodes_of_sums_below_a_count_are_as_good_as_all() -> None:
    rng = np.random.default_rng(0)
    X = np.where(
        rng.random((60, 3)) < 0.3, 0, rng.lognormal([0, 4, 9], 2, size=(60, 3)).astype(int)
    )
    weights = rng.uniform(0, 2, size=60)
    counts = Counts(sp.csr_matrix(X, dtype=float), weights)
    ends, m, _, _, owned = counts.tails
    assert len(m) < 20_000
    for phi in (1e-4, 0.1, 20.0):
        for g in range(3):
            own = slice(ends[g], ends[g + 1])
            found = owned[own] @ np.log1p(m[own] * phi)
            expected = weights @ [np.log1p(np.arange(x) * phi).sum() for x in X[:, g]]
            assert found == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("spread", [0.0, 0.1, 1.0, 3.0])
def test_functions_of_the_size_factor_are_interpolated(spread: float) -> None:
    sizes = np.random.default_rng(0).lognormal(0, spread, size=500)
    for reach in (1.0, 8.0):
        nodes = SizeNodes.of(sizes, reach)
        assert len(nodes.nodes) < 200
        for t in (1e-6, 0.1, 3.0, 1e4):
            values, expected = nodes.matrix @ np.log1p(t * nodes.nodes), np.log1p(t * sizes)
            largest = np.log1p(t * nodes.nodes).max()  # to which the error is relative
            np.testing.assert_allclose(values, expected, rtol=1e-11, atol=1e-12 * largest)


def test_the_closest_parts_are_merged() -> None:
    mean = np.exp(np.array([[0.0, 3.0], [0.1, 3.0], [2.0, 0.0], [2.0, 0.2], [-3.0, 9.0]]).T)
    groups = merge(mean, np.full((2, 5), 7.0), 3)
    assert sorted(sorted(group) for group in groups) == [[0, 1], [2, 3], [4]]
    assert merge(mean, np.full((2, 5), 7.0), 1) != []


def test_counts_at_the_nodes_give_sums_over_rows_and_follow_the_responsibilities() -> None:
    rng = np.random.default_rng(0)
    X, sizes = rng.poisson(1.0, size=(200, 7)).astype(float), rng.lognormal(0, 0.8, size=200)
    counts = Counts(sp.csr_matrix(X), rng.uniform(0, 2, size=200))
    before, after = rng.dirichlet(np.ones(3), size=(2, 200))
    after[:150] = before[:150]
    factors = Sizes.of(sizes)
    step = Held.of(counts, factors, before).moved(factors, after)
    weighted = after * counts.weights[:, None]
    for rate in (0.01, 1.0, 30.0):
        expected = np.einsum("ik,ig,i->kg", weighted, X, 1 / (1 + sizes * rate))
        found = step.held @ (1 / (1 + factors.nodes.nodes * rate))
        np.testing.assert_allclose(found, expected, rtol=1e-11)

"""Factors are matched one to one."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import spearmanr

from lowdim.metrics import factor_correlations, match_factors, sparsity

RNG = np.random.default_rng(0)
TRUTH = RNG.normal(size=(50, 3))


def test_order_sign_and_scale_do_not_matter() -> None:
    found = np.column_stack([RNG.normal(size=50), -3 * TRUTH[:, 2], TRUTH[:, 0] + 5, TRUTH[:, 1]])
    assert match_factors(TRUTH, found).tolist() == [2, 3, 1]
    np.testing.assert_allclose(factor_correlations(TRUTH, found), 1)


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_the_matching_is_the_best_of_all(method: str) -> None:
    found = TRUTH @ RNG.normal(size=(3, 3)) + RNG.normal(size=(50, 3))
    if method == "pearson":
        both = np.abs(np.corrcoef(TRUTH.T, found.T)[:3, 3:])
    else:
        both = np.abs(spearmanr(TRUTH, found).statistic[:3, 3:])
    best = max(permutations(range(3)), key=lambda p: both[range(3), p].sum())
    assert match_factors(TRUTH, found, method=method).tolist() == list(best)
    ours = factor_correlations(TRUTH, found, method=method)
    np.testing.assert_allclose(ours, both[range(3), best])


def test_a_factor_found_twice_stands_for_one() -> None:
    found = np.column_stack([TRUTH[:, 0], TRUTH[:, 0], TRUTH[:, 1]])
    ours = factor_correlations(TRUTH, found)
    np.testing.assert_allclose(ours[:2], 1)
    assert ours[2] < 0.5


def test_what_is_missing_or_constant_has_no_correlation() -> None:
    assert match_factors(TRUTH, TRUTH[:, :1]).tolist() == [0, -1, -1]
    np.testing.assert_allclose(factor_correlations(TRUTH, TRUTH[:, :1]), [1, 0, 0])
    constant = np.column_stack([TRUTH[:, :2], np.full(50, 0.1)])
    np.testing.assert_allclose(factor_correlations(TRUTH, constant), [1, 1, 0])


def test_sparsity_counts_what_is_as_good_as_zero() -> None:
    assert sparsity([[0, 1e-9], [-1e-3, 2]]) == 0.5
    assert sparsity([[0, 1e-9], [-1e-3, 2]], tol=0.1) == 0.75


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: match_factors(TRUTH, TRUTH[:9]), "found has 9 rows, expected 50"),
        (lambda: match_factors(TRUTH, TRUTH, method="kendall"), "method='kendall'"),
        (lambda: factor_correlations(TRUTH, TRUTH * np.inf), "finite"),
        (lambda: sparsity([[1.0]], tol=0), "tol=0"),
    ],
)
def test_wrong_arguments_are_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()

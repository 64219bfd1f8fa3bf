"""Size factors in `obs`."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp

import lowdim as ld
from lowdim.factorization._size_factors import rule_of, size_factors_of


def median_ratios(counts: np.ndarray) -> np.ndarray:
    """The definition, row by row."""
    logs = np.log(np.where(counts > 0, counts, 1))
    ratios = logs - logs.mean(0)
    sizes = np.array([np.median(own[row > 0]) for own, row in zip(ratios, counts, strict=True)])
    return np.exp(sizes - sizes.mean())


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix, sp.csc_matrix])
def test_rules_are_what_they_say(awkward: ad.AnnData, kind) -> None:
    counts = np.delete(awkward.X, 7, axis=0)
    adata = ad.AnnData(kind(counts))
    totals = counts.sum(1)
    for method, expected in (
        ("mean", totals / totals.mean()),
        ("median", totals / np.median(totals)),
        ("median_ratio", median_ratios(counts)),
    ):
        ld.pp.size_factors(adata, method, key_added=method)
        np.testing.assert_allclose(adata.obs[method], expected, rtol=1e-6)


def test_median_ratios_see_depth_and_not_one_gene_with_very_many_counts() -> None:
    rng = np.random.default_rng(0)
    depth = np.exp(rng.normal(scale=0.5, size=60))
    counts = rng.poisson(depth[:, None] * rng.gamma(2.0, 50.0, size=200))
    counts[::2, 0] = 100_000
    depth = depth / np.exp(np.log(depth).mean())
    ratios = rule_of("median_ratio", counts).sizes(counts)
    assert np.abs(np.log(ratios / depth)).max() < 0.1
    totals = rule_of("mean", counts).sizes(counts)
    assert np.abs(np.log(totals / depth)).max() > 0.5


@pytest.mark.parametrize("method", ["mean", "median", "median_ratio"])
def test_empty_rows_get_a_small_positive_size(awkward: ad.AnnData, method: str) -> None:
    ld.pp.size_factors(awkward, method)
    sizes = awkward.obs["size_factors"]
    assert (sizes > 0).all()
    assert sizes.iloc[7] == sizes.min()
    empty = ad.AnnData(np.zeros((3, 2)))
    ld.pp.size_factors(empty, method)
    np.testing.assert_array_equal(empty.obs["size_factors"], 1)


@pytest.mark.parametrize("name", ["mean", "median", "median_ratio"])
def test_new_rows_are_measured_in_the_unit_of_the_fitted_ones(
    awkward: ad.AnnData, name: str
) -> None:
    fitted, new = awkward.X[:30], awkward.X[30:]
    rule = rule_of(name, fitted)
    own = rule.sizes(new)
    same = ld.pp.size_factors(ad.AnnData(fitted), name, copy=True)
    np.testing.assert_allclose(rule.sizes(fitted), same.obs["size_factors"], rtol=1e-6)
    # One row's size does not depend on which others are asked about.
    np.testing.assert_allclose(rule.sizes(new[3:5]), own[3:5])
    sparse = rule_of(name, sp.csr_matrix(fitted))
    np.testing.assert_allclose(sparse.sizes(sp.csr_matrix(new)), own)


@pytest.mark.parametrize("name", ["mean", "median", "median_ratio"])
def test_counts_that_are_not_known_do_not_shrink_a_row(name: str) -> None:
    rng = np.random.default_rng(0)
    depth = np.exp(rng.normal(scale=0.5, size=80))
    counts = rng.poisson(depth[:, None] * rng.gamma(2.0, 20.0, size=60)).astype(float)
    whole = rule_of(name, counts).sizes(counts)
    counts[::4, :30] = np.nan
    some = rule_of(name, counts).sizes(counts)
    assert np.abs(np.log(some / whole) - np.log(some / whole).mean()).max() < 0.2


def test_without_a_rule_sizes_are_one_or_given() -> None:
    counts = np.ones((3, 2))
    assert rule_of(None, counts) is None
    np.testing.assert_array_equal(size_factors_of(None, None, counts), 1)
    np.testing.assert_array_equal(size_factors_of([1.0, 2.0, 3.0], None, counts), [1, 2, 3])


def test_wrong_arguments_are_named(awkward: ad.AnnData) -> None:
    with pytest.raises(ValueError, match="method='scran'"):
        ld.pp.size_factors(awkward, "scran")
    with pytest.raises(ValueError, match="size_factors='total'"):
        rule_of("total", np.ones((3, 2)))
    copied = ld.pp.size_factors(awkward, copy=True)
    assert copied is not None
    assert "size_factors" not in awkward.obs


@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csr_array])
def test_zeros_that_are_stored_stay_where_they_are(kind: type) -> None:
    counts = kind(np.random.default_rng(0).poisson(1.5, size=(20, 6)).astype(float))
    counts.data[::3] = 0
    before = counts.toarray()
    adata = ad.AnnData(counts)
    ld.pp.size_factors(adata, "median_ratio")
    np.testing.assert_array_equal(adata.X.toarray(), before)

"""Size factors in `obs`."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp

import lowdim as ld
from lowdim.factorization._size_factors import like_fitted, size_factors_of


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
    ratios = size_factors_of("median_ratio", counts.sum(1), counts)
    assert np.abs(np.log(ratios / depth)).max() < 0.1
    totals = size_factors_of("mean", counts.sum(1))
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


@pytest.mark.parametrize("rule", ["mean", "median", "median_ratio", None])
def test_new_rows_are_measured_in_the_unit_of_the_fitted_ones(
    awkward: ad.AnnData, rule: str | None
) -> None:
    fitted, new = awkward.X[:30], awkward.X[30:]
    own = like_fitted(rule, fitted, new)
    same = size_factors_of(rule, fitted.sum(1), fitted)
    np.testing.assert_allclose(like_fitted(rule, fitted, fitted), same, rtol=1e-6)
    # One row's size does not depend on which others are asked about.
    np.testing.assert_allclose(like_fitted(rule, fitted, new[3:5]), own[3:5])
    np.testing.assert_allclose(like_fitted(rule, sp.csr_matrix(fitted), sp.csr_matrix(new)), own)


def test_wrong_arguments_are_named(awkward: ad.AnnData) -> None:
    with pytest.raises(ValueError, match="method='scran'"):
        ld.pp.size_factors(awkward, "scran")
    with pytest.raises(ValueError, match="size_factors='median_ratio'"):
        size_factors_of("median_ratio", np.ones(3))
    copied = ld.pp.size_factors(awkward, copy=True)
    assert copied is not None
    assert "size_factors" not in awkward.obs

"""Rescaling keeps the rates; shares sum to one; markers are what they are defined as."""

import numpy as np
import pytest
from scipy.stats import entropy

from lowdim.factorization import markers, rescale, scaled_loadings, spatial_importance


def drawn(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    loadings = rng.gamma(0.5, size=(12, 4)) * (rng.random((12, 4)) < 0.7)
    loadings[0] = 1.0
    return rng.gamma(1.0, size=(30, 4)), loadings


def test_lda_makes_rows_mixtures_and_factors_profiles() -> None:
    factors, loadings = drawn()
    found = rescale(factors, loadings, "lda")
    np.testing.assert_allclose(found.factors.sum(1), 1)
    np.testing.assert_allclose(found.loadings.sum(0), 1)
    rates = found.totals[:, None] * (found.factors @ found.loadings.T)
    np.testing.assert_allclose(rates, factors @ loadings.T)


def test_spde_makes_factors_distributions_and_columns_mixtures() -> None:
    factors, loadings = drawn()
    loadings[3] = 1.0  # no column without a rate
    loadings[loadings.sum(1) == 0] = 1.0
    found = rescale(factors, loadings, "spde")
    np.testing.assert_allclose(found.factors.sum(0), 1)
    np.testing.assert_allclose(found.loadings.sum(1), 1)
    np.testing.assert_allclose(
        found.factors @ (found.totals[:, None] * found.loadings).T, factors @ loadings.T
    )


@pytest.mark.parametrize("mode", ["lda", "spde"])
def test_shares_do_not_depend_on_the_scale_of_factors(mode: str) -> None:
    factors, loadings = drawn()
    scale = np.array([0.1, 3.0, 7.0, 100.0])
    one, other = rescale(factors, loadings, mode), rescale(factors * scale, loadings / scale, mode)
    np.testing.assert_allclose(one.factors, other.factors)
    np.testing.assert_allclose(one.loadings, other.loadings, atol=1e-15)
    np.testing.assert_allclose(one.totals, other.totals)


def test_rows_and_columns_without_a_rate_have_the_shares_of_all() -> None:
    factors, loadings = drawn()
    factors[4], loadings[5] = 0, 0
    together = factors.sum(0) * loadings.sum(0)
    together /= together.sum()
    np.testing.assert_allclose(rescale(factors, loadings).factors[4], together)
    np.testing.assert_allclose(rescale(factors, loadings, "spde").loadings[5], together)
    nothing = rescale(np.zeros((3, 2)), np.zeros((4, 2)))
    assert np.isfinite(nothing.factors).all()


def test_importance_is_the_spatial_share_of_the_rate() -> None:
    factors, loadings = drawn()
    parts = factors[:, None, :] * loadings  # (N, J, L)
    rates = parts.sum(2)
    rows = parts[:, :, :3].sum((1, 2)) / rates.sum(1)
    np.testing.assert_allclose(spatial_importance(factors, loadings, 3), rows)
    known = rates.sum(0) > 0
    columns = parts[:, :, :3].sum((0, 2))[known] / rates.sum(0)[known]
    found = spatial_importance(factors, loadings, 3, "spde")[known]
    np.testing.assert_allclose(found, columns)
    np.testing.assert_allclose(spatial_importance(factors, loadings, 4), 1)
    assert (spatial_importance(factors, loadings, 0) == 0).all()


def test_markers_compare_profiles() -> None:
    factors, loadings = drawn()
    sizes = np.random.default_rng(1).gamma(5.0, size=30)
    found = markers(factors, loadings, sizes)
    np.testing.assert_allclose(found.loading, rescale(factors, loadings).loadings)
    np.testing.assert_allclose(found.share, rescale(factors, loadings, "spde").loadings)
    counts = np.einsum("i,il,jl->jl", sizes, factors, loadings) + 0.5
    for k in range(4):
        others = np.einsum("i,il,jl->j", sizes, np.delete(factors, k, 1), np.delete(loadings, k, 1))
        own, rest = counts[:, k] / counts[:, k].sum(), (others + 0.5) / (others + 0.5).sum()
        np.testing.assert_allclose(found.log2_fold_change[:, k], np.log2(own / rest))
        assert found.divergence[:, k].sum() == pytest.approx(entropy(own, rest))


def test_squared_scaled_loadings_are_variances() -> None:
    rng = np.random.default_rng(0)
    factors, loadings = rng.normal(2, 3, size=(50, 2)), rng.normal(size=(7, 2))
    parts = factors[:, None, :] * loadings
    np.testing.assert_allclose(scaled_loadings(factors, loadings) ** 2, parts.var(0))


def test_what_makes_no_sense_is_refused() -> None:
    factors, loadings = drawn()
    with pytest.raises(ValueError, match=r"factors has negative values.*scaled_loadings"):
        rescale(-factors, loadings)
    with pytest.raises(ValueError, match="loadings has negative values"):
        markers(factors, -loadings)
    with pytest.raises(ValueError, match=r"\(30, 4\) and loadings \(12, 3\)"):
        rescale(factors, loadings[:, :3])
    with pytest.raises(ValueError, match="mode='nmf'"):
        rescale(factors, loadings, "nmf")
    with pytest.raises(ValueError, match="n_spatial=5 is more than the 4 factors"):
        spatial_importance(factors, loadings, 5)
    with pytest.raises(ValueError, match="one column"):
        markers(factors[:, :1], loadings[:, :1])

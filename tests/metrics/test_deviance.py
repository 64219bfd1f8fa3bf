"""Deviances are twice the likelihood lost, and the paper's measure is what its text says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from scipy import stats
from sklearn.metrics import mean_poisson_deviance

from lowdim.metrics import (
    constant_rates,
    deviance_explained,
    gaussian_deviance,
    negative_binomial_deviance,
    nsf_paper_deviance,
    poisson_deviance,
)

RNG = np.random.default_rng(0)
MU = RNG.gamma(2.0, 2.0, size=(7, 5))
Y = RNG.poisson(MU).astype(float)
Y[0, 0] = 0


def nb_log_pmf(y: np.ndarray, mu: np.ndarray, a: np.ndarray) -> np.ndarray:
    return stats.nbinom.logpmf(y, 1 / a, 1 / (1 + a * mu))


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_poisson_deviance_is_twice_the_likelihood_lost(axis: int | None) -> None:
    lost = stats.poisson.logpmf(Y, Y) - stats.poisson.logpmf(Y, MU)
    np.testing.assert_allclose(poisson_deviance(Y, MU, axis=axis), 2 * lost.sum(axis))
    np.testing.assert_allclose(
        poisson_deviance(sp.csr_matrix(Y), MU) / Y.size,
        mean_poisson_deviance(Y.ravel(), MU.ravel()),
    )


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_negative_binomial_deviance_is_twice_the_likelihood_lost(axis: int | None) -> None:
    a = np.array([0.01, 0.1, 0.5, 1.0, 4.0])
    saturated = np.where(Y > 0, nb_log_pmf(Y, np.maximum(Y, 1e-300), a), 0.0)
    lost = saturated - nb_log_pmf(Y, MU, a)
    np.testing.assert_allclose(
        negative_binomial_deviance(Y, MU, a, axis=axis), 2 * lost.sum(axis), rtol=1e-9
    )


@pytest.mark.parametrize("dispersion", [0.0, 1e-300, 1e-14, 1e-10])
def test_small_dispersions_are_poisson(dispersion: float) -> None:
    ours = negative_binomial_deviance(Y, MU, dispersion)
    assert ours == pytest.approx(poisson_deviance(Y, MU), rel=1e-8)


def test_gaussian_deviance_is_twice_the_likelihood_lost() -> None:
    v = np.array([0.5, 1, 2, 3, 4])
    values = -Y
    lost = stats.norm.logpdf(values, values, np.sqrt(v)) - stats.norm.logpdf(values, MU, np.sqrt(v))
    np.testing.assert_allclose(gaussian_deviance(values, MU, v), 2 * lost.sum())


def test_a_perfect_fit_has_no_deviance_and_zero_rates_an_infinite_one() -> None:
    assert poisson_deviance(Y, Y) == 0
    assert negative_binomial_deviance(Y, Y, 0.3) == 0
    impossible = np.where(np.arange(5) == 1, 0.0, MU)
    columns = poisson_deviance(np.maximum(Y, 1), impossible, axis=0)
    assert np.isinf(columns).tolist() == [False, True, False, False, False]
    assert poisson_deviance([[0.0]], [[0.0]]) == 0


def test_the_papers_deviance_averages_logarithms_over_counts_above_zero() -> None:
    y, mu = np.array([[2.0, 0.0], [4.0, 1.0]]), np.array([[1.0, 3.0], [4.0, 0.0]])
    # The 1 that was expected to be 0 is left out of the first mean.
    assert nsf_paper_deviance(y, mu) == pytest.approx(
        (2 * np.log(2) + 0) / 2 + (-1 + 3 + 0 - 1) / 4
    )
    assert nsf_paper_deviance([[0.0]], [[1.0]]) == np.inf


@pytest.mark.parametrize(("number", "oracle"), [("S01", 1.5927), ("S06", 1.6561)])
def test_the_papers_deviance_of_the_true_rates(number: str, oracle: float, datasets: Path) -> None:
    with np.load(datasets / "nsf_simulations" / f"bm_sp_{number}.npz") as paper:
        rates = 0.2 + paper["spatial_factors"] @ paper["spatial_loadings"].T
        assert nsf_paper_deviance(paper["counts"][1231:], rates[1231:]) == pytest.approx(
            oracle, abs=1e-3
        )


def test_constant_rates_are_the_best_constants() -> None:
    sizes = RNG.gamma(3.0, 1.0, size=7)
    best = constant_rates(sp.csr_matrix(Y), sizes)
    lowest = poisson_deviance(Y, np.outer(sizes, best), axis=0)
    for factor in (0.99, 1.01):
        assert (poisson_deviance(Y, np.outer(sizes, factor * best), axis=0) > lowest).all()
    np.testing.assert_allclose(constant_rates(Y), Y.mean(0))


def test_deviance_explained_is_one_zero_or_less() -> None:
    sizes = RNG.gamma(3.0, 1.0, size=7)
    constant = np.outer(sizes, constant_rates(Y, sizes))
    assert deviance_explained(Y, Y) == 1
    assert deviance_explained(Y, constant, size_factors=sizes) == pytest.approx(0)
    assert deviance_explained(Y, 5 * constant, size_factors=sizes) < 0
    other = np.full(5, 3.0)
    expected = 1 - poisson_deviance(Y, MU, axis=0) / poisson_deviance(
        Y, np.ones((7, 1)) * other, axis=0
    )
    np.testing.assert_allclose(deviance_explained(Y, MU, other, axis=0), expected)
    expected = 1 - negative_binomial_deviance(Y, MU, 0.4) / negative_binomial_deviance(
        Y, np.broadcast_to(Y.mean(0), Y.shape), 0.4
    )
    assert deviance_explained(Y, MU, dispersions=0.4) == pytest.approx(expected)
    empty = deviance_explained(np.zeros((2, 1)), np.ones((2, 1)), axis=0)
    assert np.isnan(empty).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: poisson_deviance(Y, MU[:3]), r"rates has shape \(3, 5\), expected \(7, 5\)"),
        (lambda: poisson_deviance(-Y, MU), "counts must be finite and not negative"),
        (lambda: poisson_deviance(Y, MU * np.nan), "rates must be finite"),
        (lambda: negative_binomial_deviance(Y, MU, -1), "dispersions must be"),
        (lambda: negative_binomial_deviance(Y, MU, [1, 2]), "one number, or 5"),
        (lambda: gaussian_deviance(Y, MU, 0), "variances must be"),
        (lambda: gaussian_deviance(Y, MU[:, :2]), "means has shape"),
        (lambda: constant_rates(Y, np.ones(3)), "size_factors must be.* 7 of them"),
        (lambda: deviance_explained(Y, MU, np.ones(3)), "constant must be.* 5 of them"),
    ],
)
def test_wrong_arguments_are_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()

"""Moran's I is that of the textbook."""

import numpy as np
import pytest

from lowdim.factorization import moran


def by_hand(values: np.ndarray, places: np.ndarray, k: int, samples: np.ndarray) -> float:
    """The double sum over a symmetric graph of k nearest neighbours."""
    n = len(values)
    weights = np.zeros((n, n))
    for i in range(n):
        own = [j for j in range(n) if j != i and samples[j] == samples[i]]
        nearest = sorted(own, key=lambda j: np.linalg.norm(places[i] - places[j]))[:k]
        weights[i, nearest] = 1.0
    weights = 0.5 * (weights + weights.T)
    z = values - values.mean()
    return n / weights.sum() * (z @ weights @ z) / (z @ z)


@pytest.mark.parametrize("n_slides", [1, 3])
def test_the_double_sum(n_slides: int) -> None:
    rng = np.random.default_rng(0)
    places, values = rng.normal(size=(40, 2)), rng.normal(size=(40, 2))
    samples = np.array([f"s{k}" for k in rng.integers(n_slides, size=40)])
    found = moran(values, places, 4, samples if n_slides > 1 else None)
    expected = [by_hand(column, places, 4, samples) for column in values.T]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_smooth_rough_and_constant_columns() -> None:
    x = np.linspace(0, 1, 200)
    columns = np.stack([x, (-1.0) ** np.arange(200), np.full(200, 3.0)], 1)
    smooth, rough, constant = moran(columns, x[:, None], 2)
    assert smooth > 0.95
    assert rough < -0.9
    assert constant == 0


def test_slides_of_a_single_row_have_no_neighbours() -> None:
    values = np.array([[1.0], [2.0]])
    assert moran(values, np.zeros((2, 2)), samples=["a", "b"]) == 0

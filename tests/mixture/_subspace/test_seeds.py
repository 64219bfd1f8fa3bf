"""k-means of the starts: the compiled rounds are Lloyd's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lowdim.data.blocks import DenseBlock
from lowdim.mixture._subspace.lloyd import lloyd
from lowdim.mixture._subspace.seeds import _lloyd


@pytest.mark.parametrize(("n", "n_columns", "k"), [(5, 1, 2), (255, 3, 4), (700, 20, 7)])
def test_every_round_is_one_of_lloyds(n: int, n_columns: int, k: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, n_columns))
    first = x[:k].copy()
    centres = first.copy()
    for rounds in range(4):
        distances = np.square(x[:, None] - centres).sum(-1)
        labels, inertia = lloyd(np.ascontiguousarray(x.T), first.copy(), rounds, 0.0)
        np.testing.assert_array_equal(labels, distances.argmin(1))
        assert inertia == pytest.approx(distances.min(1).sum())
        own = np.eye(k)[distances.argmin(1)]
        centres = own.T @ x / own.sum(0)[:, None]


def test_a_centre_without_rows_stays() -> None:
    x = np.array([[0.0], [1.0], [2.0]])
    labels, inertia = lloyd(x.T.copy(), np.array([[1.0], [50.0]]), 10, 1e-4)
    np.testing.assert_array_equal(labels, 0)
    assert inertia == 2.0


def test_it_ends_where_the_general_way_does() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(600, 5)) + 6 * rng.integers(0, 3, (600, 1))
    centres = torch.from_numpy(x[[0, 200, 400]])
    labels, inertia = _lloyd(DenseBlock(torch.from_numpy(x)), centres, 30)
    own, least = lloyd(np.ascontiguousarray(x.T), x[[0, 200, 400]].copy(), 30, 1e-4)
    np.testing.assert_array_equal(own, labels)
    assert least == pytest.approx(inertia)

"""What stands for rows that are elsewhere: different counts, tables of them, starts by passes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from accelerator import pretended
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import lowdim as ld
from lowdim.data.blocks import SparseBlock
from lowdim.data.passes import BlockList
from lowdim.mixture._counts.device_tables import log_rising
from lowdim.mixture._counts.directions import column_sums, coordinates_by_passes, normalised
from lowdim.mixture._counts.distinct import Distinct
from lowdim.mixture._counts.matrix import Counts
from lowdim.mixture._subspace.seeds import leading_coordinates

FEW = hnp.arrays(
    np.int64,
    st.tuples(st.integers(1, 12), st.integers(1, 4)),
    elements=st.sampled_from([0, 0, 1, 1, 2, 7, 900]),
)


@given(FEW, st.integers(0, 12))
@settings(deadline=None, max_examples=60)
def test_different_counts_of_parts_are_those_of_all(X: np.ndarray, cut: int) -> None:
    weights = np.arange(1.0, len(X) + 1)
    parts = [
        Distinct.of(Counts.of(sp.csr_matrix(X[rows], dtype=float), weights[rows]))
        for rows in (slice(0, cut), slice(cut, None))
        if len(X[rows])
    ]
    found = parts[0] if len(parts) == 1 else parts[0] + parts[1]
    expected = [
        (g, x, weights[X[:, g] == x].sum())
        for g in range(X.shape[1])
        for x in sorted(set(X[:, g]) - {0}, reverse=True)
    ]
    assert list(zip(found.genes, found.counts, found.weights, strict=True)) == expected
    assert found.n_stored == np.count_nonzero(X)
    np.testing.assert_allclose(found.gene_totals, weights @ X)
    rows = sp.csr_matrix(X, dtype=float)
    place = found.order.places(rows)
    np.testing.assert_array_equal(found.genes[place], rows.indices)
    np.testing.assert_array_equal(found.counts[place], rows.data)


@pytest.mark.parametrize("phi", [0.0, 1e-6, 1e-3, 0.3, 50.0, 1e3])
def test_rising_products_of_tensors_are_sums_of_logarithms(phi: float) -> None:
    x = torch.tensor([1.0, 2.0, 3.0, 15.0, 16.0, 17.0, 18.0, 100.0, 30_000.0], dtype=torch.float64)
    expected = [np.log1p(np.arange(int(own)) * phi).sum() for own in x]
    np.testing.assert_allclose(log_rising(x, torch.full_like(x, phi)), expected, 1e-11, 1e-13)


def test_coordinates_by_passes_are_those_of_one_block() -> None:
    rng = np.random.default_rng(0)
    rates = rng.gamma(0.5, 2.0, size=(4, 60))[rng.integers(4, size=200)]
    sizes = rng.lognormal(0, 0.5, size=200)
    rows = normalised(Counts.of(rng.poisson(rates).astype(float), np.ones(200)), sizes)
    mean = column_sums(rows) / 200
    edges = [0, 20, 120, 200]
    blocks = BlockList([SparseBlock(rows[a:b], mean, 1.0, a) for a, b in pairwise(edges)])
    found = coordinates_by_passes(blocks, 200, np.random.default_rng(1), 8)
    whole = SparseBlock(rows, mean, 1.0)
    expected = leading_coordinates(whole, np.random.default_rng(1), 8).host_rows
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-10)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("X", [np.zeros((10, 4)), np.ones((10, 4)), np.repeat(np.eye(4), 5, 0)])
def test_nothing_at_all_does_no_harm_on_a_device(X: np.ndarray) -> None:
    expected = ld.NegativeBinomialMixture(3, random_state=0).fit(X)
    with pretended():
        model = ld.NegativeBinomialMixture(3, random_state=0, device="cuda").fit(X)
    assert model.lower_bound_ == pytest.approx(expected.lower_bound_, rel=1e-8, abs=1e-8)

"""Graphs of weights that others made."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from lowdim.affinities import PrecomputedAffinity, UMAPAffinity


def test_weights_are_averaged_and_sum_to_one() -> None:
    weights = sp.random(50, 50, density=0.2, random_state=0, format="csr")
    dense = weights.toarray()
    np.fill_diagonal(dense, 0)
    mean = (dense + dense.T) / 2
    graph = PrecomputedAffinity().graph(weights)
    np.testing.assert_allclose(graph.matrix.toarray(), mean / mean.sum(), atol=1e-8)
    kept = PrecomputedAffinity(normalize=False).graph(dense)
    np.testing.assert_allclose(kept.matrix.toarray(), mean, atol=1e-7)


def test_a_graph_stays_what_it_is_and_the_argument_is_not_changed() -> None:
    made = UMAPAffinity(8).graph(np.random.default_rng(0).normal(size=(80, 3))).matrix
    before = made.copy()
    again = PrecomputedAffinity(normalize=False).graph(made).matrix
    assert abs(again - before).max() == 0 and abs(made - before).max() == 0


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (sp.csr_matrix(np.ones((3, 2))), "square"),
        (sp.csr_matrix(-np.ones((3, 3))), "row 0"),
        (sp.csr_matrix(np.diag([1.0, np.nan], 1)), "row 1"),
        (sp.eye(4).tocsr(), "not zero between two rows"),
    ],
)
def test_bad_weights_are_named(weights, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PrecomputedAffinity().graph(weights)

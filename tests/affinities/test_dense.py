"""Affinities of all pairs: their constraints, and that nothing better meets these."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.spatial.distance import cdist
from sklearn.exceptions import ConvergenceWarning

from lowdim.affinities import QuadraticAffinity, SinkhornAffinity, SymmetricEntropicAffinity


def squares_of(n: int, seed: int = 0) -> np.ndarray:
    X = np.random.default_rng(seed).normal(size=(n, 3))
    return cdist(X, X, "sqeuclidean")


def entropies(P: np.ndarray) -> np.ndarray:
    return -(P * np.log(np.maximum(P, 1e-300))).sum(1)


@settings(deadline=None, max_examples=30)
@given(
    st.integers(3, 40),
    st.sampled_from([0.3, 1.0, 30.0]),
    st.sampled_from(["gaussian", "student"]),
    st.integers(0, 10**6),
)
def test_rows_and_columns_sum_alike(n: int, eps: float, kernel: str, seed: int) -> None:
    for kind in (SinkhornAffinity, QuadraticAffinity):
        affinity = kind(eps, kernel=kernel, max_iter=3000)
        P = affinity.from_squares(squares_of(n, seed)).matrix.toarray().astype(float)
        np.testing.assert_allclose(P.sum(0) * n, 1, atol=1e-5)
        np.testing.assert_array_equal(P, P.T)
        assert (P.diagonal() == 0).all() and (P >= 0).all()


def test_sinkhorn_is_a_scaled_kernel() -> None:
    squares = squares_of(30)
    P = SinkhornAffinity(2.0, tol=1e-10).from_squares(squares).matrix.toarray().astype(float)
    off = ~np.eye(30, dtype=bool)
    logs = np.log(np.where(off, P, 1.0)) + squares / 2.0 * off
    # f_i + f_j for all i != j: the four-point condition.
    np.testing.assert_allclose(logs[0, 1] + logs[2, 3], logs[0, 3] + logs[2, 1], atol=1e-4)
    np.testing.assert_allclose(logs[5, 6] + logs[7, 9], logs[5, 9] + logs[7, 6], atol=1e-4)


def test_no_doubly_stochastic_matrix_is_nearer_than_the_quadratic() -> None:
    n, eps = 6, 0.8
    squares = squares_of(n)
    P = QuadraticAffinity(eps, tol=1e-10).from_squares(squares).matrix.toarray() * n
    free = np.triu_indices(n, 1)

    def matrix(x: np.ndarray) -> np.ndarray:
        full = np.zeros((n, n))
        full[free] = x
        return full + full.T

    found = minimize(
        lambda x: float(np.square(matrix(x) + squares / eps).sum()),
        P[free],
        method="SLSQP",
        bounds=[(0, None)] * len(free[0]),
        constraints={"type": "eq", "fun": lambda x: matrix(x).sum(1) - 1},
    )
    np.testing.assert_allclose(matrix(found.x), P, atol=1e-3)
    assert np.square(P + squares / eps).sum() <= found.fun + 1e-6


@pytest.mark.parametrize(("n", "perplexity"), [(20, 5.0), (60, 12.0)])
def test_symmetric_entropic_rows_have_sum_and_perplexity(n: int, perplexity: float) -> None:
    affinity = SymmetricEntropicAffinity(perplexity, tol=1e-6)
    graph = affinity.from_squares(squares_of(n))
    P = graph.matrix.toarray().astype(float) * n
    np.testing.assert_array_equal(P, P.T)
    np.testing.assert_allclose(P.sum(1), 1, atol=1e-4)
    assert (entropies(P) >= np.log(perplexity) - 1e-4).all()
    # Where the entropy is more than asked for, e_i is zero, which a graph of points rarely has.
    assert np.median(np.abs(np.exp(entropies(P)) - perplexity)) < 1e-3


def test_units_do_not_matter_to_the_perplexity() -> None:
    squares = squares_of(40)
    small, large = (
        SymmetricEntropicAffinity(8, tol=1e-5).from_squares(squares * unit) for unit in (1, 1e8)
    )
    np.testing.assert_allclose(large.matrix.toarray(), small.matrix.toarray(), atol=1e-5)
    np.testing.assert_allclose(large.bandwidths, small.bandwidths * 1e4, rtol=1e-2)


def test_a_fit_cut_short_says_so() -> None:
    squares = squares_of(40)
    for affinity in (
        SinkhornAffinity(0.01, max_iter=1),
        QuadraticAffinity(0.01, max_iter=1),
        SymmetricEntropicAffinity(8, max_iter=1),
    ):
        with pytest.warns(ConvergenceWarning, match="did not converge"):
            affinity.from_squares(squares)


def test_graphs_of_rows_are_those_of_their_distances() -> None:
    X = np.random.default_rng(0).normal(size=(30, 3))
    squares = cdist(X, X, "sqeuclidean")
    for affinity in (SinkhornAffinity(), QuadraticAffinity()):
        by_rows, by_squares = affinity.graph(X), affinity.from_squares(squares)
        np.testing.assert_allclose(by_rows.matrix.toarray(), by_squares.matrix.toarray(), atol=1e-6)


@pytest.mark.parametrize(
    ("affinity", "squares", "message"),
    [
        (SinkhornAffinity(0.0), np.ones((4, 4)), "eps=0.0"),
        (SinkhornAffinity(kernel="box"), np.ones((4, 4)), "kernel='box'"),
        (SinkhornAffinity(), np.ones((4, 3)), "square matrix"),
        (QuadraticAffinity(), np.full((4, 4), np.nan), "finite"),
        (QuadraticAffinity(), np.triu(np.ones((4, 4))), "not symmetric"),
        (SymmetricEntropicAffinity(30), np.ones((4, 4)), "perplexity=30 needs more rows"),
    ],
)
def test_bad_input_is_named(affinity, squares: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        affinity.from_squares(squares)

"""What every affinity of neighbours must do, and hard rows."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone

from lowdim.affinities import (
    EntropicAffinity,
    GaussianAffinity,
    MAGICAffinity,
    MultiscaleAffinity,
    SelfTuningAffinity,
    StudentAffinity,
    UMAPAffinity,
    UniformAffinity,
)
from lowdim.neighbors import NeighborIndex, nearest_neighbors

AFFINITIES = [
    EntropicAffinity(8),
    UMAPAffinity(10),
    UMAPAffinity(10, set_op_mix_ratio=0.3, local_connectivity=2.5),
    GaussianAffinity(2.0, n_neighbors=20),
    GaussianAffinity(2.0, n_neighbors=20, normalization="all"),
    StudentAffinity(n_neighbors=20),
    UniformAffinity(6),
    UniformAffinity(6, symmetrization="union"),
    MultiscaleAffinity((3, 8)),
    SelfTuningAffinity(5, n_neighbors=20),
    MAGICAffinity(5, n_neighbors=20),
]
every = pytest.mark.parametrize("affinity", AFFINITIES, ids=lambda own: repr(own))


def neighbors_for(affinity, X, **arguments):
    return nearest_neighbors(X, affinity.n_neighbors_for(len(X)), **arguments)


@every
def test_graphs_are_symmetric_and_tidy(affinity) -> None:
    X = np.random.default_rng(0).normal(size=(200, 4))
    graph = affinity.graph(X)
    matrix = graph.matrix
    assert matrix.shape == (200, 200) and graph.n_rows == 200
    assert matrix.dtype == np.float32 and matrix.indices.dtype == np.int32
    assert matrix.has_sorted_indices and (matrix.data > 0).all()
    assert abs(matrix - matrix.T).max() == 0 and (matrix.diagonal() == 0).all()
    if isinstance(affinity, UMAPAffinity):
        assert matrix.max() <= 1
    else:
        assert float(matrix.sum(dtype=np.float64)) == pytest.approx(1, abs=1e-6)
    if graph.bandwidths is not None:
        assert graph.bandwidths.shape == (200,) and (graph.bandwidths > 0).all()


@every
def test_the_order_of_rows_does_not_matter(affinity) -> None:
    rng = np.random.default_rng(0)
    X, order = rng.normal(size=(150, 3)), rng.permutation(150)
    graph, moved = affinity.graph(X).matrix.toarray(), affinity.graph(X[order]).matrix.toarray()
    np.testing.assert_allclose(moved, graph[np.ix_(order, order)], rtol=1e-4, atol=1e-8)


@every
def test_new_rows_belong_to_points_that_are_near(affinity) -> None:
    rng = np.random.default_rng(0)
    index = NeighborIndex(rng.normal(size=(150, 3)))
    k = affinity.n_neighbors_for(150)
    new = rng.normal(size=(20, 3))
    weights = affinity.conditional(index.query(new, k))
    assert weights.shape == (20, 150)
    alone = affinity.conditional(index.query(new[7:8], k))
    if not isinstance(affinity, UMAPAffinity):
        np.testing.assert_allclose(np.asarray(weights.sum(1)).ravel(), 1, rtol=1e-5)
    np.testing.assert_allclose(alone.toarray()[0], weights[7].toarray()[0], rtol=1e-5, atol=1e-9)


@every
def test_copies_constants_and_outliers_make_finite_graphs(affinity) -> None:
    rng = np.random.default_rng(0)
    for X in (
        np.repeat(rng.normal(size=(20, 3)), 10, axis=0),
        np.ones((60, 3)),
        np.concatenate([rng.normal(size=(100, 3)), np.full((1, 3), 1e3)]),
    ):
        if isinstance(affinity, GaussianAffinity | StudentAffinity) and X.max() > 100:
            continue  # their bandwidth is fixed: the outlier has none to belong to
        matrix = affinity.graph(X).matrix
        assert np.isfinite(matrix.data).all() and matrix.nnz
        if not X.max() > 100:
            assert (np.asarray(matrix.sum(1)) > 0).all()


@every
def test_parameters_are_those_of_scikit_learn(affinity) -> None:
    again = clone(affinity)
    assert again.get_params() == affinity.get_params()
    assert "Affinity(" in repr(affinity)


@pytest.mark.parametrize("connectivity", [1.0, 1.7, 3.0])
def test_memberships_sum_to_the_logarithm(connectivity: float) -> None:
    X = np.random.default_rng(0).normal(size=(300, 4))
    affinity = UMAPAffinity(12, local_connectivity=connectivity)
    memberships = affinity.conditional(neighbors_for(affinity, X))
    sums = np.asarray(memberships.sum(1, dtype=np.float64)).ravel()
    # Where those beyond are hardly farther than the ones that must be full members, it is more.
    assert (sums > np.log2(12) - 1e-5).all() and (sums < np.log2(12) + 1e-5).mean() > 0.99
    full = np.asarray((memberships == 1).sum(1)).ravel()
    assert (full >= int(connectivity)).all()


def test_a_gaussian_of_all_pairs_is_that() -> None:
    X = np.random.default_rng(0).normal(size=(40, 3))
    squares = ((X[:, None] - X) ** 2).sum(2)
    weights = np.exp(-squares / (2 * 1.5**2))
    np.fill_diagonal(weights, 0)
    graph = GaussianAffinity(1.5, n_neighbors="all", normalization="all").graph(X)
    np.testing.assert_allclose(graph.matrix.toarray(), weights / weights.sum(), atol=1e-8)
    weights = (1 + squares / 3) ** -2
    np.fill_diagonal(weights, 0)
    graph = StudentAffinity(3.0, n_neighbors="all", normalization="all").graph(X)
    np.testing.assert_allclose(graph.matrix.toarray(), weights / weights.sum(), atol=1e-8)


def test_self_tuning_affinities_are_those_of_the_formula() -> None:
    X = np.random.default_rng(0).normal(size=(60, 3))
    distances = np.sqrt(((X[:, None] - X) ** 2).sum(2))
    scales = np.sort(distances, axis=1)[:, 4]
    weights = np.exp(-(distances**2) / np.outer(scales, scales))
    np.fill_diagonal(weights, 0)
    graph = SelfTuningAffinity(4, n_neighbors="all").graph(X)
    np.testing.assert_allclose(graph.matrix.toarray(), weights / weights.sum(), atol=1e-8)
    np.testing.assert_allclose(graph.bandwidths, scales, rtol=1e-5)


def test_transitions_are_probabilities() -> None:
    X = np.random.default_rng(0).normal(size=(100, 3))
    affinity = MAGICAffinity(5, n_neighbors=20)
    steps = affinity.transitions(neighbors_for(affinity, X))
    np.testing.assert_allclose(np.asarray(steps.sum(1)).ravel(), 1, rtol=1e-5)


def test_several_perplexities_are_averaged() -> None:
    X = np.random.default_rng(0).normal(size=(120, 3))
    found = nearest_neighbors(X, 60)
    mean = sum(EntropicAffinity(own).from_neighbors(found).matrix.toarray() for own in (5, 20)) / 2
    made = MultiscaleAffinity((5, 20)).from_neighbors(found).matrix.toarray()
    np.testing.assert_allclose(made, mean, atol=1e-8)


@pytest.mark.parametrize(
    ("affinity", "message"),
    [
        (UMAPAffinity(1), "n_neighbors=1 is too small"),
        (UMAPAffinity(5, set_op_mix_ratio=2.0), "set_op_mix_ratio=2.0 is out of range"),
        (UMAPAffinity(5, local_connectivity=-1.0), "local_connectivity=-1.0"),
        (GaussianAffinity(0.0), "bandwidth=0.0"),
        (GaussianAffinity(1.0, normalization="columns"), "normalization='columns'"),
        (StudentAffinity(0.0), "dof=0.0"),
        (UniformAffinity(30), "n_neighbors=30, but there are 29"),
        (UniformAffinity(3, symmetrization="max"), "symmetrization='max'"),
        (MultiscaleAffinity(()), "perplexities is empty"),
        (MultiscaleAffinity((5, 29)), "perplexity=29 needs more"),
        (SelfTuningAffinity(30), "scale_neighbor=30, but rows have 29"),
        (MAGICAffinity(0), "scale_neighbor=0 is too small"),
    ],
    ids=lambda own: repr(own)[:40],
)
def test_bad_parameters_are_named(affinity, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        affinity.graph(np.random.default_rng(0).normal(size=(30, 2)))


@pytest.mark.parametrize("n", [2, 3, 4])
def test_few_rows(n: int) -> None:
    X = np.random.default_rng(0).normal(size=(n, 2))
    for affinity in (UMAPAffinity(), GaussianAffinity(), StudentAffinity()):
        assert affinity.graph(X).n_rows == n
    with pytest.raises(ValueError, match="perplexity=30 needs more neighbours"):
        EntropicAffinity().graph(X)

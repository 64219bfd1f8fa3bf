"""Edges and negative samples: their forces, the random points, and what densMAP adds."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from lowdim.embedding._course import Watch
from lowdim.embedding._crew import PARTS, Crew, part_bounds
from lowdim.embedding._edges.course import Schedule
from lowdim.embedding._edges.density import DensityForce
from lowdim.embedding._edges.descent import EdgeDescent
from lowdim.embedding._edges.rates import edges_of, pool_size
from lowdim.embedding._edges.repulsion_sampled import SampledRepulsion
from lowdim.embedding._edges.similarity import Similarity, curve_of
from lowdim.embedding._edges.steps import drawn, epoch, fill_pool, forces

N = 60


@pytest.fixture(scope="module")
def graph() -> sp.csr_matrix:
    """Symmetric rates between 0 and 1 of some points."""
    upper = sp.random(N, N, density=0.1, random_state=0, format="csr")
    graph = sp.csr_matrix(upper.maximum(upper.T), dtype=np.float32)
    graph.setdiag(0)
    graph.eliminate_zeros()
    return graph


def places(c: int = 2, n: int = N) -> np.ndarray:
    return np.random.default_rng(c).normal(scale=2.0, size=(n, c)).astype(np.float32)


def slopes(function, Y: np.ndarray, i: int, h: float = 1e-5) -> np.ndarray:
    """The gradient by the place of one point, by differences in float64."""
    gradient = np.zeros(Y.shape[1])
    for a in range(Y.shape[1]):
        ends = []
        for sign in (1, -1):
            moved = Y.astype(np.float64)
            moved[i, a] += sign * h
            ends.append(function(moved))
        gradient[a] = (ends[0] - ends[1]) / (2 * h)
    return gradient


def mean_move(graph, Y: np.ndarray, similarity: Similarity, n_negatives: int, n: int) -> np.ndarray:
    """The mean of the steps of n epochs, each from the same layout."""
    edges = edges_of(graph, n)
    pool = np.empty((Y.shape[1], pool_size(edges, len(Y), n_negatives)), np.float32)
    curve, bounds, keys = similarity.curve(pulls=2.0), part_bounds(len(Y)), np.arange(len(Y))
    moved, total = np.empty_like(Y), np.zeros(Y.shape)
    rng = np.random.default_rng(0)
    for number in range(n):
        fill_pool(0, PARTS, PARTS, Y, rng.permutation(len(Y)), pool)
        epoch(
            *(0, PARTS, number, np.float32(1), Y, moved, Y, pool, edges, curve, n_negatives, keys),
            *(7, bounds),
        )
        total += moved - Y
    return total / n


@pytest.mark.parametrize("c", [1, 2, 3, 5])
@pytest.mark.parametrize("shape", [(1.577, 0.895), (1.0, 1.0), (0.6, 1.4)])
def test_forces_are_gradients_of_the_loss(c: int, shape: tuple[float, float]) -> None:
    similarity = Similarity(*shape, strength=0.7, softness=0.0)
    gaps = places(c, 40).T.copy()
    factors = np.empty(40, np.float32)
    for attracts, loss in (
        (True, similarity.attraction_loss),
        (False, similarity.repulsion_loss),
    ):
        made = gaps.copy()
        curve = similarity.curve(pulls=2.0)
        curve[4] = 1e6  # no force is cut
        forces(made, 40, curve, attracts, factors)
        for q in range(40):
            wanted = -slopes(lambda Z, loss=loss: loss((Z**2).sum()), gaps[:, q][None], 0)
            np.testing.assert_allclose(made[:, q], wanted, rtol=1e-3, atol=1e-6)


def test_epochs_follow_the_expected_loss(graph) -> None:
    """Their mean is minus the gradient of a row's loss, over edges and all negatives."""
    similarity, n_negatives, Y = Similarity(1.577, 0.895, softness=1e-3), 3, places()
    curve_free = mean_move(graph, Y, similarity, n_negatives, 4000)
    rates = graph.toarray().astype(np.float64)

    def loss(i: int, Z: np.ndarray) -> float:
        squares = ((Z[i] - Z) ** 2).sum(1)
        squares[i] = 1.0
        pulled = 2 * rates[i] @ similarity.attraction_loss(squares)
        pushed = similarity.repulsion_loss(squares)
        pushed[i] = 0.0
        return float(pulled + n_negatives * rates[i].sum() * pushed.sum() / N)

    near = ((Y[:, None] - Y[None]) ** 2).sum(-1) + np.eye(N)
    for i in np.flatnonzero(near.min(1) > 0.05)[:20]:  # others' forces are softened, or cut
        wanted = -slopes(lambda Z, i=i: loss(i, Z), Y, i)
        np.testing.assert_allclose(curve_free[i], wanted, atol=0.05 * np.abs(wanted).max() + 0.05)


def test_edges_fire_at_their_rates(graph) -> None:
    still = Similarity(1.0, 1.0, strength=0.0)
    Y = places()
    moved = mean_move(graph, Y, still, 0, 400)
    gaps = Y[:, None].astype(np.float64) - Y[None]
    pulls = -2.0 / (1.0 + (gaps**2).sum(-1))
    exact = 2.0 * np.einsum("ij,ij,ija->ia", graph.toarray(), pulls, gaps)
    np.testing.assert_allclose(moved, exact, atol=2e-2)


def test_rare_edges_are_left_out_and_frequent_ones_fire_often() -> None:
    rates = sp.csr_matrix(np.array([[0, 0.001, 3.5], [0.001, 0, 0], [3.5, 0, 0]]))
    indptr, indices, units = edges_of(rates, 100)
    assert indptr.tolist() == [0, 1, 1, 2]
    assert indices.tolist() == [2, 0]
    assert pool_size((indptr, indices, units), 3, 5) == 3 + 5 * 4 + 1
    assert edges_of(1e9 * rates, 100)[2].max() == 64 * 2**24


def test_random_places_are_even() -> None:
    from numba import njit

    @njit
    def all_drawn(n, rows, epochs):
        return [drawn(i, e, 12345, n) for i in range(rows) for e in range(epochs)]

    counts = np.bincount(all_drawn(50, 200, 100), minlength=50)
    assert counts.min() >= 0.8 * 400
    assert counts.max() <= 1.2 * 400
    one, other = (np.array(all_drawn(1000, 1, 500)[k : 499 + k]) for k in (0, 1))
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.15


@pytest.mark.parametrize("n_threads", [2, 3, 16])
def test_threads_change_no_bit(graph, n_threads: int) -> None:
    layouts = []
    for n in (1, n_threads):
        with Crew(n) as crew:
            descent = EdgeDescent(
                *(graph, places(), Similarity(1.5, 0.9), Schedule(30, 1.0, 5)),
                crew=crew,
                rng=np.random.default_rng(0),
            )
            descent.run(Watch())
            layouts.append(descent.layout.copy())
    assert np.array_equal(*layouts)


def test_the_estimated_loss_is_near_the_loss(graph) -> None:
    similarity, Y = Similarity(1.5, 0.9), places()
    with Crew(1) as crew:
        descent = EdgeDescent(
            *(graph, Y, similarity, Schedule(1000, 1.0, 4)), crew=crew, rng=np.random.default_rng(0)
        )
        estimated = descent.loss()
    squares = ((Y[:, None].astype(np.float64) - Y[None]) ** 2).sum(-1)
    rates = graph.toarray()
    pushes = similarity.repulsion_loss(squares + np.eye(N)) * (1 - np.eye(N))
    exact = 2 * (rates * similarity.attraction_loss(squares)).sum()
    exact += 4 * (rates.sum(1) * pushes.sum(1) / (N - 1)).sum()
    assert estimated == pytest.approx(exact / rates.sum(), rel=0.05)


def test_the_curve_is_that_of_the_distances_asked_for() -> None:
    a, b = curve_of(0.1, 1.0)
    assert (a, b) == pytest.approx((1.577, 0.895), abs=2e-3)  # as umap-learn's users know them
    a, b = curve_of(0.5, 2.0)
    r = np.linspace(0, 6, 300)
    target = np.where(r < 0.5, 1.0, np.exp(-(r - 0.5) / 2.0))
    assert np.abs(1 / (1 + a * r ** (2 * b)) - target).max() < 0.1


def test_the_force_of_density_is_a_gradient(graph) -> None:
    similarity, Y = Similarity(1.577, 0.895), places()
    wanted = np.random.default_rng(0).normal(size=N)
    with Crew(1) as crew:
        force = DensityForce(wanted, graph, similarity, 1e-3, 0.1, 0, crew)
        moved = Y.copy()
        force(0, np.float32(1), Y, moved)
        correlation, _ = force.correlation(Y)
    edges = graph.toarray() > 0
    standard = (wanted - wanted.mean()) / wanted.std()

    def told(Z: np.ndarray) -> float:
        squares = ((Z[:, None] - Z[None]) ** 2).sum(-1)
        v = np.where(edges, 1 / (1 + similarity.a * squares**similarity.b), 0.0)
        radii = np.log(1e-8 + (v * squares).sum(1) / np.maximum(v.sum(1), 1e-30))
        spread = np.sqrt(radii.var() + 0.1)
        return float(standard @ (radii - radii.mean())) / N / spread

    assert correlation == pytest.approx(told(Y.astype(np.float64)), abs=1e-4)
    weight = 1e-3 * float(graph.sum())
    for i in range(0, N, 7):
        wanted_move = weight * slopes(told, Y, i)
        np.testing.assert_allclose(moved[i] - Y[i], wanted_move, atol=2e-6, rtol=1e-2)


@pytest.mark.parametrize("d", [2, 3])
def test_sampled_repulsion_is_a_gradient(d: int) -> None:
    """With two random points: the mean over calls against all pairs of points."""
    n, calls = 12, 6000
    Y, force, total = places(d, n), np.empty((n, d), np.float32), np.zeros((n, d))
    with Crew(1) as crew:
        for call in range(calls):
            if call % 100 == 0:
                repulsion = SampledRepulsion(2, crew, np.random.default_rng(call))
            divisor = repulsion(Y, np.empty(0), force)
            total += 4 * force / divisor

    def loss(Z: np.ndarray) -> float:
        w = 1 / (1 + ((Z[:, None] - Z[None]) ** 2).sum(-1))
        np.fill_diagonal(w, 0.0)
        pairs = np.log(np.maximum(w[:, :, None] + w[:, None, :], 1e-6))
        return float(pairs.mean(axis=(1, 2)).mean())

    gradient = np.array([slopes(loss, Y, i) for i in range(n)])
    scale = np.abs(gradient).max()
    np.testing.assert_allclose(total / calls, -gradient, atol=0.1 * scale)

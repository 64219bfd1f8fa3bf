"""The loss of a map: against brute force, finite differences, and the distances that are told."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowdim.samples._map_objective import MapObjective
from lowdim.samples._map_penalty import Penalty, mutual_information
from lowdim.samples._map_transport import MapTransport
from lowdim.samples._support import Support
from lowdim.samples._triplets import hinge, n_triplets
from lowdim.transport import (
    Clouds,
    Mixtures,
    bures_squared,
    cloud_distances,
    mixture_distances,
    transport_plan,
)

LABELS = np.array(["a", "b", "a", "b", "a", "b", "b"])
ALL = np.arange(len(LABELS))
PAIRS = np.stack(np.triu_indices(len(LABELS), 1), axis=1)


def planted(
    K: int = 4, D: int = 6, *, full: bool = True, shared: bool = False, seed: int = 0
) -> Mixtures:
    """Mixtures of seven samples, the last with a component fewer."""
    rng = np.random.default_rng(seed)
    S = len(LABELS)
    weights = rng.dirichlet(np.full(K, 2.0), size=S)
    weights[-1, 0] = 0.0
    weights /= weights.sum(1, keepdims=True)
    roots = rng.normal(size=(S, K, D, 2 * D)) * rng.uniform(0.2, 2, size=(S, K, D, 1))
    covariances = roots @ roots.swapaxes(-1, -2) / (2 * D)
    means = rng.normal(size=(S, K, D))
    if shared:
        means[:], covariances[:] = means[0], covariances[0]
    if not full:
        covariances = np.diagonal(covariances, axis1=2, axis2=3).copy()
    return Mixtures.of(weights, means, covariances)


def clouds(n: int = 9, D: int = 6, seed: int = 0) -> Clouds:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(n, 2 * n, size=len(LABELS))
    return Clouds.of(
        [rng.normal(size=(k, D)) + rng.normal(size=D) for k in sizes],
        [rng.dirichlet(np.ones(k)) for k in sizes],
    )


def objective(
    measures: Mixtures | Clouds,
    *,
    cost: str = "mixed",
    diagonal: bool = False,
    entropic: float = 0.0,
    norm: str = "fro",
    mi_reg: float = 0.0,
    margin: float = 3.0,
) -> MapObjective:
    transport = MapTransport(Support.of(measures), cost=cost, diagonal=diagonal, entropic=entropic)
    return MapObjective(transport, LABELS, margin, Penalty(0.1, norm, mi_reg))


def check_gradient(told: MapObjective, W: np.ndarray, *, step: float = 1e-5) -> None:
    """Along random directions, by central differences of the fourth order."""
    rng = np.random.default_rng(1)
    slope = told.of(W, ALL).gradient
    for _ in range(2):
        along = rng.normal(size=W.shape)
        near, far = (
            told.of(W + h * along, ALL).loss - told.of(W - h * along, ALL).loss
            for h in (step, 2 * step)
        )
        change = (8 * near - far) / (12 * step)
        assert change == pytest.approx(float((slope * along).sum()), rel=1e-6)


def a_map(r: int, D: int = 6) -> np.ndarray:
    return np.random.default_rng(5).normal(size=(r, D))


@pytest.mark.parametrize("r", [1, 2, 3, 5])
@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("diagonal", [True, False])
@pytest.mark.parametrize("cost", ["mixed", "mw2"])
def test_gradients_of_exact_plans(r: int, full: bool, diagonal: bool, cost: str) -> None:
    check_gradient(objective(planted(full=full), cost=cost, diagonal=diagonal), a_map(r))


@pytest.mark.parametrize("norm", ["fro", "l1", "nuc"])
@pytest.mark.parametrize("mi_reg", [0.0, 0.7])
@pytest.mark.parametrize("diagonal", [True, False])
def test_gradients_of_penalties(norm: str, mi_reg: float, diagonal: bool) -> None:
    told = objective(planted(), norm=norm, mi_reg=mi_reg, diagonal=diagonal)
    check_gradient(told, a_map(3))


@pytest.mark.parametrize("cost", ["mixed", "mw2"])
@pytest.mark.parametrize("r", [1, 2, 3])
def test_gradients_where_components_are_shared_or_points(cost: str, r: int) -> None:
    shared = objective(planted(shared=True), cost=cost)
    assert shared.transport.support.is_shared
    check_gradient(shared, a_map(r))
    check_gradient(objective(clouds(), cost=cost), a_map(r))


@pytest.mark.parametrize("measures", [planted(), planted(shared=True), clouds()])
@pytest.mark.parametrize("cost", ["mixed", "mw2"])
def test_gradients_of_entropic_plans(measures: Mixtures | Clouds, cost: str) -> None:
    # Sinkhorn's steps end within 1e-9, so that differences need a longer step.
    told = objective(measures, cost=cost, entropic=0.3)
    check_gradient(told, a_map(2), step=1.5e-3)


def test_slopes_of_an_entropic_cost() -> None:
    from lowdim.samples._entropic_maps import entropic_slopes
    from lowdim.transport._entropic import sinkhorn

    rng = np.random.default_rng(0)
    cost, supply, demand = rng.uniform(0.2, 2, (6, 5)), *map(rng.dirichlet, ([2] * 6, [2] * 5))

    def value(cost: np.ndarray, strength: float) -> float:
        penalty = strength * cost.mean()
        return sinkhorn(cost, supply, demand, penalty, np.empty((6, 5)), 100_000, 1e-15)[0]

    for strength in (0.05, 0.3, 1.0):
        slopes = entropic_slopes(cost, supply, demand, strength)
        along = rng.normal(size=(6, 5))
        change = value(cost + 1e-4 * along, strength) - value(cost - 1e-4 * along, strength)
        assert change / 2e-4 == pytest.approx(float((slopes * along).sum()), rel=1e-6)
        # Costs and penalty in other units: the plan stays, so slopes give back the cost.
        assert (slopes * cost).sum() == pytest.approx(value(cost, strength), rel=1e-8)


@pytest.mark.parametrize("r", [1, 2, 3, 5])
@pytest.mark.parametrize("diagonal", [True, False])
@pytest.mark.parametrize("cost", ["mixed", "mw2"])
@pytest.mark.parametrize("entropic", [0.0, 0.2])
@pytest.mark.parametrize("shared", [False, True])
def test_training_sees_the_distances_that_are_told(
    r: int, diagonal: bool, cost: str, entropic: float, shared: bool
) -> None:
    mixtures, W = planted(shared=shared), a_map(r)
    transport = MapTransport(Support.of(mixtures), cost=cost, diagonal=diagonal, entropic=entropic)
    for turn in range(3):  # from the plans of the map before
        seen = transport.distances(W + 0.2 * turn, PAIRS).distances
        mapped = mixtures.mapped(W + 0.2 * turn)
        mapped = mapped.diagonal() if diagonal else mapped
        told = mixture_distances(mapped, PAIRS, cost=cost, entropic=entropic)
        np.testing.assert_allclose(seen, told, rtol=1e-10)


@pytest.mark.parametrize("r", [1, 2, 4])
@pytest.mark.parametrize(("cost", "name"), [("mixed", "w1"), ("mw2", "w2")])
def test_training_sees_the_distances_of_clouds(r: int, cost: str, name: str) -> None:
    measures, W = clouds(), a_map(r)
    transport = MapTransport(Support.of(measures), cost=cost)
    for turn in range(3):
        seen = transport.distances(W + 0.2 * turn, PAIRS).distances
        told = cloud_distances(measures.mapped(W + 0.2 * turn), PAIRS, cost=name)
        np.testing.assert_allclose(seen, told, rtol=1e-10)


@pytest.mark.parametrize(("cost", "power"), [("mixed", 1), ("mw2", 2)])
def test_the_loss_by_loops(cost: str, power: int) -> None:
    mixtures, W = planted(), a_map(3)
    told = objective(mixtures, cost=cost, mi_reg=0.5, margin=2.0)
    D = np.zeros((7, 7))
    information = 0.0
    for i, j in itertools.product(range(7), repeat=2):
        n, m = mixtures.sizes[i], mixtures.sizes[j]
        a, b = mixtures.means[i, :n] @ W.T, mixtures.means[j, :m] @ W.T
        A, B = W @ mixtures.covariances[i, :n] @ W.T, W @ mixtures.covariances[j, :m] @ W.T
        own = np.linalg.norm(a[:, None] - b, axis=2) ** power + bures_squared(A, B)
        plan = transport_plan(own, mixtures.weights[i, :n], mixtures.weights[j, :m])
        D[i, j] = (plan * own).sum() ** (1 / power)
        if i == j:
            for w, C in zip(mixtures.weights[i, :n], A, strict=True):
                divergence = np.log(np.diagonal(C)).sum() - np.log(np.linalg.det(C))
                information += w * divergence / 2 / 7
    terms = [
        max(0.0, D[i, j] - D[j, k] + 2.0)
        for i, j, k in itertools.product(range(7), repeat=3)
        if i != j and LABELS[i] == LABELS[j] != LABELS[k]
    ]
    expected = np.mean(terms) + 0.1 * np.linalg.norm(W) + 0.5 * information
    found = told.of(W, ALL)
    assert found.loss == pytest.approx(expected, rel=1e-7)  # of the ridge in the information
    assert found.hinge == pytest.approx(np.mean(terms), rel=1e-10)
    assert found.active == pytest.approx(np.mean(np.array(terms) > 0))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(3, 12), st.integers(2, 4), st.booleans())
def test_the_hinge_by_sorting_is_the_one_by_loops(
    seed: int, S: int, n_kinds: int, ties: bool
) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(n_kinds, size=S)
    D = rng.uniform(0, 4, size=(S, S))
    D = np.round(D) if ties else D
    np.fill_diagonal(D, np.nan)
    margin = float(rng.integers(3))
    total, count, slopes = 0.0, 0, np.zeros((S, S))
    for j, i, k in itertools.product(range(S), repeat=3):
        if i == j or labels[i] != labels[j] or labels[k] == labels[j]:
            continue
        count += 1
        if (term := D[j, i] - D[j, k] + margin) > 0:
            total += term
            slopes[j, i] += 1
            slopes[j, k] -= 1
    found = hinge(D, labels, labels, margin)
    assert n_triplets(labels) == count
    if not count:
        assert found is None
        return
    assert found.loss == pytest.approx(total / count, rel=1e-12, abs=1e-12)
    np.testing.assert_allclose(found.slopes, slopes / count, atol=1e-15)


def test_singular_covariances_have_finite_gradients() -> None:
    rng = np.random.default_rng(0)
    mixtures = planted(D=3)
    axis = rng.normal(size=3)
    covariances = np.zeros((7, 4, 3, 3))
    covariances[:, 1:] = np.outer(axis, axis)  # the first component of each sample is a point
    covariances[:3] *= rng.uniform(1, 2, size=(3, 4, 1, 1))
    flat = Mixtures.of(mixtures.weights, mixtures.means, covariances)
    for r, diagonal, cost in itertools.product((1, 2, 3), (True, False), ("mixed", "mw2")):
        told = objective(flat, cost=cost, diagonal=diagonal, mi_reg=0.1)
        W = a_map(r, 3)
        found = told.of(W, ALL)
        assert np.isfinite(found.loss) and np.isfinite(found.gradient).all()
        mapped = flat.mapped(W).diagonal() if diagonal else flat.mapped(W)
        seen = told.transport.distances(W, PAIRS).distances
        np.testing.assert_allclose(seen, mixture_distances(mapped, PAIRS, cost=cost), rtol=1e-7)
    # Along the maps of rank one all spreads are known: slopes are right there too.
    check_gradient(objective(flat), a_map(1, 3))


def test_samples_that_are_the_same_have_finite_gradients() -> None:
    one = planted()
    same = Mixtures.of(
        np.repeat(one.weights[:1], 7, 0), np.repeat(one.means[:1], 7, 0),
        np.repeat(one.covariances[:1], 7, 0),
    )  # fmt: skip
    for cost in ("mixed", "mw2"):
        found = objective(same, cost=cost, margin=1.0).of(a_map(2), ALL)
        assert found.hinge == pytest.approx(1.0)
        assert np.isfinite(found.gradient).all()


def test_mutual_information_is_the_divergence_from_independent_axes() -> None:
    C = np.array([[[2.0, 0.6], [0.6, 1.0]], [[1.0, 0.0], [0.0, 0.0]], [[4.0, 2.0], [2.0, 1.0]]])
    value, slopes = mutual_information(C)
    assert value[0] == pytest.approx(-np.log(1 - 0.36 / 2) / 2, rel=1e-6)
    assert value[1] == 0.0
    assert 8 < value[2] < 12  # the axes are one: without bound but for the ridge
    assert np.isfinite(slopes).all()

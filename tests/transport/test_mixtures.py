"""Distances between mixtures: against plans over all costs, and the axioms of a metric."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lowdim.transport import Mixtures, bures_squared, mixture_distances, transport_plan


def planted(S: int = 6, K: int = 4, d: int = 3, *, full: bool = True, seed: int = 0) -> Mixtures:
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(K, 2.0), size=S)
    weights[-1, 0] = 0.0
    weights[-1] /= weights[-1].sum()
    samples = rng.normal(size=(S, K, d, 2 * d)) * rng.uniform(0.2, 2, size=(S, K, d, 1))
    covariances = samples @ samples.swapaxes(-1, -2) / (2 * d)
    if not full:
        covariances = np.diagonal(covariances, axis1=2, axis2=3).copy()
    return Mixtures.of(weights, rng.normal(size=(S, K, d)), covariances)


def by_all_costs(m: Mixtures, i: int, j: int, power: int) -> float:
    n, k = m.sizes[i], m.sizes[j]
    apart = np.linalg.norm(m.means[i, :n, None] - m.means[j, None, :k], axis=2) ** power
    cost = apart + bures_squared(m.covariances[i, :n], m.covariances[j, :k])
    return float((transport_plan(cost, m.weights[i, :n], m.weights[j, :k]) * cost).sum())


@pytest.mark.parametrize("d", [1, 2, 5])
@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize(("cost", "power"), [("mw2", 2), ("mixed", 1)])
def test_costs_found_on_demand_give_the_same_distance(
    d: int, full: bool, cost: str, power: int
) -> None:
    mixtures = planted(d=d, full=full)
    found = mixture_distances(mixtures, cost=cost)
    for i in range(6):
        for j in range(6):
            own = by_all_costs(mixtures, i, j, power)
            expected = np.sqrt(own) if cost == "mw2" else own
            assert found[i, j] == pytest.approx(expected, rel=1e-10, abs=1e-7)
    pairs = np.array([[2, 5], [0, 0], [4, 1]])
    some = mixture_distances(mixtures, pairs, cost=cost)
    np.testing.assert_allclose(some, found[pairs[:, 0], pairs[:, 1]], atol=1e-12)


def test_mw2_is_a_metric_in_the_units_of_the_data() -> None:
    mixtures = planted(S=12, K=5, d=4)
    found = mixture_distances(mixtures)
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_array_equal(np.diagonal(found), 0)
    detours = (found[:, :, None] + found[None]).min(1)
    assert (found <= detours + 1e-9).all()
    for s in (1e-5, 1e5):
        scaled = Mixtures.of(mixtures.weights, s * mixtures.means, s**2 * mixtures.covariances)
        np.testing.assert_allclose(mixture_distances(scaled), s * found, rtol=1e-9)


def test_mixtures_of_the_same_components_in_another_order_are_the_same() -> None:
    m = planted(S=1)
    turned = Mixtures.of(
        *(np.concatenate([part, part[:, ::-1]]) for part in (m.weights, m.means, m.covariances))
    )
    assert mixture_distances(turned)[0, 1] < 1e-7


def test_components_of_no_weight_do_not_count() -> None:
    m = planted(S=2, K=3)
    junk = [np.full((2, 1, *part.shape[2:]), fill) for part, fill in
            ((m.weights, 0.0), (m.means, np.nan), (m.covariances, np.nan))]  # fmt: skip
    parts = zip(junk, (m.weights, m.means, m.covariances), strict=True)
    padded = Mixtures.of(*(np.concatenate(pair, axis=1) for pair in parts))
    np.testing.assert_array_equal(padded.sizes, m.sizes)
    np.testing.assert_allclose(mixture_distances(padded), mixture_distances(m), rtol=1e-12)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"weights": np.full((6, 4), 0.3)}, "weights of sample 0"),
        ({"weights": np.ones((6, 3)) / 3}, "have shapes"),
        ({"means": np.full((6, 4, 3), np.inf)}, "finite"),
        ({"covariances": np.zeros((6, 4, 2, 2))}, "have shapes"),
    ],
)
def test_what_is_no_mixture_is_named(changed: dict[str, Any], message: str) -> None:
    m = planted()
    parts = {"weights": m.weights, "means": m.means, "covariances": m.covariances}
    with pytest.raises(ValueError, match=message):
        Mixtures.of(**{**parts, **changed})


def of_shared_components(S: int = 8, K: int = 5, d: int = 3, *, full: bool = True) -> Mixtures:
    own = planted(1, K, d, full=full)
    weights = np.random.default_rng(1).dirichlet(np.full(K, 0.5), size=S)
    weights[2, 1], weights[3, [0, 4]] = 0.0, 0.0
    weights /= weights.sum(1, keepdims=True)
    own = Mixtures.of(np.full((1, K), 1 / K), np.nan_to_num(own.means), own.covariances)
    return Mixtures.of(weights, *(np.repeat(p, S, 0) for p in (own.means, own.covariances)))


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("cost", ["mw2", "mixed"])
def test_components_that_samples_share_are_compared_once(full: bool, cost: str) -> None:
    mixtures = of_shared_components(full=full)
    assert mixtures.shared is not None and mixtures.shared.max() == 4
    alone = Mixtures(mixtures.weights, mixtures.means, mixtures.covariances)
    for one, other in (
        (mixtures, alone),
        (mixtures.take([3, 0, 2]), alone.take([3, 0, 2])),
        (mixtures.mapped(np.eye(2, 3)), alone.mapped(np.eye(2, 3))),
    ):
        for entropic in (0.0, 0.1):
            np.testing.assert_allclose(
                mixture_distances(one, cost=cost, entropic=entropic),
                mixture_distances(other, cost=cost, entropic=entropic),
                rtol=1e-6,
                atol=1e-9,
            )
    assert planted().shared is None


def test_components_that_only_some_samples_share_are_theirs_when_samples_are_taken() -> None:
    rng = np.random.default_rng(0)
    own = planted(1, 8)
    rows = np.arange(4) + 4 * (np.arange(12) % 2)[:, None]
    weights = rng.dirichlet(np.ones(4), size=12)
    mixtures = Mixtures.of(weights, own.means[0, rows], own.covariances[0, rows])
    assert mixtures.shared is not None
    whole = mixture_distances(mixtures)
    for samples in (np.arange(0, 12, 2), np.arange(1, 12, 2), np.array([3, 5, 1, 9])):
        part = mixture_distances(mixtures.take(samples))
        np.testing.assert_allclose(part, whole[np.ix_(samples, samples)], rtol=1e-9, atol=1e-12)


def test_mw2_is_that_of_pot() -> None:
    ot = pytest.importorskip("ot")
    m = planted(S=4, K=4, d=3)
    found = mixture_distances(m)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        first, second = ((m.means[s], m.covariances[s], m.weights[s]) for s in (i, j))
        expected = ot.gmm.gmm_ot_loss(first[0], second[0], first[1], second[1], first[2], second[2])
        assert found[i, j] ** 2 == pytest.approx(float(expected), rel=1e-10)


def test_bad_arguments_are_named() -> None:
    for arguments, message in (
        ({"cost": "w2"}, "cost='w2' is not a choice"),
        ({"entropic": np.nan}, "entropic=nan is out of range"),
        ({"pairs": [[0, 6]]}, "pairs has sample 6"),
    ):
        with pytest.raises(ValueError, match=message):
            mixture_distances(planted(), **arguments)

"""Plans of pairs are kept within a bound, and what is found does not depend on it."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from lowdim.samples import _kept_plans, _map_transport
from lowdim.samples._kept_plans import KeptPlans
from lowdim.samples._map_transport import MapTransport
from lowdim.samples._support import Support
from lowdim.transport import Clouds, Mixtures

S, D = 9, 4
PAIRS = np.stack(np.triu_indices(S, 1), axis=1)
PLAN, TREE = 12, 36  # bytes of a node
MAPS = [np.random.default_rng(seed).normal(size=(3, D)) for seed in range(3)]
#: What two sums that are the same but for their order may differ by.
ROUNDING = 1e-11


def mixtures(*, shared: bool = False) -> Mixtures:
    rng = np.random.default_rng(0)
    means, roots = rng.normal(size=(S, 5, D)), rng.normal(size=(S, 5, D, D))
    if shared:
        means[:], roots[:] = means[0], roots[0]
    return Mixtures.of(rng.dirichlet(np.ones(5), S), means, roots @ roots.swapaxes(-1, -2))


def clouds(n: int = 20, count: int = S) -> Clouds:
    rng = np.random.default_rng(1)
    return Clouds.of([rng.normal(size=(n + s % 3, D)) + rng.normal(size=D) for s in range(count)])


MEASURES = {"own": mixtures(), "shared": mixtures(shared=True), "points": clouds()}
SLOPES = np.random.default_rng(2).normal(size=len(PAIRS)) * (np.arange(len(PAIRS)) % 4 > 0)


def nodes(measures: Mixtures | Clouds) -> int:
    return 2 * int(Support.of(measures).sizes.max()) + 1


def course(
    measures: Mixtures | Clouds, bound: int, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Distances and gradients under one map after another."""
    monkeypatch.setattr(_kept_plans, "KEPT_BYTES", bound)
    monkeypatch.setattr(_map_transport, "TOGETHER", 5)
    transport = MapTransport(Support.of(measures), cost="mixed")
    moved = []
    for W in MAPS:
        seen = transport.distances(W, PAIRS)
        moved.append((seen.distances, seen.gradient(SLOPES)))
    distances, gradients = zip(*moved, strict=True)
    return list(distances), list(gradients)


@pytest.mark.parametrize("kind", list(MEASURES))
def test_what_is_found_does_not_depend_on_the_bound(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    measures, n_pairs = MEASURES[kind], len(PAIRS)
    of_node = nodes(measures) * n_pairs
    nothing, some_plans, all_plans, some_trees, all_trees = (
        course(measures, int(bound), monkeypatch)
        for bound in (0, 0.4 * PLAN * of_node, PLAN * of_node, 22 * of_node, TREE * of_node)
    )
    for other in (some_plans, all_plans):  # no trees: every map from the start
        for part in (0, 1):
            np.testing.assert_array_equal(other[part], nothing[part])
    for part in (0, 1):  # the first map has nothing to begin from
        np.testing.assert_array_equal(all_trees[part][0], nothing[part][0])
    # A pair has what it has with its tree, or what it has without, and both are the same plan.
    n_trees = 10 * n_pairs // (TREE - PLAN)
    for told, with_trees, without in zip(
        *(own[0] for own in (some_trees, all_trees, nothing)), strict=True
    ):
        np.testing.assert_array_equal(told[:n_trees], with_trees[:n_trees])
        np.testing.assert_array_equal(told[n_trees:], without[n_trees:])
        np.testing.assert_allclose(with_trees, without, rtol=ROUNDING)
    for told, with_trees in zip(some_trees[1], all_trees[1], strict=True):
        np.testing.assert_allclose(told, with_trees, rtol=1e-9, atol=ROUNDING)


@pytest.mark.parametrize(
    ("per_pair", "n_plans", "n_trees"),
    [(0, 0, 0), (6, 18, 0), (12, 36, 0), (24, 36, 18), (36, 36, 36), (99, 36, 36)],
)
def test_plans_come_first_and_trees_get_the_rest(
    per_pair: int, n_plans: int, n_trees: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_kept_plans, "KEPT_BYTES", per_pair * 41 * len(PAIRS))
    plans = KeptPlans(S, 41)
    assert (len(plans.trees.parent), len(plans.trees.size)) == (n_plans, n_trees)
    assert sum(part.nbytes for part in plans.trees) <= _kept_plans.KEPT_BYTES
    some = PAIRS[::2]  # pairs of a batch: their trees are their own, other places are anyone's
    for turn in range(2):
        places, fresh = plans.places(some)
        owned = places[: (n_trees + 1) // 2]
        np.testing.assert_array_equal(owned, np.arange(0, n_trees, 2))
        assert fresh[: len(owned)].all() == (turn == 0 and n_trees > 0) or not len(owned)
        assert not fresh[len(owned) :].any()
        held = places[places >= 0]
        assert len(np.unique(held)) == len(held) == min(len(some), len(owned) + n_plans - n_trees)


def test_memory_stays_below_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    n, count, bound = 30, 40, 500_000
    measures = clouds(n, count)
    pairs, W = np.stack(np.triu_indices(count, 1), axis=1), MAPS[0]
    assert TREE * nodes(measures) * len(pairs) > 2 * bound
    slopes = np.ones(len(pairs))

    def peak(bytes_kept: int) -> int:
        monkeypatch.setattr(_kept_plans, "KEPT_BYTES", bytes_kept)
        tracemalloc.start()
        try:
            transport = MapTransport(Support.of(measures), cost="mw2")
            for _ in range(2):
                transport.distances(W, pairs).gradient(slopes)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(bound)  # whatever is loaded and compiled
    everything = TREE * nodes(measures) * len(pairs)
    without = peak(0)
    assert peak(bound) < without + 1.1 * bound  # arrays keep to it, what refers to them is small
    assert peak(2**30) > everything > without

"""A map is learned on a device as on the host: losses, gradients, and how often the host waits."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from accelerator import pretended
from sklearn.exceptions import ConvergenceWarning

import lowdim as ld
from lowdim.samples import _kept_plans
from lowdim.samples._map_objective import MapObjective
from lowdim.samples._map_on_device import MapTransportThere
from lowdim.samples._map_penalty import Penalty
from lowdim.samples._map_transport import MapTransport
from lowdim.samples._support import Support
from lowdim.transport import Clouds, Mixtures, _device_samples

LABELS = np.array(["a", "b", "a", "b", "a", "b", "b"])
ALL = np.arange(len(LABELS))
S, K, D = len(LABELS), 4, 6


def mixtures(*, full: bool = True, shared: bool = False) -> Mixtures:
    """The last sample has a component fewer."""
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.full(K, 2.0), size=S)
    weights[-1, 0] = 0.0
    means, roots = rng.normal(size=(S, K, D)), rng.normal(size=(S, K, D, 2 * D))
    if shared:
        means[:], roots[:] = means[0], roots[0]
    covariances = roots @ roots.swapaxes(-1, -2) / (2 * D)
    if not full:
        covariances = np.diagonal(covariances, axis1=2, axis2=3).copy()
    return Mixtures.of(weights / weights.sum(1, keepdims=True), means, covariances)


def clouds() -> Clouds:
    rng = np.random.default_rng(1)
    sizes = rng.integers(6, 14, size=S)
    return Clouds.of([rng.normal(size=(n, D)) + rng.normal(size=D) for n in sizes])


MEASURES = {
    "own": mixtures(),
    "diagonal": mixtures(full=False),
    "shared": mixtures(shared=True),
    "points": clouds(),
}


def objectives(
    measures: Mixtures | Clouds, *, mi_reg: float = 0.0, **settings: Any
) -> list[MapObjective]:
    """On the host, and by torch."""
    settings = {"cost": "mixed", **settings}
    here = MapTransport(Support.of(measures), **settings)
    there = MapTransportThere(Support.of(measures), **settings, device=torch.device("cpu"))
    penalty = Penalty(0.1, "fro", mi_reg)
    return [MapObjective(transport, LABELS, 3.0, penalty) for transport in (here, there)]


def check(told: list[MapObjective], r: int, tolerance: float) -> None:
    """Under one map and, from its plans, under the next."""
    W = np.random.default_rng(5).normal(size=(r, D))
    for turn in range(2):
        expected, found = (own.of(W + 0.2 * turn, ALL) for own in told)
        assert found.loss == pytest.approx(expected.loss, rel=tolerance)
        scale = np.abs(expected.gradient).max()
        np.testing.assert_allclose(
            found.gradient, expected.gradient, atol=10 * tolerance * scale, rtol=0
        )
        assert found.active == expected.active


@pytest.mark.parametrize("r", [1, 2, 4])
@pytest.mark.parametrize("entropic", [0.0, 0.2])
@pytest.mark.parametrize("cost", ["mixed", "mw2"])
@pytest.mark.parametrize("name", MEASURES)
def test_losses_and_gradients_are_those_of_the_host(
    name: str, cost: str, entropic: float, r: int
) -> None:
    settings = {"cost": cost, "entropic": entropic}
    check(objectives(MEASURES[name], **settings), r, 1e-8 if entropic else 1e-11)


@pytest.mark.parametrize("entropic", [0.0, 0.2])
@pytest.mark.parametrize("diagonal", [False, True])
def test_penalties_and_variances_alone_are_those_of_the_host(
    diagonal: bool, entropic: float
) -> None:
    settings = {"diagonal": diagonal, "entropic": entropic, "mi_reg": 0.7}
    for name in ("own", "shared"):
        check(objectives(MEASURES[name], **settings), 3, 1e-8)


@pytest.mark.parametrize("name", ["own", "points"])
def test_neither_batches_nor_room_for_plans_matter(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(objectives(MEASURES[name], entropic=0.3), 3, 1e-8)
    for here, room in ((_device_samples.HERE, 12 * 30 * 10), (400, 12 * 30 * 10), (400, 0)):
        monkeypatch.setattr(_device_samples, "HERE", here)
        monkeypatch.setattr(_kept_plans, "KEPT_BYTES", room)  # of some pairs only, or of none
        check(objectives(MEASURES[name]), 3, 1e-11)
    check(objectives(MEASURES[name], entropic=0.3), 3, 1e-8)


def test_samples_that_are_the_same_have_finite_gradients() -> None:
    own = MEASURES["own"]
    same = own.take(np.zeros(S, dtype=int))
    for entropic in (0.0, 0.2):
        found = objectives(same, entropic=entropic, cost="mw2")[1].of(np.eye(D)[:2], ALL)
        assert np.isfinite(found.loss) and np.isfinite(found.gradient).all()


def fitted(measures: Mixtures | Clouds, **settings: Any) -> ld.GroundMetric:
    settings = {"alpha": 2.0, "n_init": 1, "random_state": 0, **settings}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return ld.GroundMetric(2, **settings).fit(measures, LABELS)


@pytest.mark.parametrize("entropic", [0.0, 0.2])
@pytest.mark.parametrize("name", MEASURES)
def test_a_fit_is_that_of_the_host(name: str, entropic: float) -> None:
    cost = "w1" if name == "points" else "mixed"
    settings = {"cost": cost, "entropic": entropic, "max_iter": 3, "validation_fraction": 0.3}
    expected = fitted(MEASURES[name], **settings)
    with pretended():
        found = fitted(MEASURES[name], **settings, device="cuda")
        distances = found.distances(MEASURES[name])
    for term in ("loss", "validation"):
        np.testing.assert_allclose(found.history_[term], expected.history_[term], rtol=1e-7)
    np.testing.assert_allclose(distances, expected.distances(MEASURES[name]), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", ["own", "shared", "points"])
def test_the_host_waits_for_the_device_three_times_a_step(name: str) -> None:
    """For what the map leaves, for costs, and for the gradient; and for plans to be found."""
    for entropic, most in ((0.0, 3), (1.0, 4)):
        counts = []
        for limit in (2, 5):
            with pretended() as log:
                cost = "w1" if name == "points" else "mixed"
                settings = {"cost": cost, "entropic": entropic, "device": "cuda", "tol": 0.0}
                assert fitted(MEASURES[name], max_iter=limit, **settings).n_iter_ == limit
            counts.append(log.waits)
        assert counts[1] - counts[0] == 3 * most

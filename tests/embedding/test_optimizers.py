"""Optimisers of layouts: steps in the Poincare ball, gains, and numbers in single precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lowdim.embedding._float32 import exponential, logarithm
from lowdim.embedding._pairs.optimizers import EDGE, Gains, PoincareAdam, half_room, inside, moved


def distances(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    room = (1 - first.square().sum(-1)) * (1 - second.square().sum(-1))
    return torch.acosh(1 + 2 * (first - second).square().sum(-1) / room)


def in_ball(n: int, d: int) -> torch.Tensor:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(n, d))
    points *= rng.uniform(0.1, 0.9, size=(n, 1)) / np.linalg.norm(points, axis=1, keepdims=True)
    return torch.as_tensor(points)


@pytest.mark.parametrize("d", [2, 3])
def test_steps_along_geodesics_are_as_long_as_they_are_meant(d: int) -> None:
    points = in_ball(50, d)
    steps = 0.02 * torch.as_tensor(np.random.default_rng(1).normal(size=(50, d)))
    lengths = steps.norm(dim=1) / half_room(points)[:, 0]
    np.testing.assert_allclose(distances(points, moved(points, steps)), lengths, rtol=1e-6)


def test_a_step_of_adam_in_the_ball_is_as_long_as_the_rate() -> None:
    points = in_ball(50, 2)
    before = points.clone()
    optimizer = PoincareAdam([points], lr=0.1)
    points.grad = torch.as_tensor(np.random.default_rng(1).normal(size=(50, 2)))
    gradient = points.grad.clone()
    optimizer.step()
    np.testing.assert_allclose(distances(before, points), 0.1, rtol=1e-5)
    assert ((points - before) * gradient).sum(1).max() < 0


def test_points_stay_off_the_edge() -> None:
    points = torch.tensor([[0.0, 0.0], [0.6, 0.7], [3.0, 4.0]])
    kept = inside(points)
    assert torch.equal(kept[:2], points[:2])
    np.testing.assert_allclose(kept[2], EDGE * points[2] / 5, rtol=1e-6)


def test_gains_grow_where_the_gradient_keeps_its_sign_and_steps_have_an_end() -> None:
    points = torch.zeros((3, 2))
    optimizer = Gains([points], lr=1.0, momentum=0.0, max_step=5.0)
    for gradient in (
        [[1.0, 0.0], [30.0, 40.0], [1.0, -1.0]],
        [[1.0, 0.0], [0.0, 0.0], [-1.0, -1.0]],
    ):
        points.grad = torch.tensor(gradient)
        before = points.clone()
        optimizer.step()
    gains = optimizer.state[points]["gains"]
    np.testing.assert_allclose(gains[:, 0], [1.4, 0.97, 0.97], rtol=1e-5)
    np.testing.assert_allclose(before[1].norm(), 5.0, rtol=1e-6)


def test_numbers_in_single_precision() -> None:
    x = np.random.default_rng(0).uniform(-87, 88, size=2000).astype(np.float32)
    found = np.array([exponential(own) for own in x])
    np.testing.assert_allclose(found, np.exp(x.astype(np.float64)), rtol=5e-7)
    found = np.array([logarithm(own) for own in np.exp(x)])
    np.testing.assert_allclose(found, np.log(np.exp(x).astype(np.float64)), rtol=1e-6, atol=3e-7)
    assert exponential(np.float32(-1e30)) < 1e-37

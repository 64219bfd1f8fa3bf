"""Optimisers of layouts, in the form of torch's. Import on first use only."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

#: Least gain of a coordinate, and how it changes where the gradient turns and where it does not.
LEAST, MORE, LESS = 0.01, 0.2, 0.8
#: Points in the ball are at most so long.
EDGE = 1.0 - 1e-3


class Gains(torch.optim.Optimizer):
    """Gradient descent with momentum and a gain for each coordinate.

    Coordinates whose gradient keeps its sign gain speed, others lose it (Jacobs 1988, as in van der
    Maaten and Hinton 2008).

    Parameters
    ----------
    params : iterable of tensors
    lr, momentum : float
    max_step : float
        Longest step of a point.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        momentum: float = 0.8,
        max_step: float = 5.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "max_step": max_step})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move all parameters."""
        for group in self.param_groups:
            for own in group["params"]:
                state = self.state[own]
                if not state:
                    state["velocity"], state["gains"] = torch.zeros_like(own), torch.ones_like(own)
                velocity, gains, gradient = state["velocity"], state["gains"], own.grad
                same = (velocity > 0) == (gradient > 0)
                gains.copy_(torch.where(same, gains * LESS + LEAST, gains + MORE))
                velocity.mul_(group["momentum"]).sub_(group["lr"] * gains * gradient)
                length = velocity.norm(dim=-1, keepdim=True).clamp_(min=1e-30)
                velocity.mul_((group["max_step"] / length).clamp_(max=1.0))
                own.add_(velocity)


class PoincareAdam(torch.optim.Optimizer):
    """Adam in the Poincare ball (Becigneul and Ganea 2019, Riemannian adaptive optimization).

    Lengths of gradients and steps are those in the ball, where a unit at z is ``(1 - |z|^2) / 2``
    long, and a step follows a geodesic; so a step is about as long as the learning rate, as
    distances in the ball are measured, wherever a point lies.

    Parameters
    ----------
    params : iterable of tensors, (N, d)
        Points of length less than one.
    lr : float
    betas : (float, float)
        Shares of the former moments.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.05,
        betas: tuple[float, float] = (0.9, 0.99),
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move all points."""
        for group in self.param_groups:
            first, second = group["betas"]
            for own in group["params"]:
                state = self.state[own]
                if not state:
                    state["n"] = 0
                    state["mean"], state["square"] = torch.zeros_like(own), own.new_zeros(len(own))
                state["n"] += 1
                scale = half_room(own)
                gradient = own.grad * scale  # in units of length at the point, as moments are
                state["mean"].mul_(first).add_(gradient, alpha=1 - first)
                state["square"].mul_(second).add_(gradient.square().sum(1), alpha=1 - second)
                mean = state["mean"] / (1 - first ** state["n"])
                root = (state["square"] / (1 - second ** state["n"])).sqrt() + 1e-30
                own.copy_(moved(own, mean * scale * (-group["lr"] / root)[:, None]))


def half_room(points: torch.Tensor) -> torch.Tensor:
    """``(1 - |z|^2) / 2`` of points in the ball, (N, 1): a unit of length there."""
    return 0.5 * (1.0 - points.square().sum(1, keepdim=True))


def moved(points: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """Points after steps along geodesics, kept off the edge (Ganea and others 2018, equation 6)."""
    length = steps.norm(dim=1, keepdim=True).clamp(min=1e-30)
    step = torch.tanh(0.5 * length / half_room(points)) * steps / length
    inner = 2.0 * (points * step).sum(1, keepdim=True)
    x, v = points.square().sum(1, keepdim=True), step.square().sum(1, keepdim=True)
    total = ((1.0 + inner + v) * points + (1.0 - x) * step) / (1.0 + inner + x * v)
    return inside(total)


def inside(points: torch.Tensor) -> torch.Tensor:
    """Points, those too near the edge drawn back from it."""
    length = points.norm(dim=1, keepdim=True).clamp(min=1e-30)
    return points * (EDGE / length).clamp(max=1.0)

"""Dispersions of negative binomial counts: a safeguarded Newton step on every log shape."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor

from lowdim.factorization._state import Observation, State, with_bound

#: When shapes begin to move, how far in log r, and their range.
SHAPES_FROM, LONGEST = 2, 1.0
LEAST_SHAPE, MOST_SHAPE = 1e-2, 1e6
#: Lengths of a step that are tried.
LENGTHS = (1.0, 0.25, 0.05)


def likelihood_of(counts: Tensor, rates: Tensor, shapes: Tensor) -> Tensor:
    """``log NB(y; rate, r)`` without the terms in y log rate, log y! and r alone."""
    # Both terms are large and nearly cancel where shapes are: not in float32.
    y, mu, r = counts.double(), rates.double(), shapes.double()
    return torch.lgamma(y + r) - (r + y) * (r + mu).log()


def constant(shapes: Tensor) -> Tensor:
    """What every count adds by its column's shape alone."""
    return shapes * shapes.log() - torch.lgamma(shapes)


def shape_slopes(
    parts: Iterable[tuple[Tensor, Tensor, Tensor | None]], n_observed: Tensor, shapes: Tensor
) -> tuple[Tensor, Tensor]:
    """First and second derivative of the bound in log r, (J,) each.

    Parameters
    ----------
    parts
        Chunks of rows: counts, expected rates, and which are known.
    n_observed : (J,)
    shapes : (J,)
        r.
    """
    r = shapes.double()
    first = n_observed * (1 + r.log() - torch.digamma(r))
    second = n_observed * (1 / r - torch.polygamma(1, r))
    for y, rate, known in parts:
        r = shapes.to(y)
        below = r + rate
        slope = torch.digamma(y + r) - below.log() - (r + y) / below
        bend = torch.polygamma(1, y + r) - 2 / below + (r + y) / below.square()
        first += (slope if known is None else slope * known).sum(0)
        second += (bend if known is None else bend * known).sum(0)
    r = shapes.double()
    return r * first, r * first + r * r * second


def with_shapes(
    observation: Observation, state: State, slopes: tuple[Tensor, Tensor], shapes: Tensor
) -> State:
    """A Newton step, shortened until the bound is not lower."""
    slope, bend = slopes
    step = torch.where(bend < 0, -slope / bend.clamp(max=-1e-12), slope.sign())
    for length in LENGTHS:
        moved = shapes * (length * step.clamp(-LONGEST, LONGEST)).exp()
        tried = with_bound(observation, replace(state, shapes=moved.clamp(LEAST_SHAPE, MOST_SHAPE)))
        if tried.bound >= state.bound:
            return tried
    return state

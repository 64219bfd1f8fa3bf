"""Costs between Gaussians or points on a device, of many pairs of samples at once.

They are those of `lowdim.transport._component_costs.between`, in batches: B pairs of samples with n
and m components in r dimensions.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from lowdim.data.sending import sent

#: Squared distances that are a smaller share of the traces are found without cancellation.
CLOSE = 1e-6
#: Cosines of the angle between two rows that count as zero.
ORTHOGONAL = 1e-15
#: Singular values that are a smaller share of the largest are zero.
NOTHING = 1e-15
#: Sweeps of Jacobi rotations, after which small matrices have none left.
SWEEPS = 8


class Components(NamedTuple):
    """Components, which are points where both roots and factors are none.

    Attributes
    ----------
    means : (..., n, r)
    roots : (..., n, r) or None
        Standard deviations along the axes, where covariances are diagonal.
    factors : (..., n, r, r) or None
        Factors L of covariances L L', where they are not.
    """

    means: Tensor
    roots: Tensor | None
    factors: Tensor | None

    @classmethod
    def sent(
        cls, means: np.ndarray, roots: np.ndarray, factors: np.ndarray, device: torch.device
    ) -> Self:
        """From arrays on the host, of which those that are none are empty."""
        there = sent(means, device)
        if len(factors):
            return cls(there, None, sent(factors, device))
        return cls(there, sent(roots, device) if roots.size else None, None)

    def take(self, rows: Tensor) -> Self:
        """Those of some rows, (...), of one list of components."""
        roots, factors = (None if part is None else part[rows] for part in self[1:])
        return type(self)(self.means[rows], roots, factors)

    @property
    def numbers(self) -> int:
        """How many numbers the cost of two of them is found by, about."""
        return 1 if self.factors is None else 8 * int(self.means.shape[-1]) ** 2


class Pulls(NamedTuple):
    """Gradients that belong to components, as in `lowdim.samples._map_costs.pull`.

    Attributes
    ----------
    means : (..., n, r)
    traces : (..., n)
    factors : (..., n, r, r), (..., n, r, 1) or None
        Of factors, of roots, or none.
    """

    means: Tensor
    traces: Tensor
    factors: Tensor | None


def between(first: Components, second: Components, power: int) -> Tensor:
    """Costs ``|m_a - m_b|^power + B^2(A, B)`` of all pairs of components, (B, n, m)."""
    apart = _squared(first.means, second.means)
    cost = apart if power == 2 else apart.sqrt_()
    if first.roots is not None and second.roots is not None:
        return cost.add_(_squared(first.roots, second.roots))
    if first.factors is not None and second.factors is not None:
        return cost.add_(_bures(first.factors, second.factors))
    return cost


def pulls(first: Components, second: Components, mass: Tensor, power: int) -> tuple[Pulls, Pulls]:
    """Gradients of ``sum mass * cost``, (B, n, m) of both, by all components of either side."""
    scale = 2 * mass
    if power == 1:
        apart = _squared(first.means, second.means).sqrt_()
        scale = torch.where(apart > 0, mass / apart, 0.0)
    means = (
        _towards(first.means, second.means, scale),
        _towards(second.means, first.means, scale.mT),
    )
    factors: tuple[Tensor | None, Tensor | None] = None, None
    if first.roots is not None and second.roots is not None:
        factors = (mass @ second.roots)[..., None], (mass.mT @ first.roots)[..., None]
    elif first.factors is not None and second.factors is not None:
        turned = mass[..., None, None] * polar(_products(first.factors, second.factors))[0]
        factors = (
            torch.einsum("bmik,bnmjk->bnij", second.factors, turned),
            torch.einsum("bnik,bnmkj->bmij", first.factors, turned),
        )
    traces = mass.sum(2), mass.sum(1)
    one, other = (Pulls(*parts) for parts in zip(means, traces, factors, strict=True))
    return one, other


def polar(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Polar factors, (..., r, r), zero in directions of no length, and sums of singular values.

    By Jacobi's rotations, which make the rows of a matrix orthogonal (Golub and Van Loan, Matrix
    Computations, section 8.6). Neighbouring rows are turned and change places, so that after r
    rounds all have met.
    """
    r = matrices.shape[-1]
    unit = torch.eye(r, dtype=matrices.dtype, device=matrices.device)
    both = torch.cat([matrices, unit.expand_as(matrices)], -1)  # what is turned, and the turns
    for turn in range(SWEEPS * r if r > 2 else 1):
        pairs = (r - turn % 2) // 2
        own = both[..., turn % 2 : turn % 2 + 2 * pairs, :].unflatten(-2, (pairs, 2))
        one, two = own[..., 0, :], own[..., 1, :]
        cosine, sine = _rotation(one[..., :r], two[..., :r])
        ahead = cosine * one - sine * two
        own[..., 0, :], own[..., 1, :] = sine * one + cosine * two, ahead
    rows, turns = both[..., :r], both[..., r:]
    lengths = torch.linalg.vector_norm(rows, dim=-1)
    used = lengths > NOTHING * lengths.amax(-1, keepdim=True)
    rows = rows * torch.where(used, 1 / lengths, 0.0)[..., None]
    return turns.mT @ rows, lengths.sum(-1)


def _rotation(one: Tensor, two: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the turn that makes two rows, (..., r), orthogonal, (..., 1)."""
    first, second, across = (
        (a * b).sum(-1, keepdim=True) for a, b in ((one, one), (two, two), (one, two))
    )
    turns = across * across > ORTHOGONAL**2 * first * second
    tau = (second - first) / (2 * across)
    tangent = torch.copysign(1 / (tau.abs() + torch.sqrt(1 + tau * tau)), tau)
    tangent = torch.where(turns, tangent, 0.0)
    cosine = torch.rsqrt(1 + tangent * tangent)
    return cosine, cosine * tangent


def _bures(first: Tensor, second: Tensor) -> Tensor:
    """Squared Bures distances of covariances from their factors, (B, n, m)."""
    turns, roots = polar(_products(first, second))
    traces = (first**2).sum((-2, -1))[:, :, None] + (second**2).sum((-2, -1))[:, None, :]
    plain = (traces - 2 * roots).clamp_(min=0.0)
    gaps = first[:, :, None] @ turns - second[:, None]
    return torch.where(plain > CLOSE * traces, plain, (gaps * gaps).sum((-2, -1)))


def _products(first: Tensor, second: Tensor) -> Tensor:
    """``first' second`` of all pairs, (B, n, m, r, r)."""
    return first.mT[:, :, None] @ second[:, None]


def _squared(first: Tensor, second: Tensor) -> Tensor:
    """Squared distances of all pairs, (B, n, m)."""
    total = first.new_zeros(*first.shape[:-1], second.shape[-2])
    for own, other in zip(first.unbind(-1), second.unbind(-1), strict=True):
        gaps = own[:, :, None] - other[:, None, :]
        total.addcmul_(gaps, gaps)
    return total


def _towards(own: Tensor, others: Tensor, scale: Tensor) -> Tensor:
    """``sum_b scale_ab (m_a - m_b)``, (B, n, r)."""
    return scale.sum(2)[..., None] * own - scale @ others

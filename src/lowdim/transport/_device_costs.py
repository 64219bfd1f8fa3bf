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
#: Newton's steps to a polar factor: nine are enough in double precision, after a shift.
TURNS = 10
#: Singular matrices are shifted by about this share of their size.
SHIFT = 1e-14


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
    """Orthogonal polar factors, (..., r, r), and sums of singular values, (...).

    By Newton's steps ``U -> (U + U'^-1) / 2``, scaled such that few suffice however unlike the
    singular values are (Higham 2008, Functions of Matrices, section 8.6). Singular matrices are
    shifted first, which the sum does not feel: their orthogonal factor is one of many.
    """
    r = matrices.shape[-1]
    shift = torch.arange(1, r + 1, dtype=matrices.dtype, device=matrices.device).diag()
    turns = matrices / _length(matrices).clamp(min=1e-300)
    for _ in range(TURNS):
        inverses, info = torch.linalg.inv_ex(turns)
        scale = torch.sqrt(_length(inverses) / _length(turns))
        ahead = (scale * turns + inverses.mT / scale) / 2
        turns = torch.where((info == 0)[..., None, None], ahead, turns + SHIFT * shift)
    return turns, (turns * matrices).sum((-2, -1))


def _length(matrices: Tensor) -> Tensor:
    return torch.linalg.matrix_norm(matrices, keepdim=True)


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

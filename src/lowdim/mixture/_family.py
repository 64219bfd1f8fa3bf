"""What a mixture's components must provide, and the small tools that every family shares.

Everything is batched over restarts: tensors lead with R (restarts) and K (components), and
scores of n rows are laid out ``(R, K, n)``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, Protocol, Self, TypeVar

import numpy as np
import torch
from torch import Tensor

from lowdim.data.blocks import Block, Rows

Statistics = dict[str, Tensor]
"""Additive sufficient statistics, float64, each with a leading restart axis."""


def without_broken(statistics: Statistics, broken: np.ndarray) -> Statistics:
    """Statistics in which broken restarts are empty, so that they cannot stop the others."""
    if not broken.any():
        return statistics
    mask = torch.from_numpy(broken)
    return {
        name: torch.where(mask.to(value.device).view(-1, *[1] * (value.ndim - 1)), 0.0, value)
        for name, value in statistics.items()
    }


@dataclass(frozen=True)
class Parameters:
    """Parameters of a batch of mixtures: every tensor field leads with the restart axis."""

    weights: Tensor

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}  # nothing cached

    @property
    def n_restarts(self) -> int:
        return len(self.weights)

    def select(self, index: Tensor) -> Self:
        """The restarts at ``index`` (integers or a mask)."""
        return self._map(lambda value: value[index])

    def assign(self, index: Tensor, other: Self) -> Self:
        """A copy in which the restarts at ``index`` (ascending) are those of ``other``."""
        if len(index) == self.n_restarts:
            return other
        changes: dict[str, Any] = {}
        for name, value in self._tensors():
            changed = value.clone()
            changed[index] = getattr(other, name)
            changes[name] = changed
        return replace(self, **changes)

    def _map(self, function: Any) -> Self:
        return replace(self, **{name: function(value) for name, value in self._tensors()})

    def _tensors(self) -> list[tuple[str, Tensor]]:
        pairs = [(field.name, getattr(self, field.name)) for field in fields(self)]
        return [(name, value) for name, value in pairs if isinstance(value, torch.Tensor)]


P = TypeVar("P", bound=Parameters)


def concatenate(parts: list[P]) -> P:
    """Batches of restarts joined into one batch."""
    first = parts[0]
    if len(parts) == 1:
        return first
    joined = {
        name: torch.cat([getattr(part, name) for part in parts]) for name, _ in first._tensors()
    }
    return replace(first, **joined)


def responsibilities(scores: Tensor, assignment: str, beta: float = 1.0) -> tuple[Tensor, Tensor]:
    """Each row's objective, (R, n), and responsibilities, (R, K, n); scores are overwritten.

    Soft: the objective is log sum exp(beta * score) / beta. Hard and closest: the largest score;
    tied components share the row.
    """
    if assignment == "soft":
        if beta != 1.0:
            scores *= beta
        top = scores.amax(1, keepdim=True)
        scores.sub_(top).exp_()
        total = scores.sum(1, keepdim=True)
        scores.div_(total)
        return (top + total.log()).squeeze(1) / beta, scores
    top = scores.amax(1, keepdim=True)
    owned = (scores == top).double()
    ties = owned.sum(1, keepdim=True)
    if owned.device.type != "cpu" or bool((ties != 1).any()):  # a device is not waited for
        owned /= ties
    return top.squeeze(1), owned


def block_expectation(
    family: Family[P], block: Block, parameters: P, assignment: str, beta: float
) -> tuple[Statistics, Tensor]:
    """Statistics and summed objective, (R,), of one block, from the family's scores."""
    score = family.closeness if assignment == "closest" else family.log_joint
    rows, shares = responsibilities(score(block, parameters), assignment, beta)
    if block.weights is None:
        return family.statistics(block, shares, parameters), rows.sum(1)
    return family.statistics(block, shares * block.weights, parameters), rows @ block.weights


class Family(Protocol[P]):
    """A kind of mixture component: what the EM loop needs to know about it."""

    def to_send(self) -> Self:
        """The family without what only starts and M-steps need, for passes in other processes."""
        ...

    def log_joint(self, block: Block, parameters: P) -> Tensor:
        """``log weight_k + log p(x_i | k)``, (R, K, n), float64."""
        ...

    def closeness(self, block: Block, parameters: P) -> Tensor:
        """Minus the squared distance that `assignment="closest"` minimises, (R, K, n)."""
        ...

    def expectation(
        self, block: Block, parameters: P, assignment: str, beta: float
    ) -> tuple[Statistics, Tensor]:
        """The block's statistics and summed objective, (R,).

        `block_expectation` makes them from the methods above and below; a family may have a
        faster way for some data.
        """
        ...

    def fused_step(
        self, data: Rows, parameters: P, assignment: str, beta: float
    ) -> tuple[np.ndarray, P, np.ndarray] | None:
        """What `em_step` returns, where the family has a faster way to it; else None."""
        ...

    def statistics(self, block: Block, responsibilities: Tensor, parameters: P) -> Statistics:
        """Additive statistics of the block given responsibilities, (R, K, n)."""
        ...

    def maximize(self, statistics: Statistics, parameters: P, *, closest: bool = False) -> P:
        """The parameters that maximise the expected log-likelihood (or minimise distance)."""
        ...

    def starved(self, statistics: Statistics, parameters: P) -> Tensor:
        """Which components own too few rows to be estimated, (R, K), bool, on the host."""
        ...

    def collapsed(self, parameters: P) -> Tensor:
        """Which restarts have a component at the variance floor, (R,), bool."""
        ...

    def reseed(self, parameters: P, dead: Tensor) -> P:
        """Restart the components marked in ``dead``, (R, K), at badly explained rows."""
        ...

    def pack(self, parameters: P, reference: np.ndarray | None = None) -> np.ndarray:
        """Parameters as unconstrained vectors, (R, n), aligned with those of others.

        A new array, which is then written to.
        """
        ...

    def unpack(self, vectors: np.ndarray, like: P) -> P:
        """The inverse of `pack`."""
        ...


def log_likelihood(family: Family[P], data: Rows, parameters: P) -> Tensor:
    """Mean log-likelihood per row weight of every restart, (R,): a pass without statistics."""
    own = family if data.local else family.to_send()
    total: Tensor = data.total(partial(_block_likelihood, own, parameters))
    return total / data.total_weight


def _block_likelihood(family: Family[P], parameters: P, block: Block) -> Tensor:
    rows = family.log_joint(block, parameters).logsumexp(1)
    return rows.sum(1) if block.weights is None else rows @ block.weights

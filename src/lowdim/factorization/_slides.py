"""Several slides: a process for each, independent of the others, with the same kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lowdim.factorization._processes import Conditional, Posterior, Process
from lowdim.kernels import Kernel


@dataclass(frozen=True)
class Slides:
    """Independent processes over groups of rows.

    Attributes
    ----------
    parts : sequence of Process
    rows : sequence of Tensor
        Indices of every part's rows.
    """

    parts: Sequence[Process]
    rows: Sequence[Tensor]

    @property
    def kernel(self) -> Kernel:
        return self.parts[0].kernel

    @property
    def nugget(self) -> float:
        return self.parts[0].nugget

    @property
    def exact(self) -> bool:
        return all(part.exact for part in self.parts)

    @property
    def size(self) -> int:
        return sum(part.size for part in self.parts)

    def with_nugget(self, nugget: float) -> Slides:
        return Slides([part.with_nugget(nugget) for part in self.parts], self.rows)

    def given(self, l2: Tensor) -> SlidesConditional:
        parts = [part.given(l2[:, rows]) for part, rows in zip(self.parts, self.rows, strict=True)]
        return SlidesConditional(parts, self.rows)


@dataclass(frozen=True)
class SlidesConditional:
    """Every slide's process under its own sites."""

    parts: Sequence[Conditional]
    rows: Sequence[Tensor]

    @property
    def jitter(self) -> float:
        return max(part.jitter for part in self.parts)

    def posterior(self, l1: Tensor) -> Posterior:
        found = [
            part.posterior(l1[:, own]) for part, own in zip(self.parts, self.rows, strict=True)
        ]
        mean, variance = torch.empty_like(l1), torch.empty_like(l1)
        for own, posterior in zip(self.rows, found, strict=True):
            mean[:, own], variance[:, own] = posterior.mean, posterior.variance
        divergence = torch.stack([posterior.divergence for posterior in found]).sum(0)
        evidence = torch.stack([posterior.evidence for posterior in found]).sum(0)
        return Posterior(mean, variance, divergence, evidence)

    def predict(self, places: Tensor, l1: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError("Places alone do not say which slide they are on.")

    def project(self, trend: Tensor) -> Tensor:
        found = [part.project(trend[own]) for part, own in zip(self.parts, self.rows, strict=True)]
        out = trend.new_empty((len(found[0]), *trend.shape))
        for own, part in zip(self.rows, found, strict=True):
            out[:, own] = part
        return out

"""Counts as sums of positive factors: the bound, and what it says of factors and loadings.

``y_ij ~ Poisson(s_i sum_l w_jl exp(f_il))``, or negative binomial around that rate. With
``f ~ N(m, v)`` the expectation of the rate is closed, and that of its logarithm is at least its
value at m (Jensen), so that

``E log p(y) >= sum y log(s sum_l w e^m) - s sum_l w e^(m + v / 2) - log y!``

The bound is a Poisson likelihood of every factor once the counts are divided among them by
``phi_ijl`` in proportion to ``w_jl e^(m_il)``. A negative binomial is a Poisson whose exposure is
Gamma distributed with mean one and shape r_j.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

#: Values of counts that are worked on at once.
CHUNK_VALUES = 2**18
#: Rates are not smaller.
TINY = 1e-10


@dataclass(frozen=True)
class Rates:
    """Counts, size factors, and sums over them.

    Attributes
    ----------
    counts : (N, J)
    sizes : (N,)
        s.
    """

    counts: Tensor
    sizes: Tensor

    def chunks(self) -> Iterator[tuple[slice, Tensor]]:
        """Rows, and their counts."""
        step = max(1, CHUNK_VALUES // self.counts.shape[1])
        for start in range(0, len(self.counts), step):
            rows = slice(start, min(start + step, len(self.counts)))
            yield rows, self.counts[rows]

    @cached_property
    def log_factorials(self) -> Tensor:
        """Sums of log y! over the rows, (J,)."""
        return torch.stack([torch.lgamma(y + 1).sum(0) for _, y in self.chunks()]).sum(0)

    def bound(
        self, loadings: Tensor, log_mean: Tensor, mean: Tensor, shapes: Tensor | None
    ) -> Tensor:
        """The expected log-likelihood of every column from below, (J,).

        Parameters
        ----------
        loadings : (J, L)
            w.
        log_mean : (N, L)
            e^m.
        mean : (N, L)
            e^(m + v / 2).
        shapes : (J,), optional
            r; None is Poisson.
        """
        total = -self.log_factorials
        if shapes is None:
            total = total - loadings @ (self.sizes @ mean)
        for rows, y in self.chunks():
            sizes = self.sizes[rows, None]
            log_rate = (sizes * (log_mean[rows] @ loadings.T) + TINY).log()
            total = total + (y * log_rate).sum(0)
            if shapes is not None:
                rate = sizes * (mean[rows] @ loadings.T)
                spread = torch.lgamma(y + shapes) - (shapes + y) * (shapes + rate).log()
                total = total + spread.sum(0)
                total = total + len(y) * (shapes * shapes.log() - torch.lgamma(shapes))
        return total

    def shape_slopes(self, loadings: Tensor, mean: Tensor, shapes: Tensor) -> tuple[Tensor, Tensor]:
        """First and second derivative of the bound in log r, (J,) each."""
        first, second = torch.zeros_like(shapes), torch.zeros_like(shapes)
        r = shapes
        for rows, y in self.chunks():
            rate = self.sizes[rows, None] * (mean[rows] @ loadings.T)
            below = r + rate
            slope = torch.digamma(y + r) - below.log() - (r + y) / below
            bend = torch.polygamma(1, y + r) - 2 / below + (r + y) / below.square()
            n = len(y)
            first += slope.sum(0) + n * (1 + r.log() - torch.digamma(r))
            second += bend.sum(0) + n * (1 / r - torch.polygamma(1, r))
        return r * first, r * first + r * r * second

    def _exposures(
        self, rows: slice, y: Tensor, loadings: Tensor, mean: Tensor, shapes: Tensor | None
    ) -> Tensor:
        """Expected exposure of every count: s, for the negative binomial times its Gamma's mean."""
        sizes = self.sizes[rows, None]
        if shapes is None:
            return sizes.expand(y.shape)
        return sizes * (shapes + y) / (shapes + sizes * (mean[rows] @ loadings.T))

    def scaled_loadings(
        self, loadings: Tensor, log_mean: Tensor, mean: Tensor, shapes: Tensor | None
    ) -> Tensor:
        """The ratio by which loadings grow in one multiplicative step, (J, L)."""
        above = torch.zeros_like(loadings)
        below = torch.zeros_like(loadings)
        for rows, y in self.chunks():
            ratio = y / (log_mean[rows] @ loadings.T + TINY)
            above += ratio.T @ log_mean[rows]
            if shapes is None:
                below += self.sizes[rows] @ mean[rows]
            else:
                below += self._exposures(rows, y, loadings, mean, shapes).T @ mean[rows]
        return above / (below + TINY)

    def shares(
        self, loadings: Tensor, log_mean: Tensor, mean: Tensor, shapes: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Counts that fall to every factor, and its exposure, (L, N) each."""
        counts = torch.empty_like(log_mean.T)
        exposures = torch.empty_like(counts)
        for rows, y in self.chunks():
            ratio = y / (log_mean[rows] @ loadings.T + TINY)
            counts[:, rows] = (log_mean[rows] * (ratio @ loadings)).T
            if shapes is None:
                exposures[:, rows] = loadings.sum(0)[:, None] * self.sizes[rows]
            else:
                own = self._exposures(rows, y, loadings, mean, shapes)
                exposures[:, rows] = (own @ loadings).T
        return counts, exposures

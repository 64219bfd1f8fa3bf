"""Counts as sums of positive factors: the bound, and what it says of factors and loadings.

``y_ij ~ Poisson(s_i sum_l w_jl exp(f_il))``, or negative binomial around that rate. With
``f ~ N(m, v)`` the expectation of the rate is closed, and that of its logarithm is at least its
value at m (Jensen), so that

``E log p(y) >= sum y log(s sum_l w e^m) - s sum_l w e^(m + v / 2) - log y!``

The bound is a Poisson likelihood of every factor once the counts are divided among them by
``phi_ijl`` in proportion to ``w_jl e^(m_il)``. A negative binomial is a Poisson whose exposure is
Gamma distributed with mean one and shape r_j.

In place of its value at m the logarithm may be averaged over draws of f: an estimate of the
expectation itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from lowdim.factorization._counts import TINY, Counts
from lowdim.factorization._dispersion import constant, likelihood_of, shape_slopes


@dataclass(frozen=True)
class Rates:
    """Counts, size factors, and sums over them.

    Attributes
    ----------
    counts : Counts, (N, J)
        Zero where not observed.
    sizes : (N,)
        s.
    observed : (N, J), optional
        One where a count is known, else zero; None is everywhere.
    """

    counts: Counts
    sizes: Tensor
    observed: Tensor | None = None

    @cached_property
    def log_factorials(self) -> Tensor:
        """Sums of log y! over the rows, (J,)."""
        return self.counts.log_factorials()

    @cached_property
    def n_observed(self) -> Tensor:
        """Known counts of every column, (J,)."""
        if self.observed is None:
            n, columns = self.counts.shape
            return torch.full_like(self.sizes[:1], n, dtype=torch.float64).expand(columns)
        return self.observed.double().sum(0)

    def bound(
        self, loadings: Tensor, factors: Tensor, mean: Tensor, shapes: Tensor | None
    ) -> Tensor:
        """The expected log-likelihood of every column from below, (J,).

        Parameters
        ----------
        loadings : (J, L)
            w.
        factors : (S, N, L)
            Where the logarithm is taken: e^m alone, or draws of e^f.
        mean : (N, L)
            e^(m + v / 2).
        shapes : (J,), optional
            r; None is Poisson.
        """
        total = self.counts.weighted_logs(self.sizes, factors, loadings) - self.log_factorials
        if shapes is None and self.observed is None:
            return total - loadings.double() @ self._exposed(mean)
        for rows, y in self.counts.chunks():
            rate = self._rate(rows, loadings, mean)
            own = -rate if shapes is None else likelihood_of(y, rate, shapes)
            total = total + self._known(rows, own).sum(0)
        if shapes is not None:
            total = total + self.n_observed * constant(shapes.double())
        return total

    def shape_slopes(self, loadings: Tensor, mean: Tensor, shapes: Tensor) -> tuple[Tensor, Tensor]:
        """First and second derivative of the bound in log r, (J,) each."""
        parts = (
            (
                y,
                self._rate(rows, loadings, mean),
                None if self.observed is None else self.observed[rows],
            )
            for rows, y in self.counts.chunks()
        )
        return shape_slopes(parts, self.n_observed, shapes)

    def scaled_loadings(
        self, loadings: Tensor, factors: Tensor, mean: Tensor, shapes: Tensor | None
    ) -> Tensor:
        """The ratio by which loadings grow in one multiplicative step, (J, L)."""
        above = self.counts.loading_shares(factors, loadings)
        if shapes is None and self.observed is None:
            return above / (self._exposed(mean) + TINY)
        below = torch.zeros_like(above)
        for rows, y in self.counts.chunks():
            below += self._exposures(rows, y, loadings, mean, shapes).T @ mean[rows]
        return above / (below + TINY)

    def shares(
        self, loadings: Tensor, factors: Tensor, mean: Tensor, shapes: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Counts that fall to every factor, (S, L, N), and its exposure, (L, N)."""
        counts = self.counts.factor_shares(factors, loadings)
        if shapes is None and self.observed is None:
            return counts, torch.outer(loadings.sum(0), self.sizes).double()
        exposures = torch.empty_like(counts[0])
        for rows, y in self.counts.chunks():
            own = self._exposures(rows, y, loadings, mean, shapes)
            exposures[:, rows] = (own @ loadings).T
        return counts, exposures

    def _exposed(self, mean: Tensor) -> Tensor:
        """``sum_i s_i mean_il``, (L,); single precision would lose digits over many rows."""
        return self.sizes.double() @ mean.double()

    def _known(self, rows: slice, values: Tensor) -> Tensor:
        """Zero where the count is not known."""
        return values if self.observed is None else values * self.observed[rows]

    def _rate(self, rows: slice, loadings: Tensor, mean: Tensor) -> Tensor:
        return self._known(rows, self.sizes[rows, None] * (mean[rows] @ loadings.T))

    def _exposures(
        self, rows: slice, y: Tensor, loadings: Tensor, mean: Tensor, shapes: Tensor | None
    ) -> Tensor:
        """Expected exposure of every count: s, for the negative binomial times its Gamma's mean."""
        own = self.sizes[rows, None].expand(y.shape)
        if shapes is not None:
            own = own * (shapes + y) / (shapes + self.sizes[rows, None] * (mean[rows] @ loadings.T))
        return self._known(rows, own)

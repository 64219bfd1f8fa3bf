"""Counts whose logarithm is linear in real-valued factors.

``y_ij ~ Poisson(s_i exp(b_j + sum_l w_jl f_il))``, or negative binomial around that rate. With
``f ~ N(m, v)`` the logarithm is linear in f and the expected rate
``s exp(b + w'm + sum_l w_l^2 v_l / 2)`` closed: the Poisson's expected likelihood is exact, and the
negative binomial's, a Poisson whose exposure is Gamma distributed, a lower bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from lowdim.factorization._dispersion import (
    SHAPES_FROM,
    constant,
    likelihood_of,
    shape_slopes,
    with_shapes,
)
from lowdim.factorization._expansion import scaled
from lowdim.factorization._rates import Rates
from lowdim.factorization._state import State, sites_at, with_bound

#: Precision of the loadings' and intercepts' normal prior, which keeps columns of zeros finite.
LOADING_PRECISION = 0.01
#: Logarithms of rates are not larger, so that a step too far has a bound, if a low one.
LARGEST_LOG = 80.0
#: Added to counts before their logarithm is taken.
PSEUDOCOUNT = 0.5
#: Lengths of a Newton step that are tried.
LENGTHS = (1.0, 0.5, 0.1)


@dataclass(frozen=True)
class RealCounts:
    """Counts, (N, J), size factors, (N,), and where counts are known."""

    rates: Rates
    positive = False
    first_step = 0.7

    @cached_property
    def _log_means(self) -> Tensor:
        """Where intercepts are drawn to, (J,)."""
        sizes, observed = self.rates.sizes, self.rates.observed
        exposure = sizes.sum() if observed is None else sizes @ observed
        return ((self._totals + 0.5) / exposure).log().double()

    @cached_property
    def _totals(self) -> Tensor:
        """Sums of counts over the rows, (J,)."""
        return self.rates.counts.products(torch.ones_like(self.rates.sizes[:, None]))[:, 0]

    @cached_property
    def _log_sizes(self) -> Tensor:
        """Sums of ``y log s`` over the rows, (J,)."""
        return self.rates.counts.products(self.rates.sizes.log()[:, None])[:, 0]

    def bound(self, state: State) -> Tensor:
        b, w, r = _intercepts(state), state.loadings, state.shapes
        seen = state.rounded(self.rates.counts.dtype)
        total = -self.rates.log_factorials + self._log_prior(b, w)
        total = total + self._log_sizes + self._totals * b
        total = total + (self.rates.counts.products(seen.mean.T) * w).sum(1)
        for _, y, rate, known in self._expected(seen):
            own = -rate if seen.shapes is None else likelihood_of(y, rate, seen.shapes)
            total = total + (own if known is None or r is None else own * known).sum(0)
        return total if r is None else total + self.rates.n_observed * constant(r)

    def _log_prior(self, b: Tensor, w: Tensor) -> Tensor:
        distance = (b - self._log_means).square() + w.square().sum(1)
        return -0.5 * LOADING_PRECISION * distance

    def _expected(self, state: State) -> Iterator[tuple[slice, Tensor, Tensor, Tensor | None]]:
        """Rows, their counts, expected rates (zero where not known), and which are known."""
        state = state.rounded(self.rates.counts.dtype)
        w = state.loadings
        half = 0.5 * w.square()
        for rows, y in self.rates.counts.chunks():
            log_rate = state.mean.T[rows] @ w.T + state.variance.T[rows] @ half.T
            log_rate = (log_rate + _intercepts(state)).clamp_(max=LARGEST_LOG)
            rate = log_rate.exp_() * self.rates.sizes[rows, None]
            known = None if self.rates.observed is None else self.rates.observed[rows]
            yield rows, y, rate if known is None else rate * known, known

    def _weighted(self, state: State) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Rows, their counts, and expected rates times the exposure's expectation."""
        r = state.rounded(self.rates.counts.dtype).shapes
        for rows, y, rate, _ in self._expected(state):
            yield rows, y, rate if r is None else rate * (r + y) / (r + rate)

    def improved(self, state: State, number: int, *, prune: bool) -> State:
        state = self._with_loadings(scaled(state) if number else state)
        if state.shapes is not None and number >= SHAPES_FROM:
            parts = ((y, rate, known) for _, y, rate, known in self._expected(state))
            slopes = shape_slopes(parts, self.rates.n_observed, state.shapes)
            state = with_shapes(self, state, slopes, state.shapes)
        return state

    def _with_loadings(self, state: State) -> State:
        """A Newton step on every column's intercept and loadings, shortened where need be."""
        state = with_bound(self, state)
        step = self._newton_step(state)
        left = torch.ones_like(state.columns, dtype=torch.bool)
        for length in LENGTHS:
            moved = torch.where(left[:, None], length * step, 0.0)
            tried = with_bound(
                self,
                replace(
                    state,
                    intercepts=_intercepts(state) + moved[:, 0],
                    loadings=state.loadings + moved[:, 1:],
                ),
            )
            better = left & (tried.columns >= state.columns)
            columns = torch.where(better, tried.columns, state.columns)
            state = replace(
                state,
                intercepts=torch.where(better, _intercepts(tried), _intercepts(state)),
                loadings=torch.where(better[:, None], tried.loadings, state.loadings),
                columns=columns,
                bound=float(columns.sum() - state.divergence.sum()),
            )
            left = left & ~better
            if not left.any():
                break
        return state

    def _newton_step(self, state: State) -> Tensor:
        """Of intercepts and loadings together, (J, 1 + L)."""
        J, L = state.loadings.shape
        w = torch.cat([_intercepts(state)[:, None], state.loadings], 1)
        seen = state.rounded(self.rates.counts.dtype)
        ones = torch.ones_like(seen.mean[:1])
        m = torch.cat([ones, seen.mean]).T
        v = torch.cat([torch.zeros_like(ones), seen.variance]).T
        slope = self.rates.counts.products(m)
        squares = [w.new_zeros((J, (L + 1) ** 2)) for _ in range(3)]
        spread = w.new_zeros((J, L + 1))
        for rows, _, own in self._weighted(state):
            spread += own.T @ v[rows]
            slope -= own.T @ m[rows]
            for total, (a, b) in zip(squares, ((m, m), (m, v), (v, v)), strict=True):
                total += own.T @ (a[rows, :, None] * b[rows, None]).flatten(1)
        mm, mv, vv = (total.view(J, L + 1, L + 1) for total in squares)
        cross = mv * w[:, None]
        bend = mm + cross + cross.mT + vv * w[:, :, None] * w[:, None]
        bend.diagonal(dim1=1, dim2=2).add_(spread + LOADING_PRECISION)
        centre = torch.cat([self._log_means[:, None], torch.zeros_like(state.loadings)], 1)
        slope = slope - spread * w - LOADING_PRECISION * (w - centre)
        return torch.linalg.solve(bend, slope[..., None])[..., 0]

    def guess(self, state: State) -> Tensor:
        """Least squares of the logarithms, weighted by the counts, under the standard normal."""
        w, b = state.loadings, _intercepts(state)
        pairs = (w[:, :, None] * w[:, None]).flatten(1)
        mean = torch.empty_like(state.mean)
        for rows, y in self.rates.counts.chunks():
            above = y.double() + PSEUDOCOUNT
            weight = above if self.rates.observed is None else above * self.rates.observed[rows]
            wanted = (above / self.rates.sizes[rows, None]).log() - b
            precision = (weight @ pairs).view(-1, *mean.shape[:1] * 2)
            precision.diagonal(dim1=1, dim2=2).add_(1.0)
            slope = (weight * wanted) @ w
            mean[:, rows] = torch.linalg.solve(precision, slope[..., None])[..., 0].T
        return mean

    def blocks(self, state: State) -> Sequence[slice]:
        return [slice(j, j + 1) for j in range(len(state.mean))]

    def sites(self, state: State, which: slice) -> tuple[Tensor, Tensor]:
        w = state.loadings[:, which].to(self.rates.counts.dtype)
        slope, l2 = torch.empty_like(state.l1[which]), torch.empty_like(state.l2[which])
        for rows, y, own in self._weighted(state):
            slope[:, rows] = ((y - own) @ w).T
            l2[:, rows] = (own @ w.square()).T
        return sites_at(state.mean[which], slope, l2)


def _intercepts(state: State) -> Tensor:
    assert state.intercepts is not None
    return state.intercepts

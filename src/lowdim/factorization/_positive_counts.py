"""Counts of positive factors: nonnegative loadings, and dispersions, that never lower the bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lowdim.factorization._dispersion import SHAPES_FROM, with_shapes
from lowdim.factorization._rates import Rates
from lowdim.factorization._state import State, sites_at, with_bound

#: Multiplicative steps on the loadings per round.
LOADING_STEPS = 2
#: Steps on the rates of new rows to begin with, and the count that stands for their prior.
GUESSES, PSEUDOCOUNT = 20, 0.5
#: Loadings that fall and are a smaller share of their gene's rate than this become zero.
NEGLIGIBLE, PRUNE_FROM = 3e-3, 2


@dataclass(frozen=True)
class PositiveCounts:
    """``y_ij ~ Poisson(s_i sum_l w_jl exp(f_il))``, or negative binomial around that rate.

    Attributes
    ----------
    rates : Rates
    normals : (S, L, N), optional
        Standard normal numbers: the expectation of the logarithm is then the mean over these
        draws, in place of its lower bound.
    """

    rates: Rates
    normals: Tensor | None = None
    positive = True
    first_step = 0.7

    @property
    def dtype(self) -> torch.dtype:
        """Of the counts."""
        return self.rates.counts.dtype

    def bound(self, state: State) -> Tensor:
        seen = state.rounded(self.dtype)
        return self.rates.bound(seen.loadings, self._at(seen), seen.expected, seen.shapes)

    def _at(self, state: State) -> Tensor:
        """Factors where the logarithm of the rate is taken, (S, N, L)."""
        if self.normals is None:
            return state.log_mean[None]
        return (state.mean + state.variance.sqrt() * self.normals.to(state.mean)).mT.exp()

    def improved(self, state: State, number: int, *, prune: bool) -> State:
        state = self._with_loadings(state, prune=prune and number >= PRUNE_FROM)
        if state.shapes is not None and number >= SHAPES_FROM:
            seen = state.rounded(self.dtype)
            slopes = self.rates.shape_slopes(seen.loadings, seen.expected, state.shapes)
            state = with_shapes(self, state, slopes, state.shapes)
        return state

    def guess(self, state: State) -> Tensor:
        """Multiplicative steps on the rates of Poisson counts, drawn to the state's own."""
        seen = state.rounded(self.dtype)
        usual = state.log_mean.T
        rates = usual
        for _ in range(GUESSES):
            now = rates.T.to(self.dtype)
            counts, exposures = self.rates.shares(seen.loadings, now[None], now, None)
            rates = (counts[0] + PSEUDOCOUNT) / (exposures + PSEUDOCOUNT / usual)
        return rates.log()

    def blocks(self, state: State) -> Sequence[slice]:
        return [slice(0, len(state.mean))]  # divided counts do not depend on one another

    def sites(self, state: State, which: slice) -> tuple[Tensor, Tensor]:
        seen = state.rounded(self.dtype)
        counts, exposures = self.rates.shares(
            seen.loadings, self._at(seen), seen.expected, seen.shapes
        )
        own = counts.mean(0)
        rate = exposures * state.expected.T
        l2 = rate
        if self.normals is not None:  # the slope in v, of the draws
            l2 = rate - (counts * self.normals).mean(0) / state.variance.sqrt()
        l1, l2 = sites_at(state.mean, own - rate, l2)
        return l1[which], l2[which]

    def _with_loadings(self, state: State, *, prune: bool) -> State:
        """Multiplicative steps on the loadings.

        Where a column is not worse without its negligible loadings, these become zero.
        """
        seen = state.rounded(self.dtype)
        loadings, factors, expected = state.loadings, self._at(seen), seen.expected
        for _ in range(LOADING_STEPS):
            now = loadings.to(self.dtype)
            ratio = self.rates.scaled_loadings(now, factors, expected, seen.shapes)
            loadings = loadings * ratio
        moved = with_bound(self, replace(state, loadings=loadings))
        if not prune:
            return moved
        share = loadings * expected.double().mean(0)
        small = (share < NEGLIGIBLE * share.sum(1, keepdim=True)) & (ratio < 1)
        pruned = with_bound(self, replace(state, loadings=torch.where(small, 0.0, loadings)))
        better = pruned.columns >= state.columns
        columns = torch.where(better, pruned.columns, moved.columns)
        return replace(
            state,
            loadings=torch.where(better[:, None], pruned.loadings, loadings),
            columns=columns,
            bound=float(columns.sum() - state.divergence.sum()),
        )

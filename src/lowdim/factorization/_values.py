"""Values with normal noise around real-valued or positive factors.

``y_ij ~ N(b_j + sum_l w_jl h_il, sigma_j^2)`` with ``h = f``, or ``h = exp(f)``, ``w >= 0`` and
``b = 0``. With ``f ~ N(m, v)`` only the mean and the variance of h enter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from lowdim.factorization._expansion import covariance, scaled
from lowdim.factorization._state import LEAST_PRECISION, MOST_PRECISION, State, with_bound

#: Least variance of the noise, relative to the column's; and of a column that is not constant,
#: relative to its mean square.
LEAST_NOISE, ROUNDING = 1e-6, 1e-20
#: Sweeps over nonnegative loadings in a round.
SWEEPS = 3


@dataclass(frozen=True)
class Values:
    """Values, (N, J).

    Attributes
    ----------
    values : (N, J)
        Zero where not observed.
    positive : bool
        Whether factors are exponentials.
    observed : (N, J), optional
        One where a value is known, else zero.
    """

    values: Tensor
    positive: bool
    observed: Tensor | None = None

    @property
    def first_step(self) -> float:
        return 0.7 if self.positive else 1.0

    @cached_property
    def n_observed(self) -> Tensor:
        """Known values of every column, (J,)."""
        if self.observed is None:
            return self.values.new_full((self.values.shape[1],), len(self.values)).double()
        return self.observed.double().sum(0).clamp(min=1)

    @cached_property
    def least_noise(self) -> Tensor:
        """Of every column in its own units, (J,); of a constant one in those of the others."""
        values = self.values.double()
        second = values.square().sum(0) / self.n_observed
        values = values - values.sum(0) / self.n_observed
        values = values if self.observed is None else values * self.observed
        spread = values.square().sum(0) / self.n_observed
        usual = float(spread.mean()) or 1.0
        return LEAST_NOISE * torch.where(spread > ROUNDING * second, spread, usual)

    def moments(self, state: State) -> tuple[Tensor, Tensor]:
        """Mean and variance of h, (N, L) each."""
        m, v = state.mean.T, state.variance.T
        if not self.positive:
            return m, v
        mean = (m + 0.5 * v).exp()
        return mean, mean.square() * torch.expm1(v)

    def bound(self, state: State) -> Tensor:
        noise = _noise(state)
        squares = self._squares(state)
        n = self.n_observed
        return -0.5 * (n * (2 * np.pi * noise).log() + squares / noise)

    def _squares(self, state: State) -> Tensor:
        """Expected sums of squared residuals, (J,)."""
        state = state.rounded(self.values.dtype)
        mean, variance = self.moments(state)
        residual = self.values - mean @ state.loadings.T
        if state.intercepts is not None:
            residual -= state.intercepts
        if self.observed is None:
            spread = state.loadings.square() @ variance.sum(0)
            return residual.square().sum(0).double() + spread
        own = (self.observed.T @ variance) * state.loadings.square()
        return (residual * self.observed).square().sum(0).double() + own.sum(1)

    def improved(self, state: State, number: int, *, prune: bool) -> State:
        del prune  # zeros come by themselves
        if number and not self.positive and not self._at_once(state):
            state = scaled(state)
        state = self._nonnegative(state) if self.positive else self._regressed(state)
        noise = (self._squares(state) / self.n_observed).clamp(min=self.least_noise)
        state = with_bound(self, replace(state, noise=noise))
        return self._rotated(state) if self._at_once(state) else state

    def _products(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """Second moments of factors, (1 or J, L, L), and their products with values, (J, L)."""
        own = mean.to(self.values)
        cross = (self.values.T @ own).double()
        if self.observed is None:
            return (mean.T @ mean + torch.diag(variance.sum(0)))[None], cross
        pairs = (own[:, :, None] * own[:, None]).flatten(1)
        second = (self.observed.T @ pairs).view(-1, mean.shape[1], mean.shape[1])
        spread = torch.diag_embed(self.observed.T @ variance.to(own))
        return (second + spread).double(), cross

    def _regressed(self, state: State) -> State:
        """Intercepts and loadings by least squares."""
        mean, variance = self.moments(state)
        one = torch.ones_like(mean[:, :1])
        second, cross = self._products(
            torch.cat([one, mean], 1), torch.cat([torch.zeros_like(one), variance], 1)
        )
        ridge = 1e-10 * second.diagonal(dim1=1, dim2=2).mean(1) + 1e-12
        second = second + ridge[:, None, None] * torch.eye(second.shape[1]).to(second)
        found = torch.linalg.solve(second, cross[..., None])[..., 0]
        return replace(state, intercepts=found[:, 0], loadings=found[:, 1:].contiguous())

    def _nonnegative(self, state: State) -> State:
        """Loadings by coordinate descent, each at its least squares or zero."""
        second, cross = self._products(*self.moments(state))
        w = state.loadings.clone()
        for _ in range(SWEEPS):
            for j in range(w.shape[1]):
                rest = cross[:, j] - (w * second[:, j]).sum(1) + w[:, j] * second[:, j, j]
                w[:, j] = (rest / second[:, j, j].clamp(min=1e-12)).clamp(min=0)
        return replace(state, loadings=w)

    def _at_once(self, state: State) -> bool:
        """Whether a rotation makes factors independent, given the values."""
        return not self.positive and self.observed is None and state.exchangeable

    def _rotated(self, state: State) -> State:
        """Axes along which the values say something of one factor each.

        Factors with the same prior may be rotated; then their posteriors are independent and found
        at once. Before, their covariance, which the prior says is the identity, is estimated and
        taken into the loadings.
        """
        grown = torch.linalg.cholesky(covariance(state))
        weighted = state.loadings @ grown / _noise(state)[:, None].sqrt()
        axes = torch.linalg.eigh(weighted.T @ weighted)[1].flip(1).T
        onto = axes @ torch.linalg.inv(grown)
        return replace(
            state,
            loadings=state.loadings @ grown @ axes.T,
            mean=onto @ state.mean,
            trend=onto @ state.trend if len(state.processes) else state.trend,
            bound=-np.inf,
        )

    def guess(self, state: State) -> Tensor:
        return state.mean  # sites do not depend on it, or little

    def blocks(self, state: State) -> Sequence[slice]:
        if self._at_once(state):
            return [slice(0, len(state.mean))]
        return [slice(j, j + 1) for j in range(len(state.mean))]

    def sites(self, state: State, which: slice) -> tuple[Tensor, Tensor]:
        exact, state = state, state.rounded(self.values.dtype)
        mean, _ = self.moments(state)
        weighted = state.loadings / _noise(state)[:, None]
        values = self.values
        if state.intercepts is not None:
            values = values - state.intercepts
            values = values if self.observed is None else values * self.observed
        w = state.loadings[:, which]
        slope = (values @ weighted[:, which]).T  # of h, at h = 0
        if self.observed is None:
            gram = w.T @ weighted
            precision = gram[:, which].diagonal()[:, None].expand(slope.shape)
            slope = slope - gram @ mean.T
        else:
            precision = (self.observed @ (w * weighted[:, which])).T
            fitted = (mean @ state.loadings.T) * self.observed
            slope = slope - (fitted @ weighted[:, which]).T
        slope = (slope + precision * mean.T[which]).double()
        precision = precision.double()
        if not self.positive:
            return slope, precision.clamp(LEAST_PRECISION, MOST_PRECISION)
        return _sites_of_exponential(exact, which, slope, precision)


def _sites_of_exponential(
    state: State, which: slice, slope: Tensor, precision: Tensor
) -> tuple[Tensor, Tensor]:
    """Sites in f of ``slope h - precision h^2 / 2`` with ``h = e^f``."""
    m, v = state.mean[which], state.variance[which]
    first = slope * (m + 0.5 * v).exp()
    second = precision * (2 * m + 2 * v).exp()
    # Twice the slope in v; where a value lies far above its factor that has the wrong sign.
    l2 = torch.maximum(2 * second - first, 0.5 * second).clamp(LEAST_PRECISION, MOST_PRECISION)
    return first - second + l2 * m, l2


def _noise(state: State) -> Tensor:
    assert state.noise is not None
    return state.noise

"""What a fit of factors has learned so far, and how rows of data depend on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from lowdim.factorization._processes import Process, alike

#: Sites' precisions have this range.
LEAST_PRECISION, MOST_PRECISION = 1e-5, 1e8


@dataclass(frozen=True)
class State:
    """Everything that a round changes, in float64.

    Attributes
    ----------
    loadings : (J, L)
    mean, variance : (L, N)
        Of the factors, or of the logarithms of positive ones; spatial ones first.
    l1, l2 : (L, N)
        Sites.
    processes : tuple of Process
        One for every spatial factor, T of them; equal ones may be one object.
    trend : (T, p)
        Coefficients of the spatial factors' mean.
    prior_mean, prior_variance : (L - T,)
        Of the other factors.
    shapes : (J,) or None
        Of the negative binomial.
    intercepts : (J,) or None
        Of real-valued factors.
    noise : (J,) or None
        Variances of values.
    divergence : (L,)
    columns : (J,)
        What every column adds to the bound.
    bound : float
        Total, in nats.
    jitter : float
        The largest share of the variance that a covariance's diagonal has grown by.
    """

    loadings: Tensor
    mean: Tensor
    variance: Tensor
    l1: Tensor
    l2: Tensor
    processes: tuple[Process, ...]
    trend: Tensor
    prior_mean: Tensor
    prior_variance: Tensor
    divergence: Tensor
    columns: Tensor
    bound: float
    shapes: Tensor | None = None
    intercepts: Tensor | None = None
    noise: Tensor | None = None
    jitter: float = 0.0

    @property
    def log_mean(self) -> Tensor:
        """e^m, (N, L)."""
        return self.mean.T.exp()

    @property
    def expected(self) -> Tensor:
        """e^(m + v / 2), (N, L)."""
        return (self.mean + 0.5 * self.variance).T.exp()

    def rounded(self, dtype: torch.dtype) -> State:
        """With what the likelihood reads in another precision."""
        if self.mean.dtype == dtype:
            return self
        names = ("loadings", "mean", "variance", "shapes", "intercepts", "noise")
        values = {name: getattr(self, name) for name in names}
        return replace(self, **{n: v.to(dtype) for n, v in values.items() if v is not None})

    @property
    def exchangeable(self) -> bool:
        """Whether all factors have the same prior."""
        if not self.processes:
            return True
        first = self.processes[0]
        same = all(alike(process, first) for process in self.processes)
        return same and len(self.processes) == len(self.mean)


class Observation(Protocol):
    """Data, and their likelihood given factors and loadings.

    Products with the data are in the data's precision, sums over them and what is returned in
    float64.

    Attributes
    ----------
    positive : bool
        Whether factors are exponentials, whose prior mean and variance are learned where they are
        not spatial; real-valued ones are standard normal.
    first_step : float
        Length of the first rounds.
    """

    @property
    def positive(self) -> bool: ...

    @property
    def first_step(self) -> float: ...

    def bound(self, state: State) -> Tensor:
        """The expected log-likelihood of every column, from below, (J,)."""
        ...

    def improved(self, state: State, number: int, *, prune: bool) -> State:
        """The state of round `number` with better loadings and own numbers of the columns.

        Its bound is not lower. What was said of the factors may have been rotated; then the bound
        is minus infinity, and the next sites' is not lower than before.
        """
        ...

    def guess(self, state: State) -> Tensor:
        """Means of the factors, (L, N), that the rows and the state's loadings ask for.

        A start for rows that may be far from those of the fit.
        """
        ...

    def blocks(self, state: State) -> Sequence[slice]:
        """Factors whose sites are found at once."""
        ...

    def sites(self, state: State, which: slice) -> tuple[Tensor, Tensor]:
        """l1 and l2 of some factors, where a natural gradient's step of length one ends."""
        ...


def sites_at(mean: Tensor, slope: Tensor, precision: Tensor) -> tuple[Tensor, Tensor]:
    """l1 and l2 with this slope at the mean; precisions in their range, and steps as they were."""
    l2 = precision.clamp(LEAST_PRECISION, MOST_PRECISION)
    shrunk = torch.where(precision > MOST_PRECISION, slope * (MOST_PRECISION / precision), slope)
    return shrunk + l2 * mean, l2


def with_bound(observation: Observation, state: State) -> State:
    """The state with its bound."""
    columns = observation.bound(state)
    return replace(state, columns=columns, bound=float(columns.sum() - state.divergence.sum()))

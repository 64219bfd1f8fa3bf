"""Parameter expansion: what the factors' posterior says of their prior goes into the loadings.

Real-valued factors have a prior of fixed scale, and loadings are free: so an estimate of the
factors' covariance can be taken into the loadings, which makes rounds few (Liu, Rubin and Wu 1998,
Parameter expansion to accelerate EM).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from lowdim.factorization._state import State


def covariance(state: State) -> Tensor:
    """``E[F K^-1 F'] / N`` under the prior covariances K of every factor, (L, L).

    Entries off the diagonal are right where all factors have the same prior; processes that are
    known through inducing points are taken to be of scale one.
    """
    mean, n = state.mean, state.mean.shape[1]
    pulled = state.l1 - state.l2 * mean  # K^-1 f
    own = 1 - (state.l2 * state.variance).mean(1)  # of the posterior covariance
    between = mean @ pulled.T / n
    found = 0.5 * (between + between.T) + torch.diag(own)
    for j, process in enumerate(state.processes):
        if not process.exact:
            found[j], found[:, j], found[j, j] = 0.0, 0.0, 1.0
    return found


def scaled(state: State) -> State:
    """Every factor and its loadings scaled so that the divergence is least; the rate stays."""
    c = covariance(state).diagonal().clamp(min=1e-6)
    root = c.sqrt()
    n = state.mean.shape[1]
    gained = 0.5 * n * (c - 1 - c.log())
    T = len(state.processes)
    return replace(
        state,
        loadings=state.loadings * root,
        mean=state.mean / root[:, None],
        variance=state.variance / c[:, None],
        l1=state.l1 * root[:, None],
        l2=state.l2 * c[:, None],
        trend=state.trend / root[:T, None],
        divergence=state.divergence - gained,
        bound=state.bound + float(gained.sum()),
    )

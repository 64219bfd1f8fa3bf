"""Parameter expansion: what the factors' posterior says of their prior goes into the loadings.

Real-valued factors have a prior of fixed scale, and loadings are free: so an estimate of the
factors' covariance can be taken into the loadings, which makes rounds few (Liu, Rubin and Wu 1998,
Parameter expansion to accelerate EM).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from lowdim.factorization._state import LEAST_PRECISION, MOST_PRECISION, State

#: Of a factor's covariance, relative to its prior's.
LEAST_SCALE = 1e-6


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
    """Every factor and its loadings scaled so that the divergence is least; the rate stays.

    The sites are moved so that they still say what the posterior does: they have its mean, and
    `covariance` finds that it has been scaled. So nothing is gained twice where the next sites are
    refused.
    """
    c = covariance(state).diagonal()
    c = torch.where(c > LEAST_SCALE, c, 1.0)  # less is rounding
    root = c.sqrt()
    n = state.mean.shape[1]
    known = (state.l2 * state.variance).mean(1)  # 1 - known is what the variance has in c
    l2 = (state.l2 * ((c - 1 + known) / known)[:, None]).clamp(LEAST_PRECISION, MOST_PRECISION)
    mean = state.mean / root[:, None]
    pulled = (state.l1 - state.l2 * state.mean) / root[:, None]
    gained = 0.5 * n * (c - 1 - c.log())
    T = len(state.processes)
    return replace(
        state,
        loadings=state.loadings * root,
        mean=mean,
        variance=state.variance / c[:, None],
        l1=pulled + l2 * mean,
        l2=l2,
        trend=state.trend / root[:T, None],
        divergence=state.divergence - gained,
        bound=state.bound + float(gained.sum()),
    )

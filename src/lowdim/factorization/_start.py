"""The first state: factors of a nonnegative factorization, drawn toward their means."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lowdim.factorization._engine import (
    LEAST_PRECISION,
    MOST_PRECISION,
    Model,
    State,
    with_sites,
)
from lowdim.factorization._moran import moran
from lowdim.factorization._nmf import factorize

#: Factors and loadings are drawn so far toward their means: zeros could not grow again.
SHRINKAGE = 0.2
#: Added to factors before their logarithm is taken.
OFFSET = 1e-2
#: Variance of the logarithms, and shape of the negative binomial, to begin with.
VARIANCE, SHAPE = 0.05, 20.0
#: Steps of all starts, and of the best one.
NMF_ITER, NMF_POLISH = 60, 100


def first_state(
    model: Model,
    n_factors: int,
    rng: np.random.Generator,
    *,
    n_init: int,
    negative_binomial: bool,
    places: np.ndarray | None,
) -> State:
    """Where rounds begin; with some factors spatial, those that vary most smoothly over places."""
    counts, sizes = model.rates.counts, model.rates.sizes
    factors, loadings = factorize(
        counts.float(), n_factors, rng, n_init=n_init, n_iter=NMF_ITER, polish=NMF_POLISH
    )
    factors, loadings = factors.to(counts), loadings.to(counts)
    F, W = _shrunk(factors, loadings, sizes)
    T = model.n_spatial
    if places is not None and 0 < T < n_factors:
        order = np.argsort(-moran(F.cpu().numpy(), places), kind="stable")
        index = torch.from_numpy(order).to(F.device)
        F, W = F[:, index], W[:, index]
    mean = F.T.contiguous()
    state = State(
        loadings=W,
        mean=mean,
        variance=torch.full_like(mean, VARIANCE),
        l1=torch.zeros_like(mean),
        l2=torch.zeros_like(mean),
        trend=F.new_zeros((T, model.design.shape[1])),
        prior_mean=F[:, T:].mean(0),
        prior_variance=F.new_ones(n_factors - T),
        shapes=F.new_full((counts.shape[1],), SHAPE) if negative_binomial else None,
        divergence=F.new_zeros(n_factors),
        columns=F.new_full((counts.shape[1],), -np.inf),
        bound=-np.inf,
    )
    own, exposures = model.rates.shares(W, state.log_mean, state.expected, state.shapes)
    l2 = (exposures * state.expected.T).clamp(LEAST_PRECISION, MOST_PRECISION)
    return with_sites(model, state, own - l2 + l2 * mean, l2)


def _shrunk(factors: Tensor, loadings: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
    """Logarithms of the factors, (N, L), each of mean -log L, and loadings to match, (J, L)."""
    n_factors = factors.shape[1]
    totals = loadings.sum(0).clamp(min=1e-10)
    W = (1 - SHRINKAGE) * loadings + SHRINKAGE * totals / len(loadings)
    H = factors * totals
    H = (1 - SHRINKAGE) * H + SHRINKAGE * H.mean(1, keepdim=True)
    F = (H + OFFSET).log() - sizes.log()[:, None]
    shift = F.mean(0) + float(np.log(n_factors))
    return F - shift, W * shift.exp() / totals

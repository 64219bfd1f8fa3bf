"""How far the closed bound lies below the one it stands for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from lowdim.factorization._data import Data, Fitted
from lowdim.factorization._fit import Settings, observation_of


def monte_carlo_bound(
    data: Data, fitted: Fitted, settings: Settings, n_draws: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Mean over draws of the factors, less the divergence, per row; and its standard error."""
    state = fitted.state
    observation = observation_of(data, settings)
    values = []
    for _ in range(n_draws):
        normals = torch.from_numpy(rng.normal(size=tuple(state.mean.shape))).to(state.mean)
        drawn = state.mean + state.variance.sqrt() * normals
        at = replace(state, mean=drawn, variance=torch.zeros_like(drawn))
        values.append(float(observation.bound(at).sum()))
    n = state.mean.shape[1]
    bound = (np.mean(values) - float(state.divergence.sum())) / n
    error = np.std(values, ddof=1) / np.sqrt(n_draws) / n if n_draws > 1 else np.nan
    return float(bound), float(error)

"""Stepwise EM over pieces of the rows, for `partial_fit`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lowdim.data.standardized import StandardizedRows
from lowdim.mixture._em import expectation
from lowdim.mixture._family import Statistics
from lowdim.mixture._gaussian.arguments import Arguments
from lowdim.mixture._gaussian.attributes import parameters_of, set_parameters
from lowdim.mixture._gaussian.family import GaussianParameters
from lowdim.mixture._gaussian.fit import make_family
from lowdim.mixture._subspace.online import step_size

if TYPE_CHECKING:
    from lowdim.mixture.gaussian import GaussianMixture


@dataclass(frozen=True)
class Past:
    """Running statistics per unit of weight, and the units that they are in."""

    statistics: Statistics
    n_pieces: int
    units: tuple[np.ndarray, float]


def update(
    model: GaussianMixture, arguments: Arguments, data: StandardizedRows, past: Past | None
) -> Past:
    """One step with a piece, blended with what came before or what the model implies of it."""
    own = make_family(model.covariance_type, arguments, data, np.random.default_rng(0))
    parameters = parameters_of(model, data)
    if past is None:
        past = Past(_implied(parameters), 1, (data.mean, data.scale))
    statistics, objective = expectation(own, data, parameters)
    if own.total is not None:
        statistics["total"] = own.total[None]
    step = step_size(past.n_pieces)
    blended = {
        name: past.statistics[name].lerp(value / data.total_weight, step)
        for name, value in statistics.items()
    }
    total = blended["total"][0] if "total" in blended else None
    family = replace(own, total_weight=1.0, total=total)
    set_parameters(model, family.maximize(blended, None), data)
    model.lower_bound_ = float(objective[0]) - data.n_columns * np.log(data.scale)
    return Past(blended, past.n_pieces + 1, past.units)


def _implied(parameters: GaussianParameters) -> Statistics:
    """Statistics per unit of weight of rows that are just as the parameters say."""
    p = parameters
    second = p.shape.implied(p.weights, p.means, p.covariances)
    return {"counts": p.weights, "sums": p.weights[..., None] * p.means, **second}

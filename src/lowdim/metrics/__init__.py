"""How well expected values fit what was seen, and fitted factors the true ones."""

from lowdim.metrics.deviance import (
    constant_rates,
    deviance_explained,
    gaussian_deviance,
    negative_binomial_deviance,
    nsf_paper_deviance,
    poisson_deviance,
)
from lowdim.metrics.factors import factor_correlations, match_factors, sparsity

__all__ = [
    "constant_rates",
    "deviance_explained",
    "factor_correlations",
    "gaussian_deviance",
    "match_factors",
    "negative_binomial_deviance",
    "nsf_paper_deviance",
    "poisson_deviance",
    "sparsity",
]

"""How well rates fit what was seen, fitted factors the true ones, and layouts their rows."""

from lowdim.metrics.deviance import (
    constant_rates,
    deviance_explained,
    gaussian_deviance,
    negative_binomial_deviance,
    nsf_paper_deviance,
    poisson_deviance,
)
from lowdim.metrics.distances import distance_correlation, random_triplet_accuracy
from lowdim.metrics.divergence import kl_divergence
from lowdim.metrics.embedding import embedding_quality
from lowdim.metrics.factors import factor_correlations, match_factors, sparsity
from lowdim.metrics.neighborhoods import (
    continuity,
    neighborhood_preservation,
    trustworthiness,
)
from lowdim.metrics.separation import knn_label_accuracy, silhouette

__all__ = [
    "constant_rates",
    "continuity",
    "deviance_explained",
    "distance_correlation",
    "embedding_quality",
    "factor_correlations",
    "gaussian_deviance",
    "kl_divergence",
    "knn_label_accuracy",
    "match_factors",
    "negative_binomial_deviance",
    "neighborhood_preservation",
    "nsf_paper_deviance",
    "poisson_deviance",
    "random_triplet_accuracy",
    "silhouette",
    "sparsity",
    "trustworthiness",
]

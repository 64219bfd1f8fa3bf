"""Factors of counts and values, over places and without, and what they say."""

from lowdim.factorization._moran import moran
from lowdim.factorization.enrichment import enrichment, read_gmt
from lowdim.factorization.grid import compare_factorizations
from lowdim.factorization.interpretation import (
    Markers,
    Rescaled,
    markers,
    rescale,
    scaled_loadings,
    spatial_importance,
)
from lowdim.factorization.nonspatial import FactorAnalysis, PoissonNMF
from lowdim.factorization.selection import FactorSelection, select_factors
from lowdim.factorization.spatial import HybridSpatialFactorization, SpatialFactorization

__all__ = [
    "FactorAnalysis",
    "FactorSelection",
    "HybridSpatialFactorization",
    "Markers",
    "PoissonNMF",
    "Rescaled",
    "SpatialFactorization",
    "compare_factorizations",
    "enrichment",
    "markers",
    "moran",
    "read_gmt",
    "rescale",
    "scaled_loadings",
    "select_factors",
    "spatial_importance",
]

"""Factors of counts and values, over places and without."""

from lowdim.factorization.nonspatial import FactorAnalysis, PoissonNMF
from lowdim.factorization.spatial import HybridSpatialFactorization, SpatialFactorization

__all__ = ["FactorAnalysis", "HybridSpatialFactorization", "PoissonNMF", "SpatialFactorization"]

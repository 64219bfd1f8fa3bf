"""Factors of counts over places."""

from lowdim.factorization.spatial import HybridSpatialFactorization, SpatialFactorization

__all__ = ["HybridSpatialFactorization", "SpatialFactorization"]

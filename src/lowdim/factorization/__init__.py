"""Factors of counts over places."""

from lowdim.factorization.grid import compare_factorizations
from lowdim.factorization.selection import FactorSelection, select_factors
from lowdim.factorization.spatial import HybridSpatialFactorization, SpatialFactorization

__all__ = [
    "FactorSelection",
    "HybridSpatialFactorization",
    "SpatialFactorization",
    "compare_factorizations",
    "select_factors",
]

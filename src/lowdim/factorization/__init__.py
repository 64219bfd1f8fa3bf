"""Factors of counts over places."""

from lowdim.factorization._moran import moran
from lowdim.factorization.enrichment import enrichment, read_gmt
from lowdim.factorization.interpretation import (
    Markers,
    Rescaled,
    markers,
    rescale,
    scaled_loadings,
    spatial_importance,
)
from lowdim.factorization.spatial import HybridSpatialFactorization, SpatialFactorization

__all__ = [
    "HybridSpatialFactorization",
    "Markers",
    "Rescaled",
    "SpatialFactorization",
    "enrichment",
    "markers",
    "moran",
    "read_gmt",
    "rescale",
    "scaled_loadings",
    "spatial_importance",
]

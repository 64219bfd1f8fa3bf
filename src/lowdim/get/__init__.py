"""Results in an AnnData as tables and models."""

from lowdim.get._component_genes import component_genes
from lowdim.get._components import components
from lowdim.get._embedding_quality import embedding_quality
from lowdim.get._factors import enrichment, factor_shares, factors, spatial_importance
from lowdim.get._ground_metric import ground_metric
from lowdim.get._loadings import loadings, top_genes
from lowdim.get._metric import metric_loadings
from lowdim.get._model import model
from lowdim.get._sample_distances import sample_distances
from lowdim.get._sample_validation import sample_validation
from lowdim.get._selection import selection

__all__ = [
    "component_genes",
    "components",
    "embedding_quality",
    "enrichment",
    "factor_shares",
    "factors",
    "ground_metric",
    "loadings",
    "metric_loadings",
    "model",
    "sample_distances",
    "sample_validation",
    "selection",
    "spatial_importance",
    "top_genes",
]

"""Tools: models fitted to an AnnData, their results written into it."""

from lowdim.tl._embed import embed
from lowdim.tl._fit_gmm import fit_gmm
from lowdim.tl._ground_metric import ground_metric
from lowdim.tl._mixture import mixture
from lowdim.tl._sample_distances import sample_distances
from lowdim.tl._sample_validation import sample_validation
from lowdim.tl._select_subspaces import select_subspaces
from lowdim.tl._spatial_factors import spatial_factors
from lowdim.tl._subspaces import subspaces

__all__ = [
    "embed",
    "fit_gmm",
    "ground_metric",
    "mixture",
    "sample_distances",
    "sample_validation",
    "select_subspaces",
    "spatial_factors",
    "subspaces",
]

"""Plots: a fitted model or an AnnData in, matplotlib Axes out.

Every function draws on `ax` if it is given one and makes a figure if not, returns what it drew
on, and neither shows nor saves. Style is left to matplotlib's own settings.
"""

from lowdim.pl._animate import animate
from lowdim.pl._bootstrap import bootstrap
from lowdim.pl._composition import composition
from lowdim.pl._confusion import confusion
from lowdim.pl._consensus import consensus
from lowdim.pl._convergence import convergence
from lowdim.pl._elbow import elbow
from lowdim.pl._embedding import embedding
from lowdim.pl._embedding_quality import embedding_quality
from lowdim.pl._goodness_of_fit import goodness_of_fit
from lowdim.pl._loadings import loadings
from lowdim.pl._metric_history import metric_history
from lowdim.pl._metric_loadings import metric_loadings
from lowdim.pl._responsibilities import responsibilities
from lowdim.pl._sample_composition import sample_composition
from lowdim.pl._sample_distances import sample_distances
from lowdim.pl._sample_map import sample_map
from lowdim.pl._sample_mixtures import sample_mixtures
from lowdim.pl._sample_scores import sample_scores
from lowdim.pl._sample_selection import sample_selection
from lowdim.pl._sample_validation import sample_validation
from lowdim.pl._selection import selection
from lowdim.pl._spatial_factors import spatial_factors
from lowdim.pl._spatial_importance import spatial_importance
from lowdim.pl._subspaces import subspaces

__all__ = [
    "animate",
    "bootstrap",
    "composition",
    "confusion",
    "consensus",
    "convergence",
    "elbow",
    "embedding",
    "embedding_quality",
    "goodness_of_fit",
    "loadings",
    "metric_history",
    "metric_loadings",
    "responsibilities",
    "sample_composition",
    "sample_distances",
    "sample_map",
    "sample_mixtures",
    "sample_scores",
    "sample_selection",
    "sample_validation",
    "selection",
    "spatial_factors",
    "spatial_importance",
    "subspaces",
]

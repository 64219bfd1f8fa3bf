"""Plots: a fitted model or an AnnData in, matplotlib Axes out.

Every function draws on `ax` if it is given one and makes a figure if not, returns what it drew
on, and neither shows nor saves. Style is left to matplotlib's own settings.
"""

from lowdim.pl._bootstrap import bootstrap
from lowdim.pl._composition import composition
from lowdim.pl._consensus import consensus
from lowdim.pl._convergence import convergence
from lowdim.pl._elbow import elbow
from lowdim.pl._goodness_of_fit import goodness_of_fit
from lowdim.pl._loadings import loadings
from lowdim.pl._responsibilities import responsibilities
from lowdim.pl._selection import selection
from lowdim.pl._spatial_factors import spatial_factors
from lowdim.pl._spatial_importance import spatial_importance
from lowdim.pl._subspaces import subspaces

__all__ = [
    "bootstrap",
    "composition",
    "consensus",
    "convergence",
    "elbow",
    "goodness_of_fit",
    "loadings",
    "responsibilities",
    "selection",
    "spatial_factors",
    "spatial_importance",
    "subspaces",
]

"""Mixture models: one EM loop, many kinds of component."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lowdim.mixture.bootstrap import Estimate, SubspaceBootstrap, bootstrap_subspaces
    from lowdim.mixture.consensus import SubspaceConsensus, consensus_subspaces
    from lowdim.mixture.gaussian import GaussianMixture
    from lowdim.mixture.negative_binomial import NegativeBinomialMixture
    from lowdim.mixture.selection import SubspaceSelection, select_subspaces
    from lowdim.mixture.sizes import MixtureSelection, select_mixture
    from lowdim.mixture.subspace import SubspaceMixture

__all__ = [
    "Estimate",
    "GaussianMixture",
    "MixtureSelection",
    "NegativeBinomialMixture",
    "SubspaceBootstrap",
    "SubspaceConsensus",
    "SubspaceMixture",
    "SubspaceSelection",
    "bootstrap_subspaces",
    "consensus_subspaces",
    "select_mixture",
    "select_subspaces",
]

_HOMES = {
    "Estimate": "lowdim.mixture.bootstrap",
    "GaussianMixture": "lowdim.mixture.gaussian",
    "MixtureSelection": "lowdim.mixture.sizes",
    "NegativeBinomialMixture": "lowdim.mixture.negative_binomial",
    "SubspaceBootstrap": "lowdim.mixture.bootstrap",
    "SubspaceConsensus": "lowdim.mixture.consensus",
    "SubspaceMixture": "lowdim.mixture.subspace",
    "SubspaceSelection": "lowdim.mixture.selection",
    "bootstrap_subspaces": "lowdim.mixture.bootstrap",
    "consensus_subspaces": "lowdim.mixture.consensus",
    "select_mixture": "lowdim.mixture.sizes",
    "select_subspaces": "lowdim.mixture.selection",
}


def __getattr__(name: str) -> object:
    """Load an estimator, and torch with it, the first time it is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'lowdim.mixture' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)

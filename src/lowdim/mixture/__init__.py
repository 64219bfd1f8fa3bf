"""Mixture models: one EM loop, many kinds of component."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lowdim.mixture.selection import SubspaceSelection, select_subspaces
    from lowdim.mixture.subspace import SubspaceMixture

__all__ = ["SubspaceMixture", "SubspaceSelection", "select_subspaces"]

_HOMES = {
    "SubspaceMixture": "lowdim.mixture.subspace",
    "SubspaceSelection": "lowdim.mixture.selection",
    "select_subspaces": "lowdim.mixture.selection",
}


def __getattr__(name: str) -> object:
    """Load an estimator, and torch with it, the first time it is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'lowdim.mixture' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)

"""Affine subspaces, and how to keep them in files."""

from __future__ import annotations

from typing import Any

import numpy as np

from lowdim.kspaces._csv import read_spaces, write_spaces
from lowdim.kspaces._mixture import as_spaces
from lowdim.kspaces._spaces import affine_subspace, bg_space, fixed_space

__all__ = [
    "affine_subspace",
    "bg_space",
    "ensure_vector_directions",
    "fixed_space",
    "read_spaces",
    "write_spaces",
]


def ensure_vector_directions(spaces: Any, inplace: bool = True) -> list[affine_subspace]:
    """Turn every vector of every space so that its entries do not sum to less than zero.

    Parameters
    ----------
    spaces : list of affine_subspace
    inplace : bool, default=True
        Change the spaces themselves rather than copies.

    Returns
    -------
    The spaces, in their order. (kspaces returns None where it works in place.)

    Raises
    ------
    TypeError, ValueError
        `spaces` holds something else, or spaces of different D.
    """
    spaces = as_spaces(spaces)
    if not inplace:
        spaces = [space.copy() for space in spaces]
    for space in spaces:
        space.vectors = space.vectors * np.where(space.vectors.sum(1) < 0, -1.0, 1.0)[:, None]
    return spaces

"""The `fixed_spaces` and `init_spaces` arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lowdim.kspaces._mixture import as_spaces
from lowdim.kspaces._spaces import affine_subspace, bg_space, fixed_space

_KEYS = {"vec", "tr", "sigma", "latent_sigmas"}


def read_fixed(fixed_spaces: Any, n_columns: int) -> list[affine_subspace]:
    """Fixed and background spaces, as new objects, from dictionaries and objects.

    Raises
    ------
    TypeError, ValueError
        An entry is of another kind, has unknown or missing keys, or lies in other columns.
    """
    if isinstance(fixed_spaces, (Mapping, affine_subspace)):
        fixed_spaces = [fixed_spaces]
    if not isinstance(fixed_spaces, (list, tuple)):
        raise TypeError(
            f"fixed_spaces is a {type(fixed_spaces).__name__}; pass a list of dictionaries "
            "{'vec': vectors, 'tr': translation} or of fixed_space and bg_space."
        )
    return [
        _one_fixed(entry, f"fixed_spaces[{i}]", n_columns) for i, entry in enumerate(fixed_spaces)
    ]


def _one_fixed(entry: Any, name: str, n_columns: int) -> affine_subspace:
    if isinstance(entry, Mapping):
        space = _from_mapping(entry, name)
    elif isinstance(entry, (fixed_space, bg_space)):
        space = entry.copy()
    else:
        raise TypeError(
            f"{name} is a {type(entry).__name__}; pass a dictionary "
            "{'vec': vectors, 'tr': translation}, a fixed_space or a bg_space."
        )
    _check_columns(space, name, n_columns)
    return space


def _from_mapping(entry: Mapping[str, Any], name: str) -> affine_subspace:
    unknown = set(entry) - _KEYS
    if unknown:
        raise ValueError(
            f"{name} has unknown key(s) {sorted(map(str, unknown))}; it takes {sorted(_KEYS)}."
        )
    if "tr" not in entry or "vec" not in entry:
        raise ValueError(f"{name} needs the keys 'vec' (vectors, [] for a point) and 'tr'.")
    vectors, sigma, latent = entry["vec"], entry.get("sigma"), entry.get("latent_sigmas")
    ones = np.ones(len(vectors))
    if sigma is not None:
        return bg_space(vectors, entry["tr"], sigma, ones if latent is None else latent, 1.0)
    space = fixed_space(vectors, entry["tr"], 1.0, ones if latent is None else latent, 1.0)
    space.learns_latent_sigmas = latent is None
    return space


def split_init(
    init_spaces: Any, fixed: list[affine_subspace], n_columns: int
) -> tuple[list[affine_subspace], list[affine_subspace]]:
    """Copies of the spaces to start from, free ones and held ones, their priors set.

    Held ones in `init_spaces` follow those of `fixed_spaces`. Each of the latter gets an equal
    share of the mixture, and the others share what is left as their priors say.
    """
    if isinstance(init_spaces, (list, tuple)) and not init_spaces:
        return [], fixed
    start = [space.copy() for space in as_spaces(init_spaces, "init_spaces")]
    for i, space in enumerate(start):
        _check_columns(space, f"init_spaces[{i}]", n_columns)
    n_all, total = len(start) + len(fixed), sum(space.prior for space in start)
    for space in start:
        share = space.prior / total if total else 1 / len(start)
        space.prior = share * len(start) / n_all
    for space in fixed:
        space.prior = 1 / n_all
    free = [space for space in start if not isinstance(space, (fixed_space, bg_space))]
    held = [space for space in start if isinstance(space, (fixed_space, bg_space))]
    return free, [*fixed, *held]


def _check_columns(space: affine_subspace, name: str, n_columns: int) -> None:
    if n_columns != space.D:
        raise ValueError(f"{name} lies in D={space.D}, but points has {n_columns} columns.")

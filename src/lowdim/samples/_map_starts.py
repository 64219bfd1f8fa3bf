"""First maps of a ground metric."""

from __future__ import annotations

from typing import Any

import numpy as np

from lowdim._validation import check_in
from lowdim.samples._support import Support


def first_maps(
    support: Support, init: Any, n_components: int, n_init: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Maps, (r, D), to begin with.

    Parameters
    ----------
    support : Support
    init : {"orthonormal", "pca"} or (r, D)
        Random orthonormal rows; the main axes of the means of all components; or itself.
    n_components : int
        r.
    n_init : int
        Random maps.
    rng : Generator

    Raises
    ------
    ValueError
        There are not so many columns, or the map that is given does not fit.
    """
    r, D = n_components, support.means.shape[1]
    if r > D:
        raise ValueError(f"n_components={r} is more than the {D} columns; pass at most {D}.")
    if not isinstance(init, str):
        given = np.array(init, dtype=np.float64)
        if given.shape != (r, D) or not np.isfinite(given).all():
            raise ValueError(f"init has shape {given.shape}; pass finite numbers, ({r}, {D}).")
        return [given]
    if check_in(init, "init", ("orthonormal", "pca")) == "pca":
        shares = support.masses
        centred = np.sqrt(shares)[:, None] * (support.means - shares @ support.means)
        return [np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :r].T.copy()]
    return [np.linalg.qr(rng.normal(size=(D, r)))[0].T.copy() for _ in range(n_init)]

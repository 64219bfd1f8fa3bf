"""Synthetic data."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from lowdim._random import generator
from lowdim._typing import Float64Array, RandomState
from lowdim._validation import check_interval, check_positive_int
from lowdim.kspaces._basis import principal
from lowdim.kspaces._mixture import as_spaces
from lowdim.kspaces._random import seeded

__all__ = ["generate", "generate_points_subspace"]


def generate(spaces: Any, size: int = 1, seed: RandomState = None) -> Float64Array:
    """Draw points from a mixture.

    Parameters
    ----------
    spaces : list of affine_subspace
        Or a single one. Priors are divided by their sum.
    size : int, default=1
        How many points, >= 0.
    seed : int, Generator or RandomState, optional
        Makes all of the draw repeat, and leaves NumPy's global stream alone. By default a seed
        is drawn from that stream.

    Returns
    -------
    ndarray of shape (size, D)

    Raises
    ------
    TypeError, ValueError
        `spaces` holds something else or spaces of different D, or all priors are zero.
    """
    spaces = as_spaces(spaces)
    size, rng = check_positive_int(size, "size", minimum=0), seeded(seed)
    priors = np.array([space.prior for space in spaces])
    if not priors.any():
        raise ValueError("The priors of all spaces are zero; set one at least.")
    owner = rng.choice(len(spaces), size, p=priors / priors.sum())
    rows = np.empty((size, spaces[0].D))
    for k, space in enumerate(spaces):
        own = owner == k
        rows[own] = space.generate(int(own.sum()), random_state=rng)
    return rows


def generate_points_subspace(
    translation: Any,
    vectors: Any,
    size: int,
    dist_std: float = 3,
    noise_std: float = 0.1,
    random_state: RandomState = None,
) -> Float64Array:
    """Draw points around a flat, with the same spread along all its axes.

    Noise is added in all D directions, so the standard deviation along the axes is
    sqrt(dist_std^2 + noise_std^2).

    Parameters
    ----------
    translation : array-like of shape (D,)
        The mean.
    vectors : array-like of shape (d, D)
        What spans the flat; ``[]`` for a point.
    size : int
        How many points, >= 0.
    dist_std : float, default=3
        Standard deviation along the axes, >= 0.
    noise_std : float, default=0.1
        Standard deviation of the noise, >= 0.
    random_state : int, Generator or RandomState, optional
        Seed. By default the numbers come from NumPy's global stream, so that after the same
        ``np.random.seed`` the points are those of kspaces.

    Returns
    -------
    ndarray of shape (size, D)

    Raises
    ------
    ValueError, TypeError
        A shape is wrong, or a vector is zero or depends on the others.
    """
    mean = np.asarray(translation, dtype=np.float64)
    if mean.ndim != 1 or not np.isfinite(mean).all():
        raise ValueError(f"translation must be D finite numbers, got shape {mean.shape}.")
    axes = principal(vectors, len(mean))
    size = check_positive_int(size, "size", minimum=0)
    spread = check_interval(dist_std, "dist_std", low=0.0)
    noise = check_interval(noise_std, "noise_std", low=0.0)
    rng = check_random_state(None) if random_state is None else generator(random_state)
    latent = rng.normal(0.0, spread, (size, len(axes)))
    return latent @ axes + rng.normal(0.0, noise, (size, len(mean))) + mean

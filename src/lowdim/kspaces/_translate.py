"""Spaces as an estimator's attributes, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from lowdim.kspaces._basis import of_length_one
from lowdim.kspaces._spaces import affine_subspace, bg_space, fixed_space
from lowdim.mixture import SubspaceMixture

#: Stands for a prior or a variance of zero where a fit starts.
TINY = 1e-300


def start_argument(
    start: list[affine_subspace], held: list[affine_subspace]
) -> list[dict[str, Any]]:
    """The estimator's `init` for spaces to start from, beside held ones."""
    priors = np.array([space.prior for space in [*start, *held]], dtype=np.float64)
    shares = np.maximum(priors / (priors.sum() or 1.0), TINY)
    return [
        {
            "mean": space.translation,
            "basis": space.vectors,
            "latent_variances": np.maximum(np.square(space.latent_sigmas), TINY),
            "noise_variance": max(space.sigma**2, TINY),
            "weight": share,
        }
        for space, share in zip(start, shares, strict=False)
    ]


def fixed_argument(held: list[affine_subspace]) -> list[dict[str, Any]]:
    """The estimator's `fixed` for the fixed spaces among those held."""
    return [
        _mapping(space, *([] if space.learns_latent_sigmas else ["latent_variances"]))
        for space in held
        if isinstance(space, fixed_space)
    ]


def background_argument(held: list[affine_subspace]) -> list[dict[str, Any]]:
    """The estimator's `background` for the background spaces among those held."""
    names = ("latent_variances", "noise_variance")
    return [_mapping(space, *names) for space in held if isinstance(space, bg_space)]


def _mapping(space: affine_subspace, *names: str) -> dict[str, Any]:
    values = {
        "latent_variances": np.square(space.latent_sigmas),
        "noise_variance": space.sigma**2,
    }
    chosen = {name: values[name] for name in names}
    return {"mean": space.translation, "basis": space.vectors, **chosen}


def learned(model: SubspaceMixture, k: int) -> affine_subspace:
    """A space from the attributes of a fitted estimator's component k."""
    basis = model.bases_[k]
    return affine_subspace(
        of_length_one(basis) if len(basis) == 1 else basis,
        model.means_[k],
        np.sqrt(model.noise_variances_[k]),
        np.sqrt(model.latent_variances_[k]),
        model.weights_[k],
    )


def held(space: affine_subspace, model: SubspaceMixture, k: int) -> affine_subspace:
    """A copy of a held space with what the fit learned of it."""
    own = space.copy()
    own.prior = float(model.weights_[k])
    if isinstance(own, fixed_space):
        if own.d < own.D:
            own.sigma = float(np.sqrt(model.noise_variances_[k]))
        if own.learns_latent_sigmas:
            own.latent_sigmas = np.sqrt(model.latent_variances_[k])
    return own


def divided_as_before(space: affine_subspace, weights: np.ndarray) -> affine_subspace:
    """A learned space with its variances divided as in kspaces; others as they are.

    Maximum likelihood divides by W, the sum of the weights. kspaces divides by W - sum w^2 / W,
    which is n - 1 for n points of weight one; there it divides the noise by n.
    """
    total, squares = weights.sum(), np.square(weights).sum()
    if isinstance(space, (fixed_space, bg_space)) or not total * total > squares:
        return space
    own = space.copy()
    factor = np.sqrt(total**2 / (total**2 - squares))
    own.latent_sigmas = own.latent_sigmas * factor
    if ((weights != 0) & (weights != 1)).any():
        own.sigma = float(own.sigma * factor)
    return own

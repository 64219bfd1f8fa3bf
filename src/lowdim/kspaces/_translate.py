"""Spaces as an estimator's attributes, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from lowdim.kspaces._basis import of_length_one
from lowdim.kspaces._spaces import affine_subspace, bg_space, fixed_space
from lowdim.mixture import SubspaceMixture


def as_model(spaces: list[affine_subspace]) -> SubspaceMixture:
    """Spaces as a fitted estimator."""
    model = SubspaceMixture(dims=[space.d for space in spaces])
    model.n_features_in_ = spaces[0].D
    model.weights_ = np.array([space.prior for space in spaces])
    model.means_ = np.stack([space.translation for space in spaces])
    model.bases_ = [space.vectors for space in spaces]
    model.latent_variances_ = [np.square(space.latent_sigmas) for space in spaces]
    model.noise_variances_ = np.square([space.sigma for space in spaces])
    model.dims_ = np.array([space.d for space in spaces])
    model._log_volume = np.zeros(len(spaces))
    return model


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

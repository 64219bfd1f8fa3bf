"""Between an estimator's NumPy attributes and parameters in standardised units, and files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

from lowdim import _storage
from lowdim._results import StopReason
from lowdim.data.standardized import StandardizedRows
from lowdim.mixture._subspace.fit import SubspaceFit
from lowdim.mixture._subspace.given import parse_given
from lowdim.mixture._subspace.parameters import SubspaceParameters

if TYPE_CHECKING:
    from lowdim.mixture.subspace import SubspaceMixture

M = TypeVar("M", bound="SubspaceMixture")


def set_fitted(model: SubspaceMixture, fit: SubspaceFit, data: StandardizedRows) -> None:
    """Store a fit on the estimator in the data's units."""
    p, scale = fit.parameters, data.scale
    shift = data.n_columns * np.log(scale)
    uniform = p.noise[0].isinf().cpu().numpy()
    means = p.means[0].cpu().numpy() * scale + data.mean
    means[uniform] = np.nan
    dims = p.dims[0].cpu().numpy()
    model.weights_ = p.weights[0].cpu().numpy()
    model.means_ = means
    model.bases_ = [signed(p.bases[0, k, :d].cpu().numpy()) for k, d in enumerate(dims.tolist())]
    model.latent_variances_ = [
        p.latent[0, k, :d].cpu().numpy() * scale**2 for k, d in enumerate(dims.tolist())
    ]
    model.noise_variances_ = p.noise[0].cpu().numpy() * scale**2
    model.dims_ = dims
    closest = model.assignment == "closest"
    units = scale**2 if closest else 1.0
    offset = 0.0 if closest else shift
    for name in ("search_", "search_trace_"):
        model.__dict__.pop(name, None)  # of an earlier fit
    _give_back(model)
    model.lower_bound_ = float(fit.log_likelihood - shift)
    model.objective_trace_ = fit.trace * units - offset
    model.n_iter_ = fit.n_iter
    model.converged_ = fit.reason is StopReason.CONVERGED
    model.stop_reason_ = str(fit.reason.value)
    model.restart_objectives_ = fit.restart_objectives * units - offset
    model.degenerate_ = fit.degenerate
    model._held = held_parameters(model, data.n_columns)
    volume = torch.zeros_like(p.noise) if p.log_volume is None else p.log_volume
    model._log_volume = volume[0].cpu().numpy() + np.where(uniform, shift, 0.0)


def _give_back(model: SubspaceMixture) -> None:
    """Put what the user gave of fixed and background components back bit for bit."""
    given = parse_given(model.fixed, model.background, model.means_.shape[1])
    for k, component in enumerate(given, start=len(model.weights_) - len(given)):
        if component.uniform:
            continue
        model.means_[k] = component.mean
        model.bases_[k] = component.basis
        if component.latent_variances is not None:
            model.latent_variances_[k] = component.latent_variances
        if component.noise_variance is not None:
            model.noise_variances_[k] = component.noise_variance


def held_parameters(model: SubspaceMixture, n_columns: int) -> list[int]:
    """Free parameters of each fixed or background component, its weight aside.

    A shared noise counts with the learned components, or else with the first that learns it.
    """
    given = parse_given(model.fixed, model.background, n_columns)
    noisy = np.array([c.noise_variance is None and len(c.basis) < n_columns for c in given])
    if model._noise_is_shared and len(given):
        n_free = len(model.dims_) - len(given)
        counted = (model.dims_[:n_free] < n_columns).any()
        noisy &= ~counted & (np.cumsum(noisy) == 1)
    latent = [len(c.basis) if c.latent_variances is None else 0 for c in given]
    return [int(noise) + own for noise, own in zip(noisy, latent, strict=True)]


def signed(basis: np.ndarray) -> np.ndarray:
    """Axes with their largest entry positive, so that equal fits print equal."""
    if not len(basis):
        return basis
    largest = np.abs(basis).argmax(1)
    sign = np.sign(basis[np.arange(len(basis)), largest])
    return basis * np.where(sign == 0, 1.0, sign)[:, None]


def standard_units(model: SubspaceMixture) -> tuple[np.ndarray, float]:
    """A centre and a scale in which the fitted mixture is of order one."""
    known = np.isfinite(model.means_).all(1)
    if not known.any():
        return np.zeros(model.n_features_in_), 1.0
    weights = model.weights_[known] + 1e-12
    means = model.means_[known]
    centre = weights @ means / weights.sum()
    noise = model.noise_variances_[known]
    variance = (weights * noise).sum() / weights.sum()
    variance += (weights @ np.square(means - centre)).sum() / weights.sum() / len(centre)
    return centre, float(np.sqrt(variance)) or 1.0


def parameters_of(model: SubspaceMixture, data: StandardizedRows) -> SubspaceParameters:
    """The estimator's attributes as a batch of one, in the units of ``data``."""
    k, d = model.means_.shape
    q = max([1, *model.dims_.tolist()])
    bases, latent = np.zeros((k, q, d)), np.ones((k, q))
    for j, (basis, variances) in enumerate(zip(model.bases_, model.latent_variances_, strict=True)):
        bases[j, : len(basis)] = basis
        latent[j, : len(basis)] = variances / data.scale**2
    uniform = np.isinf(model.noise_variances_)
    means = np.where(uniform[:, None], data.mean, model.means_)
    volume = model._log_volume - np.where(uniform, d * np.log(data.scale), 0.0)

    def tensor(value: np.ndarray, dtype: torch.dtype = torch.float64) -> torch.Tensor:
        return torch.as_tensor(value, dtype=dtype, device=data.device)[None]

    return SubspaceParameters(
        weights=tensor(model.weights_),
        means=tensor((means - data.mean) / data.scale),
        bases=tensor(bases),
        latent=tensor(latent),
        noise=tensor(model.noise_variances_ / data.scale**2),
        dims=tensor(model.dims_, torch.int64),
        log_volume=tensor(volume) if uniform.any() else None,
    )


_ARRAYS = (
    "weights_",
    "means_",
    "noise_variances_",
    "dims_",
    "objective_trace_",
    "restart_objectives_",
    "_log_volume",
)
_SCALARS = (
    "lower_bound_",
    "n_iter_",
    "converged_",
    "stop_reason_",
    "degenerate_",
    "_held",
    "n_features_in_",
)
_OPTIONAL = ("feature_names_in_", "search_", "search_trace_")
#: Everything that a fit sets.
FITTED = (*_ARRAYS, *_SCALARS, "bases_", "latent_variances_", *_OPTIONAL)


def fitted_state(model: SubspaceMixture) -> dict[str, Any]:
    """The fitted attributes by name, the axes of all components stacked, to be kept elsewhere."""
    state = {name: getattr(model, name) for name in (*_ARRAYS, *_SCALARS)}
    state["bases_"] = np.concatenate(model.bases_)
    state["latent_variances_"] = np.concatenate(model.latent_variances_)
    state |= {name: getattr(model, name) for name in _OPTIONAL if hasattr(model, name)}
    if "feature_names_in_" in state:
        state["feature_names_in_"] = np.asarray(state["feature_names_in_"], dtype=object)
    return state


def restore_state(model: M, state: Mapping[str, Any]) -> M:
    """Give an unfitted estimator what `fitted_state` returned."""
    for name, value in state.items():
        setattr(model, name, value)
    cuts = np.cumsum(model.dims_)[:-1]
    model.bases_ = np.split(state["bases_"], cuts)
    model.latent_variances_ = np.split(state["latent_variances_"], cuts)
    return model


def write_model(model: SubspaceMixture, path: str | Path) -> None:
    """Save parameters and fitted attributes."""
    state = fitted_state(model)
    header: dict[str, Any] = {
        "class": type(model).__name__,
        "params": _storage.plain(model.get_params()),
        "fitted": {
            name: _storage.plain(state.pop(name))
            for name in (*_SCALARS, "search_")
            if name in state
        },
    }
    _storage.write(path, header, state)


def read_model(model: M, path: str | Path) -> M:
    """Fill a fresh estimator from a file."""
    header, arrays = _storage.read(path, expected=type(model).__name__)
    model.set_params(**_storage.params_of(header))
    return restore_state(model, {**header["fitted"], **arrays})

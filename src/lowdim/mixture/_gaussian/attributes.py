"""Between an estimator's attributes, in the data's units, and parameters, in standardised ones."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from lowdim._results import FitFailed, StopReason
from lowdim.data.blocks import Block
from lowdim.data.standardized import StandardizedRows
from lowdim.mixture._gaussian.family import GaussianParameters

if TYPE_CHECKING:
    from lowdim.mixture._gaussian.fit import GaussianFit
    from lowdim.mixture.gaussian import GaussianMixture


def set_fitted(model: GaussianMixture, fit: GaussianFit, data: StandardizedRows) -> None:
    """Store a fit on the estimator."""
    result, best = fit.result, fit.best
    if not np.isfinite(result.objective[best]):
        raise FitFailed(_failure(fit, data))
    shift = data.n_columns * np.log(data.scale)
    set_parameters(model, fit.parameters, data)
    model.lower_bounds_ = result.traces[best] - shift
    model.lower_bound_ = float(result.objective[best] - shift)
    model.restart_lower_bounds_ = result.objective - shift
    model.n_iter_ = int(result.n_iter[best])
    model.converged_ = result.reasons[best] is StopReason.CONVERGED
    model.stop_reason_ = str(result.reasons[best].value)
    model.degenerate_ = bool(result.degenerate[best])


def set_parameters(
    model: GaussianMixture, parameters: GaussianParameters, data: StandardizedRows
) -> None:
    """Store the parameters of the only restart."""
    for name in ("loadings_", "noise_variances_"):
        model.__dict__.pop(name, None)  # of an earlier fit of low rank
    model.weights_ = parameters.weights[0].cpu().numpy()
    model.means_ = parameters.means[0].cpu().numpy() * data.scale + data.mean
    covariances = parameters.covariances[0].cpu().numpy()
    model.covariances_ = covariances * data.scale**2
    matrices = parameters.kind in ("full", "tied")
    precisions = np.linalg.inv(covariances) if matrices else 1 / covariances
    model.precisions_ = precisions / data.scale**2


def _failure(fit: GaussianFit, data: StandardizedRows) -> str:
    """Why no restart succeeded: which component, how large, and what to do."""
    p = fit.parameters
    log_det = p.whitening[1].expand_as(p.weights)[0].cpu().numpy()
    rows = p.weights[0].cpu().numpy() * data.total_weight
    bad = int(np.isnan(log_det).argmax()) if np.isnan(log_det).any() else int(rows.argmin())
    return (
        f"In every restart the covariance of a component became singular; in the last one it was "
        f"component {bad}, with {rows[bad]:.3g} rows in {data.n_columns} columns. Raise reg_covar, "
        "ask for fewer components, or choose covariance_type 'tied', 'diag' or 'spherical'."
    )


def units_of(model: GaussianMixture) -> tuple[np.ndarray, float]:
    """A centre and a scale in which the fitted mixture is of order one."""
    weights = model.weights_ / model.weights_.sum()
    centre = weights @ model.means_
    between = float((weights @ np.square(model.means_ - centre)).mean())
    own = model.covariances_
    kind = model.covariance_type
    if kind == "full":
        within = float(weights @ np.trace(own, axis1=1, axis2=2)) / len(centre)
    elif kind == "tied":
        within = float(np.trace(own)) / len(centre)
    else:
        within = float(weights @ own.reshape(len(weights), -1).mean(1))
    return centre, float(np.sqrt(between + within)) or 1.0


def parameters_of(model: GaussianMixture, data: StandardizedRows) -> GaussianParameters:
    """The estimator's attributes as a batch of one, in the units of ``data``."""

    def tensor(value: Any) -> torch.Tensor:
        return torch.as_tensor(np.ascontiguousarray(value), device=data.device)[None]

    return GaussianParameters(
        weights=tensor(model.weights_),
        means=tensor((model.means_ - data.mean) / data.scale),
        covariances=tensor(model.covariances_ / data.scale**2),
        kind=model.covariance_type,
    )


def log_joint(parameters: GaussianParameters, data: StandardizedRows) -> np.ndarray:
    """``log weight_k + log p(x_i | k)`` in the data's units, (N, K)."""
    shift = data.n_columns * np.log(data.scale)
    return np.concatenate(data.each(partial(_block_joint, parameters, shift)))


def _block_joint(parameters: GaussianParameters, shift: float, block: Block) -> np.ndarray:
    distances = parameters.shape.distances(block, parameters.means, parameters.whitening[0])
    own = parameters.constants[..., None] - 0.5 * distances
    return np.asarray(own[0].T.cpu().numpy() - shift)

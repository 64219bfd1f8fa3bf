"""What a fitted subspace mixture says about rows, block by block."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from lowdim.data.blocks import Block
from lowdim.data.standardized import StandardizedRows
from lowdim.mixture._subspace import density
from lowdim.mixture._subspace.parameters import SubspaceParameters

if TYPE_CHECKING:
    from lowdim.mixture.subspace import SubspaceMixture


def by_block(data: StandardizedRows, function: Callable[[Block], Tensor]) -> np.ndarray:
    """Results of every block, rows first, stacked."""
    return np.concatenate(data.each(lambda block: function(block).cpu().numpy()))


def log_joint(data: StandardizedRows, parameters: SubspaceParameters) -> np.ndarray:
    """``log weight_k + log p(x_i | k)`` in the data's units, (N, K)."""
    shift = data.n_columns * np.log(data.scale)
    return by_block(data, lambda block: density.log_joint(block, parameters)[0].T - shift)


def squared_distances(data: StandardizedRows, parameters: SubspaceParameters) -> np.ndarray:
    """Squared distance of every row to every flat in the data's units, (N, K)."""
    scale = data.scale**2
    return by_block(data, lambda block: density.squared_distances(block, parameters)[0].T * scale)


def shrinkage(parameters: SubspaceParameters) -> Tensor:
    """1 - sigma^2 / lambda of every stacked axis: how far the posterior trusts a coordinate."""
    noise = parameters.noise.flatten()[parameters.axis_owner]
    full = parameters.dims.flatten()[parameters.axis_owner] == parameters.means.shape[-1]
    return torch.where(full, 1.0, 1 - noise / parameters.axis_variances)


def latent_of_component(
    data: StandardizedRows, parameters: SubspaceParameters, component: int
) -> np.ndarray:
    """E[latent | x, k] = (1 - sigma^2 / lambda) z along one component's axes, (N, d)."""
    own = parameters.axis_owner == component
    gain = (shrinkage(parameters)[own] * data.scale)[:, None]
    return by_block(
        data, lambda block: (density.latent_coordinates(block, parameters)[own] * gain).T
    )


def latent_of_assigned(
    data: StandardizedRows, parameters: SubspaceParameters, *, closest: bool = False
) -> np.ndarray:
    """The same along the axes of the component that `predict` names, (N, max d), zero-padded."""
    dims = parameters.dims[0].tolist()
    offsets = np.concatenate([[0], np.cumsum(dims)])
    gain = (shrinkage(parameters) * data.scale)[:, None]

    def of_block(block: Block) -> Tensor:
        if closest:
            labels = density.squared_distances(block, parameters)[0].argmin(0)
        else:
            labels = density.log_joint(block, parameters)[0].argmax(0)
        z = density.latent_coordinates(block, parameters) * gain
        out = torch.zeros((block.n_rows, max(dims)), dtype=torch.float64, device=z.device)
        for k, d in enumerate(dims):
            rows = torch.nonzero(labels == k).squeeze(1)
            out[rows, :d] = z[offsets[k] : offsets[k] + d, rows].T
        return out

    return by_block(data, of_block)


def reconstruction(data: StandardizedRows, parameters: SubspaceParameters) -> np.ndarray:
    """sum_k r_k (mu_k + V_k diag(1 - sigma^2 / lambda) z_k) in the data's units, (N, D)."""
    gain = shrinkage(parameters)[:, None]
    mean, scale = torch.from_numpy(data.mean).to(data.device), data.scale

    def of_block(block: Block) -> Tensor:
        r = density.log_joint(block, parameters)[0].softmax(0)
        z = density.latent_coordinates(block, parameters) * gain * r[parameters.axis_owner]
        return (r.T @ parameters.means[0] + z.T @ parameters.axes) * scale + mean

    return by_block(data, of_block)


def sample(
    model: SubspaceMixture, n_rows: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Rows drawn from a fitted mixture, (n, D), and their components, (n,)."""
    weights = model.weights_ / model.weights_.sum()
    labels = rng.choice(len(weights), n_rows, p=weights)
    rows = rng.normal(size=(n_rows, model.means_.shape[1]))
    rows *= np.sqrt(model.noise_variances_)[labels][:, None]
    for k, (basis, variances) in enumerate(zip(model.bases_, model.latent_variances_, strict=True)):
        own = labels == k
        latent = rng.normal(size=(int(own.sum()), len(basis))) * np.sqrt(variances)
        rows[own] += (latent - rows[own] @ basis.T) @ basis + model.means_[k]
    return rows, labels

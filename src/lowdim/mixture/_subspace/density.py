"""Log-densities of subspace components without ever forming a D x D matrix.

With z = V'(x - mu), the Woodbury identity in the eigenbasis gives::

    log N(x) = -1/2 [ D log 2 pi + sum_j log lambda_j + (D - d) log sigma^2
                      + ||x - mu||^2 / sigma^2 - sum_j (1 / sigma^2 - 1 / lambda_j) z_j^2 ]

One product of the rows with the stacked means and axes yields every term.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from lowdim.data.blocks import MONOMIAL_COLUMNS, Block, DenseBlock
from lowdim.mixture._subspace.parameters import SubspaceParameters

TINY_WEIGHT = 1e-300


def log_joint(block: Block, parameters: SubspaceParameters) -> Tensor:
    """``log weight_k + log p(x_i | k)``, (R, K, n), float64."""
    r, k, d = parameters.shape
    if d <= MONOMIAL_COLUMNS and isinstance(block, DenseBlock):
        scores = _monomial_coefficients(parameters) @ block.monomials_by_row
        return scores.view(r, k, -1)
    precision = (1 / parameters.noise).flatten()
    means = parameters.means.flatten(0, 1)
    products = block.project(torch.cat([means * precision[:, None], parameters.axes])).double()
    scores, z = products[: r * k], products[r * k :]
    scores.addr_(precision, block.squared_norms, alpha=-0.5)
    scores += (log_constant(parameters).flatten() - means.square().sum(1) * precision / 2)[:, None]
    z -= parameters.axis_means[:, None]
    scores.index_add_(0, parameters.axis_owner, z.square_().mul_(parameters.axis_gain[:, None]))
    return scores.view(r, k, -1)


def squared_distances(block: Block, parameters: SubspaceParameters) -> Tensor:
    """Squared distance of every row to every component's flat, (R, K, n), float64."""
    r, k, _ = parameters.shape
    means = parameters.means.flatten(0, 1)
    products = block.project(torch.cat([means, parameters.axes])).double()
    scores, z = products[: r * k], products[r * k :]
    scores.mul_(-2).add_(block.squared_norms).add_(means.square().sum(1)[:, None])
    z -= parameters.axis_means[:, None]
    scores.index_add_(0, parameters.axis_owner, z.square_(), alpha=-1)
    return scores.clamp_(min=0).view(r, k, -1)


def latent_coordinates(block: Block, parameters: SubspaceParameters) -> Tensor:
    """Z = V'(x - mu) along all stacked axes, (sum of d, n), float64."""
    return block.project(parameters.axes).double() - parameters.axis_means[:, None]


def log_constant(parameters: SubspaceParameters) -> Tensor:
    """Everything in ``log weight + log p(x)`` that does not depend on the row, (R, K)."""
    d = parameters.means.shape[-1]
    log_weight = parameters.weights.clamp(min=TINY_WEIGHT).log_()
    gaussian = (parameters.log_determinant + d * math.log(2 * math.pi)).mul_(-0.5)
    if parameters.log_volume is not None:
        gaussian = torch.where(parameters.noise.isinf(), -parameters.log_volume, gaussian)
    return log_weight + gaussian


def _monomial_coefficients(parameters: SubspaceParameters) -> Tensor:
    """``log weight + log p`` as coefficients of [1, x_i, x_i x_j], (R * K, terms)."""
    d = parameters.means.shape[-1]
    i, j, factor, eye = _monomial_layout(d, parameters.means.device)
    inverse = 1 / parameters.noise[..., None]
    shrink = torch.where(parameters.in_subspace, inverse - 1 / parameters.latent, 0.0)
    precision = inverse[..., None] * eye - parameters.bases.mT @ (
        shrink[..., None] * parameters.bases
    )
    linear = (precision @ parameters.means[..., None]).squeeze(-1)
    constant = log_constant(parameters) - (linear * parameters.means).sum(-1) / 2
    quadratic = precision[..., i, j] * factor
    return torch.cat([constant[..., None], linear, quadratic], -1).flatten(0, 1)


@lru_cache(maxsize=16)
def _monomial_layout(d: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Row and column of each product x_i x_j, its factor in a quadratic form, and the identity."""
    i, j = torch.triu_indices(d, d, device=device)
    factor = torch.where(i == j, -0.5, -1.0).double()
    return i, j, factor, torch.eye(d, dtype=torch.float64, device=device)

"""Log-densities of subspace components without ever forming a D x D matrix.

With z = V'(x - mu), the Woodbury identity in the eigenbasis gives::

    log N(x) = -1/2 [ D log 2 pi + sum_j log lambda_j + (D - d) log sigma^2
                      + ||x - mu||^2 / sigma^2 - sum_j (1 / sigma^2 - 1 / lambda_j) z_j^2 ]

One product of the rows with the stacked means and axes yields every term.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lowdim.data.blocks import Block
from lowdim.mixture._subspace.parameters import SubspaceParameters


def log_joint(block: Block, parameters: SubspaceParameters) -> Tensor:
    """``log weight_k + log p(x_i | k)``, (R, K, n), float64."""
    r, k, _ = parameters.shape
    precision = (1 / parameters.noise).flatten()
    means = parameters.means.flatten(0, 1)
    products = block.project(torch.cat([means * precision[:, None], parameters.axes])).double()
    scores, z = products[: r * k], products[r * k :]
    scores.addr_(precision, block.squared_norms, alpha=-0.5)
    scores += (parameters.constants - means.square().sum(1) * precision / 2)[:, None]
    z -= parameters.axis_means[:, None]
    _add_along(scores, z.square_().mul_(parameters.axis_gain[:, None]), parameters)
    return scores.view(r, k, -1)


def squared_distances(block: Block, parameters: SubspaceParameters) -> Tensor:
    """Squared distance of every row to every component's flat, (R, K, n), float64."""
    r, k, _ = parameters.shape
    means = parameters.means.flatten(0, 1)
    products = block.project(torch.cat([means, parameters.axes])).double()
    scores, z = products[: r * k], products[r * k :]
    scores.mul_(-2).add_(block.squared_norms).add_(means.square().sum(1)[:, None])
    z -= parameters.axis_means[:, None]
    _add_along(scores, z.square_().neg_(), parameters)
    return scores.clamp_(min=0).view(r, k, -1)


def _add_along(scores: Tensor, along: Tensor, parameters: SubspaceParameters) -> None:
    """Add to the scores, (R K, n), what every stacked axis contributes, (sum of d, n)."""
    if parameters.on_host:
        scores.index_add_(0, parameters.axis_owner, along)
    elif len(along):  # in the order of the axes, which `index_add_` does not keep to on a device
        lengths = parameters.dims.flatten()
        scores += torch.segment_reduce(along, "sum", lengths=lengths, axis=0, unsafe=True)


def latent_coordinates(block: Block, parameters: SubspaceParameters) -> Tensor:
    """Z = V'(x - mu) along all stacked axes, (sum of d, n), float64."""
    return block.project(parameters.axes).double() - parameters.axis_means[:, None]

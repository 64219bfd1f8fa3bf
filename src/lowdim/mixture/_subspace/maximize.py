"""The M-step: exact maximum likelihood given the responsibilities.

With n, mu and S the weight, mean and covariance of a component's rows, the maximum has V = the
top d eigenvectors of S, lambda = their eigenvalues and sigma^2 = (tr S - sum lambda) / (D - d).
In few columns S itself is the statistic. In many columns only ``W S`` is, for a sketch W whose
rows span the current axes and the residuals of ``S V'``; maximising over axes within the span of
W (Rayleigh-Ritz) contains the current axes, so the likelihood still cannot fall.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from lowdim.math.linalg import descending_eigh, orthonormal_rows
from lowdim.mixture._family import Statistics
from lowdim.mixture._subspace.parameters import SubspaceParameters


@dataclass(frozen=True)
class Spectrum:
    """Leading eigenpairs of every component's covariance and what dimensions would cost."""

    counts: Tensor  # (R, K)
    means: Tensor  # (R, K, D)
    trace: Tensor  # (R, K)
    values: Tensor  # (R, K, q), descending, at least the floor
    vectors: Tensor  # (R, K, q, D)
    images: Tensor | None  # (R, K, q, D): S V', only with a sketch
    floor: float

    @cached_property
    def left(self) -> Tensor:
        """Number of noise dimensions for d = 0, ..., q, (q + 1,)."""
        q, n_columns = self.values.shape[-1], self.means.shape[-1]
        return torch.arange(n_columns, n_columns - q - 1, -1, device=self.values.device)

    @cached_property
    def residual(self) -> Tensor:
        """Variance outside the leading d axes for d = 0, ..., q, (R, K, q + 1)."""
        return (self.trace[..., None] - _cumulate(self.values)).clamp_(min=0)

    @cached_property
    def noise(self) -> Tensor:
        """sigma^2 for d = 0, ..., q, (R, K, q + 1); at d = D the smallest eigenvalue."""
        noise = (self.residual / self.left.clamp(min=1)).clamp_(min=self.floor)
        if self.values.shape[-1] == self.means.shape[-1]:
            noise[..., -1] = self.values[..., -1]
        return noise

    def cost(self) -> Tensor:
        """Minus the maximal expected log-likelihood, up to a constant, for d = 0..q."""
        log_det = _cumulate(self.values.log()) + self.left * self.noise.log()
        return self.counts[..., None] * log_det / 2

    def cost_given_noise(self, noise: Tensor) -> Tensor:
        """The same with sigma^2 held at ``noise``, (R, K)."""
        latent = torch.maximum(self.values, noise[..., None])
        inside = _cumulate(latent.log() + self.values / latent)
        terms = inside + self.left * noise.log()[..., None] + self.residual / noise[..., None]
        return self.counts[..., None] * terms / 2

    def distance_cost(self) -> Tensor:
        """Sum of squared distances to the best flat of dimension d = 0..q."""
        return self.counts[..., None] * self.residual


def spectrum(statistics: Statistics, parameters: SubspaceParameters, floor: float) -> Spectrum:
    """Eigenpairs from second moments (no sketch) or by Rayleigh-Ritz within the sketch."""
    q = parameters.latent.shape[-1]
    counts = statistics["counts"]
    n = counts.clamp(min=1e-300)[..., None]
    means = statistics["sums"] / n
    trace = (statistics["energy"] / n[..., 0] - means.square().sum(-1)).clamp(min=0)
    second = statistics["second"] / n[..., None]
    if parameters.sketch is None:
        covariance = second - means[..., :, None] * means[..., None, :]
        values, vectors = descending_eigh(covariance)
        values, vectors, images = values[..., :q], vectors[..., :q, :], None
    else:
        sketch = parameters.sketch
        along = (sketch @ means[..., None]).squeeze(-1)
        products = second - along[..., None] * means[..., None, :]  # W S
        values, rotation = descending_eigh(products @ sketch.mT)
        values, rotation = values[..., :q], rotation[..., :q, :]
        vectors, images = rotation @ sketch, rotation @ products
    return Spectrum(counts, means, trace, values.clamp(min=floor), vectors, images, floor)


def reassigned_dims(cost: Tensor, dims: Tensor) -> Tensor:
    """Permute each restart's dimensions over its components to the least total cost.

    An exact joint M-step over axes and dimensions (Hungarian algorithm on ``cost``,
    (R, K, q + 1)); ties keep the present assignment, so that EM can converge.
    """
    out = dims.cpu().numpy().copy()
    if (out == out[:, :1]).all():
        return dims
    costs = cost.cpu().numpy()
    for r, row in enumerate(out):
        table = costs[r][:, row]
        if not np.isfinite(table).all():
            continue
        slots = linear_sum_assignment(table)[1]
        gain = np.trace(table) - table[np.arange(len(row)), slots].sum()
        if gain > 1e-9 * np.abs(table).max():
            out[r] = row[slots]
    return torch.from_numpy(out).to(dims.device)


def penalized_dims(cost: Tensor, penalty: Tensor, allowed: Tensor) -> Tensor:
    """The dimension of least cost plus penalty among the allowed ones, per component."""
    total = cost + penalty
    return total.masked_fill(~allowed, torch.inf).argmin(-1)


def with_dims(
    parameters: SubspaceParameters, spectrum: Spectrum, dims: Tensor, total_weight: float
) -> SubspaceParameters:
    """Maximum-likelihood parameters for chosen dimensions."""
    noise = spectrum.noise.gather(-1, dims[..., None]).squeeze(-1)
    return replace(
        parameters,
        weights=spectrum.counts / total_weight,
        means=spectrum.means,
        bases=spectrum.vectors,
        latent=spectrum.values,
        noise=noise,
        dims=dims,
        sketch=None if spectrum.images is None else next_sketch(spectrum, parameters),
    )


def next_sketch(spectrum: Spectrum, parameters: SubspaceParameters) -> Tensor:
    """Axes, the residuals of ``S V'``, and the previous turn: where S says to look next."""
    assert spectrum.images is not None and parameters.sketch is not None
    axes = spectrum.vectors
    residuals = spectrum.images - (spectrum.images @ axes.mT) @ axes
    width = parameters.sketch.shape[-2]
    return orthonormal_rows(torch.cat([axes, residuals], -2)[..., :width, :])


def pool_noise(
    parameters: SubspaceParameters, spectrum: Spectrum, pooled: Tensor
) -> SubspaceParameters:
    """One noise variance shared by the components marked in ``pooled``, (K,), bool.

    Latent variances below the shared noise join it (the constrained maximum has
    lambda >= sigma^2), until none is left.
    """
    n_columns = parameters.means.shape[-1]
    weight = spectrum.counts * pooled
    inside = parameters.in_subspace & pooled[:, None]
    own = torch.where(inside, spectrum.values, 0.0)
    residual = (weight * (spectrum.trace - own.sum(-1))).sum(-1, keepdim=True)
    freedom = (weight * (n_columns - parameters.dims)).sum(-1, keepdim=True)
    # The pool takes in latent variances from the smallest up, until it lies below the next.
    ascending, order = torch.where(inside, own, torch.inf).flatten(1).sort(1)
    counts = torch.where(inside, weight[..., None], 0.0).flatten(1).gather(1, order)
    gained = torch.where(ascending.isinf(), 0.0, ascending * counts)
    pools = (residual + _cumulate(gained)) / (freedom + _cumulate(counts)).clamp(min=1e-300)
    following = torch.cat([ascending, torch.full_like(ascending[:, :1], torch.inf)], 1)
    first = (pools <= following).double().argmax(1, keepdim=True)
    noise = pools.gather(1, first).squeeze(1).clamp(min=spectrum.floor)
    shared = noise[:, None].expand_as(parameters.noise)
    latent = torch.where(
        pooled[:, None] & parameters.in_subspace,
        torch.maximum(spectrum.values, shared[..., None]),
        parameters.latent,
    )
    return replace(parameters, latent=latent, noise=torch.where(pooled, shared, parameters.noise))


def _cumulate(values: Tensor) -> Tensor:
    """Running sums over the last axis, starting at zero."""
    return torch.nn.functional.pad(values.cumsum(-1), (1, 0))

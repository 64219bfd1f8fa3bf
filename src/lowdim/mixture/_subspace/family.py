"""The subspace family: what the EM loop asks of subspace components."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from lowdim.data.blocks import MONOMIAL_COLUMNS, Block, DenseBlock, active_rows
from lowdim.math.linalg import (
    descending_eigh,
    orthonormal_rows,
    packed_to_symmetric,
    procrustes_align,
)
from lowdim.mixture._family import Statistics
from lowdim.mixture._subspace import density
from lowdim.mixture._subspace.constraints import Constraints
from lowdim.mixture._subspace.initialize import Starter
from lowdim.mixture._subspace.maximize import (
    Spectrum,
    penalized_dims,
    pool_noise,
    reassigned_dims,
    spectrum,
    with_dims,
)
from lowdim.mixture._subspace.parameters import SubspaceParameters


@dataclass(frozen=True)
class SubspaceFamily:
    """Subspace components with held, reassigned or penalised dimensions.

    Attributes
    ----------
    starter : Starter
        Makes starting parameters and re-seeds components from a sample of rows.
    n_rows : int
    total_weight : float
        Sum of the row weights.
    floor : float
        Smallest variance allowed, relative to the data's mean variance per column.
    reassign : bool
        Permute the dimensions over the components in every M-step.
    dim_penalty : float, optional
        If given, choose each component's dimension freely in every M-step at this price per
        free parameter (log(N) / 2 for BIC).
    allowed_dims : tuple of int, optional
        Dimensions that the free choice may take.
    shared_noise : bool
        One noise variance for all free components.
    constraints : Constraints, optional
        Fixed and background components.
    """

    starter: Starter
    n_rows: int
    total_weight: float
    floor: float
    reassign: bool = True
    dim_penalty: float | None = None
    allowed_dims: tuple[int, ...] = ()
    shared_noise: bool = False
    constraints: Constraints | None = None

    @property
    def n_held(self) -> int:
        return 0 if self.constraints is None else self.constraints.n_held

    def log_joint(self, block: Block, parameters: SubspaceParameters) -> Tensor:
        return density.log_joint(block, parameters)

    def closeness(self, block: Block, parameters: SubspaceParameters) -> Tensor:
        return -density.squared_distances(block, parameters)

    def statistics(
        self, block: Block, responsibilities: Tensor, parameters: SubspaceParameters
    ) -> Statistics:
        """counts, squares, sums, energy = sum r ||x||^2, second = sum r (W x) x'."""
        r, k, d = parameters.shape
        flat = responsibilities.reshape(r * k, -1)
        squares = flat.square().sum(1).view(r, k)
        if parameters.sketch is None and d <= MONOMIAL_COLUMNS and isinstance(block, DenseBlock):
            terms = (flat @ block.monomials).view(r, k, -1)
            second = packed_to_symmetric(terms[..., 1 + d :], d)
            return {
                "counts": terms[..., 0],
                "squares": squares,
                "sums": terms[..., 1 : 1 + d],
                "energy": second.diagonal(dim1=-2, dim2=-1).sum(-1),
                "second": second,
            }
        if parameters.sketch is None:
            sums, second = block.accumulate(flat), block.second_moments(flat)
        else:
            sums, second = _sketched_moments(block, flat, parameters.sketch.flatten(0, 1))
        return {
            "counts": flat.sum(1).view(r, k),
            "squares": squares,
            "sums": sums.view(r, k, d),
            "energy": (flat @ block.squared_norms).view(r, k),
            "second": second.view(r, k, -1, d),
        }

    def maximize(
        self, statistics: Statistics, parameters: SubspaceParameters, *, closest: bool = False
    ) -> SubspaceParameters:
        eigen = spectrum(statistics, parameters, self.floor)
        dims = self._dims(eigen, parameters, closest)
        updated = with_dims(parameters, eigen, dims, self.total_weight)
        if self.shared_noise:
            pooled = torch.arange(dims.shape[1], device=dims.device) < dims.shape[1] - self.n_held
            updated = pool_noise(updated, eigen, pooled)
        if self.constraints is not None:
            updated = self.constraints.apply(updated, statistics, self.floor)
        return updated

    def _dims(self, eigen: Spectrum, parameters: SubspaceParameters, closest: bool) -> Tensor:
        dims = parameters.dims
        free = dims.shape[1] - self.n_held
        if self.dim_penalty is not None:
            chosen = self._penalized(eigen)
        elif self.reassign and free > 1:
            if closest:
                cost = eigen.distance_cost()
            elif self.shared_noise:
                cost = eigen.cost_given_noise(parameters.noise)
            else:
                cost = eigen.cost()
            chosen = reassigned_dims(cost[:, :free], dims[:, :free])
        else:
            return dims
        return torch.cat([chosen, dims[:, free:]], 1) if self.n_held else chosen

    def _penalized(self, eigen: Spectrum) -> Tensor:
        free = eigen.counts.shape[1] - self.n_held
        cost = eigen.cost()[:, :free]
        d = torch.arange(cost.shape[-1], device=cost.device)
        n_columns = eigen.means.shape[-1]
        parameters = n_columns * d - d * (d - 1) // 2 + (d < n_columns)
        allowed = torch.isin(d, torch.tensor(self.allowed_dims, device=d.device))
        # A component must own more rows than its dimension asks for.
        owned = eigen.counts[:, :free, None] > d + 2
        assert self.dim_penalty is not None
        return penalized_dims(
            cost, self.dim_penalty * parameters, (allowed & owned) | (d == min(self.allowed_dims))
        )

    def starved(self, statistics: Statistics, parameters: SubspaceParameters) -> Tensor:
        counts = statistics["counts"].cpu().numpy()
        squares = statistics["squares"].cpu().numpy()
        dims = parameters.dims.cpu().numpy()
        n_eff = counts**2 / np.maximum(squares, 1e-300)
        n_owned = counts * (self.n_rows / self.total_weight)
        starved = (n_eff < dims + 2) | (n_owned < dims + 1)
        free = starved.shape[1] - self.n_held
        starved[:, free if free > 1 else 0 :] = False
        return torch.from_numpy(starved)

    def collapsed(self, parameters: SubspaceParameters) -> Tensor:
        free = parameters.dims.shape[1] - self.n_held
        limit = 1.001 * self.floor
        thin = torch.where(parameters.in_subspace, parameters.latent, torch.inf).amin(-1) <= limit
        flat = (parameters.noise <= limit) & (parameters.dims < parameters.means.shape[-1])
        return (thin | flat)[:, :free].any(1)

    def reseed(self, parameters: SubspaceParameters, dead: Tensor) -> SubspaceParameters:
        reseeded = self.starter.reseed(parameters, dead)
        if not self.shared_noise:
            return reseeded
        latent = torch.maximum(reseeded.latent, parameters.noise[..., None])
        return replace(reseeded, noise=parameters.noise, latent=latent)

    def pack(
        self, parameters: SubspaceParameters, reference: SubspaceParameters | None = None
    ) -> Tensor:
        """Log weights, means, log noise and loadings V diag(lambda - sigma^2)^(1/2)."""
        loadings = _loadings(parameters)
        if reference is not None and loadings.shape[-2]:
            loadings = procrustes_align(loadings, _loadings(reference))
        parts = (
            parameters.weights.clamp(min=density.TINY_WEIGHT).log(),
            parameters.means,
            torch.where(parameters.noise.isinf(), 1.0, parameters.noise).log(),
            loadings,
        )
        return torch.cat([part.flatten(1) for part in parts], 1)

    def unpack(self, vectors: Tensor, like: SubspaceParameters) -> SubspaceParameters:
        r, k, d = like.shape
        q = like.bases.shape[2]
        log_weights, means, log_noise, loadings = vectors.split([k, k * d, k, k * q * d], 1)
        noise = log_noise.exp().clamp(min=self.floor)
        rows = loadings.reshape(r, k, q, d)
        # Rows that carry nothing keep their former direction, so the basis stays of full rank.
        rows = torch.where(like.in_subspace[..., None], rows, 1e-12 * like.bases)
        gram, rotation = descending_eigh(rows @ rows.mT)
        bases = orthonormal_rows(rotation @ rows)
        latent = (gram.clamp(min=0) + noise[..., None]).clamp(min=self.floor)
        free = torch.arange(k, device=noise.device) < k - self.n_held

        def unless_held(new: Tensor, old: Tensor) -> Tensor:
            return torch.where(free.view(-1, *[1] * (new.ndim - 2)), new, old)

        sketch = like.sketch
        if sketch is not None:
            turned = orthonormal_rows(torch.cat([bases, sketch[..., q:, :]], -2))
            sketch = unless_held(turned, sketch)
        return replace(
            like,
            weights=log_weights.softmax(1),
            means=unless_held(means.reshape(r, k, d), like.means),
            bases=unless_held(bases, like.bases),
            latent=unless_held(latent, like.latent),
            noise=unless_held(noise, like.noise),
            sketch=sketch,
        )


def _loadings(parameters: SubspaceParameters) -> Tensor:
    excess = (parameters.latent - parameters.noise[..., None]).clamp(min=0)
    scale = torch.where(parameters.in_subspace, excess, 0.0).sqrt()
    return parameters.bases * scale[..., None]


def _sketched_moments(block: Block, flat: Tensor, sketch: Tensor) -> tuple[Tensor, Tensor]:
    """Sum r x, (C, D), and sum r (W x) x', (C, w, D), over the rows that each component owns."""
    n_components, width, d = sketch.shape
    sums = sketch.new_zeros((n_components, d))
    second = sketch.new_zeros((n_components, width, d))
    for c in range(n_components):
        index = active_rows(flat[c])
        own, r = (block, flat[c]) if index is None else (block.take(index), flat[c][index])
        if own.n_rows == 0:
            continue
        coefficients = own.project(sketch[c]).double() * r
        products = own.accumulate(torch.cat([r[None], coefficients]))
        sums[c], second[c] = products[0], products[1:]
    return sums, second

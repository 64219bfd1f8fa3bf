"""The subspace family: what the EM loop asks of subspace components."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor

from lowdim._device import to_device, to_host
from lowdim.data.blocks import Block, DenseBlock, Rows, SparseBlock
from lowdim.math.linalg import leading_eigh, orthonormal_rows, procrustes_align
from lowdim.mixture._family import Statistics, block_expectation
from lowdim.mixture._subspace import density
from lowdim.mixture._subspace.constraints import Constraints
from lowdim.mixture._subspace.fused import (
    fused_expectation,
    fused_spectrum,
    in_one_call,
    whole_statistics,
)
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
        One noise variance for all components that learn theirs.
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

    def drawing_from(self, rng: np.random.Generator) -> Self:
        """The family with another source of random choices."""
        return replace(self, starter=replace(self.starter, rng=rng))

    def to_send(self) -> Self:
        return replace(self, starter=self.starter.without_rows(), constraints=None)

    def with_held(self, free: SubspaceParameters) -> SubspaceParameters:
        """Starting parameters with the fixed and background components behind them."""
        if self.constraints is None:
            return free
        start = self.constraints.append_to(free)
        if not self.shared_noise:
            return start
        learned = torch.from_numpy(self._learned(start.dims.shape[1])[0])
        noise = torch.where(learned.to(start.noise.device), free.noise[:, :1], start.noise)
        return replace(start, noise=noise, latent=self._raised(start.latent, noise))

    def _raised(self, latent: Tensor, noise: Tensor) -> Tensor:
        """Learned latent variances at least as large as the shared noise."""
        learns_noise, learns_latent = self._learned(noise.shape[1])
        joins = torch.from_numpy(learns_noise & learns_latent)[:, None].to(noise.device)
        return torch.where(joins, torch.maximum(latent, noise[..., None]), latent)

    def log_joint(self, block: Block, parameters: SubspaceParameters) -> Tensor:
        return density.log_joint(block, parameters)

    def closeness(self, block: Block, parameters: SubspaceParameters) -> Tensor:
        return -density.squared_distances(block, parameters)

    def expectation(
        self, block: Block, parameters: SubspaceParameters, assignment: str, beta: float
    ) -> tuple[Statistics, Tensor]:
        sketched = parameters.sketch is not None
        if parameters.on_host and (
            isinstance(block, DenseBlock) or (isinstance(block, SparseBlock) and sketched)
        ):
            return fused_expectation(block, parameters, assignment, beta)
        return block_expectation(self, block, parameters, assignment, beta)

    def fused_step(
        self, data: Rows, parameters: SubspaceParameters, assignment: str, beta: float
    ) -> tuple[np.ndarray, SubspaceParameters, np.ndarray] | None:
        plain = self.constraints is None and not self.shared_noise and assignment != "closest"
        if not plain or not in_one_call(self.n_rows, parameters):
            return None
        block = next(iter(data))
        if not isinstance(block, DenseBlock) or block.n_rows < self.n_rows:
            return None
        objective, squares, eigen = fused_spectrum(block, parameters, assignment, beta, self.floor)
        dims = self._dims(eigen, parameters, closest=False)
        updated = with_dims(parameters, eigen, dims, self.total_weight)
        starved = self._starved(eigen.counts, squares, parameters.host("dims"))
        return objective / data.total_weight, updated, starved

    def statistics(
        self, block: Block, responsibilities: Tensor, parameters: SubspaceParameters
    ) -> Statistics:
        """counts, squares, sums, energy = sum r ||x||^2, second = sum r (W x) x'."""
        if isinstance(block, DenseBlock) and parameters.on_host and parameters.sketch is None:
            return whole_statistics(block, responsibilities)
        r, k, d = parameters.shape
        flat = responsibilities.reshape(r * k, -1)
        squares = flat.square().sum(1).view(r, k)
        if parameters.sketch is None:
            sums, second = block.accumulate(flat), block.second_moments(flat)
        else:
            moments = block.sketched_moments(flat, parameters.sketch.flatten(0, 1))
            sums, second = moments[:, 0], moments[:, 1:]
        return {
            "counts": flat.sum(1).view(r, k),
            "squares": squares,
            "sums": sums.reshape(r, k, d),
            "energy": (flat @ block.squared_norms).view(r, k),
            "second": second.unflatten(0, (r, k)),
        }

    def maximize(
        self, statistics: Statistics, parameters: SubspaceParameters, *, closest: bool = False
    ) -> SubspaceParameters:
        parameters.layouts.clear()  # the pass that had use for them is over
        eigen = spectrum(statistics, parameters, self.floor)
        dims = self._dims(eigen, parameters, closest)
        updated = with_dims(parameters, eigen, dims, self.total_weight)
        held = np.zeros((len(dims), 0))
        if self.constraints is not None:
            updated, held = self.constraints.apply(updated, statistics, self.floor)
        if self.shared_noise:
            residual = eigen.residual_at(dims)
            residual[:, residual.shape[1] - self.n_held :] = held
            learned = self._learned(dims.shape[1])
            updated = pool_noise(updated, eigen.counts, residual, learned, self.floor)
        return updated

    def _learned(self, n_components: int) -> tuple[np.ndarray, np.ndarray]:
        """Which components learn their noise, and which their latent variances, (K,)."""
        if self.constraints is None:
            every = np.ones(n_components, dtype=bool)
            return every, every
        return self.constraints.learned(n_components - self.n_held)

    def _dims(self, eigen: Spectrum, parameters: SubspaceParameters, closest: bool) -> np.ndarray:
        dims = parameters.host("dims")
        free = dims.shape[1] - self.n_held
        if self.dim_penalty is not None:
            chosen = self._penalized(eigen)
        elif self.reassign and free > 1:
            if closest:
                cost = eigen.distance_cost()
            elif self.shared_noise:
                cost = eigen.cost_given_noise(parameters.host("noise"))
            else:
                cost = eigen.cost
            chosen = reassigned_dims(cost[:, :free], dims[:, :free])
        else:
            return dims
        return np.concatenate([chosen, dims[:, free:]], 1) if self.n_held else chosen

    def _penalized(self, eigen: Spectrum) -> np.ndarray:
        free = eigen.counts.shape[1] - self.n_held
        cost = eigen.cost[:, :free]
        d = np.arange(cost.shape[-1])
        n_columns = eigen.n_columns
        parameters = n_columns * d - d * (d - 1) // 2 + (d < n_columns)
        allowed = np.isin(d, self.allowed_dims)
        # A component must own more rows than its dimension asks for.
        owned = eigen.counts[:, :free, None] > d + 2
        assert self.dim_penalty is not None
        return penalized_dims(
            cost, self.dim_penalty * parameters, (allowed & owned) | (d == min(self.allowed_dims))
        )

    def starved(self, statistics: Statistics, parameters: SubspaceParameters) -> Tensor:
        counts, squares = to_host(statistics["counts"], statistics["squares"])
        return torch.from_numpy(self._starved(counts, squares, parameters.host("dims")))

    def _starved(self, counts: np.ndarray, squares: np.ndarray, dims: np.ndarray) -> np.ndarray:
        from lowdim.mixture._subspace.mstep import too_few

        starved: np.ndarray = too_few(counts, squares, dims, self.n_rows / self.total_weight)
        free = starved.shape[1] - self.n_held
        starved[:, free if free > 1 else 0 :] = False
        return starved

    def collapsed(self, parameters: SubspaceParameters) -> Tensor:
        free = parameters.dims.shape[1] - self.n_held
        limit = 1.001 * self.floor
        thin = torch.where(parameters.in_subspace, parameters.latent, torch.inf).amin(-1) <= limit
        flat = (parameters.noise <= limit) & (parameters.dims < parameters.n_columns)
        return (thin | flat)[:, :free].any(1)

    def reseed(self, parameters: SubspaceParameters, dead: Tensor) -> SubspaceParameters:
        reseeded = self.starter.reseed(parameters, dead)
        if not self.shared_noise:
            return reseeded
        latent = self._raised(reseeded.latent, parameters.noise)
        return replace(reseeded, noise=parameters.noise, latent=latent)

    def pack(
        self, parameters: SubspaceParameters, reference: np.ndarray | None = None
    ) -> np.ndarray:
        """Log weights, means, log noise and loadings V diag(lambda - sigma^2)^(1/2)."""
        from lowdim.mixture._subspace.vectors import pack

        fields = parameters.hosts("weights", "means", "noise", "bases", "latent", "dims")
        vectors: np.ndarray = pack(*fields, self._n_loadings)
        if reference is not None:
            r, k, d = parameters.shape
            start, shape = k * (2 + d), (r, k, self._n_loadings, d)
            rows, target = (part[:, start:].reshape(shape) for part in (vectors, reference))
            vectors[:, start:] = procrustes_align(rows, target).reshape(r, -1)
        return vectors

    @property
    def _n_loadings(self) -> int:
        """Loadings per component in a vector; zero beyond the dimension."""
        return max(1, self.starter.max_dim)

    @np.errstate(over="ignore", invalid="ignore")  # a step too far is seen by its objective
    def unpack(self, vectors: np.ndarray, like: SubspaceParameters) -> SubspaceParameters:
        from lowdim.mixture._subspace.vectors import unpack

        r, k, d = like.shape
        q, free, device = like.retained, k - self.n_held, like.device
        before = like.host("bases")
        means = vectors[:, k : k + k * d].reshape(r, k, d)
        rows = vectors[:, k * (2 + d) :].reshape(r, k, -1, d)
        eigenpairs = leading_eigh(rows @ rows.swapaxes(-1, -2), rows.shape[2])
        given = self._learned(k)[0], *like.hosts("noise", "dims"), before, self.floor
        weights, noise, latent, axes = unpack(vectors, *eigenpairs, *given)
        if free < k:
            latent[:, free:] = like.host("latent")[:, free:]
            if self.shared_noise:
                latent = self._raised(torch.from_numpy(latent), torch.from_numpy(noise)).numpy()

        def unless_held(name: str, new: np.ndarray) -> np.ndarray:
            return (
                new if free == k else np.concatenate([new[:, :free], like.host(name)[:, free:]], 1)
            )

        bases: np.ndarray | Tensor
        if like.sketch is None:
            from lowdim.math.small import orthonormalise

            orthonormalise(axes, before)
            bases, sketch = unless_held("bases", axes), None
        else:
            turned = torch.cat([to_device(axes, device), like.sketch[..., q:, :]], -2)
            sketch = torch.cat([orthonormal_rows(turned)[:, :free], like.sketch[:, free:]], 1)
            bases = torch.cat([sketch[:, :free, :q], like.bases[:, free:]], 1)
        return SubspaceParameters.from_arrays(
            device,
            weights=weights,
            means=unless_held("means", means.reshape(r, k, d)),
            bases=bases,
            latent=latent,
            noise=noise,
            dims=like.host("dims"),
            log_volume=like.log_volume,
            sketch=sketch,
            n_outside=like.n_outside,
        )

"""Gaussian processes over all places at once, for up to some thousands of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from lowdim.factorization._processes import Conditional, Posterior, cholesky
from lowdim.factorization._tables import row_chunks
from lowdim.kernels import Kernel


@dataclass(frozen=True)
class ExactProcess:
    """A process that is known through its values at all places.

    Attributes
    ----------
    places : (N, D)
    kernel : Kernel
    nugget : float
    covariance : (N, N)
        Nugget included.
    """

    places: Tensor
    kernel: Kernel
    nugget: float
    covariance: Tensor
    exact = True

    @classmethod
    def of(cls, places: Tensor, kernel: Kernel, nugget: float) -> ExactProcess:
        covariance = kernel(places, places)
        covariance.diagonal().add_(nugget)
        return cls(places, kernel, nugget, covariance)

    @property
    def size(self) -> int:
        return 2 * self.covariance.numel()

    def with_nugget(self, nugget: float) -> ExactProcess:
        if nugget == self.nugget:
            return self
        covariance = self.covariance.clone()
        covariance.diagonal().add_(nugget - self.nugget)
        moved = replace(self, nugget=nugget, covariance=covariance)
        if "_smooth" in self.__dict__:
            moved.__dict__["_smooth"] = self._smooth
        return moved

    @cached_property
    def spectrum(self) -> tuple[Tensor, Tensor]:
        """Eigenvalues and eigenvectors of the covariance."""
        values, vectors = self._smooth
        return (values + self.nugget).clamp(min=1e-10), vectors

    @cached_property
    def _smooth(self) -> tuple[Tensor, Tensor]:
        """The same without the nugget, which are those of all nuggets to the last bit."""
        values, vectors = torch.linalg.eigh(self.kernel(self.places, self.places))
        return values, vectors

    def given(self, l2: Tensor) -> Conditional:
        if bool((l2.amin(1) == l2.amax(1)).all()):  # as for values without gaps: no other
            return SpectralConditional(self, l2[:, :1])  # factor is needed
        root = l2.sqrt()
        B = (root[:, :, None] * self.covariance).mul_(root[:, None])
        B.diagonal(dim1=1, dim2=2).add_(1.0)
        return ExactConditional(self, l2, root, *cholesky(B))


@dataclass(frozen=True)
class ExactConditional:
    """``root`` is the square root of l2; ``factor`` that of ``B = 1 + root K root``."""

    process: ExactProcess
    l2: Tensor
    root: Tensor
    factor: Tensor
    jitter: float

    def posterior(self, l1: Tensor) -> Posterior:
        precision = torch.cholesky_inverse(self.factor)  # of B
        pulled = (precision @ (l1 / self.root)[..., None])[..., 0]
        mean = (self.root * pulled) @ self.process.covariance
        own = precision.diagonal(dim1=1, dim2=2)
        variance = ((1.0 - own) / self.l2).clamp(min=1e-12)
        log_det = self.factor.diagonal(dim1=1, dim2=2).log().sum(1)
        evidence = 0.5 * (l1 * mean).sum(1) - log_det
        expected = (l1 * mean - 0.5 * self.l2 * (variance + mean * mean)).sum(1)
        return Posterior(mean, variance, expected - evidence, evidence)

    def predict(self, places: Tensor, l1: Tensor) -> tuple[Tensor, Tensor]:
        own, root = self.process, self.root[..., None]
        weights = root * torch.cholesky_solve((l1 / self.root)[..., None], self.factor)
        mean = l1.new_empty((len(l1), len(places)))
        variance = torch.empty_like(mean)
        for rows in row_chunks(len(places), l1.numel(), l1.device):
            between = own.kernel(own.places, places[rows])
            mean[:, rows] = weights[..., 0] @ between
            whitened = torch.linalg.solve_triangular(self.factor, root * between, upper=False)
            variance[:, rows] = own.kernel.variance + own.nugget - whitened.square_().sum(1)
        return mean, variance.clamp(min=0)

    def project(self, trend: Tensor) -> Tensor:
        root = self.root[..., None]
        return root * torch.cholesky_solve(root * trend, self.factor)


@dataclass(frozen=True)
class SpectralConditional:
    """Sites that all have the same precision, ``l2`` (B, 1): all is diagonal along eigenvectors."""

    process: ExactProcess
    l2: Tensor
    jitter = 0.0

    def posterior(self, l1: Tensor) -> Posterior:
        values, vectors = self.process.spectrum
        own = values / (1 + self.l2 * values)
        mean = (own * (l1 @ vectors)) @ vectors.T
        variance = own @ vectors.T.square()
        evidence = 0.5 * (l1 * mean).sum(1) - 0.5 * (self.l2 * values).log1p().sum(1)
        expected = (l1 * mean - 0.5 * self.l2 * (variance + mean * mean)).sum(1)
        return Posterior(mean, variance, expected - evidence, evidence)

    def predict(self, places: Tensor, l1: Tensor) -> tuple[Tensor, Tensor]:
        own = self.process
        values, vectors = own.spectrum
        shrunk = 1 / (values + 1 / self.l2)
        weights = (shrunk * ((l1 / self.l2) @ vectors)) @ vectors.T
        mean = l1.new_empty((len(l1), len(places)))
        variance = torch.empty_like(mean)
        for rows in row_chunks(len(places), len(vectors), l1.device):
            between = own.kernel(own.places, places[rows])
            mean[:, rows] = weights @ between
            explained = shrunk @ (vectors.T @ between).square_()
            variance[:, rows] = own.kernel.variance + own.nugget - explained
        return mean, variance.clamp(min=0)

    def project(self, trend: Tensor) -> Tensor:
        values, vectors = self.process.spectrum
        shrunk = 1 / (values + 1 / self.l2)
        return vectors @ (shrunk[..., None] * (vectors.T @ trend))

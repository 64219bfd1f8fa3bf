"""Gaussian processes under Gaussian sites: posterior, divergence and evidence.

A factor is ``f = trend + g`` with ``g ~ GP(0, k)`` and a nugget. What the data say of it is written
as sites ``exp(l1 g - l2 g^2 / 2)`` at every place, so that everything here has a closed form
(Rasmussen and Williams 2006, chapter 3; Khan and Lin 2017, Conjugate-computation variational
inference).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from lowdim.kernels import Kernel

#: Diagonal that makes covariances of inducing points positive definite, relative to the variance.
JITTER = 1e-6
#: How often it may grow by ten.
MAX_GROWTH = 6


@dataclass(frozen=True)
class Posterior:
    """One factor's process under its sites.

    Attributes
    ----------
    mean, variance : (N,)
        Of g at the places.
    divergence : Tensor of shape ()
        KL from the prior.
    evidence : Tensor of shape ()
        ``log E_prior prod exp(l1 g - l2 g^2 / 2)``.
    """

    mean: Tensor
    variance: Tensor
    divergence: Tensor
    evidence: Tensor


class Conditional(Protocol):
    """A process whose sites have known precisions, l2; their l1 may still vary."""

    def posterior(self, l1: Tensor) -> Posterior:
        """Under sites with this l1, (N,)."""
        ...

    def predict(self, places: Tensor, l1: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of g at new places, (n,) each, the nugget included."""
        ...

    def project(self, trend: Tensor) -> Tensor:
        """``(K + 1 / l2)^-1 trend`` for the columns of a trend, (N, p)."""
        ...


class Process(Protocol):
    """A prior over one factor at N places.

    Attributes
    ----------
    kernel : Kernel
    nugget : float
    """

    @property
    def kernel(self) -> Kernel: ...

    @property
    def nugget(self) -> float: ...

    @property
    def exact(self) -> bool:
        """Whether nothing stands between the places and the process."""
        ...

    def given(self, l2: Tensor) -> Conditional:
        """With sites of these precisions, (N,)."""
        ...

    def with_nugget(self, nugget: float) -> Process:
        """The same with another nugget."""
        ...


def alike(first: Process, second: Process) -> bool:
    """Whether two processes of one fit are the same prior."""
    same_scale = torch.equal(first.kernel.length_scale, second.kernel.length_scale)
    return same_scale and first.nugget == second.nugget


def cholesky(matrix: Tensor, scale: float = 1.0) -> Tensor:
    """Lower factor; where rounding made the matrix indefinite its diagonal grows, from tiny on.

    Raises
    ------
    ValueError
        It is not finite, or indefinite beyond rounding.
    """
    factor, failed = torch.linalg.cholesky_ex(matrix)
    jitter = 1e-12 * scale
    while bool(failed > 0) or not bool(torch.isfinite(factor[-1, -1])):
        if jitter > 1e-3 * scale:
            raise ValueError("A covariance matrix is not positive definite.")
        grown = matrix.clone()
        grown.diagonal().add_(jitter)
        factor, failed = torch.linalg.cholesky_ex(grown)
        jitter *= 10
    return factor


@dataclass(frozen=True)
class ExactProcess:
    """All places at once, for up to some thousands of them.

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
        if bool(l2.min() == l2.max()):  # as for values without gaps: no other factor is needed
            return SpectralConditional(self, float(l2[0]))
        root = l2.sqrt()
        B = root[:, None] * self.covariance * root
        B.diagonal().add_(1.0)
        return ExactConditional(self, l2, root, cholesky(B))


@dataclass(frozen=True)
class ExactConditional:
    """``root`` is the square root of l2; ``factor`` that of ``B = 1 + root K root``."""

    process: ExactProcess
    l2: Tensor
    root: Tensor
    factor: Tensor

    def posterior(self, l1: Tensor) -> Posterior:
        precision = torch.cholesky_inverse(self.factor)  # of B
        mean = self.process.covariance @ (self.root * (precision @ (l1 / self.root)))
        variance = ((1.0 - precision.diagonal()) / self.l2).clamp(min=1e-12)
        evidence = 0.5 * (l1 @ mean) - self.factor.diagonal().log().sum()
        expected = l1 @ mean - 0.5 * (self.l2 @ (variance + mean * mean))
        return Posterior(mean, variance, expected - evidence, evidence)

    def predict(self, places: Tensor, l1: Tensor) -> tuple[Tensor, Tensor]:
        own, root = self.process, self.root[:, None]
        between = own.kernel(own.places, places)
        mean = between.T @ self.project((l1 / self.l2)[:, None])[:, 0]
        whitened = torch.linalg.solve_triangular(self.factor, root * between, upper=False)
        return mean, (own.kernel.variance + own.nugget - whitened.square().sum(0)).clamp(min=0)

    def project(self, trend: Tensor) -> Tensor:
        root = self.root[:, None]
        return root * torch.cholesky_solve(root * trend, self.factor)


@dataclass(frozen=True)
class SpectralConditional:
    """Sites that all have the same precision: everything is diagonal along the eigenvectors."""

    process: ExactProcess
    l2: float

    def posterior(self, l1: Tensor) -> Posterior:
        values, vectors = self.process.spectrum
        own = values / (1 + self.l2 * values)
        mean = vectors @ (own * (vectors.T @ l1))
        variance = vectors.square() @ own
        evidence = 0.5 * (l1 @ mean) - 0.5 * (self.l2 * values).log1p().sum()
        expected = l1 @ mean - 0.5 * self.l2 * (variance + mean * mean).sum()
        return Posterior(mean, variance, expected - evidence, evidence)

    def predict(self, places: Tensor, l1: Tensor) -> tuple[Tensor, Tensor]:
        own = self.process
        between = own.kernel(own.places, places)
        explained = (between * self.project(between)).sum(0)
        mean = between.T @ self.project(l1[:, None])[:, 0] / self.l2
        return mean, (own.kernel.variance + own.nugget - explained).clamp(min=0)

    def project(self, trend: Tensor) -> Tensor:
        values, vectors = self.process.spectrum
        return vectors @ ((vectors.T @ trend) / (values + 1 / self.l2)[:, None])


@dataclass(frozen=True)
class InducingProcess:
    """A process that is known through its values at M inducing points, whitened.

    ``g = Phi u + rest`` with ``u ~ N(0, I)``, ``Phi = K_xz L^-T`` and ``K_zz = L L'``.

    Attributes
    ----------
    inducing : (M, D)
    kernel : Kernel
    nugget : float
    factor : (M, M)
        L.
    basis : (N, M)
        Phi.
    rest : (N,)
        Variance that the inducing points do not explain, nugget included.
    """

    inducing: Tensor
    kernel: Kernel
    nugget: float
    factor: Tensor
    basis: Tensor
    rest: Tensor
    exact = False

    @classmethod
    def of(cls, places: Tensor, inducing: Tensor, kernel: Kernel, nugget: float) -> InducingProcess:
        covariance = kernel(inducing, inducing)
        scale = float(kernel.variance.detach())
        covariance.diagonal().add_(JITTER * scale)
        factor = cholesky(covariance, scale)
        basis = _whitened(places, inducing, kernel, factor)
        rest = (kernel.variance + nugget - basis.square().sum(1)).clamp(min=1e-10)
        return cls(inducing, kernel, nugget, factor, basis, rest)

    def with_nugget(self, nugget: float) -> InducingProcess:
        rest = (self.rest + (nugget - self.nugget)).clamp(min=1e-10)
        return replace(self, nugget=nugget, rest=rest)

    def given(self, l2: Tensor) -> InducingConditional:
        P = self.basis.T @ (l2[:, None] * self.basis)
        P.diagonal().add_(1.0)
        return InducingConditional(self, l2, cholesky(P))


def posterior_of(
    l1: Tensor, l2: Tensor, mean: Tensor, explained: Tensor, rest: Tensor, factor: Tensor
) -> Posterior:
    """Of ``g = Phi u + rest``, from the mean and variance of Phi u and the factor of u's precision.

    What is left out of Phi u stays as it is in the prior.
    """
    evidence = 0.5 * (l1 @ mean) - factor.diagonal().log().sum()
    expected = l1 @ mean - 0.5 * (l2 @ (explained + mean * mean))
    return Posterior(mean, rest + explained, expected - evidence, evidence - 0.5 * (rest @ l2))


@dataclass(frozen=True)
class InducingConditional:
    """``factor`` is that of the posterior precision of u."""

    process: InducingProcess
    l2: Tensor
    factor: Tensor

    def posterior(self, l1: Tensor) -> Posterior:
        basis, rest = self.process.basis, self.process.rest
        mean = basis @ self._values(l1)
        whitened = torch.linalg.solve_triangular(self.factor, basis.T, upper=False)
        explained = whitened.square().sum(0)
        return posterior_of(l1, self.l2, mean, explained, rest, self.factor)

    def predict(self, places: Tensor, l1: Tensor) -> tuple[Tensor, Tensor]:
        own = self.process
        basis = _whitened(places, own.inducing, own.kernel, own.factor)
        rest = (own.kernel.variance + own.nugget - basis.square().sum(1)).clamp(min=0)
        whitened = torch.linalg.solve_triangular(self.factor, basis.T, upper=False)
        return basis @ self._values(l1), rest + whitened.square().sum(0)

    def project(self, trend: Tensor) -> Tensor:
        basis, weighted = self.process.basis, self.l2[:, None] * trend
        inner = torch.cholesky_solve(basis.T @ weighted, self.factor)
        return weighted - self.l2[:, None] * (basis @ inner)

    def _values(self, l1: Tensor) -> Tensor:
        """Posterior mean of u."""
        return torch.cholesky_solve((self.process.basis.T @ l1)[:, None], self.factor)[:, 0]


def _whitened(places: Tensor, inducing: Tensor, kernel: Kernel, factor: Tensor) -> Tensor:
    """Phi at given places, (n, M)."""
    between = kernel(inducing, places)
    return torch.linalg.solve_triangular(factor, between, upper=False).T.contiguous()

"""Gaussian processes under Gaussian sites: posterior, divergence and evidence.

A factor is ``f = mean + g`` with ``g ~ GP(0, k)`` and a nugget. What the data say of it is written as
sites ``exp(l1 g - l2 g^2 / 2)`` at every place, so that everything here has a closed form (Rasmussen
and Williams 2006, chapter 3; Khan and Lin 2017, Conjugate-computation variational inference).
"""

from __future__ import annotations

from dataclasses import dataclass
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


class Process(Protocol):
    """A prior over one factor at N places."""

    def posterior(self, l1: Tensor, l2: Tensor) -> Posterior:
        """Under sites (N,), (N,)."""
        ...

    def predict(self, places: Tensor, l1: Tensor, l2: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of g at new places, (n,), without the nugget's noise."""
        ...

    def project(self, l2: Tensor, trend: Tensor) -> Tensor:
        """``(K + 1 / l2)^-1 trend`` for columns of a trend, (N, p)."""
        ...


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

    @classmethod
    def of(cls, places: Tensor, kernel: Kernel, nugget: float) -> ExactProcess:
        covariance = kernel(places, places)
        covariance.diagonal().add_(nugget)
        return cls(places, kernel, nugget, covariance)

    def _factor(self, l2: Tensor) -> tuple[Tensor, Tensor]:
        """``sqrt(l2)`` and the factor of ``B = 1 + sqrt(l2) K sqrt(l2)``."""
        root = l2.sqrt()
        B = root[:, None] * self.covariance * root
        B.diagonal().add_(1.0)
        return root, cholesky(B)

    def posterior(self, l1: Tensor, l2: Tensor) -> Posterior:
        root, factor = self._factor(l2)
        precision = torch.cholesky_inverse(factor)  # of B
        pulled = self.covariance @ l1
        mean = pulled - self.covariance @ (root * (precision @ (root * pulled)))
        variance = ((1.0 - precision.diagonal()) / l2).clamp(min=1e-12)
        evidence = 0.5 * (l1 @ mean) - factor.diagonal().log().sum()
        expected = l1 @ mean - 0.5 * (l2 @ (variance + mean * mean))
        return Posterior(mean, variance, expected - evidence, evidence)

    def predict(self, places: Tensor, l1: Tensor, l2: Tensor) -> tuple[Tensor, Tensor]:
        root, factor = self._factor(l2)
        between = self.kernel(self.places, places)
        pulled = self.covariance @ l1
        inner = torch.cholesky_solve((root * pulled)[:, None], factor)[:, 0]
        mean = between.T @ (l1 - root * inner)
        whitened = torch.linalg.solve_triangular(factor, root[:, None] * between, upper=False)
        return mean, (self.kernel.variance + self.nugget - whitened.square().sum(0)).clamp(min=0)

    def project(self, l2: Tensor, trend: Tensor) -> Tensor:
        root, factor = self._factor(l2)
        return root[:, None] * torch.cholesky_solve(root[:, None] * trend, factor)


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

    @classmethod
    def of(
        cls, places: Tensor, inducing: Tensor, kernel: Kernel, nugget: float
    ) -> InducingProcess:
        covariance = kernel(inducing, inducing)
        scale = float(kernel.variance.detach())
        covariance.diagonal().add_(JITTER * scale)
        factor = cholesky(covariance, scale)
        basis = _whitened(places, inducing, kernel, factor)
        rest = (kernel.variance + nugget - basis.square().sum(1)).clamp(min=1e-10)
        return cls(inducing, kernel, nugget, factor, basis, rest)

    def _precision(self, l2: Tensor) -> Tensor:
        """Factor of the posterior precision of u."""
        P = self.basis.T @ (l2[:, None] * self.basis)
        P.diagonal().add_(1.0)
        return cholesky(P)

    def posterior(self, l1: Tensor, l2: Tensor) -> Posterior:
        factor = self._precision(l2)
        u = torch.cholesky_solve((self.basis.T @ l1)[:, None], factor)[:, 0]
        mean = self.basis @ u
        whitened = torch.linalg.solve_triangular(factor, self.basis.T, upper=False)
        explained = whitened.square().sum(0)
        evidence = 0.5 * (l1 @ mean) - factor.diagonal().log().sum()
        expected = l1 @ mean - 0.5 * (l2 @ (explained + mean * mean))
        lost = 0.5 * (self.rest @ l2)
        return Posterior(mean, self.rest + explained, expected - evidence, evidence - lost)

    def predict(self, places: Tensor, l1: Tensor, l2: Tensor) -> tuple[Tensor, Tensor]:
        factor = self._precision(l2)
        u = torch.cholesky_solve((self.basis.T @ l1)[:, None], factor)
        basis = _whitened(places, self.inducing, self.kernel, self.factor)
        rest = (self.kernel.variance + self.nugget - basis.square().sum(1)).clamp(min=0)
        whitened = torch.linalg.solve_triangular(factor, basis.T, upper=False)
        return (basis @ u)[:, 0], rest + whitened.square().sum(0)

    def project(self, l2: Tensor, trend: Tensor) -> Tensor:
        weighted = l2[:, None] * trend
        inner = torch.cholesky_solve(self.basis.T @ weighted, self._precision(l2))
        return weighted - l2[:, None] * (self.basis @ inner)


def _whitened(places: Tensor, inducing: Tensor, kernel: Kernel, factor: Tensor) -> Tensor:
    """Phi at given places, (n, M)."""
    between = kernel(inducing, places)
    return torch.linalg.solve_triangular(factor, between, upper=False).T.contiguous()

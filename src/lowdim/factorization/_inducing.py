"""Gaussian processes that are known through their values at M inducing points."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lowdim.factorization._processes import Posterior, cholesky
from lowdim.factorization._tables import row_chunks, sums
from lowdim.kernels import Kernel

#: Diagonal that makes covariances of inducing points positive definite, relative to the variance.
JITTER = 1e-6


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
    jitter : float
        Share of the variance that was added to the diagonal of K_zz.
    """

    inducing: Tensor
    kernel: Kernel
    nugget: float
    factor: Tensor
    basis: Tensor
    rest: Tensor
    jitter: float = JITTER
    exact = False

    @classmethod
    def of(cls, places: Tensor, inducing: Tensor, kernel: Kernel, nugget: float) -> InducingProcess:
        factor, jitter = cholesky(kernel(inducing, inducing), JITTER)
        basis = _whitened(places, inducing, kernel, factor)
        rest = (kernel.variance + nugget - _squares(basis)).clamp(min=1e-10)
        return cls(inducing, kernel, nugget, factor, basis, rest, jitter)

    @property
    def size(self) -> int:
        return 2 * self.factor.numel() + 8 * len(self.basis)

    def with_nugget(self, nugget: float) -> InducingProcess:
        rest = (self.rest + (nugget - self.nugget)).clamp(min=1e-10)
        return replace(self, nugget=nugget, rest=rest)

    def given(self, l2: Tensor) -> InducingConditional:
        P = sums([self.basis, self.basis], l2.T).movedim(-1, 0).contiguous()
        P.diagonal(dim1=1, dim2=2).add_(1.0)
        factor, jitter = cholesky(P)
        return InducingConditional(self, l2, factor, max(jitter, self.jitter))


@dataclass(frozen=True)
class InducingConditional:
    """``factor`` is that of the posterior precision of u, (B, M, M)."""

    process: InducingProcess
    l2: Tensor
    factor: Tensor
    jitter: float

    def posterior(self, l1: Tensor) -> Posterior:
        basis, rest = self.process.basis, self.process.rest
        mean = self._values(l1) @ basis.T
        return posterior_of(l1, self.l2, mean, self._explained(basis), rest, self.factor)

    def predict(self, places: Tensor, l1: Tensor) -> tuple[Tensor, Tensor]:
        own, values = self.process, self._values(l1)
        mean = l1.new_empty((len(l1), len(places)))
        variance = torch.empty_like(mean)
        for rows in row_chunks(len(places), values.numel(), l1.device):
            basis = _whitened(places[rows], own.inducing, own.kernel, own.factor)
            rest = (own.kernel.variance + own.nugget - _squares(basis)).clamp(min=0)
            mean[:, rows], variance[:, rows] = values @ basis.T, rest + self._explained(basis)
        return mean, variance

    def project(self, trend: Tensor) -> Tensor:
        basis, weighted = self.process.basis, self.l2[..., None] * trend
        inner = torch.cholesky_solve(basis.T @ weighted, self.factor)
        return weighted - self.l2[..., None] * (basis @ inner)

    def _values(self, l1: Tensor) -> Tensor:
        """Posterior means of u, (B, M)."""
        pulled = l1 @ self.process.basis
        return torch.cholesky_solve(pulled[..., None], self.factor)[..., 0]

    def _explained(self, basis: Tensor) -> Tensor:
        """Variances of ``basis u``, (B, n)."""
        explained = basis.new_empty((len(self.factor), len(basis)))
        for rows in row_chunks(len(basis), explained.shape[0] * basis.shape[1], basis.device):
            whitened = torch.linalg.solve_triangular(self.factor, basis[rows].T, upper=False)
            explained[:, rows] = whitened.square_().sum(1)
        return explained


def posterior_of(
    l1: Tensor, l2: Tensor, mean: Tensor, explained: Tensor, rest: Tensor, factor: Tensor
) -> Posterior:
    """Of ``g = Phi u + rest``, from the mean and variance of Phi u and the factor of u's precision.

    What is left out of Phi u stays as it is in the prior.
    """
    log_det = factor.diagonal(dim1=1, dim2=2).log().sum(1)
    evidence = 0.5 * (l1 * mean).sum(1) - log_det
    expected = (l1 * mean - 0.5 * l2 * (explained + mean * mean)).sum(1)
    return Posterior(mean, rest + explained, expected - evidence, evidence - 0.5 * (l2 @ rest))


def _squares(rows: Tensor) -> Tensor:
    """Squared lengths of rows."""
    return torch.linalg.vector_norm(rows, dim=-1).square()


def _whitened(places: Tensor, inducing: Tensor, kernel: Kernel, factor: Tensor) -> Tensor:
    """Phi at given places, (n, M)."""
    basis = places.new_empty((len(places), len(inducing)))
    for rows in row_chunks(len(places), len(inducing), places.device):
        between = kernel(inducing, places[rows])
        basis[rows] = torch.linalg.solve_triangular(factor, between, upper=False).T
    return basis

"""Gaussian processes under Gaussian sites: what the kinds of them have in common.

A factor is ``f = trend + g`` with ``g ~ GP(0, k)`` and a nugget. What the data say of it is written
as sites ``exp(l1 g - l2 g^2 / 2)`` at every place, so that everything here has a closed form
(Rasmussen and Williams 2006, chapter 3; Khan and Lin 2017, Conjugate-computation variational
inference). Factors that share a prior are worked on together: they lead every tensor, (B, ...).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from lowdim.kernels import Kernel

#: Share of its mean that the diagonal of a matrix grows by where rounding made it indefinite.
LEAST_JITTER, MOST_JITTER = 1e-12, 1e-3
#: Values that factors worked on together may take: on the CPU what its caches hold, beyond which
#: one at a time is faster; elsewhere what keeps a GPU busy.
BATCH_VALUES, BATCH_VALUES_GPU = 2**20, 2**26


@dataclass(frozen=True)
class Posterior:
    """The processes of B factors under their sites.

    Attributes
    ----------
    mean, variance : (B, N)
        Of g at the places.
    divergence : (B,)
        KL from the prior.
    evidence : (B,)
        ``log E_prior prod exp(l1 g - l2 g^2 / 2)``.
    """

    mean: Tensor
    variance: Tensor
    divergence: Tensor
    evidence: Tensor


class Conditional(Protocol):
    """The processes of B factors whose sites have known precisions, l2; their l1 may still vary.

    Attributes
    ----------
    jitter : float
        Share of the variance that had to be added to the diagonal of a covariance.
    """

    @property
    def jitter(self) -> float: ...

    def posterior(self, l1: Tensor) -> Posterior:
        """Under sites with this l1, (B, N)."""
        ...

    def predict(self, places: Tensor, l1: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of g at new places, (B, n) each, the nugget included."""
        ...

    def project(self, trend: Tensor) -> Tensor:
        """``(K + 1 / l2)^-1 trend`` for the columns of a trend, (N, p): (B, N, p)."""
        ...


class Process(Protocol):
    """A prior over factors at N places.

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

    @property
    def size(self) -> int:
        """Values that one factor takes while it is worked on."""
        ...

    def given(self, l2: Tensor) -> Conditional:
        """With sites of these precisions, (B, N)."""
        ...

    def with_nugget(self, nugget: float) -> Process:
        """The same with another nugget."""
        ...


def alike(first: Process, second: Process) -> bool:
    """Whether two processes of one fit are the same prior."""
    if first is second:
        return True
    same_scale = torch.equal(first.kernel.length_scale, second.kernel.length_scale)
    return same_scale and first.nugget == second.nugget


def grouped(
    processes: Sequence[Process], factors: Iterable[int]
) -> Iterator[tuple[Process, list[int]]]:
    """Factors that share a prior, as many at once as memory should hold."""
    left = list(factors)
    while left:
        process = processes[left[0]]
        same = [j for j in left if alike(processes[j], process)]
        left = [j for j in left if j not in same]
        for batch in batches(process, same):
            yield process, batch


def batches(process: Process, factors: Sequence[int]) -> Iterator[list[int]]:
    """Factors of one prior, as many at once as memory should hold."""
    on_cpu = process.kernel.length_scale.device.type == "cpu"
    most = max(1, (BATCH_VALUES if on_cpu else BATCH_VALUES_GPU) // process.size)
    for start in range(0, len(factors), most):
        yield list(factors[start : start + most])


def cholesky(matrix: Tensor, jitter: float = 0.0) -> tuple[Tensor, float]:
    """Lower factors of matrices, (..., M, M), and the share of their diagonals that was added.

    Where rounding made a matrix indefinite its diagonal grows, from this share or a tiny one on.

    Raises
    ------
    ValueError
        A matrix is not finite, or indefinite beyond rounding.
    """
    factor, bad = _attempt(matrix, jitter)
    while bool(bad.any()):
        jitter = max(10 * jitter, LEAST_JITTER)
        if jitter > MOST_JITTER:
            raise ValueError(
                "A covariance matrix is not positive definite. A larger nugget may help, or fewer "
                "inducing points that lie further apart."
            )
        again, still = _attempt(matrix[bad], jitter)
        factor[bad] = again
        bad[bad.clone()] = still
    return factor, jitter


def _attempt(matrix: Tensor, jitter: float) -> tuple[Tensor, Tensor]:
    """Lower factors, and which could not be had."""
    if jitter:
        matrix = matrix.clone()
        diagonal = matrix.diagonal(dim1=-2, dim2=-1)
        diagonal += jitter * diagonal.mean(-1, keepdim=True)
    factor, failed = torch.linalg.cholesky_ex(matrix)
    return factor, (failed > 0) | ~torch.isfinite(factor[..., -1, -1])

"""Gaussian processes in Hilbert space: sines over a box, for any number of places.

``g = Phi u + rest`` with ``u ~ N(0, I)``. The columns of Phi are eigenfunctions of the Laplacian on
a box around the places, ``prod_k sin(j_k theta_k) / sqrt(b_k)`` with ``theta_k`` from 0 to pi along
axis k, times the root of the kernel's spectral density at their frequencies (Solin and Sarkka 2020,
Hilbert space methods for reduced-rank Gaussian process regression).

A product of two such functions is a sum of cosines, ``2 sin(a t) sin(b t) = cos((a - b) t) -
cos((a + b) t)``. So the M x M matrix ``Phi' diag(l2) Phi`` follows from about 2^D M sums over the
places, and all variances ``diag(Phi S Phi')`` from as many coefficients: both cost O(N M) where
other bases need O(N M^2), and no N x M matrix is ever made.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lowdim.factorization._inducing import posterior_of
from lowdim.factorization._processes import Posterior, cholesky
from lowdim.factorization._tables import sums, values
from lowdim.kernels import Kernel

#: The box reaches so many length scales beyond the outermost places: the process is zero at walls.
MARGIN = 1.75
#: Frequencies that are kept, in units of one over the length scale, unless functions are too many.
HIGHEST = 7.0
#: Functions at most, unless the caller says.
MOST_FUNCTIONS = 1024
#: Coordinates at most: functions multiply with every axis.
MOST_AXES = 3


@dataclass(frozen=True)
class Box:
    """Where the functions live.

    Attributes
    ----------
    centre, half : (D,)
        Its middle, and b: half its sides.
    counts : tuple of int
        Functions along every axis.
    """

    centre: Tensor
    half: Tensor
    counts: tuple[int, ...]

    @classmethod
    def around(cls, places: Tensor, kernel: Kernel, n_functions: int) -> Box:
        """With a margin for the kernel, and frequencies to match its length scales."""
        low, high = places.amin(0), places.amax(0)
        scale = kernel.length_scale.expand(places.shape[1])
        half = 0.5 * (high - low) + MARGIN * scale
        per_frequency = 2 / math.pi * half / scale
        affordable = (n_functions / float(per_frequency.prod())) ** (1 / len(half))
        counts = (min(HIGHEST, affordable) * per_frequency).int().clamp(min=1).tolist()
        return cls(0.5 * (low + high), half, tuple(counts))

    def frequencies(self) -> Tensor:
        """Of every function along every axis, (M, D)."""
        axes = [
            math.pi / (2 * b) * torch.arange(1, m + 1, device=b.device, dtype=b.dtype)
            for m, b in zip(self.counts, self.half, strict=True)
        ]
        return torch.cartesian_prod(*axes).reshape(-1, len(axes))

    def tables(self, places: Tensor) -> Tables:
        """Sines and cosines at given places; they are zero outside the box."""
        angle = math.pi / 2 * ((places - self.centre) / self.half + 1)
        inside = ((angle >= 0) & (angle <= math.pi)).all(1)[:, None]
        sines, cosines = [], []
        for k, m in enumerate(self.counts):
            along = angle[:, k, None] * torch.arange(2 * m + 1, device=angle.device)
            sines.append(torch.sin(along[:, 1 : m + 1]) / self.half[k].sqrt() * inside)
            cosines.append(torch.cos(along) * inside)
        return Tables(sines, cosines)


@dataclass(frozen=True)
class Functions:
    """The M columns of Phi, and sums over places that need only their factors along the axes.

    Attributes
    ----------
    box : Box
    root : (M,)
        Of the prior variances of the functions' coefficients.
    """

    box: Box
    root: Tensor

    @classmethod
    def of(cls, box: Box, kernel: Kernel) -> Functions:
        return cls(box, kernel.spectral_density(box.frequencies()).sqrt())

    @property
    def _scale(self) -> Tensor:
        """Of products of two functions as sums of cosines."""
        return 1 / (2 * self.box.half).prod()

    def pulled(self, tables: Tables, columns: Tensor) -> Tensor:
        """``Phi' columns``, (M, c)."""
        return self.root[:, None] * sums(tables.sines, columns).reshape(len(self.root), -1)

    def pushed(self, tables: Tables, columns: Tensor) -> Tensor:
        """``Phi columns``, (N, c)."""
        scaled = self.root[:, None] * columns
        return values(tables.sines, scaled.reshape(*self.box.counts, -1))

    def gram(self, tables: Tables, weights: Tensor) -> Tensor:
        """``Phi' diag(weights) Phi`` for weights (B, N): (B, M, M)."""
        counts = self.box.counts
        D, M = len(counts), len(self.root)
        paired = sums(tables.cosines, weights.T).movedim(-1, 0) * self._scale
        for m in counts:  # the front axis behind the batch goes to the end
            j = torch.arange(1, m + 1, device=weights.device)
            pairs = paired[:, (j[:, None] - j).abs()] - paired[:, j[:, None] + j]
            paired = pairs.flatten(1, 2).movedim(1, -1)
        order = [0, *range(1, 2 * D + 1, 2), *range(2, 2 * D + 1, 2)]
        full = paired.reshape(-1, *(m for m in counts for _ in range(2))).permute(order)
        return (self.root[:, None] * full.reshape(-1, M, M)).mul_(self.root)

    def variances(self, tables: Tables, covariance: Tensor) -> Tensor:
        """``diag(Phi covariance Phi')`` for covariances (B, M, M): (B, N)."""
        counts = self.box.counts
        D = len(counts)
        order = [0, *(1 + axis for k in range(D) for axis in (k, D + k))]
        full = (self.root[:, None] * covariance).mul_(self.root * self._scale)
        paired = full.reshape(-1, *counts, *counts).permute(order)
        paired = paired.reshape(-1, *(m * m for m in counts))
        for m in counts:
            pairs = paired.reshape(len(paired), m, m, -1)
            added, differences = _antidiagonals(pairs), _antidiagonals(pairs.flip(1))
            cosines = added.new_zeros((len(paired), 2 * m + 1, added.shape[2]))
            cosines[:, :m] = differences[:, m - 1 :]
            cosines[:, 1:m] += differences[:, : m - 1].flip(1)
            cosines[:, 2:] -= added
            paired = cosines.reshape(*cosines.shape[:2], *paired.shape[2:]).movedim(1, -1)
        return values(tables.cosines, paired.movedim(0, -1)).T

    def prior_variances(self, tables: Tables) -> Tensor:
        """``diag(Phi Phi')``, (N,)."""
        return self.variances(tables, torch.eye(len(self.root)).to(self.root)[None])[0]


@dataclass(frozen=True)
class Tables:
    """Functions at N places, axis by axis: (N, m) sines, and (N, 2 m + 1) cosines."""

    sines: list[Tensor]
    cosines: list[Tensor]


@dataclass(frozen=True)
class HilbertProcess:
    """A process that is a sum of M sines.

    Attributes
    ----------
    functions : Functions
        With the roots of their coefficients' prior variances.
    kernel : Kernel
    nugget : float
    tables : Tables
        At the N places.
    rest : (N,)
        Variance that the functions do not explain, nugget included.
    """

    functions: Functions
    kernel: Kernel
    nugget: float
    tables: Tables
    rest: Tensor
    exact = False

    @classmethod
    def of(
        cls, places: Tensor, kernel: Kernel, nugget: float, n_functions: int = MOST_FUNCTIONS
    ) -> HilbertProcess:
        functions = Functions.of(Box.around(places, kernel, n_functions), kernel)
        tables = functions.box.tables(places)
        rest = kernel.variance + nugget - functions.prior_variances(tables)
        return cls(functions, kernel, nugget, tables, rest.clamp(min=1e-10))

    @property
    def size(self) -> int:
        return 4 * len(self.functions.root) ** 2 + 8 * len(self.rest)

    def with_nugget(self, nugget: float) -> HilbertProcess:
        rest = (self.rest + (nugget - self.nugget)).clamp(min=1e-10)
        return replace(self, nugget=nugget, rest=rest)

    def given(self, l2: Tensor) -> HilbertConditional:
        P = self.functions.gram(self.tables, l2)
        P.diagonal(dim1=1, dim2=2).add_(1.0)
        return HilbertConditional(self, l2, *cholesky(P))


@dataclass(frozen=True)
class HilbertConditional:
    """``factor`` is that of the posterior precision of u, (B, M, M)."""

    process: HilbertProcess
    l2: Tensor
    factor: Tensor
    jitter: float

    def posterior(self, l1: Tensor) -> Posterior:
        own = self.process
        mean, explained = self._at(own.tables, l1)
        return posterior_of(l1, self.l2, mean, explained, own.rest, self.factor)

    def predict(self, places: Tensor, l1: Tensor) -> tuple[Tensor, Tensor]:
        own = self.process
        tables = own.functions.box.tables(places)
        mean, explained = self._at(tables, l1)
        rest = own.kernel.variance + own.nugget - own.functions.prior_variances(tables)
        return mean, rest.clamp(min=0) + explained

    def project(self, trend: Tensor) -> Tensor:
        functions, tables = self.process.functions, self.process.tables
        weighted = self.l2.T[..., None] * trend[:, None]  # (N, B, p)
        pulled = functions.pulled(tables, weighted.flatten(1))
        pulled = pulled.reshape(-1, *weighted.shape[1:]).movedim(1, 0)
        inner = torch.cholesky_solve(pulled, self.factor).movedim(0, 1)
        explained = functions.pushed(tables, inner.flatten(1)).reshape(weighted.shape)
        return (weighted - self.l2.T[..., None] * explained).movedim(1, 0)

    def _at(self, tables: Tables, l1: Tensor) -> tuple[Tensor, Tensor]:
        """Mean at some places, and the variance that the functions leave there."""
        functions = self.process.functions
        pulled = functions.pulled(self.process.tables, l1.T)
        inner = torch.cholesky_solve(pulled.T[..., None], self.factor)[..., 0]
        mean = functions.pushed(tables, inner.T).T
        return mean, functions.variances(tables, torch.cholesky_inverse(self.factor))


def _antidiagonals(matrices: Tensor) -> Tensor:
    """Sums over a + b = 0, 1, ... of matrices (B, m, m, r), (B, 2 m - 1, r)."""
    B, m, _, r = matrices.shape
    padded = torch.cat([matrices, torch.zeros_like(matrices)], 2).reshape(B, 2 * m * m, r)
    moved = padded[:, : m * (2 * m - 1)].reshape(B, m, 2 * m - 1, r)  # row a by a
    return moved.sum(1)

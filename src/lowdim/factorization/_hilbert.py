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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import torch
from torch import Tensor

from lowdim.factorization._processes import Posterior, cholesky, posterior_of
from lowdim.kernels import Kernel

#: The box reaches so many length scales beyond the outermost places: the process is zero at walls.
MARGIN = 1.75
#: Frequencies that are kept, in units of one over the length scale, unless functions are too many.
HIGHEST = 7.0
#: Functions at most, unless the caller says.
MOST_FUNCTIONS = 1024
#: Coordinates at most: functions multiply with every axis.
MOST_AXES = 3
#: Values of rows' tables that are worked on at once.
CHUNK_VALUES = 2**18


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
        sums = _sums(tables.sines, columns)
        return self.root[:, None] * sums.reshape(len(self.root), -1)

    def pushed(self, tables: Tables, columns: Tensor) -> Tensor:
        """``Phi columns``, (N, c)."""
        scaled = self.root[:, None] * columns
        return _values(tables.sines, scaled.reshape(*self.box.counts, -1))

    def gram(self, tables: Tables, weights: Tensor) -> Tensor:
        """``Phi' diag(weights) Phi``, (M, M)."""
        counts = self.box.counts
        D, M = len(counts), len(self.root)
        paired = _sums(tables.cosines, weights[:, None])[..., 0] * self._scale
        for m in counts:  # the front axis goes to the end
            j = torch.arange(1, m + 1, device=weights.device)
            pairs = paired[(j[:, None] - j).abs()] - paired[j[:, None] + j]
            paired = pairs.flatten(0, 1).movedim(0, -1)
        order = [*range(0, 2 * D, 2), *range(1, 2 * D, 2)]
        full = paired.reshape([m for m in counts for _ in range(2)]).permute(order)
        return self.root[:, None] * full.reshape(M, M) * self.root

    def variances(self, tables: Tables, covariance: Tensor) -> Tensor:
        """``diag(Phi covariance Phi')``, (N,)."""
        counts = self.box.counts
        D = len(counts)
        order = [axis for k in range(D) for axis in (k, D + k)]
        full = self.root[:, None] * covariance * self.root * self._scale
        paired = full.reshape(counts * 2).permute(order).reshape([m * m for m in counts])
        for m in counts:
            pairs = paired.reshape(m, m, -1)
            sums, differences = _antidiagonals(pairs), _antidiagonals(pairs.flip(0))
            cosines = sums.new_zeros((2 * m + 1, sums.shape[1]))
            cosines[:m] = differences[m - 1 :]
            cosines[1:m] += differences[: m - 1].flip(0)
            cosines[2:] -= sums
            paired = cosines.reshape(-1, *paired.shape[1:]).movedim(0, -1)
        return _values(tables.cosines, paired[..., None])[:, 0]

    def prior_variances(self, tables: Tables) -> Tensor:
        """``diag(Phi Phi')``, (N,)."""
        return self.variances(tables, torch.eye(len(self.root)).to(self.root))


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

    def with_nugget(self, nugget: float) -> HilbertProcess:
        rest = (self.rest + (nugget - self.nugget)).clamp(min=1e-10)
        return replace(self, nugget=nugget, rest=rest)

    def given(self, l2: Tensor) -> HilbertConditional:
        P = self.functions.gram(self.tables, l2)
        P.diagonal().add_(1.0)
        return HilbertConditional(self, l2, cholesky(P))


@dataclass(frozen=True)
class HilbertConditional:
    """``factor`` is that of the posterior precision of u."""

    process: HilbertProcess
    l2: Tensor
    factor: Tensor

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
        weighted = self.l2[:, None] * trend
        inner = torch.cholesky_solve(functions.pulled(tables, weighted), self.factor)
        return weighted - self.l2[:, None] * functions.pushed(tables, inner)

    def _at(self, tables: Tables, l1: Tensor) -> tuple[Tensor, Tensor]:
        """Mean at some places, and the variance that the functions leave there."""
        functions = self.process.functions
        pulled = functions.pulled(self.process.tables, l1[:, None])
        mean = functions.pushed(tables, torch.cholesky_solve(pulled, self.factor))[:, 0]
        return mean, functions.variances(tables, torch.cholesky_inverse(self.factor))


def _antidiagonals(matrices: Tensor) -> Tensor:
    """Sums over a + b = 0, 1, ... of matrices (m, m, r), (2 m - 1, r)."""
    m, _, r = matrices.shape
    padded = torch.cat([matrices, torch.zeros_like(matrices)], 1).reshape(2 * m * m, r)
    return padded[: m * (2 * m - 1)].reshape(m, 2 * m - 1, r).sum(0)  # row a moved by a


def _chunks(tables: Sequence[Tensor], n_columns: int) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Rows, their table for the first axis, and products over the others, (n, ...)."""
    first, *others = tables
    width = first.shape[1] + n_columns * math.prod(table.shape[1] for table in others)
    step = max(1, CHUNK_VALUES // width)
    for start in range(0, len(first), step):
        rows = slice(start, min(start + step, len(first)))
        if others:
            yield rows, first[rows], reduce(_row_products, [table[rows] for table in others])
        else:
            yield rows, first[rows], first.new_ones((rows.stop - start, 1))


def _row_products(first: Tensor, second: Tensor) -> Tensor:
    """Row by row all products of two tables, (n, p q)."""
    return (first[:, :, None] * second[:, None, :]).flatten(1)


def _sums(tables: Sequence[Tensor], columns: Tensor) -> Tensor:
    """``sum_i prod_k table_k[i, p_k] columns[i, c]`` for all p and c."""
    n_columns, counts = columns.shape[1], [table.shape[1] for table in tables]
    total = columns.new_zeros((counts[0], n_columns * math.prod(counts[1:])))
    for rows, first, others in _chunks(tables, n_columns):
        total += first.T @ _row_products(columns[rows], others)
    return total.reshape(counts[0], n_columns, *counts[1:]).movedim(1, -1)


def _values(tables: Sequence[Tensor], coefficients: Tensor) -> Tensor:
    """``sum_p prod_k table_k[i, p_k] coefficients[p, c]`` for all rows i and columns c."""
    n_columns = coefficients.shape[-1]
    matrix = coefficients.movedim(-1, 1).flatten(1)
    values = matrix.new_empty((len(tables[0]), n_columns))
    for rows, first, others in _chunks(tables, n_columns):
        inner = (first @ matrix).reshape(len(first), n_columns, -1)
        values[rows] = torch.linalg.vecdot(inner, others[:, None])
    return values

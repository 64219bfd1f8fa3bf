"""Kernels of rows with landmarks on a device, block by block, and leading axes in their space."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lowdim._device import to_device, to_host
from lowdim.data.blocks import DenseBlock
from lowdim.data.sending import sent
from lowdim.data.sources import RowSource
from lowdim.data.standardized import StandardizedRows, default_block_rows
from lowdim.embedding._spectral.device_basis import DeviceBasis
from lowdim.math.block_lanczos import largest_basis, leading_values

#: Values of a kernel that are made at a time.
VALUES = 2**26
#: Largest residual of eigenvectors, relative to the largest eigenvalue, and products at most.
TOL, PRODUCTS = 1e-12, 10_000


class KernelForm(NamedTuple):
    """What a kernel is, by the parameters of `KernelPCA`."""

    kind: str
    gamma: float
    degree: int
    coef0: float


class DeviceKernel:
    """A kernel with some rows, the landmarks, float64.

    Parameters
    ----------
    form : KernelForm
    landmarks : RowSource
        Of L rows.
    index : (L,)
        Their columns in a kernel that is given.
    device : torch.device
    """

    def __init__(
        self, form: KernelForm, landmarks: RowSource, index: np.ndarray, device: torch.device
    ) -> None:
        self.form, self.device, self.n_landmarks = form, device, len(index)
        self._index = sent(index, device)
        self._landmarks = torch.cat(list(self._rows(landmarks)))
        if form.kind == "cosine":
            self._landmarks = _unit(self._landmarks)

    def square(self) -> Tensor:
        """The kernel of the landmarks with each other, (L, L)."""
        return self._of(self._landmarks)

    def blocks(self, source: RowSource) -> Iterator[Tensor]:
        """The kernel of all rows, in pieces, (n, L)."""
        for rows in self._rows(source):
            yield self._of(rows)

    def coordinates(
        self, source: RowSource, projection: np.ndarray, shift: np.ndarray
    ) -> np.ndarray:
        """The kernel of rows times a projection, (L, c), less a shift, (c,), as (N, c)."""
        along, off = sent(projection, self.device), sent(shift, self.device)
        return np.concatenate([to_host(block @ along - off)[0] for block in self.blocks(source)])

    def _rows(self, source: RowSource) -> Iterator[Tensor]:
        """Rows as they are, (n, D), float64."""
        step = min(default_block_rows(source, self.device), max(1, VALUES // self.n_landmarks))
        rows = StandardizedRows(
            source,
            device=self.device,
            dtype=torch.float64,
            block_rows=step,
            moments=(np.zeros(source.n_cols), 1.0),
        )
        for block in rows:
            yield (
                block.values
                if isinstance(block, DenseBlock)
                else block.dense(np.arange(block.n_rows))
            )

    def _of(self, rows: Tensor) -> Tensor:
        kind, gamma, degree, coef0 = self.form
        if kind == "precomputed":
            return rows.index_select(1, self._index)
        if kind == "cosine":
            rows = _unit(rows)
        products = rows @ self._landmarks.T
        if kind == "poly":
            return products.mul_(gamma).add_(coef0).pow_(degree)
        if kind == "rbf":
            lengths = [own.square().sum(1) for own in (rows, self._landmarks)]
            squares = products.mul_(-2.0).add_(lengths[0][:, None]).add_(lengths[1])
            return squares.clamp_(min=0.0).mul_(-gamma).exp_()
        return products


def _unit(rows: Tensor) -> Tensor:
    """Rows of length one; zeros stay."""
    lengths = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    return rows / torch.where(lengths > 0, lengths, 1.0)


class Axes(NamedTuple):
    """Leading axes in the space of a kernel.

    Attributes
    ----------
    values : (k,), falling
    projection : (L, k)
        What takes a row's kernel with the landmarks to its coordinates.
    shift : (k,)
        What is then taken off.
    """

    values: np.ndarray
    projection: Tensor
    shift: Tensor


def axes_of_all(square: Tensor, k: int | None, rng: np.random.Generator) -> Axes:
    """Axes of a kernel of all rows, (N, N): k of them, or all for None."""
    mean = square.mean(0)
    centred = square - mean
    centred -= centred.mean(1, keepdim=True)
    if k is None:
        found, vectors = torch.linalg.eigh(centred)
        values, vectors = to_host(found)[0][::-1].copy(), vectors.flip(1)
    else:
        basis = DeviceBasis(len(mean), largest_basis(len(mean), k), mean.device)
        values = leading_values(
            lambda block: centred @ block, basis, k, rng, tol=TOL, max_iter=PRODUCTS
        )[0]
        vectors = basis.columns
    scales = to_device(np.sqrt(np.maximum(values, np.finfo(float).tiny)), mean.device)
    projection = vectors / scales
    return Axes(values, projection, mean @ projection)


def axes_among(kernel: DeviceKernel, source: RowSource, rank: Callable[[np.ndarray], int]) -> Axes:
    """Axes of the coordinates of all rows in the space that the landmarks span.

    Parameters
    ----------
    kernel : DeviceKernel
    source : RowSource
    rank : callable
        Tells of rising eigenvalues of the landmarks' kernel how many count.
    """
    square = kernel.square()
    found, vectors = torch.linalg.eigh((square + square.T) / 2)
    values = to_host(found)[0]
    r = rank(values)
    to_features = vectors[:, -r:] / found[-r:].sqrt()
    pilot = (square @ to_features).mean(0)  # near the mean of all rows
    total, squares = torch.zeros_like(pilot), pilot.new_zeros((r, r))
    for block in kernel.blocks(source):
        features = block @ to_features - pilot
        total += features.sum(0)
        squares += features.T @ features
    squares -= torch.outer(total, total / source.n_rows)
    found, axes = torch.linalg.eigh(squares)
    mean = pilot + total / source.n_rows
    turned = axes.flip(1)
    return Axes(to_host(found)[0][::-1].copy(), to_features @ turned, mean @ turned)

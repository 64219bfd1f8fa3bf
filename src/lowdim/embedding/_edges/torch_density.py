"""densMAP's part of the loss in torch, for GPUs."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from lowdim._device import to_device
from lowdim.embedding._edges.course import TINY
from lowdim.embedding._edges.radii import FLOOR, standardized
from lowdim.embedding._edges.similarity import LONGEST, Similarity
from lowdim.embedding._torch_rows import RowBlock, row_blocks, squared_lengths


class TorchDensityForce:
    """Moves points so that their local radii go with those of the rows; see `DensityForce`.

    Parameters
    ----------
    radii : (N,)
    rates : CSR, (N, N)
    similarity : Similarity
    strength, shift : float
    first : int
    device : torch.device
    """

    def __init__(
        self,
        radii: np.ndarray,
        rates: sp.csr_matrix,
        similarity: Similarity,
        strength: float,
        shift: float,
        first: int,
        device: torch.device,
    ) -> None:
        self._wanted = to_device(standardized(radii), device)
        self._similarity, self._shift, self._first = similarity, shift, first
        self._weight = strength * float(rates.sum(dtype=np.float64))
        self._blocks = row_blocks(rates.indptr, rates.indices, device)

    def __call__(self, number: int, step: float, Y: Tensor, moved: Tensor) -> None:
        """Move the points, if the epoch is one of those in which it acts."""
        if number < self._first:
            return
        sums = torch.cat([self._sums(Y, block) for block in self._blocks], 1)
        totals = sums[0].clamp_min(1e-30)
        # The logarithm of a radius m / p grows by (v + s v') / p - m v' / p^2 over floor + m / p.
        shares = (self._weight * self._slopes(sums)).float() / (totals * FLOOR + sums[1])
        both = torch.stack([shares, shares * sums[1] / totals])
        for block in self._blocks:
            moved[:, block.rows] += step * self._forces(Y, both, block)

    def _slopes(self, sums: Tensor) -> Tensor:
        """How the correlation grows with the logarithm of each radius, (N,).

        Of ``sum_j v_ij`` and ``sum_j v_ij r_ij^2``, (2, N).
        """
        totals, moments = sums.double()
        now = torch.log(FLOOR + moments / totals.clamp_min(1e-30))
        centred = now - now.mean()
        sigma = torch.sqrt(centred.square().mean() + self._shift)
        covariance = (self._wanted * centred).mean()
        return (self._wanted / sigma - centred * covariance / sigma**3) / len(now)

    def _sums(self, Y: Tensor, block: RowBlock) -> Tensor:
        _, squares, _, v = self._pairs(Y, block)
        return block.sums(torch.stack([v, v * squares]))

    def _forces(self, Y: Tensor, both: Tensor, block: RowBlock) -> Tensor:
        gaps, squares, power, v = self._pairs(Y, block)
        fall = -self._similarity.b * power * v * v  # s v'
        shares, means = block.spread(both).add_(both.index_select(1, block.columns))
        slope = shares * (v + fall) - means * fall / squares
        return block.sums((2 * slope * gaps).clamp_(-LONGEST, LONGEST))

    def _pairs(self, Y: Tensor, block: RowBlock) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Gaps, their squared lengths s, ``a s^b`` and similarities."""
        gaps = block.gaps(Y)
        squares = squared_lengths(gaps).add_(TINY)
        power = self._similarity.a * squares.pow(self._similarity.b)
        return gaps, squares, power, 1 / (1 + power)

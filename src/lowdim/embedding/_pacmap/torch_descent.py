"""The descent of PaCMAP in torch, for GPUs, which no iteration waits for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lowdim._device import to_host
from lowdim.affinities import Pairs
from lowdim.embedding._pacmap.course import (
    BETA_1,
    BETA_2,
    EPSILON,
    OFFSETS,
    PairSteps,
    adam_rate,
    signed,
)
from lowdim.embedding._pacmap.partners import both_ways
from lowdim.embedding._torch_rows import RowBlock, apart, places, row_blocks, squared_lengths


class TorchDescent(PairSteps):
    """Adam on PaCMAP's loss; see `Descent`.

    Parameters
    ----------
    pairs : Pairs
    start : (N, c)
    rate : float
    device : torch.device
    """

    def __init__(
        self, pairs: Pairs, start: np.ndarray, *, rate: float, device: torch.device
    ) -> None:
        super().__init__(pairs)
        self._kinds: list[list[RowBlock]] = []
        for chosen in (pairs.near, pairs.further, pairs.mid_near):
            both = both_ways(chosen)
            self._kinds.append(row_blocks(both.indptr, both.indices, device))
        self._Y = apart(start, device)
        self._means, self._squares = torch.zeros_like(self._Y), torch.zeros_like(self._Y)
        self._rate = rate

    @property
    def layout(self) -> np.ndarray:
        """The layout as it is now, (N, c), float32."""
        return places(self._Y)

    def gradient(self, weights: Sequence[float]) -> Tensor:
        """The gradient of the loss where the layout is now, (c, N), float32."""
        total = torch.zeros_like(self._Y)
        for blocks, weight, offset in zip(self._kinds, signed(weights), OFFSETS, strict=True):
            if weight != 0:
                total += torch.cat([self._forces(own, weight, offset) for own in blocks], 1)
        return total

    def _forces(self, block: RowBlock, weight: np.float32, offset: np.float32) -> Tensor:
        """Gradient of the points of a block by their partners of one kind, (c, n)."""
        gaps = block.gaps(self._Y)
        inverse = squared_lengths(gaps).add_(float(offset)).reciprocal_()
        return block.sums(gaps.mul_(inverse.square_().mul_(float(weight))))

    def _inverse_sums(self) -> np.ndarray:
        Y, sums = self._Y.double(), []
        for blocks, offset in zip(self._kinds, OFFSETS, strict=True):
            squares = (squared_lengths(own.gaps(Y)) for own in blocks)
            each = [own.add_(float(offset)).reciprocal_().sum() for own in squares]
            sums.append(torch.stack(each).sum())
        return to_host(torch.stack(sums))[0]

    def _step(self, weights: Sequence[float], number: int) -> None:
        gradient = self.gradient(weights)
        self._means.lerp_(gradient, 1 - BETA_1)
        self._squares.mul_(BETA_2).addcmul_(gradient, gradient, value=1 - BETA_2)
        step = self._means / (self._squares.sqrt() + EPSILON)
        self._Y = self._Y - adam_rate(self._rate, number) * step

"""Epochs of attraction along edges and repulsion from random points in torch, for GPUs.

What `steps.py` compiles, by the same whole numbers: an edge fires in the same epochs, and a row
meets the same stretch of random points. Powers are torch's, where the compiled ones are polynomials
good to 1e-5.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from lowdim._device import to_device, to_host
from lowdim.embedding._edges.course import TINY
from lowdim.embedding._edges.rates import RATE_BITS, Edges, pool_size
from lowdim.embedding._torch_rows import (
    RowBlock,
    row_blocks,
    spread,
    squared_lengths,
    stretch_sums,
)

_WORD, _FRACTION = 0xFFFFFFFF, (1 << RATE_BITS) - 1
#: Odd numbers that mix bits; the second less 2^32, so that no product leaves 64 bits.
_MIXERS = 0x7FEB352D, 0x846CA68B - (1 << 32)


def drawn(keys: Tensor, number: int, seed: int, n: int) -> Tensor:
    """A number below n for each key, int64, and an epoch: that of the compiled `drawn`."""
    x = _mixed((number * 0x9E3779B9 + seed) & _WORD)
    mixed = _mixed((keys * 0x85EBCA6B + x) & _WORD)
    return (mixed * n) >> 32


def _mixed(x: Any) -> Any:
    """A 32-bit number that looks random, of another."""
    x = ((x ^ (x >> 16)) * _MIXERS[0]) & _WORD
    x = ((x ^ (x >> 15)) * _MIXERS[1]) & _WORD
    return x ^ (x >> 16)


class TorchEpochs:
    """Moves rows again and again, each time by the edges that fire and random points.

    Parameters
    ----------
    edges : Edges
        (m, N): how often those of each row fire.
    order : (N,)
        The random order of all points that attract and repel; random points of a row are a stretch.
    curve : (6,), float32
        As of the compiled `epoch`.
    n_negatives, n_epochs : int
    keys : (m,), int64
        What the random numbers of each row go by.
    seed : int
    device : torch.device
    """

    def __init__(
        self,
        edges: Edges,
        order: np.ndarray,
        curve: np.ndarray,
        *,
        n_negatives: int,
        n_epochs: int,
        keys: np.ndarray,
        seed: int,
        device: torch.device,
    ) -> None:
        indptr, indices, units = edges
        self._n, self._n_negatives, self._seed = len(order), n_negatives, seed
        self._curve = [float(value) for value in curve]
        self._order = to_device(np.resize(order, pool_size(edges, len(order), n_negatives)), device)
        self._keys = to_device(keys, device)
        fires = np.concatenate([[0], np.cumsum(units, dtype=np.int64)])[indptr] >> RATE_BITS
        self.blocks = row_blocks(indptr, indices, device, loads=indptr + n_negatives * fires)
        self.rates = to_device(units.astype(np.int32), device)
        self._phases = torch.cat([_first_phases(block) for block in self.blocks])
        self._sizes = self._counted(n_epochs)
        most = max((max(sizes) for sizes in self._sizes), default=0)
        most *= max(n_negatives, 1)
        self._places = torch.arange(most, dtype=torch.int32, device=device)
        self._number = 0

    def pool(self, reference: Tensor) -> Tensor:
        """Points in the random order, which repeats, (c, m) of (c, N)."""
        return reference.index_select(1, self._order)

    def move(self, step: float, Y: Tensor, reference: Tensor, pool: Tensor) -> Tensor:
        """Where the rows go in the next epoch, (c, m) of (c, m)."""
        first = drawn(self._keys, self._number, self._seed, self._n).int()
        sizes = self._sizes[self._number]
        self._number += 1
        made = []
        for block, size in zip(self.blocks, sizes, strict=True):
            own, fires = Y[:, block.rows], self._fire(block)
            if size:
                counts, edges = self._fired(block, fires, size)
                others = reference.index_select(1, block.columns.index_select(0, edges))
                gaps = spread(own, counts, size).sub_(others)
                force = stretch_sums(pull_of(gaps, self._curve), counts).mul_(self._curve[5])
                force += self._pushes(own, pool, first[block.rows], counts, size)
                own = own + step * force
            made.append(own)
        return torch.cat(made, 1)

    def _fired(self, block: RowBlock, fires: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """How often edges of each row fire, (n,), and which does, `size` times in all."""
        so_far = torch.zeros(len(fires) + 1, dtype=torch.int32, device=fires.device)
        torch.cumsum(fires, 0, dtype=torch.int32, out=so_far[1:])
        ends = torch.cat([so_far.new_zeros(1), block.counts.cumsum(0, dtype=torch.int32)])
        counts = so_far.index_select(0, ends).diff()
        places = self._places[:size]
        return counts, torch.searchsorted(so_far[1:], places, right=True, out_int32=True)

    def _pushes(
        self, own: Tensor, pool: Tensor, first: Tensor, counts: Tensor, size: int
    ) -> Tensor:
        """Forces of random points, from the first one of each row in the pool on, (c, n)."""
        counts, size = counts * self._n_negatives, size * self._n_negatives
        heads = torch.repeat_interleave(counts, output_size=size)
        first = first + counts - counts.cumsum(0, dtype=torch.int32)
        places = first.index_select(0, heads).add_(self._places[:size])
        gaps = own.index_select(1, heads).sub_(pool.index_select(1, places))
        return stretch_sums(push_of(gaps, self._curve), counts)

    def _fire(self, block: RowBlock) -> Tensor:
        """How often each edge of a block fires now, int32; what is left counts from then on."""
        phases = self._phases[block.pairs]
        phases += self.rates[block.pairs]
        fires = phases >> RATE_BITS
        phases &= _FRACTION
        return fires

    def _counted(self, n_epochs: int) -> list[list[int]]:
        """How often edges of each block fire in all epochs to come, asked of the device at once.

        With it an epoch knows how much room it needs, and need not wait to be told.
        """
        if not n_epochs:
            return []
        begun = self._phases.clone()
        fired = [self._fire(block).sum() for _ in range(n_epochs) for block in self.blocks]
        self._phases = begun
        (sizes,) = to_host(torch.stack(fired))
        return list(sizes.reshape(n_epochs, -1).tolist())


def _first_phases(block: RowBlock) -> Tensor:
    """What spreads the edges of a row over epochs, int32, in units of rates."""
    m, starts = len(block.columns), block.counts.cumsum(0) - block.counts
    within = torch.arange(m, device=starts.device) - spread(starts[None], block.counts, m)[0]
    return (within * 0x9E3779 & _FRACTION).int()


def pull_of(gaps: Tensor, curve: list[float]) -> Tensor:
    """Gaps between points, (c, m), turned into the attraction of these pairs, in place."""
    a, b, most = curve[0], curve[1], curve[4]
    squares = squared_lengths(gaps).add_(TINY)
    powers = squares.pow(b).mul_(a)
    factors = powers.div_(squares.mul_(powers + 1)).mul_(-2 * b)
    return gaps.mul_(factors).clamp_(-most, most)


def push_of(gaps: Tensor, curve: list[float]) -> Tensor:
    """The same for repulsion."""
    a, b, strength, softness, most = curve[:5]
    squares = squared_lengths(gaps).add_(TINY)
    factors = squares.pow(b).mul_(a).add_(1).mul_(squares.add_(softness)).reciprocal_()
    return gaps.mul_(factors.mul_(2 * b * strength)).clamp_(-most, most)

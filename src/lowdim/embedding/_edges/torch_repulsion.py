"""Repulsion of random points in torch: the scheme of `SampledRepulsion`, for GPUs."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lowdim._device import to_device
from lowdim.embedding import _torch_rows
from lowdim.embedding._edges.repulsion_sampled import LEAST
from lowdim.embedding._edges.torch_steps import drawn
from lowdim.embedding._torch_rows import squared_lengths


class TorchSampledRepulsion:
    """Repulsion by the logarithm of a sum over random points; see `SampledRepulsion`.

    Parameters
    ----------
    n_negatives : int
        m, at least 2.
    device : torch.device
    rng : Generator
    """

    def __init__(self, n_negatives: int, device: torch.device, rng: np.random.Generator) -> None:
        self._m, self._device = n_negatives, device
        self._rng, self._seed = rng, int(rng.integers(2**32))
        self._places = torch.empty(0, dtype=torch.int64)
        self._calls = 0

    def measure(self, Y: Tensor) -> None:
        """Nothing is laid around the points."""

    def __call__(self, Y: Tensor) -> tuple[Tensor, Tensor]:
        """Forces on the points, (N, d), and what to divide them by."""
        n, m, number = len(Y), self._m, 2 * self._calls
        self._calls += 1
        self._remember(n)
        points = Y.t().contiguous()
        first = drawn(self._keys, number, self._seed, n)
        before = first - 1 - self._rank
        itself = (before + m - 1) // n - before // n
        pool = points.index_select(1, self._places[: n + m - 1])
        parts = [self._weights(points, pool, first, rows) for rows in self._rows(n)]
        sums = (torch.cat(parts) - itself).clamp_min(float(LEAST))
        total = n * (n - 1) / (m - 1) * sums.double().log().mean().exp()
        known = torch.cat([points, sums[None]])
        pool = known.index_select(1, self._places)
        first = drawn(self._keys, number + 1, self._seed, n)
        made = [self._forces(known, pool, first, rows) for rows in self._rows(n)]
        return (torch.cat(made, 1) * (0.5 * total / n).float()).t(), total

    def _remember(self, n: int) -> None:
        """Put n points in a random order, the first time."""
        if len(self._places):
            return
        order = self._rng.permutation(n)
        self._rank = to_device(np.argsort(order), self._device)
        self._places = to_device(np.resize(order, n + self._m), self._device)
        self._keys = torch.arange(n, device=self._device)

    def _rows(self, n: int) -> list[slice]:
        many = max(1, _torch_rows.BLOCK // self._m)
        return [slice(k, min(k + many, n)) for k in range(0, n, many)]

    def _weights(self, points: Tensor, pool: Tensor, first: Tensor, rows: slice) -> Tensor:
        """Sums of the weights of some points and their random ones, (n,)."""
        gaps = points[:, rows, None] - _stretches(pool, first[rows], self._m - 1)
        return squared_lengths(gaps).add_(1).reciprocal_().sum(1)

    def _forces(self, known: Tensor, pool: Tensor, first: Tensor, rows: slice) -> Tensor:
        """Forces on some points, (d, n); what is known has their sums last."""
        others = _stretches(pool, first[rows], self._m)
        gaps = known[:-1, rows, None] - others[:-1]
        w = squared_lengths(gaps).add_(1).reciprocal_()
        shares = w / (w + known[-1, rows, None]) + w / (w + others[-1])
        return gaps.mul_(w.mul_(shares)).sum(2)


def _stretches(pool: Tensor, first: Tensor, m: int) -> Tensor:
    """From each of some first points of a pool, (c, p), on so many, (c, n, m)."""
    return pool.unfold(1, m, 1)[:, first]  # index_select would copy all stretches on the host

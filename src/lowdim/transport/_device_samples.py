"""Weights of samples' components on a device, and pairs of samples in batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from lowdim._device import free_bytes
from lowdim.data.device_rows import RESIDENT
from lowdim.data.sending import sent

#: Numbers that a batch takes at most: on a device, and on the host, whose caches are small.
THERE, HERE = 2**28, 2**22


class Side(NamedTuple):
    """One sample of each of B pairs, which have n components at most.

    Attributes
    ----------
    samples : (B,), on the host
    rows, masses : (B, n)
        Components, and their weights, zero at the end of those with fewer.
    """

    samples: np.ndarray
    rows: Tensor
    masses: Tensor


class Batch(NamedTuple):
    """Pairs that are worked on together.

    Attributes
    ----------
    where : (B,), on the host
        Their places among all.
    first, second : Side
    """

    where: np.ndarray
    first: Side
    second: Side


class DeviceSamples:
    """Weights and components of S samples, those of sample s at ``offsets[s]:offsets[s + 1]``.

    Parameters
    ----------
    weights : (n,)
    offsets : (S + 1,)
    rows : (n,)
        Which of M different components each is.
    device : torch.device
    """

    def __init__(
        self, weights: np.ndarray, offsets: np.ndarray, rows: np.ndarray, device: torch.device
    ) -> None:
        self.device, self.sizes = device, np.diff(offsets)
        numbers = np.arange(self.sizes.max())
        there = numbers < self.sizes[:, None]
        places = np.where(there, offsets[:-1, None] + numbers, 0)
        self._rows = sent(np.where(there, rows[places], 0), device)
        self._masses = sent(np.where(there, weights[places], 0.0), device)
        self._own = sent(np.flatnonzero(there), device)

    def batches(self, pairs: np.ndarray, numbers: int) -> Iterator[Batch]:
        """All pairs, (n, 2), those of large samples first.

        `numbers` are what a pair of components takes.
        """
        room = room_for_numbers(self.device)
        sizes = self.sizes[pairs]
        order = np.argsort(-sizes.max(1), kind="stable")
        start = 0
        while start < len(order):
            most = int(sizes[order[start]].max())
            where = order[start : start + max(1, room // (most * most * numbers))]
            yield Batch(where, *(self._side(pairs[where, side]) for side in (0, 1)))
            start += len(where)

    def _side(self, samples: np.ndarray) -> Side:
        there, most = sent(samples, self.device), int(self.sizes[samples].max())
        return Side(samples, self._rows[there, :most], self._masses[there, :most])

    def sums(self, batch: Batch, first: Tensor, second: Tensor) -> Tensor:
        """What belongs to components, (B, n, p) and (B, m, p), by the components, (M, p).

        For samples that share none.
        """
        S, K = self._rows.shape
        both = torch.cat([pad(own, (0, 0, 0, K - own.shape[1])) for own in (first, second)])
        owners = np.concatenate([batch.first.samples, batch.second.samples])
        order = sent(np.argsort(owners, kind="stable"), self.device)
        counts = sent(np.bincount(owners, minlength=S), self.device)
        ordered = both.flatten(1).index_select(0, order)
        # Checks of the counts would wait for the device.
        of_samples = torch.segment_reduce(ordered, "sum", lengths=counts, axis=0, unsafe=True)
        return of_samples.view(S * K, -1).index_select(0, self._own)


def room_for_numbers(device: torch.device) -> int:
    """Numbers that a batch may take."""
    if device.type == "cpu":
        return HERE
    return min(THERE, int(RESIDENT * free_bytes(device)) // 8)

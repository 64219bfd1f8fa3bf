"""UMAP's and LargeVis's descent in torch, for GPUs, which no epoch waits for."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from lowdim._device import to_device, to_host
from lowdim.embedding._edges.course import (
    LOSS_SAMPLES,
    TINY,
    EdgeSteps,
    Schedule,
    means_of_neighbours,
)
from lowdim.embedding._edges.rates import edges_of, keys_of
from lowdim.embedding._edges.similarity import Similarity
from lowdim.embedding._edges.torch_steps import TorchEpochs
from lowdim.embedding._torch_rows import apart, places, squared_lengths


class TorchDensity(Protocol):
    """Moves points, (c, N), by what a layout's density should be."""

    def __call__(self, number: int, step: float, Y: Tensor, moved: Tensor) -> None: ...


class TorchEdgeDescent(EdgeSteps):
    """Stochastic gradient descent on attraction and repulsion; see `EdgeDescent`.

    Parameters
    ----------
    rates : CSR, (N, N)
        Symmetric; how often each edge fires in an epoch, on average.
    start : (N, c)
        The first layout.
    similarity : Similarity
    schedule : Schedule
    device : torch.device
    rng : Generator
    density : TorchDensity, optional
        What else moves points.
    """

    def __init__(
        self,
        rates: sp.csr_matrix,
        start: np.ndarray,
        similarity: Similarity,
        schedule: Schedule,
        *,
        device: torch.device,
        rng: np.random.Generator,
        density: TorchDensity | None = None,
    ) -> None:
        super().__init__(schedule)
        self._similarity, self._density = similarity, density
        self._Y = apart(start, device)
        order = rng.permutation(len(start))
        self._order = to_device(order, device)
        self._epochs = TorchEpochs(
            edges_of(rates, schedule.n_epochs),
            order,
            similarity.curve(pulls=2.0),
            n_negatives=schedule.n_negatives,
            n_epochs=schedule.n_epochs,
            keys=np.arange(len(start)),
            seed=int(rng.integers(2**32)),
            device=device,
        )

    @property
    def layout(self) -> np.ndarray:
        """The layout as it is now, (N, c), float32."""
        return places(self._Y)

    def _losses(self) -> tuple[float, float, float]:
        Y, v = self._Y.double(), self._similarity
        pulled = torch.zeros((), dtype=torch.float64, device=Y.device)
        totals = []
        for block in self._epochs.blocks:
            rates = self._epochs.rates[block.pairs].double()
            squares = squared_lengths(block.gaps(Y))
            pulled = pulled + rates @ torch.log1p(v.a * squares**v.b)
            totals.append(block.sums(rates))
        total = torch.cat(totals)
        weights, first = total[self._order], Y[:, self._order]
        pushed = torch.zeros_like(pulled)
        for shift in range(1, LOSS_SAMPLES + 1):
            squares = squared_lengths(first - first.roll(shift, 1)) + TINY
            pushed = pushed + weights @ torch.log1p(1 / (v.a * squares**v.b))
        pushed *= v.strength / LOSS_SAMPLES
        (found,) = to_host(torch.stack([pulled, pushed, total.sum()]))
        return float(found[0]), float(found[1]), float(found[2])

    def _step(self, number: int) -> None:
        step, Y, epochs = float(self._schedule.step(number)), self._Y, self._epochs
        moved = epochs.move(step, Y, Y, epochs.pool(Y))
        if self._density is not None:
            self._density(number, step, Y, moved)
        self._Y = moved


def place_new(
    weights: sp.csr_matrix,
    reference: np.ndarray,
    similarity: Similarity,
    schedule: Schedule,
    *,
    device: torch.device,
) -> np.ndarray:
    """Where new rows belong in a layout that stays as it is; see the compiled `place_new`.

    Parameters
    ----------
    weights : CSR, (m, N)
    reference : (N, c), float32
    similarity : Similarity
    schedule : Schedule
    device : torch.device
    """
    edges = edges_of(weights, schedule.n_epochs)
    epochs = TorchEpochs(
        edges,
        np.random.default_rng(0).permutation(len(reference)),
        similarity.curve(pulls=1.0),
        n_negatives=schedule.n_negatives,
        n_epochs=schedule.n_epochs,
        keys=keys_of(edges),
        seed=0,
        device=device,
    )
    Y, fixed = apart(means_of_neighbours(weights, reference), device), apart(reference, device)
    pool = epochs.pool(fixed)
    for number in range(schedule.n_epochs):
        Y = epochs.move(float(schedule.step(number)), Y, fixed, pool)
    return places(Y)

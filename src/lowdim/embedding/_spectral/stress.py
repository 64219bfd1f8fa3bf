"""Stress of places and its gradient, on the host or on a device."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch

from lowdim._device import to_device, to_host
from lowdim.data.sending import sent
from lowdim.embedding._crew import PARTS, Crew, part_bounds

#: A squared distance of points never counts as less.
CLOSEST = 1e-24
#: Pairs of points that a device works on together.
PAIRS = 2**25


class Stress(Protocol):
    """``sum_ij (d_ij - r_ij)^2`` of places with distances r, for given distances d.

    Attributes
    ----------
    largest : float
        ``sum_ij d_ij^2``.
    """

    largest: float

    def __call__(self, places: np.ndarray) -> tuple[float, np.ndarray]:
        """The stress of places, (L, c), and its gradient over four, (L, c)."""
        ...


class HostStress:
    """By compiled loops.

    Parameters
    ----------
    distances : (L, L), float64
        Symmetric.
    crew : Crew
    """

    def __init__(self, distances: np.ndarray, crew: Crew) -> None:
        self._distances, self._crew = distances, crew
        self._sums, self._bounds = np.empty(PARTS), part_bounds(len(distances))
        self.largest = float(np.square(distances).sum())

    def __call__(self, places: np.ndarray) -> tuple[float, np.ndarray]:
        from lowdim.embedding._spectral.metric_scaling import stress_gradient

        apart, gradient = np.ascontiguousarray(places.T), np.empty(places.shape)
        given = self._distances, self._bounds, gradient, self._sums
        self._crew.run(stress_gradient, apart, *given)
        return float(self._sums.sum()), gradient


class DeviceStress:
    """By torch in blocks of rows: the host waits once.

    Parameters
    ----------
    distances : (L, L), float64
        Symmetric.
    device : torch.device
    """

    def __init__(self, distances: np.ndarray, device: torch.device) -> None:
        self._distances = sent(distances, device)
        self.largest = float(np.square(distances).sum())

    def __call__(self, places: np.ndarray) -> tuple[float, np.ndarray]:
        Y = to_device(np.array(places.T, order="C"), self._distances.device)
        gradient, total = torch.empty_like(Y), Y.new_zeros(())
        step = max(1, PAIRS // Y.shape[1])
        for start in range(0, Y.shape[1], step):
            own = slice(start, start + step)
            gaps = Y[:, own, None] - Y[:, None, :]
            r = gaps.square().sum(0).add_(CLOSEST).sqrt_()
            d = self._distances[own]
            total += (d - r).square_().sum()
            gradient[:, own] = gaps.mul_(1.0 - d / r).sum(2)
        value, found = to_host(total, gradient)
        return float(value), np.ascontiguousarray(found.T)

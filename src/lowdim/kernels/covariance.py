"""Stationary covariance functions: Matern and squared exponential."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

ROOT_3, ROOT_5 = 3.0**0.5, 5.0**0.5


def _matern12(r: Tensor) -> Tensor:
    return torch.exp(-r)


def _matern32(r: Tensor) -> Tensor:
    z = ROOT_3 * r
    return (1 + z) * torch.exp(-z)


def _matern52(r: Tensor) -> Tensor:
    z = ROOT_5 * r
    return (1 + z + z * z / 3) * torch.exp(-z)


def _squared_exponential(r: Tensor) -> Tensor:
    return torch.exp(-0.5 * r * r)


#: Correlation as a function of the distance in length scales.
KERNELS: dict[str, Callable[[Tensor], Tensor]] = {
    "matern12": _matern12,
    "matern32": _matern32,
    "matern52": _matern52,
    "rbf": _squared_exponential,
}

#: Of the processes: how often they can be differentiated, and a half; None is without end.
SMOOTHNESS = {"matern12": 0.5, "matern32": 1.5, "matern52": 2.5, "rbf": None}


@dataclass(frozen=True)
class Kernel:
    """``k(x, x') = amplitude^2 rho(|x - x'| / length_scale)``.

    Attributes
    ----------
    name : {"matern12", "matern32", "matern52", "rbf"}
    length_scale : Tensor of shape (1,) or (D,)
        For all axes, or for each.
    amplitude : Tensor of shape ()
    """

    name: str
    length_scale: Tensor
    amplitude: Tensor

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        """Covariances between points, (n, D) and (m, D)."""
        # Products would round squared distances, and give a point a distance from itself.
        distances = torch.cdist(
            first / self.length_scale,
            second / self.length_scale,
            compute_mode="donot_use_mm_for_euclid_dist",
        )
        return self.amplitude**2 * KERNELS[self.name](distances)

    def spectral_density(self, frequencies: Tensor) -> Tensor:
        """At angular frequencies, (m, D): the Fourier transform of the covariance, (m,)."""
        n_axes = frequencies.shape[1]
        scale = self.length_scale.expand(n_axes)
        squared = (scale * frequencies).square().sum(1)
        smoothness = SMOOTHNESS[self.name]
        if smoothness is None:
            unit = (2 * math.pi) ** (n_axes / 2) * torch.exp(-0.5 * squared)
        else:
            power = smoothness + n_axes / 2
            log_constant = n_axes / 2 * math.log(4 * math.pi) - math.lgamma(smoothness)
            log_constant += math.lgamma(power) + smoothness * math.log(2 * smoothness)
            unit = math.exp(log_constant) * (2 * smoothness + squared) ** -power
        return self.amplitude**2 * scale.prod() * unit

    @property
    def variance(self) -> Tensor:
        """Of the process at any place."""
        return self.amplitude**2

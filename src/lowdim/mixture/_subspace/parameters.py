"""Parameters of a batch of subspace mixtures, in the standardised units of the blocks."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from lowdim._device import to_device, to_host
from lowdim.mixture._family import Parameters

#: The logarithm of a weight is that of at least this.
TINY_WEIGHT = 1e-300


@dataclass(frozen=True)
class SubspaceParameters(Parameters):
    """x | k ~ N(mu_k, V_k diag(lambda_k) V_k' + sigma_k^2 (I - V_k V_k')).

    Attributes
    ----------
    weights : (R, K)
    means : (R, K, D)
        mu.
    bases : (R, K, q, D)
        Orthonormal rows, eigenvectors of the component's covariance in descending order; the
        first ``dims`` are V', the others are kept only to speed up and to compare dimensions.
    latent : (R, K, q)
        Eigenvalues that belong to the bases; the first ``dims`` are lambda.
    noise : (R, K)
        sigma^2; infinite for a uniform component.
    dims : (R, K), int64
        d.
    log_volume : (R, K) or None
        Log volume of a uniform component's support; None where no component is uniform.
    sketch : (R, K, w, D) or None
        Orthonormal rows that span the current bases and the directions in which the next
        M-step may turn them; None stands for the whole space.
    n_outside : int
        Columns that the rows have beyond those that means and bases are given in (see
        `compact`); all components are centred at zero there.
    """

    means: Tensor
    bases: Tensor
    latent: Tensor
    noise: Tensor
    dims: Tensor
    log_volume: Tensor | None = None
    sketch: Tensor | None = None
    n_outside: int = 0

    @classmethod
    def from_arrays(
        cls,
        device: torch.device,
        *,
        log_volume: Tensor | None = None,
        sketch: Tensor | None = None,
        n_outside: int = 0,
        **values: np.ndarray | Tensor,
    ) -> SubspaceParameters:
        """Parameters from tensors, and from arrays on the host, which `host` then gives back.

        On the host the arrays become tensors when first asked for: passes over few rows, which
        never ask, would spend much of their time on it.
        """
        arrays = {
            name: np.ascontiguousarray(value)
            for name, value in values.items()
            if isinstance(value, np.ndarray)
        }
        tensors = {name: value for name, value in values.items() if name not in arrays}
        given = {"log_volume": log_volume, "sketch": sketch, "n_outside": n_outside}
        made = cls.__new__(cls)  # frozen, and not all of it there yet: no call of __init__
        made.__dict__.update(given, **tensors, _arrays=arrays, device=device)
        if device.type != "cpu":
            made.__dict__.update((name, to_device(own, device)) for name, own in arrays.items())
        return made

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """A field of which there is only an array so far."""
            array = self.__dict__.get("_arrays", {}).get(name)
            if array is None:
                raise AttributeError(name, name=name, obj=self)
            value = self.__dict__[name] = torch.from_numpy(array)
            return value

    @property
    def shape(self) -> tuple[int, int, int]:
        """R, K, D."""
        r, k, d = self._either("means").shape
        return r, k, d

    @property
    def n_restarts(self) -> int:
        return len(self._either("weights"))

    @property
    def retained(self) -> int:
        """q: directions kept per component."""
        return int(self._either("latent").shape[-1])

    @property
    def n_columns(self) -> int:
        """Columns of the rows that the densities are over."""
        return int(self._either("means").shape[-1]) + self.n_outside

    @cached_property
    def in_subspace(self) -> Tensor:
        """Which retained directions belong to the subspace, (R, K, q), bool."""
        return torch.arange(self.retained, device=self.latent.device) < self.dims[..., None]

    @cached_property
    def _axis_index(self) -> Tensor:
        """Which of all retained directions every stacked axis is, found without a wait."""
        return to_device(np.flatnonzero(self.inside), self.device)

    @cached_property
    def axes(self) -> Tensor:
        """All subspaces' axes stacked, (sum of d, D)."""
        return self.bases.flatten(0, 2)[self._axis_index]

    @cached_property
    def axis_variances(self) -> Tensor:
        """Lambda of every stacked axis, (sum of d,)."""
        return self.latent.flatten()[self._axis_index]

    @cached_property
    def axis_owner(self) -> Tensor:
        """Flat index r * K + k of the component that every stacked axis belongs to."""
        return self._axis_index // self.retained

    @cached_property
    def axis_means(self) -> Tensor:
        """V' mu: the owner's mean along every stacked axis, (sum of d,)."""
        return (self.axes * self.means.flatten(0, 1)[self.axis_owner]).sum(1)

    @cached_property
    def axis_gain(self) -> Tensor:
        """(1 / sigma^2 - 1 / lambda) / 2 of every stacked axis, (sum of d,)."""
        return to_device(self.score_terms[2][self.inside], self.device)

    @cached_property
    def constants(self) -> Tensor:
        """What the log-joint of every component has beside its quadratic form, (R K,)."""
        return to_device(self.score_terms[0], self.device).flatten()

    @cached_property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.weights.device

    @property
    def on_host(self) -> bool:
        """Whether the parameters live in the processor's memory."""
        return self.device.type == "cpu"

    def _either(self, name: str) -> Tensor | np.ndarray:
        """A field as a tensor if there is one already, else as an array."""
        return self.__dict__[name] if name in self.__dict__ else self._arrays[name]

    @cached_property
    def _arrays(self) -> dict[str, np.ndarray]:
        return {}

    @cached_property
    def layouts(self) -> dict[Hashable, tuple[np.ndarray, ...]]:
        """Copies laid out for compiled passes, kept from block to block (see `fused`)."""
        return {}

    def host(self, name: str) -> np.ndarray:
        """A field as a contiguous array on the host."""
        if name not in self._arrays:
            (self._arrays[name],) = to_host(getattr(self, name))
        return self._arrays[name]

    def hosts(self, *names: str) -> list[np.ndarray]:
        """Fields as `host` has them; from a device, all that are missing come together."""
        missing = [name for name in names if name not in self._arrays]
        if len(missing) > 1:
            values = to_host(*(getattr(self, name) for name in missing))
            self._arrays.update(zip(missing, values, strict=True))
        return [self.host(name) for name in names]

    @cached_property
    def inside(self) -> np.ndarray:
        """`in_subspace` on the host."""
        return np.arange(self.retained) < self.host("dims")[..., None]

    @cached_property
    def score_terms(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Constant (R, K), precision (R, K) and gain (R, K, q) of the log-densities, on the host.

        See `density`; of a uniform component the constant is all there is.
        """
        from lowdim.mixture._subspace.shares import score_terms

        weights, latent, noise, dims = self.hosts("weights", "latent", "noise", "dims")
        constant, precision, gain = score_terms(weights, latent, noise, dims, self.n_columns)
        if self.log_volume is not None:
            uniform = np.isinf(self.host("noise"))
            log_weight = np.log(np.maximum(weights, TINY_WEIGHT))
            constant = np.where(uniform, log_weight - self.host("log_volume"), constant)
        return constant, precision, gain

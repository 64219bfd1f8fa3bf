"""The Gaussian family: what the EM loop asks of components with free covariances."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from torch import Tensor

from lowdim._device import to_device
from lowdim.data.blocks import Block, DenseBlock, Rows
from lowdim.mixture._family import Parameters, Statistics, block_expectation
from lowdim.mixture._gaussian.covariance import SHAPES, Covariance
from lowdim.mixture._gaussian.fused import fused_expectation, in_one_call, whole_step

if TYPE_CHECKING:
    from lowdim.mixture._gaussian.starts import Starter

#: The logarithm of a weight is that of at least this.
TINY_WEIGHT = 1e-300
LOG_2_PI = float(np.log(2 * np.pi))
#: Rows in float32 that are summed up in float64 at a time.
EXACT_ROWS = 4096


@dataclass(frozen=True)
class GaussianParameters(Parameters):
    """x | k ~ N(mu_k, Sigma_k), in standardised units.

    Attributes
    ----------
    weights : (R, K)
    means : (R, K, D)
        mu.
    covariances
        Sigma: (R, K, D, D), (R, D, D), (R, K, D) or (R, K), as ``kind`` says.
    kind : {"full", "tied", "diag", "spherical"}
    """

    means: Tensor
    covariances: Tensor
    kind: str = "full"

    @property
    def shape(self) -> Covariance:
        """What is particular to this shape of covariances."""
        return SHAPES[self.kind]

    @cached_property
    def whitening(self) -> tuple[Tensor, Tensor]:
        """See `Covariance.whiten`."""
        return self.shape.whiten(self.covariances, self.means.shape[2])

    @cached_property
    def constants(self) -> Tensor:
        """``log weight - (log det Sigma + D log 2 pi) / 2``, (R, K)."""
        log_det = self.whitening[1]
        log_weights = self.weights.clamp(min=TINY_WEIGHT).log()
        return log_weights - 0.5 * (log_det + self.means.shape[2] * LOG_2_PI)


@dataclass(frozen=True)
class GaussianFamily:
    """Gaussian components whose covariances have one of four shapes.

    Attributes
    ----------
    kind : {"full", "tied", "diag", "spherical"}
    reg : float
        Added to every variance, relative to the data's mean variance per column.
    starter : Starter
        Re-seeds components that have lost their rows.
    total_weight : float
        Sum of the row weights.
    total : (D, D), optional
        Sum of w x x' over all rows; for tied covariances only.
    """

    kind: str
    reg: float
    starter: Starter
    total_weight: float
    total: Tensor | None = None

    @property
    def shape(self) -> Covariance:
        """What is particular to this shape of covariances."""
        return SHAPES[self.kind]

    def to_send(self) -> Self:
        """The family without the sample and the sums that starts and M-steps need."""
        return replace(self, starter=self.starter.without_rows(), total=None)

    def log_joint(self, block: Block, parameters: GaussianParameters) -> Tensor:
        whitening, _ = parameters.whitening
        distances = self.shape.distances(block, parameters.means, whitening)
        return distances.mul_(-0.5).add_(parameters.constants[..., None])

    def closeness(self, block: Block, parameters: GaussianParameters) -> Tensor:
        raise NotImplementedError("Gaussian components are not assigned by distance.")

    def expectation(
        self, block: Block, parameters: GaussianParameters, assignment: str, beta: float
    ) -> tuple[Statistics, Tensor]:
        on_host = parameters.means.device.type == "cpu"
        if self.kind == "full" and isinstance(block, DenseBlock) and on_host:
            return fused_expectation(block, parameters, assignment, beta)
        return block_expectation(self, block, parameters, assignment, beta)

    def fused_step(
        self, data: Rows, parameters: GaussianParameters, assignment: str, beta: float
    ) -> tuple[np.ndarray, GaussianParameters, np.ndarray] | None:
        on_host = parameters.means.device.type == "cpu"
        if self.kind != "full" or not on_host or not in_one_call(self.starter.n_rows, parameters):
            return None
        block = next(iter(data))
        if not isinstance(block, DenseBlock) or block.n_rows < self.starter.n_rows:
            return None
        if block.values.dtype != torch.float64:
            return None
        objective, counts, means, covariances = whole_step(
            block, parameters, assignment, beta, self.reg
        )
        updated = GaussianParameters(
            weights=torch.from_numpy(counts / self.total_weight),
            means=torch.from_numpy(means),
            covariances=torch.from_numpy(covariances),
            kind=self.kind,
        )
        return objective / data.total_weight, updated, counts < self._least_weight

    def statistics(
        self, block: Block, responsibilities: Tensor, parameters: GaussianParameters
    ) -> Statistics:
        return self.moments(block, responsibilities)

    def moments(self, block: Block, responsibilities: Tensor) -> Statistics:
        """Counts = sum r, sums = sum r x, and the second moments that the shape asks for."""
        flat = responsibilities.flatten(0, 1)
        statistics = {
            "counts": responsibilities.sum(2),
            "sums": _sums(block, flat).unflatten(0, responsibilities.shape[:2]),
        }
        second = self.shape.moments(block, responsibilities)
        return statistics if second is None else {**statistics, "second": second}

    def maximize(
        self,
        statistics: Statistics,
        parameters: GaussianParameters | None,
        *,
        closest: bool = False,
    ) -> GaussianParameters:
        counts = statistics["counts"]
        means = statistics["sums"] / counts.clamp(min=1e-300)[..., None]
        if self.total is not None:
            statistics = {**statistics, "total": self.total}
        return GaussianParameters(
            weights=counts / self.total_weight,
            means=means,
            covariances=self.shape.maximize(statistics, means, self.reg),
            kind=self.kind,
        )

    def starved(self, statistics: Statistics, parameters: GaussianParameters) -> Tensor:
        """Components with less than a row's weight."""
        return (statistics["counts"] < self._least_weight).cpu()

    @property
    def _least_weight(self) -> float:
        """Half a row's."""
        return 0.5 * self.total_weight / self.starter.n_rows

    def collapsed(self, parameters: GaussianParameters) -> Tensor:
        """Restarts with a component that has shrunk onto `reg` where the data do not."""
        limit = 2 * self.reg
        found = (self.shape.smallest(parameters.covariances) <= limit).any(1).cpu()
        return torch.zeros_like(found) if found.any() and self._flat else found

    @cached_property
    def _flat(self) -> bool:
        """Whether all rows together are as flat as a component that has collapsed."""
        return self.starter.smallest_variance(self) <= 2 * self.reg

    def reseed(self, parameters: GaussianParameters, dead: Tensor) -> GaussianParameters:
        return self.starter.reseed(self, parameters, dead)

    def pack(
        self, parameters: GaussianParameters, reference: np.ndarray | None = None
    ) -> np.ndarray:
        """Log weights, means, and covariances in the shape's own unconstrained numbers."""
        parts = [
            parameters.weights.clamp(min=TINY_WEIGHT).log(),
            parameters.means.flatten(1),
            self.shape.pack(parameters.covariances),
        ]
        packed: np.ndarray = torch.cat(parts, 1).cpu().numpy()
        return packed

    def unpack(self, vectors: np.ndarray, like: GaussianParameters) -> GaussianParameters:
        k, d = like.means.shape[1:]
        values = to_device(vectors, like.means.device)
        covariances = self.shape.unpack(values[:, k + k * d :].contiguous(), like.covariances)
        return replace(
            like,
            weights=values[:, :k].softmax(1),
            means=values[:, k : k + k * d].reshape(like.means.shape),
            covariances=covariances,
        )


def _sums(block: Block, shares: Tensor) -> Tensor:
    """Sum r x in float64 also for rows in float32: second moments about it must not be negative."""
    if not isinstance(block, DenseBlock) or block.values.dtype == torch.float64:
        return block.accumulate(shares)
    total = shares.new_zeros((len(shares), block.values.shape[1]))
    for start in range(0, block.n_rows, EXACT_ROWS):
        part = slice(start, start + EXACT_ROWS)
        total += shares[:, part] @ block.values[part].double()
    return total

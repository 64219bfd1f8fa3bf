"""What each different count of a gene adds to a row's sums, as tables on an accelerator.

A row's sum over its counts of a function of count, gene and size factor is a sum of rows of a
table: one for every different count of a gene, with a column for every node of the size factors. So
sums over entries are products of these tables with a sparse matrix of ones that says what each row
has.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from lowdim.data.sending import sent
from lowdim.mixture._counts.distinct import Distinct
from lowdim.mixture._counts.model import Mixture

#: Factors of a product that are multiplied out, before Stirling's series takes over.
PLAIN_FACTORS = 16


class DistinctCounts:
    """The different counts of each gene, on a device.

    Attributes
    ----------
    genes, counts : tensors of shape (P,)
    order : (most, keys)
        As `Order` has it.
    n_genes : int
    """

    def __init__(self, distinct: Distinct, device: torch.device) -> None:
        self.n_genes = distinct.n_genes
        self.genes = sent(distinct.genes, device)
        self.counts = sent(distinct.counts, device)
        self.most, self.keys = distinct.order.most, sent(distinct.order.keys, device)

    def __len__(self) -> int:
        return len(self.counts)

    @cached_property
    def by_genes(self) -> Tensor:
        """The counts, (D, P), sparse: sums over the different counts of each gene."""
        first = torch.arange(self.n_genes + 1, device=self.genes.device)
        pointer = torch.searchsorted(self.genes, first)
        places = torch.arange(len(self), device=self.genes.device)
        return sparse(pointer, places, self.counts, (self.n_genes, len(self)))


@dataclass(frozen=True)
class Parameters:
    """A mixture on a device.

    Attributes
    ----------
    log_weights : tensor of shape (K,)
    mean, noise : tensors of shape (D, K)
    nodes : tensor of shape (M,)
        Size factors.
    """

    log_weights: Tensor
    mean: Tensor
    noise: Tensor
    nodes: Tensor

    @classmethod
    def of(cls, model: Mixture, nodes: np.ndarray, device: torch.device) -> Parameters:
        """Sent there without a wait."""
        with np.errstate(divide="ignore"):
            log_weights = np.log(model.weights)
        arrays = log_weights, model.mean, model.noise, nodes
        return cls(*(sent(own, device) for own in arrays))

    @property
    def n_components(self) -> int:
        return len(self.log_weights)

    def zero_costs(self, k: int) -> Tensor:
        """What rows without counts cost in a component, at the nodes, (M,)."""
        mean, phi = self.mean[:, k], self.noise[:, k]
        a = self.nodes[:, None] * mean
        cost = torch.log1p(a * phi) / torch.where(phi > 0, phi, 1.0)
        return torch.where(phi > 0, cost, a).sum(1)

    def exposures(self, k: int) -> Tensor:
        """The slopes of `zero_costs` in the size factor, (M,)."""
        mean = self.mean[:, k]
        return (mean / (1.0 + self.nodes[:, None] * (mean * self.noise[:, k]))).sum(1)

    def scores(self, k: int, counts: DistinctCounts) -> Tensor:
        """What counts add to the log-likelihood of a row, (P, M).

        ``sum_{m < x} log(1 + m phi) - x log(1 / mu + s phi)``.
        """
        inverse, phi = (1.0 / self.mean[:, k])[counts.genes], self.noise[:, k][counts.genes]
        logs = torch.log(inverse[:, None] + phi[:, None] * self.nodes)
        return log_rising(counts.counts, phi)[:, None] - counts.counts[:, None] * logs

    def discounted(self, k: int, counts: DistinctCounts) -> Tensor:
        """``x / (1 + s phi mu)``, (P, M)."""
        rate = (self.mean[:, k] * self.noise[:, k])[counts.genes]
        return counts.counts[:, None] / (1.0 + rate[:, None] * self.nodes)


def log_rising(x: Tensor, phi: Tensor) -> Tensor:
    """``sum of log(1 + m phi) over m = 0 .. x - 1``; see `special.log_rising`."""
    product = torch.ones_like(phi)
    for m in range(1, PLAIN_FACTORS):
        product *= torch.where(x > m, 1.0 + m * phi, 1.0)
    z = 1.0 / torch.where(phi > 0, phi, 1.0) + PLAIN_FACTORS
    d = (x - PLAIN_FACTORS).clamp(min=0.0)
    rest = (z - 0.5) * torch.log1p(d / z) - d + d * torch.log1p(x * phi)
    rest += stirling(z + d) - stirling(z)
    return torch.log(product) + torch.where((d > 0) & (phi > 0), rest, 0.0)


def stirling(z: Tensor) -> Tensor:
    """What Stirling's formula lacks of log Gamma(z), for z >= 16."""
    w = 1.0 / (z * z)
    return (1 / 12 - w * (1 / 360 - w * (1 / 1260 - w / 1680))) / z


def sparse(pointer: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
    """A CSR matrix of what is known to be one."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta state")
        return torch.sparse_csr_tensor(
            pointer.int(), columns.int(), values, size=shape, check_invariants=False
        )

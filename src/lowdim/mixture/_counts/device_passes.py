"""Passes over blocks of counts on an accelerator: what rows score, and their sums."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lowdim.data.device_csr import csr_tensor
from lowdim.mixture._counts.chebyshev import barycentric, signs
from lowdim.mixture._counts.device_tables import DistinctCounts, Parameters


@dataclass(frozen=True)
class CountBlock:
    """Some rows there: which of the different counts each has.

    Attributes
    ----------
    rows : slice
        Their numbers.
    has : tensor of shape (n, P)
        Ones, sparse.
    had : tensor of shape (P, n)
        Its transpose.
    weights : tensor of shape (n,)
    """

    rows: slice
    has: Tensor
    had: Tensor
    weights: Tensor

    @classmethod
    def of(cls, rows: slice, parts: list[Tensor], distinct: DistinctCounts) -> CountBlock:
        """From (indptr, indices, counts, weights) of CSR rows."""
        pointer, genes, counts, weights = parts
        n, n_places, n_stored = rows.stop - rows.start, len(distinct), len(counts)
        place = torch.searchsorted(distinct.keys, genes.double() * distinct.most - counts.double())
        order = torch.argsort(place, stable=True)
        row = torch.arange(n, device=place.device)
        row = torch.repeat_interleave(row, pointer.diff(), output_size=n_stored)
        first = torch.arange(n_places + 1, device=place.device)
        pointer_of_places = torch.searchsorted(place[order], first)
        ones = torch.ones(n_stored, dtype=torch.float64, device=place.device)
        has = csr_tensor(pointer, place, ones, (n, n_places))
        had = csr_tensor(pointer_of_places, row[order], ones, (n_places, n))
        return cls(rows, has, had, weights.double())


class SumsAtNodes:
    """Sums over blocks that an M-step needs, as `NodeSums` has them.

    Parameters
    ----------
    n_components, n_nodes : int
    distinct : DistinctCounts
    own : bool
        Whether components have phi of their own.
    """

    def __init__(self, n_components: int, n_nodes: int, distinct: DistinctCounts, own: bool):
        self.distinct = distinct
        zeros = self.distinct.counts.new_zeros
        self.held = zeros((n_components, distinct.n_genes, n_nodes))
        self.owned = zeros((n_components, n_nodes))
        self.active = zeros((len(distinct) if own else 0, n_components))

    def add(self, block: CountBlock, weighted: Tensor, matrix: Tensor) -> None:
        """Rows by weighted responsibilities (n, K), which are so among the nodes, (n, M)."""
        self.owned += weighted.T @ matrix
        for k in range(len(self.held)):
            found = block.had @ (weighted[:, k, None] * matrix)
            self.held[k] += self.distinct.by_genes @ found
            if len(self.active):
                self.active[:, k] += found.sum(1)  # each row's shares among the nodes add up to one

    def told(self) -> list[Tensor]:
        return [self.held, self.owned, self.active]


class Scorer:
    """What rows score under a mixture."""

    def __init__(self, there: Parameters, distinct: DistinctCounts) -> None:
        self.log_weights = there.log_weights
        self.tables = [there.scores(k, distinct) for k in range(there.n_components)]
        costs = [there.zero_costs(k) for k in range(there.n_components)]
        self.costs = torch.stack(costs, 1)

    def scores(self, block: CountBlock, matrix: Tensor) -> Tensor:
        """``log pi_k + log p(x_i | k)`` but for what is the same in all components, (n, K)."""
        found = [((block.has @ table) * matrix).sum(1) for table in self.tables]
        return torch.stack(found, 1) - matrix @ self.costs + self.log_weights


class LookSums:
    """What a look sums up over blocks."""

    def __init__(self, there: Parameters, distinct: DistinctCounts, *, own: bool) -> None:
        k, m = there.n_components, len(there.nodes)
        self.there, self.distinct = there, distinct
        self.scorer = Scorer(there, distinct)
        zeros = there.mean.new_zeros
        self.likelihood, self.owned, self.at_nodes = zeros(()), zeros(k), zeros((k, m))
        self.following = SumsAtNodes(k, m, distinct, own)

    def add(
        self, block: CountBlock, sizes: Tensor, span: tuple[float, float], estimate: bool
    ) -> Tensor:
        """Rows with these size factors; returns the next ones, under which they are summed."""
        matrix = among(sizes, self.there.nodes)
        scores = self.scorer.scores(block, matrix)
        rows = torch.logsumexp(scores, 1)
        shares = torch.exp(scores - rows[:, None])
        weighted = shares * block.weights[:, None]
        self.likelihood += block.weights @ rows
        self.owned += weighted.sum(0)
        self.at_nodes += weighted.T @ matrix
        if estimate:
            sizes = self._next_sizes(block, sizes, matrix, shares).clamp(*span)
            matrix = among(sizes, self.there.nodes)
        self.following.add(block, weighted, matrix)
        return sizes

    def _next_sizes(
        self, block: CountBlock, sizes: Tensor, matrix: Tensor, shares: Tensor
    ) -> Tensor:
        """See `model.next_sizes`."""
        there = self.there
        above, below = torch.zeros_like(sizes), torch.zeros_like(sizes)
        for k in range(there.n_components):
            counts = ((block.has @ there.discounted(k, self.distinct)) * matrix).sum(1)
            above += shares[:, k] * counts
            below += shares[:, k] * (matrix @ there.exposures(k))
        return torch.sqrt(sizes * above / below.clamp(min=1e-300))

    def told(self) -> list[Tensor]:
        return [self.likelihood, self.owned, self.at_nodes, *self.following.told()]


def among(sizes: Tensor, nodes: Tensor) -> Tensor:
    """How rows lie among the nodes, (n, M)."""
    weights = torch.from_numpy(signs(len(nodes))).to(nodes.device, non_blocking=True)
    return barycentric(torch.log(sizes), torch.log(nodes), weights)

"""Counts on an accelerator: passes over rows are products of sparse matrices of ones with tables.

What an iteration needs of the rows comes to the host in one transfer, in float64 throughout. Rows
that do not fit are sent anew in every pass, as they are stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from lowdim._device import free_bytes, to_host
from lowdim.data.device_rows import RESIDENT
from lowdim.data.sending import Sender
from lowdim.mixture._counts.chebyshev import barycentric, signs
from lowdim.mixture._counts.device_tables import DistinctCounts, Parameters, sent, sparse
from lowdim.mixture._counts.directions import coordinates_here
from lowdim.mixture._counts.distinct import Distinct
from lowdim.mixture._counts.looks import CountsElsewhere, FarLook, OfRows
from lowdim.mixture._counts.matrix import Counts, listed
from lowdim.mixture._counts.maximize import NodeSums
from lowdim.mixture._counts.model import AnyCounts, Mixture, Sizes

#: Entries of a block, and rows.
ENTRIES, ROWS = 2**26, 2**19
#: Bytes that an entry takes there: two orders of places, and a one for both.
ENTRY_BYTES = 20


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
        has = sparse(pointer, place, ones, (n, n_places))
        had = sparse(pointer_of_places, row[order], ones, (n_places, n))
        return cls(rows, has, had, weights.double())


class CountsOnDevice(CountsElsewhere):
    """A count matrix, (N, D), for passes on an accelerator.

    Parameters
    ----------
    host : Counts or CountsOnDisk
    device : torch.device
    """

    def __init__(self, host: AnyCounts, device: torch.device) -> None:
        self.host, self.device = host, device
        self.shape, self.weights, self.totals = host.shape, host.weights, host.totals
        self.distinct = distinct_of(host)
        self._sender = Sender(device)
        self._distinct_there = DistinctCounts(self.distinct, device)
        self._kept: list[CountBlock] | None = None
        self._sizes: tuple[Sizes, Tensor] | None = None

    def look(self, sizes: Sizes, model: Mixture, *, estimate: bool) -> FarLook:
        there = Parameters.of(model, sizes.nodes.nodes, self.device)
        sums = _Sums(there, self._distinct_there, own=model.per_component)
        values, following = self._values(sizes), []
        for block in self._blocks():
            following.append(sums.add(block, values[block.rows], sizes.nodes.span, estimate))
        told = sums.told() + (following if estimate else [])
        likelihood, owned, at_nodes, *found = to_host(*told)
        after = sizes.moved(np.concatenate(found[3:])) if estimate else sizes
        constants = self.weights @ self._constants(sizes)
        return FarLook(
            *(self, sizes, model, float(likelihood) + float(constants), owned, at_nodes),
            next_sizes=after,
            sums=_node_sums(*found[:3]),
        )

    def sums(self, sizes: Sizes, shares: np.ndarray, *, own: bool) -> NodeSums:
        nodes = sent(sizes.nodes.nodes, self.device)
        values, given = self._values(sizes), sent(shares, self.device)
        found = _NodeSums(shares.shape[1], len(nodes), self._distinct_there, own)
        for block in self._blocks():
            matrix = _among(values[block.rows], nodes)
            found.add(block, given[block.rows] * block.weights[:, None], matrix)
        return _node_sums(*to_host(*found.told()))

    def of_rows(self, function: OfRows, sizes: Sizes, model: Mixture) -> np.ndarray:
        there = Parameters.of(model, sizes.nodes.nodes, self.device)
        tables = [there.scores(k, self._distinct_there) for k in range(there.n_components)]
        costs, values = _costs(there), self._values(sizes)
        rows, shares = [], []
        for block in self._blocks():
            matrix = _among(values[block.rows], there.nodes)
            own, share = _responsibilities(_scores(there, block, matrix, tables, costs))
            rows.append(own)
            shares.append(share)
        found, probabilities = to_host(torch.cat(rows), torch.cat(shares))
        return function(found + self._constants(sizes), probabilities)

    def coordinates(self, sizes: np.ndarray, rng: np.random.Generator, n: int) -> np.ndarray:
        return coordinates_here(self.host, sizes, rng, n)

    @cached_property
    def _factorials(self) -> np.ndarray:
        return self.host.factorials

    def _constants(self, sizes: Sizes) -> np.ndarray:
        """What of the rows' log-likelihoods no component changes, (N,)."""
        return np.asarray(self.totals * np.log(sizes.values) - self._factorials)

    def _values(self, sizes: Sizes) -> Tensor:
        """Size factors there; the last ones are kept."""
        if self._sizes is None or self._sizes[0] is not sizes:
            self._sizes = sizes, sent(sizes.values, self.device)
        return self._sizes[1]

    def _blocks(self) -> Iterator[CountBlock]:
        """All rows, kept there if they fit."""
        if self._kept is not None:
            yield from self._kept
            return
        fits = ENTRY_BYTES * self.n_stored <= RESIDENT * free_bytes(self.device)
        kept = []
        for rows, parts in self._sender.ahead(self._pieces()):
            block = CountBlock.of(rows, parts, self._distinct_there)
            if fits:
                kept.append(block)
            yield block
        if fits:
            self._kept = kept

    def _pieces(self) -> Iterator[tuple[slice, list[np.ndarray]]]:
        """Rows as they are stored, and their weights."""
        for where, part in self.host.parts():
            pointer, genes, counts = part.stored
            for own in _stretches(pointer):
                first, last = pointer[own.start], pointer[own.stop]
                arrays = pointer[own.start : own.stop + 1] - first, genes[first:last]
                rows = slice(where.start + own.start, where.start + own.stop)
                yield rows, [*arrays, counts[first:last], part.weights[own]]


class _NodeSums:
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


class _Sums:
    """What a look sums up over blocks."""

    def __init__(self, there: Parameters, distinct: DistinctCounts, *, own: bool) -> None:
        k, m = there.n_components, len(there.nodes)
        self.there, self.distinct = there, distinct
        self.tables = [there.scores(c, distinct) for c in range(k)]
        self.costs = _costs(there)
        zeros = there.mean.new_zeros
        self.likelihood, self.owned, self.at_nodes = zeros(()), zeros(k), zeros((k, m))
        self.following = _NodeSums(k, m, distinct, own)

    def add(
        self, block: CountBlock, sizes: Tensor, span: tuple[float, float], estimate: bool
    ) -> Tensor:
        """Rows with these size factors; returns the next ones, under which they are summed."""
        matrix = _among(sizes, self.there.nodes)
        rows, shares = _responsibilities(
            _scores(self.there, block, matrix, self.tables, self.costs)
        )
        weighted = shares * block.weights[:, None]
        self.likelihood += block.weights @ rows
        self.owned += weighted.sum(0)
        self.at_nodes += weighted.T @ matrix
        if estimate:
            sizes = self._next_sizes(block, sizes, matrix, shares).clamp(*span)
            matrix = _among(sizes, self.there.nodes)
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


def distinct_of(host: AnyCounts) -> Distinct:
    """The different counts of each gene, also of counts in memory."""
    return Distinct.of(host) if isinstance(host, Counts) else host.distinct


def _costs(there: Parameters) -> Tensor:
    """What rows without counts cost at the nodes, (M, K)."""
    return torch.stack([there.zero_costs(k) for k in range(there.n_components)], 1)


def _among(sizes: Tensor, nodes: Tensor) -> Tensor:
    """How rows lie among the nodes, (n, M)."""
    weights = torch.from_numpy(signs(len(nodes))).to(nodes.device, non_blocking=True)
    return barycentric(torch.log(sizes), torch.log(nodes), weights)


def _scores(
    there: Parameters, block: CountBlock, matrix: Tensor, tables: list[Tensor], costs: Tensor
) -> Tensor:
    """``log pi_k + log p(x_i | k)`` but for what is the same in all components, (n, K)."""
    found = [((block.has @ table) * matrix).sum(1) for table in tables]
    return torch.stack(found, 1) - matrix @ costs + there.log_weights


def _responsibilities(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Log-likelihood of rows, (n,), and the posterior of their components, (n, K)."""
    rows = torch.logsumexp(scores, 1)
    return rows, torch.exp(scores - rows[:, None])


def _node_sums(held: np.ndarray, owned: np.ndarray, active: np.ndarray) -> NodeSums:
    return NodeSums(held, owned, listed(active, np.ones(len(active))))


def _stretches(pointer: np.ndarray) -> Iterator[slice]:
    """Rows in stretches of so many entries, at least one."""
    start, n = 0, len(pointer) - 1
    while start < n:
        stop = int(np.searchsorted(pointer, pointer[start] + ENTRIES, side="right")) - 1
        stop = min(max(stop, start + 1), start + ROWS, n)
        yield slice(start, stop)
        start = stop

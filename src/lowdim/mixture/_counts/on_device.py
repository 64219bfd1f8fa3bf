"""Counts on an accelerator: passes over rows are products of sparse matrices of ones with tables.

What an iteration needs of the rows comes to the host in one transfer, in float64 throughout. Rows
that do not fit are sent anew in every pass, as they are stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from lowdim._device import free_bytes, to_host
from lowdim.data.device_rows import RESIDENT
from lowdim.data.sending import Sender, sent
from lowdim.mixture._counts.device_passes import CountBlock, LookSums, Scorer, SumsAtNodes, among
from lowdim.mixture._counts.device_tables import DistinctCounts, Parameters
from lowdim.mixture._counts.directions import coordinates_here
from lowdim.mixture._counts.distinct import Distinct
from lowdim.mixture._counts.looks import CountsElsewhere, FarLook, OfRows
from lowdim.mixture._counts.matrix import Counts, listed
from lowdim.mixture._counts.maximize import NodeSums
from lowdim.mixture._counts.model import AnyCounts, Mixture, Sizes, responsibilities

#: Entries of a block, and rows.
ENTRIES, ROWS = 2**26, 2**19
#: Bytes that an entry takes there: two orders of places, and a one for both.
ENTRY_BYTES = 20


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
        self._sender = Sender(device)
        self._distinct_there = DistinctCounts(self.distinct, device)
        self._kept: list[CountBlock] | None = None
        self._sizes: tuple[Sizes, Tensor] | None = None

    def look(self, sizes: Sizes, model: Mixture, *, estimate: bool) -> FarLook:
        there = Parameters.of(model, sizes.nodes.nodes, self.device)
        sums = LookSums(there, self._distinct_there, own=model.per_component)
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
        found = SumsAtNodes(shares.shape[1], len(nodes), self._distinct_there, own)
        for block in self._blocks():
            matrix = among(values[block.rows], nodes)
            found.add(block, given[block.rows] * block.weights[:, None], matrix)
        return _node_sums(*to_host(*found.told()))

    def of_rows(self, function: OfRows, sizes: Sizes, model: Mixture) -> np.ndarray:
        return function(*responsibilities(self.log_joint(sizes, model)))

    def log_joint(self, sizes: Sizes, model: Mixture) -> np.ndarray:
        """``log pi_k + log p(x_i | k)``, (N, K), with all constants."""
        there = Parameters.of(model, sizes.nodes.nodes, self.device)
        scorer, values = Scorer(there, self._distinct_there), self._values(sizes)
        found = [
            scorer.scores(block, among(values[block.rows], there.nodes)) for block in self._blocks()
        ]
        scores = to_host(torch.cat(found))[0]
        return np.asarray(scores + self._constants(sizes)[:, None])

    def coordinates(self, sizes: np.ndarray, rng: np.random.Generator, n: int) -> np.ndarray:
        return coordinates_here(self.host, sizes, rng, n)

    @cached_property
    def distinct(self) -> Distinct:
        """The different counts of each gene."""
        return Distinct.of(self.host) if isinstance(self.host, Counts) else self.host.distinct

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

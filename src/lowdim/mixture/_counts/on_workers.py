"""Counts of a Dask array that stay on the workers of a cluster.

A pass sends the parameters out, and sums over rows come back, added up by workers; see
`data/worker_parts.py`. Nothing is kept from one pass to the next, so that what is lost with a
worker can be made again from the rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from lowdim.data.blocks import SparseBlock
from lowdim.data.dask_rows import DaskRows
from lowdim.data.passes import BlockList
from lowdim.data.worker_rows import WorkerBlocks
from lowdim.mixture._counts.chebyshev import SizeNodes
from lowdim.mixture._counts.directions import column_sums, coordinates_by_passes, normalised
from lowdim.mixture._counts.distinct import Distinct, Order
from lowdim.mixture._counts.looks import CountsElsewhere, FarLook, OfRows
from lowdim.mixture._counts.matrix import Counts, listed
from lowdim.mixture._counts.maximize import NodeSums
from lowdim.mixture._counts.model import Mixture, Sizes, log_joint, next_sizes, responsibilities
from lowdim.mixture._counts.near_rows import Held, NearLook


@dataclass(frozen=True)
class Question:
    """What a pass asks of the rows.

    Attributes
    ----------
    model : Mixture
    nodes : ndarray of shape (M,)
        Size factors.
    estimate : bool
        Whether sums are for the next size factors.
    order : Order or None
        Of the different counts, where components have dispersions of their own.
    """

    model: Mixture
    nodes: np.ndarray
    estimate: bool
    order: Order | None


class CountsOnWorkers(CountsElsewhere):
    """A count matrix, (N, D), as parts that are `Counts`.

    Parameters
    ----------
    source : DaskRows
        With an active client. The rows as they came are let go.
    weights : ndarray of shape (N,)
        Row weights.
    """

    def __init__(self, source: DaskRows, weights: np.ndarray) -> None:
        self.shape, self.weights = (source.n_rows, source.n_cols), weights
        self.parts = source.parts().mapped(Counts.read, weights)
        source.release()
        self.totals = np.concatenate(self.parts.each(_totals))

    @cached_property
    def distinct(self) -> Distinct:
        """The different counts of each gene."""
        found: Distinct = self.parts.total(Distinct.of)
        return found

    def look(self, sizes: Sizes, model: Mixture, *, estimate: bool) -> FarLook:
        order = self.distinct.order if model.per_component else None
        question = Question(model, sizes.nodes.nodes, estimate, order)
        following = sizes
        if estimate:  # sums and size factors of one pass, which stay there till they are asked for
            found = self.parts.mapped(partial(_answer, question), sizes.values)
            seen = found.total(_sums_of)
            following = sizes.moved(np.concatenate(found.each(_sizes_of)))
        else:
            seen = self.parts.total(partial(sums_under, question), sizes.values)
        told = {name: seen[name] for name in ("log_likelihood", "owned", "at_nodes")}
        return FarLook(self, sizes, model, **told, next_sizes=following, sums=_node_sums(seen))

    def sums(self, sizes: Sizes, shares: np.ndarray, *, own: bool) -> NodeSums:
        given = np.column_stack([sizes.values, shares])
        order = self.distinct.order if own else None
        return _node_sums(self.parts.total(partial(_given, sizes.nodes.nodes, order), given))

    def of_rows(self, function: OfRows, sizes: Sizes, model: Mixture) -> np.ndarray:
        ask = partial(_asked, function, model, sizes.nodes.nodes)
        return np.concatenate(self.parts.each(ask, sizes.values))

    def coordinates(self, sizes: np.ndarray, rng: np.random.Generator, n: int) -> np.ndarray:
        rows = self.parts.mapped(normalised, sizes)
        mean = rows.total(column_sums) / self.shape[0]
        blocks = WorkerBlocks(rows.mapped(partial(_centred, mean)))
        return coordinates_by_passes(blocks, self.shape[0], rng, n)


def _totals(part: Counts) -> np.ndarray:
    return part.totals


def _centred(mean: np.ndarray, rows: Any) -> BlockList:
    return BlockList([SparseBlock(rows, mean, 1.0)])


def _sizes_among(nodes: np.ndarray, values: np.ndarray) -> Sizes:
    return Sizes(values, SizeNodes(nodes, values))


def _look_at(part: Counts, sizes: Sizes, model: Mixture) -> NearLook:
    rows, shares = responsibilities(log_joint(part, sizes, model))
    return NearLook(rows, shares, part.weights, sizes)


def _answer(ask: Question, part: Counts, values: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
    """Sums over the rows of a part with these size factors, and the next ones."""
    sizes = _sizes_among(ask.nodes, values)
    seen = _look_at(part, sizes, ask.model)
    if ask.estimate:
        sizes = sizes.moved(next_sizes(part, sizes, ask.model, seen.shares, 0.5))
    sums = {
        "log_likelihood": seen.log_likelihood,
        "owned": seen.owned,
        "at_nodes": seen.at_nodes,
        **_part_sums(ask.order, part, sizes, seen.shares),
    }
    return sums, sizes.values


def sums_under(ask: Question, part: Counts, values: np.ndarray) -> dict[str, Any]:
    """What an iteration needs of the rows of a part, whose size factors are given."""
    return _answer(ask, part, values)[0]


def _sums_of(answer: tuple[dict[str, Any], np.ndarray]) -> dict[str, Any]:
    return answer[0]


def _sizes_of(answer: tuple[dict[str, Any], np.ndarray]) -> np.ndarray:
    return answer[1]


def _given(
    nodes: np.ndarray, order: Order | None, part: Counts, given: np.ndarray
) -> dict[str, Any]:
    """Sums over the rows of a part, whose size factors and responsibilities are given."""
    shares = np.ascontiguousarray(given[:, 1:])
    return _part_sums(order, part, _sizes_among(nodes, given[:, 0].copy()), shares)


def _part_sums(
    order: Order | None, part: Counts, sizes: Sizes, shares: np.ndarray
) -> dict[str, Any]:
    """What `_node_sums` needs of all parts together."""
    sums = Held.of(part, sizes, shares).sums(own=False)
    found = {"counts": sums.held, "rows": sums.owned}
    return found if order is None else {**found, "shares": order.shares(part, shares)}


def _node_sums(found: dict[str, Any]) -> NodeSums:
    owned = found.get("shares")
    if owned is None:
        owned = np.empty((0, len(found["rows"])))
    return NodeSums(found["counts"], found["rows"], listed(owned, np.ones(len(owned))))


def _asked(
    function: OfRows, model: Mixture, nodes: np.ndarray, part: Counts, values: np.ndarray
) -> np.ndarray:
    seen = _look_at(part, _sizes_among(nodes, values), model)
    return function(seen.rows, seen.shares)

"""Rows in this process: what the M-step needs of them follows their responsibilities.

Statistics are counts at the nodes of the size factors, for every gene and component, and are only
brought up to date for the rows whose responsibilities have changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lowdim._checkpoint import Arrays as State
from lowdim._threads import in_threads
from lowdim.mixture._counts.looks import Look, OfRows
from lowdim.mixture._counts.matrix import NEGLIGIBLE, listed
from lowdim.mixture._counts.maximize import MStep, NodeSums, Prior, spans
from lowdim.mixture._counts.model import (
    THREAD_WORK,
    AnyCounts,
    Mixture,
    Sizes,
    log_joint,
    next_sizes,
    responsibilities,
)


@dataclass(frozen=True)
class Held:
    """Counts of the components at the nodes.

    Attributes
    ----------
    counts : Counts or CountsOnDisk
    sizes : Sizes
    shares : ndarray of shape (N, K)
        Responsibilities.
    held : ndarray of shape (K, D, M)
        ``sum_i r_ik x_ig`` at the nodes.
    """

    counts: AnyCounts
    sizes: Sizes
    shares: np.ndarray
    held: np.ndarray

    @classmethod
    def of(cls, counts: AnyCounts, sizes: Sizes, shares: np.ndarray) -> Held:
        """For responsibilities (N, K)."""
        shape = (shares.shape[1], counts.shape[1], len(sizes.nodes.nodes))
        empty = cls(counts, sizes, np.zeros_like(shares), np.zeros(shape))
        return empty.moved(sizes, shares)

    def moved(self, sizes: Sizes, shares: np.ndarray, least: float = NEGLIGIBLE) -> Held:
        """For other responsibilities; this one cannot be used any more.

        Only responsibilities that have changed by `least` are brought up to date: soon they are
        few.
        """
        from lowdim.mixture._counts.rows import add_rows

        if sizes is not self.sizes:
            return Held.of(self.counts, sizes, shares)
        change = shares - self.shares
        matter = np.abs(change) >= least
        self.shares[matter] = shares[matter]
        for rows, part in self.counts.parts():
            component, row = np.nonzero(matter[rows].T)
            pointer = np.searchsorted(component, np.arange(shares.shape[1] + 1))
            moves = pointer, row, change[rows][row, component] * part.weights[row]
            given = part.stored, moves, sizes.nodes.matrix[rows]

            def work(span: tuple[int, int], given: Any = given) -> None:
                add_rows(*given, span, self.held)

            in_threads(work, spans(shares.shape[1], part.n_stored // THREAD_WORK))
        return self

    def sums(self, own: bool) -> NodeSums:
        """What an M-step needs; `own` if components have phi of their own."""
        weighted = self.shares * self.counts.weights[:, None]
        owned = np.ascontiguousarray(weighted.T @ self.sizes.nodes.matrix)
        if own:
            return NodeSums(self.held, owned, self.counts.active(self.shares))
        return NodeSums(self.held, owned, listed(weighted[:0], np.empty(0)))


@dataclass(frozen=True)
class NearLook:
    """A look at rows in this process.

    Attributes
    ----------
    rows : ndarray of shape (N,)
        Their log-likelihoods.
    shares : ndarray of shape (N, K)
        Responsibilities.
    weights : ndarray of shape (N,)
        Row weights.
    sizes : Sizes
    """

    rows: np.ndarray
    shares: np.ndarray
    weights: np.ndarray
    sizes: Sizes

    @property
    def log_likelihood(self) -> float:
        return float(self.weights @ self.rows)

    @cached_property
    def owned(self) -> np.ndarray:
        return np.asarray(self.weights @ self.shares)

    @property
    def at_nodes(self) -> np.ndarray:
        return np.asarray((self.shares * self.weights[:, None]).T @ self.sizes.nodes.matrix)

    def of_rows(self, function: OfRows) -> np.ndarray:
        return function(self.rows, self.shares)


class NearRows:
    """`FitRows` of counts in memory or in a file.

    Parameters
    ----------
    counts : Counts or CountsOnDisk
    own : bool
        Whether components have phi of their own.
    estimate : bool
        Whether size factors are estimated.
    """

    def __init__(self, counts: AnyCounts, own: bool, estimate: bool) -> None:
        self.counts, self.own, self.estimate = counts, own, estimate
        self._held: Held | None = None

    def look(self, sizes: Sizes, model: Mixture) -> NearLook:
        rows, shares = responsibilities(log_joint(self.counts, sizes, model))
        return NearLook(rows, shares, self.counts.weights, sizes)

    def next_sizes(self, seen: Look, sizes: Sizes, model: Mixture) -> Sizes:
        assert isinstance(seen, NearLook)
        return sizes.moved(next_sizes(self.counts, sizes, model, seen.shares, 0.5))

    def step(self, seen: Look, sizes: Sizes, prior: Prior, least: float) -> MStep:
        assert isinstance(seen, NearLook)
        if self._held is None:
            self._held = Held.of(self.counts, sizes, np.zeros_like(seen.shares))
        self._held = self._held.moved(sizes, seen.shares, least)
        return MStep(sizes.nodes.nodes, self.counts, prior, self._held.sums(self.own))

    def state(self) -> State:
        if self._held is None:
            return {}
        if self.estimate:  # made anew wherever size factors have moved
            return {"shares": np.zeros((0, 0)), "held": np.zeros((0, 0, 0))}
        return {"shares": self._held.shares, "held": self._held.held}

    def restore(self, state: State, sizes: Sizes) -> None:
        if "held" in state:
            shares, held = state["shares"].copy(), state["held"].copy()
            self._held = Held(self.counts, sizes, shares, held)

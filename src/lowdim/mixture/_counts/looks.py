"""How a fit sees its rows, wherever they are: scored under a mixture, and summed for an M-step."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lowdim._checkpoint import Arrays as State
from lowdim.mixture._counts.distinct import ByDistinct
from lowdim.mixture._counts.maximize import MStep, NodeSums, Prior
from lowdim.mixture._counts.model import AnyCounts, Mixture, Sizes

#: From the log-likelihoods of some rows, (n,), and their responsibilities, (n, K), to an array with
#: an entry per row.
OfRows = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Look(Protocol):
    """What rows have said of a mixture."""

    @property
    def log_likelihood(self) -> float:
        """The sum over the rows, weighted."""
        ...

    @property
    def owned(self) -> np.ndarray:
        """The components' row weights, (K,)."""
        ...

    @property
    def at_nodes(self) -> np.ndarray:
        """The same at the nodes of the size factors, (K, M)."""
        ...

    def of_rows(self, function: OfRows) -> np.ndarray:
        """What a function makes of all rows, brought here."""
        ...


class FitRows(Protocol):
    """The rows of a restart."""

    def look(self, sizes: Sizes, model: Mixture) -> Look:
        """Score them."""
        ...

    def next_sizes(self, seen: Look, sizes: Sizes, model: Mixture) -> Sizes:
        """Size factors closer to the most likely ones."""
        ...

    def step(self, seen: Look, sizes: Sizes, prior: Prior, least: float) -> MStep:
        """The M-step; changes of responsibilities below `least` may wait for a later one."""
        ...

    def state(self) -> State:
        """What is kept from step to step, for `restore`."""
        ...

    def restore(self, state: State, sizes: Sizes) -> None:
        """Be where another one was."""
        ...


def loglikelihoods(rows: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """(n,)."""
    return rows


def responsibilities_of(rows: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """(n, K)."""
    return shares


def labels_of(rows: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The most probable components, (n,), int32."""
    return shares.argmax(1).astype(np.int32)


@dataclass(frozen=True)
class FarLook:
    """A look at rows that are elsewhere: the sums that came back from it.

    Attributes
    ----------
    counts : CountsElsewhere
    sizes, model
        Under which rows were seen.
    next_sizes : Sizes
        Estimated ones, or the same again.
    sums : NodeSums
        Under these.
    """

    counts: CountsElsewhere
    sizes: Sizes
    model: Mixture
    log_likelihood: float
    owned: np.ndarray
    at_nodes: np.ndarray
    next_sizes: Sizes
    sums: NodeSums

    def of_rows(self, function: OfRows) -> np.ndarray:
        """A pass of its own: responsibilities are not kept."""
        return self.counts.of_rows(function, self.sizes, self.model)


class CountsElsewhere(ByDistinct):
    """A count matrix, (N, D), whose rows are on workers or on a device.

    It stands for `Counts` where rows are only summed. What an iteration needs of rows comes back
    from one pass, `look`, for which nothing is kept from the pass before.

    Attributes
    ----------
    shape : (int, int)
    weights, totals : ndarrays of shape (N,)
        Row weights, and counts of each row.
    """

    shape: tuple[int, int]
    weights: np.ndarray
    totals: np.ndarray

    @abstractmethod
    def look(self, sizes: Sizes, model: Mixture, *, estimate: bool) -> FarLook:
        """Rows scored and summed; with `estimate`, summed under the next size factors."""

    @abstractmethod
    def sums(self, sizes: Sizes, shares: np.ndarray, *, own: bool) -> NodeSums:
        """Rows summed by responsibilities, (N, K); `own` if components have phi of their own."""

    @abstractmethod
    def of_rows(self, function: OfRows, sizes: Sizes, model: Mixture) -> np.ndarray:
        """What a function makes of all rows under a mixture."""

    @abstractmethod
    def coordinates(self, sizes: np.ndarray, rng: np.random.Generator, n: int) -> np.ndarray:
        """Log-normalised rows along their n leading directions, (N, n)."""


class FarRows:
    """`FitRows` elsewhere: every pass says all that the next M-step needs.

    Parameters
    ----------
    counts : CountsElsewhere
    estimate : bool
        Whether size factors are estimated.
    """

    def __init__(self, counts: CountsElsewhere, estimate: bool) -> None:
        self.counts, self.estimate = counts, estimate

    def look(self, sizes: Sizes, model: Mixture) -> FarLook:
        return self.counts.look(sizes, model, estimate=self.estimate)

    def next_sizes(self, seen: Look, sizes: Sizes, model: Mixture) -> Sizes:
        assert isinstance(seen, FarLook)
        return seen.next_sizes

    def step(self, seen: Look, sizes: Sizes, prior: Prior, least: float) -> MStep:
        assert isinstance(seen, FarLook)
        return MStep(sizes.nodes.nodes, self.counts, prior, seen.sums)

    def state(self) -> State:
        return {}

    def restore(self, state: State, sizes: Sizes) -> None:
        """There is nothing to restore."""


def rows_of(counts: AnyCounts | CountsElsewhere, *, own: bool, estimate: bool) -> FitRows:
    """The rows of a new restart; `own` if components have phi of their own."""
    if isinstance(counts, CountsElsewhere):
        return FarRows(counts, estimate)
    from lowdim.mixture._counts.near_rows import NearRows

    return NearRows(counts, own, estimate)


def step_of(
    counts: AnyCounts | CountsElsewhere,
    sizes: Sizes,
    shares: np.ndarray,
    prior: Prior,
    *,
    own: bool,
) -> MStep:
    """The M-step for responsibilities (N, K)."""
    if isinstance(counts, CountsElsewhere):
        sums = counts.sums(sizes, shares, own=own)
    else:
        from lowdim.mixture._counts.near_rows import Held

        sums = Held.of(counts, sizes, shares).sums(own)
    return MStep(sizes.nodes.nodes, counts, prior, sums)

"""The parameters of a mixture of count distributions, and what rows score under them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import logsumexp

from lowdim._threads import in_threads, row_parts
from lowdim.mixture._counts.chebyshev import SizeNodes
from lowdim.mixture._counts.matrix import Counts
from lowdim.mixture._counts.on_disk import CountsOnDisk

AnyCounts = Counts | CountsOnDisk

#: Stored counts times components that are worth a thread.
THREAD_WORK = 500_000


@dataclass(frozen=True)
class Mixture:
    """Parameters, genes first: the loops over stored counts go from gene to components.

    Attributes
    ----------
    weights : ndarray of shape (K,)
        pi.
    mean : ndarray of shape (D, K)
        mu, at size factor 1.
    noise : ndarray of shape (D, K)
        phi; equal columns where components share it, zero for Poisson.
    per_component : bool
        Whether components have dispersions of their own.
    """

    weights: np.ndarray
    mean: np.ndarray
    noise: np.ndarray
    per_component: bool

    def copy(self) -> Mixture:
        """Parameters that can be written to."""
        return replace(self, mean=self.mean.copy(), noise=self.noise.copy())


@dataclass(frozen=True)
class Sizes:
    """Size factors of rows, (N,), and the nodes among which they lie."""

    values: np.ndarray
    nodes: SizeNodes

    @classmethod
    def of(cls, values: np.ndarray, reach: float = 1.0) -> Sizes:
        """With nodes that fit them, and those up to `reach` times outside."""
        return cls(values, SizeNodes.of(values, reach))

    def moved(self, values: np.ndarray) -> Sizes:
        """Other values within the span of the same nodes."""
        return Sizes(values, self.nodes.moved(values))


def log_joint(counts: AnyCounts, sizes: Sizes, model: Mixture) -> np.ndarray:
    """``log pi_k + log p(x_i | k)``, (N, K), with all constants."""
    from lowdim.mixture._counts.rows import score_entries, zero_costs

    n, k = counts.shape[0], len(model.weights)
    scores, constants = np.empty((n, k)), -counts.factorials
    constants += counts.totals * np.log(sizes.values)
    inverse = 1.0 / model.mean
    for where, own in counts.parts():
        given = sizes.values[where], scores[where], constants[where]

        def work(part: slice, own: Counts = own, given: tuple[np.ndarray, ...] = given) -> None:
            values, out, added = (array[part] for array in given)
            parameters = inverse, model.noise, model.per_component
            score_entries(own.part(part), values, *parameters, out, added)

        in_threads(work, row_parts(own.shape[0], own.n_stored * k // THREAD_WORK))
    costs = np.empty((len(sizes.nodes.nodes), k))
    zero_costs(sizes.nodes.nodes, model.mean.T.copy(), model.noise.T.copy(), costs)
    scores -= sizes.nodes.matrix @ costs
    scores += constants[:, None]
    with np.errstate(divide="ignore"):
        scores += np.log(model.weights)
    return scores


def responsibilities(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log-likelihood of rows, (N,), and the posterior of their components, (N, K)."""
    rows = logsumexp(scores, axis=1)
    return rows, np.exp(scores - rows[:, None])


def next_sizes(
    counts: AnyCounts, sizes: Sizes, model: Mixture, shares: np.ndarray, power: float
) -> np.ndarray:
    """Size factors closer to the most likely ones, within the span of the nodes, (N,).

    Fisher's fixed point of s is that of a mean with rows and genes exchanged. The geometric mean
    of it and the old value (`power` 1/2) can never lower the expected log-likelihood.
    """
    from lowdim.mixture._counts.matrix import listed
    from lowdim.mixture._counts.rows import discounted_counts, exposures

    nodes = sizes.nodes.nodes
    slopes = np.empty((len(nodes), len(model.weights)))
    exposures(nodes, model.mean.T.copy(), model.noise.T.copy(), slopes)
    below = ((sizes.nodes.matrix @ slopes) * shares).sum(1)
    above = np.empty(len(shares))
    rate = model.mean * model.noise
    for rows, part in counts.parts():
        active = listed(shares[rows], np.ones(part.shape[0]))
        discounted_counts(part.stored, active, sizes.values[rows], rate, above[rows])
    fixed = above / np.maximum(below, 1e-300)
    return np.clip(sizes.values ** (1 - power) * fixed**power, *sizes.nodes.span)

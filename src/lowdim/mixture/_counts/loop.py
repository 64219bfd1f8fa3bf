"""EM for mixtures of count distributions: one restart after the other.

This loop is not `run_em`, whose statistics are sums over blocks of rows that are made anew in every
pass. Here they are counts at the nodes of the size factors, for every gene and component, and are
only brought up to date for the rows whose responsibilities have changed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lowdim._progress import Report
from lowdim._results import StopReason
from lowdim.mixture._counts.matrix import NEGLIGIBLE
from lowdim.mixture._counts.maximize import LEAST_NOISE, MStep, Prior, maximize, proportions
from lowdim.mixture._counts.model import (
    AnyCounts,
    Mixture,
    Sizes,
    log_joint,
    next_sizes,
    responsibilities,
)

#: M-steps that turn a partition of the rows into parameters.
WARM_UP = 3
#: Dispersion at which they begin.
FIRST_NOISE = 0.3
#: Share of the genes' means mixed into those of a component at the start, so that no component
#: thinks impossible what it has not seen among its first rows.
SMOOTHING = 0.02
#: A component with fewer rows than this has starved, and is re-seeded, but not for ever.
STARVED, MAX_RESEEDS = 1e-2, 5
#: The share of the last gain per row that a responsibility may be behind, and the most it may.
STALE, MOST_STALE = 1e-3, 1e-4
#: A restart stops if so many steps like its last would not reach the best one.
PATIENCE, EARLIEST = 20, 4


@dataclass(frozen=True)
class LoopOptions:
    """How to iterate; as `NegativeBinomialMixture` has it."""

    kind: str
    max_iter: int
    tol: float
    estimate_sizes: bool
    reseed: bool = True


@dataclass(frozen=True)
class Restart:
    """A fitted mixture.

    Attributes
    ----------
    model : Mixture
    sizes : Sizes
    shares : ndarray of shape (N, K)
        Responsibilities.
    log_likelihood : float
        Mean per row weight.
    trace : ndarray
        The objective, mean per row weight, at every iteration since components were last re-seeded.
    n_iter : int
    reason : StopReason
    starved : bool
        Whether a component has no rows in spite of re-seeding.
    """

    model: Mixture
    sizes: Sizes
    shares: np.ndarray
    log_likelihood: float
    trace: np.ndarray
    n_iter: int
    reason: StopReason
    starved: bool

    @property
    def objective(self) -> float:
        """The last of the trace."""
        return float(self.trace[-1])


def first_model(
    counts: AnyCounts, sizes: Sizes, shares: np.ndarray, prior: Prior, kind: str, smoothing: float
) -> Mixture:
    """Parameters from responsibilities, (N, K)."""
    n_genes, k = counts.shape[1], shares.shape[1]
    noise = np.full((n_genes, k), 0.0 if kind == "poisson" else FIRST_NOISE)
    mean = np.repeat(prior.means[:, None], k, axis=1)
    weights = proportions(shares, counts.weights)
    model = Mixture(weights, mean, noise, kind == "component")
    step = MStep.of(counts, sizes, shares, prior)
    for _ in range(WARM_UP):
        model = maximize(step, model, kind)
    mixed = (1 - smoothing) * model.mean + smoothing * prior.means[:, None]
    return replace(model, mean=mixed)


def run_restart(
    counts: AnyCounts,
    sizes: Sizes,
    model: Mixture,
    prior: Prior,
    options: LoopOptions,
    best: float = -np.inf,
    report: Report | None = None,
) -> Restart:
    """EM until the objective settles; it never falls, but where a component is re-seeded.

    `best` is the objective of a restart that has converged: one that stays far below it stops.
    """
    total = float(counts.weights.sum())
    trace: list[float] = []
    reseeds, reason, step = 0, StopReason.ITERATION_LIMIT, None
    for iteration in range(1, options.max_iter + 1):
        rows, shares = responsibilities(log_joint(counts, sizes, model))
        likelihood = float(counts.weights @ rows) / total
        trace.append(likelihood + prior.log_density(model) / total)
        owned = counts.weights @ shares
        starved = owned < STARVED
        gain = trace[-1] - trace[-2] if len(trace) > 1 else np.inf
        again = bool(starved.any()) and options.reseed and reseeds < MAX_RESEEDS
        again = again and iteration < options.max_iter
        if not np.isfinite(trace[-1]):
            reason = StopReason.NOT_FINITE
            break
        if not again and abs(gain) < options.tol:
            reason = StopReason.CONVERGED
            break
        if iteration >= EARLIEST and trace[-1] + PATIENCE * max(gain, 0.0) < best:
            reason = StopReason.OUTPACED
            break
        if report is not None:
            report(iteration, trace[-1])
        if iteration == options.max_iter:
            break
        if again:
            shares, reseeds = reseeded(counts, rows, shares, starved), reseeds + 1
            model = first_model(counts, sizes, shares, prior, options.kind, SMOOTHING)
            trace.clear()
            continue
        if options.estimate_sizes:
            sizes = sizes.moved(next_sizes(counts, sizes, model, shares, 0.5))
        if step is None:
            step = MStep.of(counts, sizes, np.zeros_like(shares), prior)
        step = step.moved(sizes, shares, stale(gain))
        weights = proportions(shares, counts.weights)
        model = replace(maximize(step, model, options.kind), weights=weights)
    return Restart(
        *(model, sizes, shares, likelihood, np.array(trace), iteration, reason),
        bool(starved.any()),
    )


def stale(gain: float) -> float:
    """Changes of responsibilities below this can wait for a later iteration.

    What waits lowers the objective by less than itself, and is so kept far below the last gain.
    """
    return float(np.clip(STALE * gain, NEGLIGIBLE, MOST_STALE))


def reseeded(
    counts: AnyCounts, rows: np.ndarray, shares: np.ndarray, starved: np.ndarray
) -> np.ndarray:
    """Responsibilities in which starved components have rows again.

    Each takes the half of the largest component's rows that it explains worst, per count.
    """
    shares = shares.copy()
    misfit = -rows / (counts.totals + 1.0)
    for k in np.flatnonzero(starved):
        owned = shares * counts.weights[:, None]
        largest = int(owned.sum(0).argmax())
        members = np.flatnonzero(owned[:, largest] > 0.5 * counts.weights * (counts.weights > 0))
        if len(members) < 2:
            continue
        worst = members[np.argsort(-misfit[members], kind="stable")[: len(members) // 2]]
        shares[worst] = 0.0
        shares[worst, k] = 1.0
    return shares


def gene_means(counts: AnyCounts, sizes: Sizes) -> np.ndarray:
    """Mean of each gene at size factor 1, (D,); genes without counts get next to nothing."""
    from lowdim.mixture._counts.genes import MEAN_FLOOR

    sums = sum(part.rows.T @ part.weights for _, part in counts.parts())
    means = sums / float(counts.weights @ sizes.values)
    return np.maximum(means, MEAN_FLOOR)


def prior_on_means(means: np.ndarray, count: float) -> Prior:
    """No shrinkage of dispersions."""
    return Prior(float(count), means, np.full(len(means), np.log(LEAST_NOISE)))

"""EM for mixtures of count distributions: one restart after the other.

This loop is not `run_em`, whose statistics are sums over blocks of rows that are made anew in every
pass. Here they are counts at the nodes of the size factors, for every gene and component, and in
this process they are only brought up to date for the rows whose responsibilities have changed
(`near_rows.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from lowdim._checkpoint import Arrays
from lowdim._journal import Journal
from lowdim._progress import Report
from lowdim._results import StopReason
from lowdim.mixture._counts.looks import (
    CountsElsewhere,
    FitRows,
    Look,
    loglikelihoods,
    responsibilities_of,
    rows_of,
    step_of,
)
from lowdim.mixture._counts.matrix import NEGLIGIBLE, CountTable
from lowdim.mixture._counts.maximize import LEAST_NOISE, Prior, maximize
from lowdim.mixture._counts.model import AnyCounts, Mixture, Sizes

#: M-steps that turn a partition of the rows into parameters.
WARM_UP = 3
#: Dispersion at which they begin.
FIRST_NOISE = 0.3
#: Share of the genes' means mixed into those of a component at the start, so that no component
#: thinks impossible what it has not seen among its first rows.
SMOOTHING = 0.02
#: Counts of the prior on means: this share of what a component has of a gene on average, or of the
#: number of genes if that is less, between the least and the most.
PRIOR_SHARE, LEAST_PRIOR, MOST_PRIOR = 0.1, 5.0, 100.0
#: A component with fewer rows than this has starved, and is re-seeded, but not for ever.
STARVED, MAX_RESEEDS = 1e-2, 5
#: The share of the last gain per row that a responsibility may be behind, and the most it may: so
#: little that a fit ends where one ends that keeps nothing, to 1e-8.
STALE, MOST_STALE = 1e-4, 1e-7
#: A restart stops if so many steps like its last would not reach the best one.
PATIENCE, EARLIEST = 20, 4
#: Arrays of a mixture.
PARAMETERS = ("weights", "mean", "noise")


@dataclass(frozen=True)
class LoopOptions:
    """How to iterate; as `NegativeBinomialMixture` has it."""

    kind: str
    max_iter: int
    tol: float
    estimate_sizes: bool
    reseed: bool = True

    @property
    def own(self) -> bool:
        """Whether components have dispersions of their own."""
        return self.kind == "component"


@dataclass(frozen=True)
class Restart:
    """A fitted mixture.

    Attributes
    ----------
    model : Mixture
    sizes : Sizes
    seen : Look
        What the rows say of it.
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
    seen: Look
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
    counts: AnyCounts | CountsElsewhere,
    sizes: Sizes,
    shares: np.ndarray,
    prior: Prior,
    kind: str,
    smoothing: float,
) -> Mixture:
    """Parameters from responsibilities, (N, K)."""
    n_genes, k = counts.shape[1], shares.shape[1]
    noise = np.full((n_genes, k), 0.0 if kind == "poisson" else FIRST_NOISE)
    mean = np.repeat(prior.means[:, None], k, axis=1)
    own = kind == "component"
    model = Mixture(proportions(counts.weights @ shares), mean, noise, own)
    step = step_of(counts, sizes, shares, prior, own=own)
    for _ in range(WARM_UP):
        model = maximize(step, model, kind)
    mixed = (1 - smoothing) * model.mean + smoothing * prior.means[:, None]
    return replace(model, mean=mixed)


def run_restart(
    counts: AnyCounts | CountsElsewhere,
    sizes: Sizes,
    model: Mixture,
    prior: Prior,
    options: LoopOptions,
    best: float = -np.inf,
    report: Report | None = None,
    journal: Journal | None = None,
) -> Restart:
    """EM until the objective settles; it never falls, but where a component is re-seeded.

    `best` is the objective of a restart that has converged: one that stays far below it stops. EM
    goes on from where the journal has it, and stops where that is asked to end.
    """
    journal = journal or Journal()
    rows = rows_of(counts, own=options.own, estimate=options.estimate_sizes)
    run, stage = _Run(counts, rows, prior, options, sizes, model), journal.stage()
    if stage.kept is not None:
        run.restore(stage.kept)
    while (reason := run.look(best)) is None:
        if report is not None:
            report(run.iteration, run.trace[-1])
        if journal.asked:
            reason = StopReason.INTERRUPTED
            break
        run.move()
        stage.keep(run.state)
    stage.close(run.state)
    return run.result(reason)


@dataclass
class _Run:
    """A restart on its way: looks at the rows, and moves."""

    counts: AnyCounts | CountsElsewhere
    rows: FitRows
    prior: Prior
    options: LoopOptions
    sizes: Sizes
    model: Mixture
    trace: list[float] = field(default_factory=list)
    iteration: int = 0
    reseeds: int = 0

    def look(self, best: float) -> StopReason | None:
        """Score the rows; whether to stop, and why."""
        self.iteration += 1
        self.looked = True
        total, options = float(self.counts.weights.sum()), self.options
        self.seen = self.rows.look(self.sizes, self.model)
        self.likelihood = self.seen.log_likelihood / total
        self.trace.append(self.likelihood + self.prior.log_density(self.model) / total)
        self.starved = self.seen.owned < STARVED
        value = self.trace[-1]
        self.gain = value - self.trace[-2] if len(self.trace) > 1 else np.inf
        last = self.iteration >= options.max_iter
        self.again = bool(self.starved.any()) and options.reseed and self.reseeds < MAX_RESEEDS
        self.again = self.again and not last
        if not np.isfinite(value):
            return StopReason.NOT_FINITE
        if not self.again and abs(self.gain) < options.tol:
            return StopReason.CONVERGED
        if self.iteration >= EARLIEST and value + PATIENCE * max(self.gain, 0.0) < best:
            return StopReason.OUTPACED
        return StopReason.ITERATION_LIMIT if last else None

    def move(self) -> None:
        """The M-step, or new rows for components that have lost theirs."""
        self.looked = False
        options, seen = self.options, self.seen
        if self.again:
            found = seen.of_rows(loglikelihoods), seen.of_rows(responsibilities_of)
            shares = reseeded(self.counts, *found, self.starved)
            self.reseeds += 1
            self.model = first_model(
                self.counts, self.sizes, shares, self.prior, options.kind, SMOOTHING
            )
            self.trace.clear()
            return
        if options.estimate_sizes:
            self.sizes = self.rows.next_sizes(seen, self.sizes, self.model)
        step = self.rows.step(seen, self.sizes, self.prior, stale(self.gain))
        model = maximize(step, self.model, options.kind)
        self.model = replace(model, weights=proportions(seen.owned))

    def state(self) -> Arrays:
        """Where it has moved to; what it has seen from there is left out, and seen again."""
        done = len(self.trace) - self.looked
        state = {
            "trace": np.array(self.trace[:done]),
            "numbers": np.array([self.iteration - self.looked, self.reseeds]),
            "sizes": self.sizes.values,
            **{name: getattr(self.model, name) for name in PARAMETERS},
        }
        return state | self.rows.state()

    def restore(self, state: Arrays) -> None:
        """Be where another one was."""
        self.trace = state["trace"].tolist()
        self.iteration, self.reseeds = state["numbers"].tolist()
        weights, mean, noise = (state[name].copy() for name in PARAMETERS)
        self.model = replace(self.model, weights=weights, mean=mean, noise=noise)
        if not np.array_equal(state["sizes"], self.sizes.values):
            self.sizes = self.sizes.moved(state["sizes"])
        self.rows.restore(state, self.sizes)

    def result(self, reason: StopReason) -> Restart:
        return Restart(
            *(self.model, self.sizes, self.seen, self.likelihood, np.array(self.trace)),
            *(self.iteration, reason, bool(self.starved.any())),
        )


def proportions(owned: np.ndarray) -> np.ndarray:
    """Mixing proportions of components with so many rows, (K,)."""
    return np.asarray(owned / owned.sum())


def stale(gain: float) -> float:
    """Changes of responsibilities below this can wait for a later iteration.

    What waits lowers the objective by less than itself, and is so kept far below the last gain.
    Nothing waits before there is one.
    """
    if not np.isfinite(gain):
        return NEGLIGIBLE
    return float(np.clip(STALE * gain, NEGLIGIBLE, MOST_STALE))


def reseeded(
    counts: CountTable, rows: np.ndarray, shares: np.ndarray, starved: np.ndarray
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


def gene_means(counts: CountTable, sizes: Sizes) -> np.ndarray:
    """Mean of each gene at size factor 1, (D,); genes without counts get next to nothing."""
    from lowdim.mixture._counts.genes import MEAN_FLOOR

    means = counts.gene_totals / float(counts.weights @ sizes.values)
    return np.maximum(means, MEAN_FLOOR)


def prior_on_means(means: np.ndarray, count: float) -> Prior:
    """No shrinkage of dispersions."""
    return Prior(float(count), means, np.full(len(means), np.log(LEAST_NOISE)))


def automatic_count(means: np.ndarray, counted: float, k: int) -> float:
    """Counts of the prior on the means of k components, by the genes' means and all counts."""
    from lowdim.mixture._counts.genes import MEAN_FLOOR

    n_genes = max(int((means > MEAN_FLOOR).sum()), 1)
    count = PRIOR_SHARE * min(counted / (k * n_genes), n_genes)
    return min(max(count, LEAST_PRIOR), MOST_PRIOR)

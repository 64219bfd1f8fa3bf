"""From counts to the best of several mixtures."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lowdim._journal import Journal
from lowdim._progress import reports
from lowdim.mixture._counts.arguments import Arguments
from lowdim.mixture._counts.chebyshev import SizeNodes
from lowdim.mixture._counts.looks import CountsElsewhere, step_of
from lowdim.mixture._counts.loop import (
    SMOOTHING,
    LoopOptions,
    Restart,
    automatic_count,
    first_model,
    gene_means,
    prior_on_means,
    run_restart,
)
from lowdim.mixture._counts.matrix import CountTable
from lowdim.mixture._counts.maximize import Prior, curvatures
from lowdim.mixture._counts.merge import information, merged_shares, n_parts
from lowdim.mixture._counts.model import AnyCounts, Mixture, Sizes
from lowdim.mixture._counts.size_factors import SizeRule
from lowdim.mixture._counts.starts import Starter
from lowdim.mixture._counts.trend import dispersion_trend


@dataclass(frozen=True)
class Fit:
    """The kept restart, and what is told of the others.

    Attributes
    ----------
    best : Restart
    prior : Prior
    rule : SizeRule
        For new rows.
    objectives : ndarray of shape (n_init,)
        The last objective of every restart.
    information : ndarray of shape (D, K)
        Expected information about log mu.
    """

    best: Restart
    prior: Prior
    rule: SizeRule
    objectives: np.ndarray
    information: np.ndarray


def fit_counts(
    arguments: Arguments,
    counts: AnyCounts | CountsElsewhere,
    rng: np.random.Generator,
    journal: Journal | None = None,
) -> Fit:
    """EM from several starts."""
    journal = journal or Journal(rng)
    rule = SizeRule.of(arguments.size_factors, counts)
    given = arguments.given_sizes
    sizes = rule.start(counts) if given is None else Sizes.of(given)
    means, k = gene_means(counts, sizes), arguments.n_components
    count = arguments.prior
    if isinstance(count, str):
        count = automatic_count(means, float(counts.weights @ counts.totals), k)
    prior = prior_on_means(means, count)
    options = LoopOptions(
        arguments.dispersion, arguments.max_iter, arguments.tol, rule.kind == "estimate"
    )
    parts = n_parts(k, counts.shape[0]) if arguments.init == "kmeans" else k
    starter = Starter(counts, sizes.values, parts, arguments.init, rng)
    n_starts = 1
    if arguments.responsibilities is None:
        n_starts = arguments.n_init
        starter.prepare()
    runs: list[Restart] = []
    total = arguments.max_iter * n_starts
    with reports(total, description="counts", enabled=arguments.verbose > 0) as report:
        for _ in range(n_starts):
            if runs and journal.asked:
                break
            shares, smoothing = arguments.responsibilities, 0.0
            if shares is None:
                shares = first_shares(journal, starter, sizes, prior, options, k)
                smoothing = SMOOTHING
            model = first_model(counts, sizes, shares, prior, options.kind, smoothing)
            if not runs:
                prior = shrinking(arguments, counts, sizes, shares, prior, model)
            best = max((run.objective for run in runs if not run.starved), default=-np.inf)
            runs.append(run_restart(counts, sizes, model, prior, options, best, report, journal))
    kept = max(runs, key=lambda run: (not run.starved, run.objective))
    if options.estimate_sizes:
        kept = rescaled(kept, counts)
    objectives = np.array([run.objective for run in runs])
    return Fit(kept, prior, rule, objectives, information(kept, prior))


def first_shares(
    journal: Journal, starter: Starter, sizes: Sizes, prior: Prior, options: LoopOptions, k: int
) -> np.ndarray:
    """Responsibilities of a new start, (N, K), or those that the journal has of it."""
    return journal.once(
        lambda _: merged_shares(starter.counts, sizes, starter.labels(), prior, options, k),
        lambda made: {"shares": made},
        lambda kept: kept["shares"].copy(),
    )


def shrinking(
    arguments: Arguments,
    counts: AnyCounts | CountsElsewhere,
    sizes: Sizes,
    shares: np.ndarray,
    prior: Prior,
    model: Mixture,
) -> Prior:
    """The prior with the trend of the dispersions of the first start.

    It is the same for all restarts, whose objectives could not be compared otherwise.
    """
    if arguments.shrinkage is None or arguments.dispersion not in ("gene", "component"):
        return prior
    step = step_of(counts, sizes, shares, prior, own=model.per_component)
    curvature = curvatures(step, model)
    noise, weight = model.noise, np.maximum(curvature, 1e-6)
    pooled = np.exp((np.log(noise) * weight).sum(1) / weight.sum(1))
    known = curvature.sum(1) if model.per_component else curvature[:, 0]
    centres, width = dispersion_trend(prior.means, pooled, known)
    if not isinstance(arguments.shrinkage, str):
        width = arguments.shrinkage
    return replace(prior, centres=centres, precision=1.0 / width**2)


def rescaled(run: Restart, counts: CountTable) -> Restart:
    """Estimated size factors brought to the mean one; the likelihood stays what it is."""
    scale = float(counts.weights @ run.sizes.values / counts.weights.sum())
    values = run.sizes.values / scale
    sizes = Sizes(values, SizeNodes(run.sizes.nodes.nodes / scale, values))
    return replace(run, sizes=sizes, model=replace(run.model, mean=run.model.mean * scale))

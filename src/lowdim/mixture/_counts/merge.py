"""Starts that are split too finely and then merged: k-means often cuts a large group in two."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from lowdim.mixture._counts.looks import CountsElsewhere
from lowdim.mixture._counts.loop import SMOOTHING, LoopOptions, Restart, first_model, run_restart
from lowdim.mixture._counts.maximize import Prior
from lowdim.mixture._counts.model import AnyCounts, Mixture, Sizes

#: Parts per component at first, rows per part at least, and iterations of EM before they merge.
PARTS, ROWS_PER_PART, ITERATIONS = 2, 5, 3


def n_parts(n_components: int, n_rows: int) -> int:
    """Into how many parts rows are split at first."""
    return max(n_components, min(PARTS * n_components, n_rows // ROWS_PER_PART))


def merged_shares(
    counts: AnyCounts | CountsElsewhere,
    sizes: Sizes,
    labels: np.ndarray,
    prior: Prior,
    options: LoopOptions,
    n_components: int,
) -> np.ndarray:
    """Responsibilities, (N, K), from labels of more than K parts.

    A few iterations of EM clean the parts. Then the two that differ least are merged, again and
    again, until K are left.
    """
    parts = int(labels.max()) + 1
    shares = np.eye(parts)[labels]
    if parts <= n_components:
        return np.eye(n_components)[labels]
    model = first_model(counts, sizes, shares, prior, options.kind, SMOOTHING)
    few = replace(options, max_iter=ITERATIONS, estimate_sizes=False, reseed=False)
    run = run_restart(counts, sizes, model, prior, few)
    groups = merge(run.model.mean, information(run, prior), n_components)
    return run.seen.of_rows(partial(_joined, groups))


def _joined(groups: list[list[int]], rows: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Responsibilities of merged parts, (n, K)."""
    return np.stack([shares[:, group].sum(1) for group in groups], 1)


def merge(mean: np.ndarray, known: np.ndarray, n_components: int) -> list[list[int]]:
    """Which parts belong together, K lists of them.

    What merging parts a and b costs in log-likelihood is, to second order, ``sum_g
    (log mu_a - log mu_b)^2 I_a I_b / (I_a + I_b) / 2`` with the information I about each log mean.

    Parameters
    ----------
    mean : (D, P)
    known : (D, P)
        I.
    n_components : int
        K.
    """
    level, known = np.log(mean).T.copy(), np.maximum(known.T, 1e-12)
    groups = [[part] for part in range(len(level))]
    while len(groups) > n_components:
        _, into, gone = min(
            (_cost(level, known, a, b), a, b) for b in range(len(groups)) for a in range(b)
        )
        total = known[into] + known[gone]
        level[into] = (known[into] * level[into] + known[gone] * level[gone]) / total
        known[into] = total
        groups[into] += groups.pop(gone)
        level, known = np.delete(level, gone, 0), np.delete(known, gone, 0)
    return groups


def _cost(level: np.ndarray, known: np.ndarray, a: int, b: int) -> float:
    both = known[a] * known[b] / (known[a] + known[b])
    return float(0.5 * both @ np.square(level[a] - level[b]))


def information(run: Restart, prior: Prior) -> np.ndarray:
    """Expected information about log mu, ``mu (b + sum_i r_ik s_i / (1 + s_i phi mu))``, (D, K).

    b is the exposure of the prior's counts.
    """
    model: Mixture = run.model
    weights = run.seen.at_nodes
    rate = model.mean * model.noise
    total = np.repeat(prior.exposures[:, None], rate.shape[1], axis=1)
    for node, weight in zip(run.sizes.nodes.nodes, weights.T, strict=True):
        total += weight * node / (1.0 + node * rate)
    return np.asarray(model.mean * total)

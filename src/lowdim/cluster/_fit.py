"""From rows to the best of several sets of centroids."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from lowdim._journal import Journal
from lowdim._progress import reports
from lowdim.cluster._assignment import nearest_labels
from lowdim.cluster._family import CentroidFamily, Centroids
from lowdim.cluster._lloyd import lloyd
from lowdim.cluster._seeding import sample_block, seed
from lowdim.data.blocks import Rows
from lowdim.data.standardized import StandardizedRows
from lowdim.mixture._em import EMOptions, EMResult, run_em


@dataclass(frozen=True)
class ClusterFit:
    """The kept restart, in standardised units.

    Attributes
    ----------
    means : ndarray of shape (K, D)
    result : EMResult
        Of all restarts.
    best : int
        Which of them was kept.
    """

    means: np.ndarray
    result: EMResult[Centroids]
    best: int


def starts(
    data: StandardizedRows, n_clusters: int, methods: list[str], rng: np.random.Generator
) -> np.ndarray:
    """Centroids for every method, (R, K, D), in standardised units."""
    block = sample_block(data, n_clusters, rng)
    made = [seed(block, n_clusters, method, rng) for method in methods]
    return torch.stack(made).cpu().numpy()


def run_hard(
    family: CentroidFamily,
    data: Rows,
    means: np.ndarray,
    *,
    max_iter: int,
    tol: float,
    verbose: int = 0,
    journal: Journal | None = None,
) -> ClusterFit:
    """Lloyd's algorithm from all starts, (R, K, D), until centroids move by no more than tol."""
    with reports(max_iter, description="k-means", enabled=verbose > 0) as report:
        result = lloyd(
            family, data, means, max_iter=max_iter, tol=tol, report=report, journal=journal
        )
        return _best(result)


def run_soft(
    family: CentroidFamily,
    data: Rows,
    means: np.ndarray,
    options: EMOptions,
    *,
    verbose: int = 0,
    journal: Journal | None = None,
) -> ClusterFit:
    """EM from all starts, (R, K, D)."""
    with reports(options.max_iter, description="soft k-means", enabled=verbose > 0) as report:
        return _best(run_em(family, data, family.parameters(means), options, report, journal))


def _best(result: EMResult[Centroids]) -> ClusterFit:
    best = result.best()
    return ClusterFit(result.parameters.means[best].cpu().numpy(), result, best)


def labels_of(data: StandardizedRows, means: np.ndarray) -> tuple[np.ndarray, float]:
    """The nearest centroid of every row, (N,), int32, and the summed squared distances."""
    centroids = torch.from_numpy(means[None]).to(data.device)
    labels, squares = zip(*data.each(partial(nearest_labels, means=centroids)), strict=True)
    return np.concatenate([own[0] for own in labels]), float(sum(own[0] for own in squares))

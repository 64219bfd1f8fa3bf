"""Estimators at several sizes: how each says its size, its start and how good it is."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from lowdim._results import FitFailed
from lowdim._saving import as_bytes, of_bytes
from lowdim.data.sources import RowSource
from lowdim.data.subset import SubsetRows

#: So many of the largest clusters of a smaller fit are split in turn.
SPLITS = 2
#: A cluster with fewer rows is not split.
FEWEST_ROWS = 10


@dataclass(frozen=True)
class Kind:
    """One kind of estimator.

    Attributes
    ----------
    size, start : str
        Its arguments for the number of components and for where to begin.
    objective : str
        The fitted attribute that says how good it is; low is good for clusters, else high.
    clusters : bool
        Whether it has centroids rather than a likelihood.
    counts : bool
        Whether it is for counts.
    """

    size: str
    start: str
    objective: str
    clusters: bool = False
    counts: bool = False

    def sized(self, estimator: Any, size: int) -> Any:
        """An unfitted copy with so many components."""
        return clone(estimator).set_params(**{self.size: size})

    def better(self, first: Any, second: Any) -> Any:
        """The better of two fits to the same rows; None is a fit that failed."""
        if first is None or second is None:
            return second if first is None else first
        values = [getattr(model, self.objective) for model in (first, second)]
        return first if (values[0] <= values[1]) == self.clusters else second


KINDS = {
    "KMeans": Kind("n_clusters", "init", "inertia_", clusters=True),
    "SoftKMeans": Kind("n_clusters", "init", "free_energy_", clusters=True),
    "GaussianMixture": Kind("n_components", "init_params", "lower_bound_"),
    "NegativeBinomialMixture": Kind("n_components", "init", "lower_bound_", counts=True),
    "SubspaceMixture": Kind("n_components", "init", "lower_bound_"),
}


def kind_of(estimator: Any) -> Kind:
    """What is known of an estimator's class."""
    name = type(estimator).__name__
    if name not in KINDS:
        raise TypeError(f"estimator is of type {name}; pass one of {', '.join(KINDS)}.")
    return KINDS[name]


def fit_quietly(model: Any, rows: Any, weight: np.ndarray | None) -> Any:
    """The fitted model, or None if it failed; whether it converged is for the table to tell."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            return model.fit(rows, sample_weight=weight)
        except FitFailed:
            return None


def packed_fit(kind: Kind, model: Any) -> Any:
    """A fit, or None for one that failed, for a file; with where it began, if that was given."""
    if model is None:
        return None
    start = getattr(model, kind.start)
    given = start if isinstance(start, np.ndarray) else None
    return {"model": as_bytes(model), "start": given}


def unpacked_fit(kind: Kind, own: Any, kept: Any) -> Any:
    """The inverse of `packed_fit`, for fits of a class."""
    if kept is None:
        return None
    model = of_bytes(own, kept["model"])
    return model if kept["start"] is None else model.set_params(**{kind.start: kept["start"]})


def grown(
    kind: Kind, estimator: Any, smaller: Any, source: RowSource, weight: np.ndarray | None
) -> list[Any]:
    """Fits with one component more that begin with a smaller one's largest clusters split."""
    labels = smaller.predict(source)
    size = getattr(smaller, kind.size)
    counts = np.bincount(labels, minlength=size)
    fits = []
    for k in np.argsort(-counts, kind="stable")[:SPLITS].tolist():
        if counts[k] < FEWEST_ROWS:
            break
        rows = np.flatnonzero(labels == k)
        part = SubsetRows(source, rows)
        own = None if weight is None else weight[rows]
        halves = fit_quietly(kind.sized(estimator, 2), part, own)
        if halves is None:
            continue
        if kind.clusters:
            centroids = smaller.cluster_centers_.copy()
            centroids[k] = halves.cluster_centers_[0]
            start: Any = np.concatenate([centroids, halves.cluster_centers_[1:]])
        else:
            start = labels.astype(np.int64)
            start[rows[halves.predict(part) == 1]] = size
            if len(np.unique(start)) <= size:
                continue
        model = kind.sized(estimator, size + 1).set_params(**{kind.start: start})
        fits.append(fit_quietly(model, source, weight))
    return fits

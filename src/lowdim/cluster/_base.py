"""What hard and soft k-means have in common: arguments, units, and answers about new rows."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from lowdim._results import StopReason
from lowdim._saving import Saved
from lowdim._validation import check_in, check_positive_int, check_sample_weight
from lowdim.cluster._family import squared_distances
from lowdim.cluster._fit import ClusterFit, labels_of, starts
from lowdim.data.estimator_rows import read_new_rows
from lowdim.data.lazy_answers import lazy
from lowdim.data.sources import RowSource
from lowdim.data.standardized import StandardizedRows

METHODS = ("greedy-k-means++", "k-means++", "random", "random-partition")
EMPTY = ("farthest", "random", "split")


@dataclass(frozen=True)
class Start:
    """Where to begin, checked: given centroids, (K, D), or a method for each restart."""

    given: np.ndarray | None
    methods: list[str]

    def centroids(
        self, data: StandardizedRows, n_clusters: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Centroids of all restarts, (R, K, D), in standardised units."""
        if self.given is not None:
            means: np.ndarray = ((self.given - data.mean) / data.scale)[None]
            return means
        return starts(data, n_clusters, self.methods, rng)


class Centroid(
    Saved, ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator
):  # type: ignore[misc]
    """Clusters around centroids: what is asked of them once they are fitted."""

    n_clusters: Any
    init: Any
    n_init: Any
    max_iter: Any
    empty: Any
    batch_size: Any
    device: Any
    dtype: Any
    cluster_centers_: np.ndarray
    labels_: np.ndarray
    n_features_in_: int

    @lazy
    def predict(self, X: Any) -> np.ndarray:
        """The nearest centroid of every row, (N,), int32."""
        data, means = self._new_rows(X)
        return labels_of(data, means)[0]

    @lazy
    def transform(self, X: Any) -> np.ndarray:
        """Distances of the rows to the centroids, (N, K), in the data's units."""
        data, means = self._new_rows(X)
        centroids = torch.from_numpy(means[None]).to(data.device)
        blocks = data.each(lambda block: squared_distances(block, centroids)[0].T.cpu().numpy())
        return np.sqrt(np.concatenate(blocks)) * data.scale

    def _new_rows(self, X: Any) -> tuple[StandardizedRows, np.ndarray]:
        check_is_fitted(self)
        data = read_new_rows(self, X, self._units())
        return data, (self.cluster_centers_ - data.mean) / data.scale

    def _units(self) -> tuple[np.ndarray, float]:
        """A centre and a scale in which the centroids are of order one."""
        centre = self.cluster_centers_.mean(0)
        spread = float(np.sqrt(np.square(self.cluster_centers_ - centre).mean()))
        return centre, spread or 1.0

    def _check(self, source: RowSource, sample_weight: Any) -> tuple[Start, np.ndarray | None]:
        """Check what all of these estimators take."""
        k = check_positive_int(self.n_clusters, "n_clusters")
        check_positive_int(self.max_iter, "max_iter")
        check_in(self.empty, "empty", EMPTY)
        if self.batch_size is not None:
            check_positive_int(self.batch_size, "batch_size")
        weight = check_sample_weight(sample_weight, source.n_rows)
        n_usable = source.n_rows if weight is None else np.count_nonzero(weight)
        if n_usable < k:
            raise ValueError(
                f"X has {n_usable} sample(s) with a weight, but n_clusters={k}; pass more rows or "
                "ask for fewer clusters."
            )
        return self._check_start(k, source.n_cols), weight

    def _check_start(self, n_clusters: int, n_columns: int) -> Start:
        if isinstance(self.init, str):
            check_in(self.init, "init", METHODS)
            if isinstance(self.n_init, str):
                check_in(self.n_init, "n_init", ("auto",))
                n = 10 if self.init.startswith("random") else 1
            else:
                n = check_positive_int(self.n_init, "n_init")
            return Start(None, [self.init] * n)
        given = np.array(self.init, dtype=np.float64)
        if given.shape != (n_clusters, n_columns):
            raise ValueError(
                f"init has shape {given.shape}, expected ({n_clusters}, {n_columns}): one centroid "
                "per cluster."
            )
        if not np.isfinite(given).all():
            raise ValueError("init contains NaN or infinity; pass finite centroids.")
        return Start(given, [])

    def _set(self, fit: ClusterFit, data: StandardizedRows) -> float:
        """Store what all of these estimators have, in the data's units; return the inertia."""
        result, best = fit.result, fit.best
        self.cluster_centers_ = fit.means * data.scale + data.mean
        self.labels_, squares = labels_of(data, fit.means)
        self.n_iter_ = int(result.n_iter[best])
        self.converged_ = result.reasons[best] is StopReason.CONVERGED
        self.stop_reason_ = str(result.reasons[best].value)
        if result.degenerate[best]:
            warnings.warn(
                f"{type(self).__name__}: after several tries a cluster still has no rows; X may "
                f"have fewer than n_clusters={self.n_clusters} different rows.",
                ConvergenceWarning,
                stacklevel=3,
            )
        elif not self.converged_ and result.reasons[best] is not StopReason.INTERRUPTED:
            warnings.warn(
                f"{type(self).__name__} did not converge: {result.reasons[best].sentence}",
                ConvergenceWarning,
                stacklevel=3,
            )
        return squares * data.scale**2

    @property
    def _n_features_out(self) -> int:
        return len(self.cluster_centers_)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

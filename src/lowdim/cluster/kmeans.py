"""Hard k-means."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch

from lowdim._journal import LongFit
from lowdim._random import generator
from lowdim._threads import threads_for
from lowdim._validation import check_interval, check_sample_weight
from lowdim.cluster._base import Centroid
from lowdim.cluster._family import CentroidFamily, squared_distances
from lowdim.cluster._fit import labels_of, run_hard
from lowdim.cluster._lloyd import NearestSums
from lowdim.data.estimator_rows import read_rows, standardized
from lowdim.data.lazy_answers import like_rows


class KMeans(Centroid):
    """k-means clustering: every row belongs to the nearest of K centroids.

    Lloyd's algorithm lowers the inertia ``J = sum_i w_i min_k ||x_i - mu_k||^2``: rows go to
    their nearest centroid, and centroids to the mean of their rows. It is the limit of a mixture
    of spherical Gaussians of equal weights whose variance goes to zero. Rows whose centroid cannot
    have changed, by bounds on their distances (Hamerly 2010), are passed over.

    Parameters
    ----------
    n_clusters : int, default=8
        K.
    init : {"greedy-k-means++", "k-means++", "random", "random-partition"} or array of shape \
(K, D), default="greedy-k-means++"
        Where to begin: at rows drawn far from each other, keeping the best of ``2 + log K``
        candidates (what scikit-learn calls "k-means++") or the first; at random rows; at the
        means of random parts; or at given centroids.
    n_init : int or "auto", default="auto"
        Number of restarts, of which the one of least inertia is kept. "auto" is 10 for the
        random kinds and 1 for others. All share each pass over the data.
    max_iter : int, default=300
        Passes over the data at most.
    tol : float, default=1e-4
        Stop when the centroids move by no more than this: their summed squared distances,
        relative to the data's mean variance per column. 0 waits until no row changes its cluster.
    empty : {"farthest", "random", "split"}, default="farthest"
        Where a cluster goes that has lost all rows: to the row farthest from its centroid, to a
        random row, or beside the centroid of the cluster with the most rows.
    batch_size : int, optional
        Rows held in memory at once; by default chosen to suit the data and the device.
    device : str or torch.device, default="auto"
        Where the products run.
    dtype : {"float32", "float64"} or None
        Precision of the large products; by default that of the data. Sums are in float64.
    random_state : int, Generator or RandomState, optional
    checkpoint : path, optional
        Keep the fit in this file every few iterations. A fit to the same data with the same
        settings goes on from there, to the same bits; only `max_iter` may be another one.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (K, D)
    labels_ : ndarray of shape (N,), int32
        The nearest centroid of each row of the fit; a Dask array if the rows were one.
    inertia_ : float
        J, in squared units of the data.
    inertia_trace_ : ndarray
        J after every accepted step of the kept restart; it never rises.
    restart_inertias_ : ndarray of shape (n_init,)
        J of every restart; one that another had left far behind stopped early.
    n_iter_ : int
    converged_ : bool
    stop_reason_ : str
    n_features_in_ : int

    Examples
    --------
    >>> import lowdim as ld
    >>> X = [[0.0, 0.0], [0.0, 1.0], [9.0, 0.0], [9.0, 1.0]]
    >>> ld.KMeans(n_clusters=2, random_state=0).fit(X).inertia_
    1.0

    References
    ----------
    Lloyd (1982), Least squares quantization in PCM. Arthur and Vassilvitskii (2007), k-means++:
    the advantages of careful seeding. Hamerly (2010), Making k-means even faster.
    """

    _also = ("_owned",)

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: Any = "greedy-k-means++",
        n_init: int | str = "auto",
        max_iter: int = 300,
        tol: float = 1e-4,
        empty: str = "farthest",
        batch_size: int | None = None,
        device: Any = "auto",
        dtype: Any = None,
        random_state: Any = None,
        checkpoint: Any = None,
        verbose: int = 0,
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.empty = empty
        self.batch_size = batch_size
        self.device = device
        self.dtype = dtype
        self.random_state = random_state
        self.checkpoint = checkpoint
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Find the centroids.

        Parameters
        ----------
        X : array-like, sparse, DataFrame, tensor, AnnData, row source or path, shape (N, D)
        y : ignored
        sample_weight : array-like of shape (N,), optional
            Nonnegative row weights; a weight of 2 counts as the row twice.

        Returns
        -------
        The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            An argument or the data cannot be used; nothing has been computed by then.

        Warns
        -----
        ConvergenceWarning
            It was still moving after `max_iter` passes, or a cluster stayed empty.
        """
        source = read_rows(self, X)
        start, weight = self._check(source, sample_weight)
        tol = check_interval(self.tol, "tol", low=0.0)
        given = {"sample_weight": weight}
        long_fit = LongFit(self, source, generator(self.random_state), given)
        with threads_for(source.n_rows * source.n_cols), long_fit as journal:
            data = standardized(self, source, weight)
            means = start.centroids(data, int(self.n_clusters), journal.rng)
            fit = run_hard(
                *(CentroidFamily(data, self.empty, journal.rng), data, means),
                max_iter=int(self.max_iter),
                tol=tol,
                verbose=int(self.verbose),
                journal=journal,
            )
            self.inertia_ = self._set(fit, data)
        self.labels_ = like_rows(X, self.labels_)
        units = -data.total_weight * data.scale**2
        self.inertia_trace_ = fit.result.traces[fit.best] * units
        self.restart_inertias_ = fit.result.objective * units
        self.restart_inertias_[fit.best] = self.inertia_
        self._owned = fit.result.parameters.weights[fit.best].cpu().numpy()
        return self

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Move the centroids to the means of all rows that were ever assigned to them.

        The first call fits its rows as `fit` does; later ones make one pass over theirs, so an
        early piece should represent the data. `labels_` and `inertia_` are those of the latest
        piece.
        """
        if not hasattr(self, "cluster_centers_"):
            return self.fit(X, sample_weight=sample_weight)
        source = read_rows(self, X, reset=False)
        weight = check_sample_weight(sample_weight, source.n_rows)
        with threads_for(source.n_rows * source.n_cols):
            data = standardized(self, source, weight, moments=self._units())
            means = (self.cluster_centers_ - data.mean) / data.scale
            family = CentroidFamily(data, self.empty, np.random.default_rng(0))
            counts, sums, objective = (own[0] for own in NearestSums(family, data)(means[None]))
            owned = self._owned + counts
            moved = (self._owned[:, None] * means + sums) / np.maximum(owned, 1e-300)[:, None]
            moved = np.where(owned[:, None] > 0, moved, means)
            self.labels_ = like_rows(X, labels_of(data, moved)[0])
        self._owned = owned
        self.cluster_centers_ = moved * data.scale + data.mean
        self.inertia_ = -float(objective) * data.total_weight * data.scale**2
        return self

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Minus the inertia of the rows."""
        data, means = self._new_rows(X)
        own = torch.from_numpy(means[None]).to(data.device)
        least = data.each(lambda block: squared_distances(block, own)[0].amin(0).cpu().numpy())
        squares = np.concatenate(least) * data.scale**2
        weight = check_sample_weight(sample_weight, len(squares))
        return -float(squares.sum() if weight is None else squares @ weight)

"""Soft k-means."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Self

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from lowdim._journal import Journal, LongFit
from lowdim._random import generator
from lowdim._threads import threads_for
from lowdim._validation import check_in, check_interval, check_sample_weight
from lowdim.cluster._base import Centroid
from lowdim.cluster._family import CentroidFamily, squared_distances
from lowdim.cluster._fit import labels_of, run_hard, run_soft
from lowdim.data.blocks import images
from lowdim.data.estimator_rows import read_rows, standardized
from lowdim.data.lazy_answers import lazy, like_rows
from lowdim.data.standardized import StandardizedRows
from lowdim.math.block_lanczos import leading_axes
from lowdim.mixture._em import EMOptions, expectation
from lowdim.mixture._family import responsibilities
from lowdim.mixture._subspace.online import step_size

#: With at most this many columns the covariance is formed; beyond, only products with it.
FORMED_COLUMNS = 64
#: Residual of its first axis relative to the eigenvalue, which is off by about the square of that,
#: and passes over the rows at most.
RESIDUAL, MAX_PASSES = 3e-4, 100
#: Annealing begins at the critical stiffness times this.
ABOVE_CRITICAL = 1.1


class SoftKMeans(Centroid):
    """Soft k-means: every row belongs to all centroids, to near ones more.

    Responsibilities are ``r_ik = exp(-beta ||x_i - mu_k||^2) / sum_l exp(-beta ||x_i - mu_l||^2)``
    and centroids the means of the rows weighted by them. Each step lowers the free energy
    ``F = -(1 / beta) sum_i w_i log sum_k exp(-beta ||x_i - mu_k||^2)``. This is EM for a mixture
    of spherical Gaussians of equal weights and the variance ``1 / (2 beta)`` per column. For
    ``beta -> inf`` it is k-means; below the critical stiffness ``1 / (2 lambda_max)``, with
    lambda_max the largest variance of the data along any direction, all centroids merge.

    Parameters
    ----------
    n_clusters : int, default=8
        K.
    beta : float or "auto", default="auto"
        Stiffness, > 0, in inverse squared units of the data. "auto" takes ``1 / (2 s^2)`` with
        s^2 the variance per column within the clusters of hard k-means.
    annealing : (float, float) or "auto", optional
        Begin at the first number for beta and multiply it by the second, > 1, whenever the free
        energy has settled, up to beta. "auto" begins a little above the critical stiffness.
    init, n_init, max_iter, empty, batch_size, device, dtype, random_state, checkpoint, verbose
        As in `KMeans`; a cluster is empty where no row has a share in it.
    tol : float, default=1e-6
        Stop when a step lowers ``beta F`` per row by less than this.

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (K, D)
    labels_ : ndarray of shape (N,), int32
        The nearest centroid of each row of the fit.
    free_energy_ : float
        F, in squared units of the data.
    free_energy_trace_ : ndarray
        F after every accepted step of the kept restart at the final beta; it never rises.
    beta_ : float
        The stiffness used.
    critical_beta_ : float
        Below it the centroids merge.
    restart_free_energies_ : ndarray of shape (n_init,)
    n_iter_ : int
    converged_ : bool
    stop_reason_ : str
    n_features_in_ : int

    References
    ----------
    MacKay (2003), Information Theory, Inference, and Learning Algorithms, chapters 20 and 22.
    Rose, Gurewitz and Fox (1990), Statistical mechanics and phase transitions in clustering.
    Cappe and Moulines (2009), On-line expectation-maximization algorithm for latent data models.
    """

    _also = ("_owned", "_n_pieces")

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        beta: float | str = "auto",
        annealing: tuple[float, float] | str | None = None,
        init: Any = "greedy-k-means++",
        n_init: int | str = "auto",
        max_iter: int = 1000,
        tol: float = 1e-6,
        empty: str = "farthest",
        batch_size: int | None = None,
        device: Any = "auto",
        dtype: Any = None,
        random_state: Any = None,
        checkpoint: Any = None,
        verbose: int = 0,
    ) -> None:
        self.n_clusters = n_clusters
        self.beta = beta
        self.annealing = annealing
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
            Beta is below the critical stiffness, or the fit had not settled after `max_iter`
            passes.
        """
        source = read_rows(self, X)
        start, weight = self._check(source, sample_weight)
        options = EMOptions(
            max_iter=int(self.max_iter), tol=check_interval(self.tol, "tol", low=0.0)
        )
        self._check_stiffness()
        given = {"sample_weight": weight}
        long_fit = LongFit(self, source, generator(self.random_state), given)
        with threads_for(source.n_rows * source.n_cols), long_fit as journal:
            data = standardized(self, source, weight)
            means = start.centroids(data, int(self.n_clusters), journal.rng)
            critical = _critical(data)
            hard = CentroidFamily(data, self.empty, journal.rng)
            beta = self._stiffness(hard, data, means, journal)
            options = replace(options, annealing=self._schedule(beta, critical, data.scale))
            family = replace(hard, beta=beta)
            fit = run_soft(family, data, means, options, verbose=int(self.verbose), journal=journal)
            self._set(fit, data)
        self.labels_ = like_rows(X, self.labels_)
        self.beta_, self.critical_beta_ = beta / data.scale**2, critical / data.scale**2
        units = -data.total_weight / self.beta_
        self.free_energy_trace_ = fit.result.traces[fit.best] * units
        self.restart_free_energies_ = fit.result.objective * units
        self.free_energy_ = float(self.restart_free_energies_[fit.best])
        self._owned, self._n_pieces = np.zeros(len(self.cluster_centers_)), 0
        if self.beta_ < self.critical_beta_:
            warnings.warn(
                f"beta={self.beta_:g} is below the critical stiffness {self.critical_beta_:g}, "
                "where all centroids merge; pass a larger one.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """One step of stepwise EM on more rows, at the stiffness that is known.

        Counts and sums of responsibilities, per unit of weight, move towards those of these rows
        by a step that decays, 1 at first and ``(t + 2)^-0.6`` for the t-th piece after; centroids
        are the sums over the counts. So the first piece after `fit` is a step of EM on its rows,
        and pieces that come again and again lead to a fixed point of EM on all of them. An
        estimator that is not fitted yet is fitted to the first piece beforehand, which should
        therefore represent the data. `labels_` and `free_energy_` are those of the latest piece,
        the latter before the step.
        """
        if not hasattr(self, "cluster_centers_"):
            self.fit(X, sample_weight=sample_weight)
        source = read_rows(self, X, reset=False)
        weight = check_sample_weight(sample_weight, source.n_rows)
        with threads_for(source.n_rows * source.n_cols):
            data = standardized(self, source, weight, moments=self._units())
            beta = self.beta_ * data.scale**2
            means = (self.cluster_centers_ - data.mean) / data.scale
            family = CentroidFamily(data, self.empty, np.random.default_rng(0), beta)
            statistics, objective = expectation(family, data, family.parameters(means[None]))
            counts, sums = (statistics[name][0].cpu().numpy() for name in ("counts", "sums"))
            rho = step_size(self._n_pieces)
            owned = (1 - rho) * self._owned + rho * counts / data.total_weight
            moved = (1 - rho) * self._owned[:, None] * means + rho * sums / data.total_weight
            moved = np.where(owned[:, None] > 0, moved / np.maximum(owned, 1e-300)[:, None], means)
            self.labels_ = like_rows(X, labels_of(data, moved)[0])
        self._owned, self._n_pieces = owned, self._n_pieces + 1
        self.cluster_centers_ = moved * data.scale + data.mean
        self.free_energy_ = -float(objective[0]) * data.total_weight / self.beta_
        return self

    @lazy
    def predict_proba(self, X: Any) -> np.ndarray:
        """Responsibilities of the centroids for every row, (N, K)."""
        shares = self._of_scores(X, lambda scores: responsibilities(scores, "soft")[1][0].T)
        return torch.cat(shares).cpu().numpy()

    def score(self, X: Any, y: Any = None) -> float:
        """Minus the free energy of the rows."""
        return sum(self._of_scores(X, lambda own: float(own.logsumexp(1).sum()))) / self.beta_

    def _of_scores(self, X: Any, function: Callable[[torch.Tensor], Any]) -> list[Any]:
        """What a function says of ``-beta ||x - mu_k||^2`` of blocks of rows, (1, K, n)."""
        data, means = self._new_rows(X)
        beta = self.beta_ * data.scale**2
        centroids = torch.from_numpy(means[None]).to(data.device)
        return data.each(lambda block: function(squared_distances(block, centroids).mul_(-beta)))

    # Stiffness ------------------------------------------------------------------------------

    def _check_stiffness(self) -> None:
        if isinstance(self.beta, str):
            check_in(self.beta, "beta", ("auto",))
        else:
            check_interval(self.beta, "beta", low=0.0, closed="neither")
        if self.annealing is None:
            return
        if isinstance(self.annealing, str):
            check_in(self.annealing, "annealing", ("auto",))
            return
        if not isinstance(self.annealing, (tuple, list)) or len(self.annealing) != 2:
            raise ValueError(
                f"annealing={self.annealing!r} is no pair; pass (first beta, factor), or 'auto'."
            )
        check_interval(self.annealing[0], "annealing[0]", low=0.0, closed="neither")
        check_interval(self.annealing[1], "annealing[1]", low=1.0, closed="neither")

    def _stiffness(
        self, family: CentroidFamily, data: StandardizedRows, means: np.ndarray, journal: Journal
    ) -> float:
        """Beta in standardised units."""
        if not isinstance(self.beta, str):
            return float(self.beta) * data.scale**2
        result = run_hard(family, data, means, max_iter=100, tol=1e-4, journal=journal).result
        within = -float(np.nanmax(result.objective)) / data.n_columns
        return 0.5 / max(within, 1e-12)

    def _schedule(self, beta: float, critical: float, scale: float) -> tuple[float, float] | None:
        """First beta relative to the last, and its factor."""
        if self.annealing is None:
            return None
        if isinstance(self.annealing, str):
            first, rate = ABOVE_CRITICAL * critical, 1.2
        else:
            first, rate = float(self.annealing[0]) * scale**2, float(self.annealing[1])
        return (first / beta, rate) if first < beta else None


def _critical(data: StandardizedRows) -> float:
    """1 / (2 lambda_max) in standardised units."""
    d = data.n_columns

    def covariance(vectors: np.ndarray) -> np.ndarray:
        directions = torch.from_numpy(np.ascontiguousarray(vectors.T)).to(data.device)
        total = data.total(partial(images, directions)).cpu().numpy()
        return np.asarray(total.T / data.total_weight)

    if d <= FORMED_COLUMNS:
        largest = np.linalg.eigvalsh(covariance(np.eye(d)))[-1]
    else:
        rng = np.random.default_rng(0)
        values, *_ = leading_axes(covariance, d, 1, rng, tol=RESIDUAL, max_iter=MAX_PASSES)
        largest = values[0]
    return 0.5 / max(float(largest), 1e-12)

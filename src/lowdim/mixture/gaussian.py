"""Mixtures of Gaussians."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from lowdim._journal import LongFit
from lowdim._random import generator
from lowdim._results import StopReason
from lowdim._saving import Saved
from lowdim._threads import threads_for
from lowdim._validation import check_in, check_positive_int, check_sample_weight
from lowdim.data.estimator_rows import read_new_rows, read_rows, standardized
from lowdim.data.lazy_answers import lazy
from lowdim.mixture._gaussian.arguments import check_arguments
from lowdim.mixture._gaussian.attributes import (
    log_joint,
    parameters_of,
    set_fitted,
    units_of,
)
from lowdim.mixture._gaussian.covariance import SHAPES, covariances_shape, matrices
from lowdim.mixture._gaussian.fit import fit_rows
from lowdim.mixture._gaussian.low_rank import (
    fit_low_rank,
    fitted_subspaces,
    low_rank_log_joint,
    update_low_rank,
)
from lowdim.mixture._gaussian.pieces import Past, update
from lowdim.mixture._scores import MixtureScores

if TYPE_CHECKING:
    from lowdim.data.sources import RowSource
    from lowdim.mixture.subspace import SubspaceMixture

KINDS = (*SHAPES, "low_rank")
#: Precision unless the user asks for another.
DTYPE = "float64"


class GaussianMixture(Saved, MixtureScores, DensityMixin, BaseEstimator):  # type: ignore[misc]
    """Mixture of Gaussians ``p(x) = sum_k w_k N(x; mu_k, Sigma_k)``, fitted by EM.

    Names and meanings are scikit-learn's. Beyond it: weights of rows, pieces of rows, ICL, sparse
    rows, accelerators, several kinds of starts, and a regularisation in units of the data.

    Parameters
    ----------
    n_components : int, default=1
        K.
    covariance_type : {"full", "tied", "diag", "spherical", "low_rank"}, default="full"
        A covariance matrix for each component, one for all, a variance for each component and
        column, or one for each component. "low_rank" is ``W_k W_k' + sigma_k^2 I`` for each
        component: `SubspaceMixture` with equal dimensions, for many columns. No D x D matrix is
        formed for D > 64.
    rank : int, default=1
        Columns of W_k; for "low_rank" only.
    tol : float, default=1e-3
        Stop when a step raises the mean log-likelihood per row by less than this.
    reg_covar : float, default=1e-6
        Added to every variance, relative to the data's mean variance per column, so that the fit
        does not depend on units; with "low_rank" a positive floor under all variances.
    max_iter : int, default=100
        Passes over the data at most.
    n_init : int or "auto", default="auto"
        Number of restarts, of which the likeliest is kept. "auto" is one of each kind, or 10 with
        "low_rank".
    init_params : str, or array of shape (N,) or (N, K), default="auto"
        Kind of start: "kmeans" (covariances of the clusters that k-means finds), "whitened" (of
        those in the leading 20 directions, each scaled to variance one, for clusters that are
        long in the same direction), "random_from_data" and "k-means++" (rows, with the covariance
        of all), "random" (responsibilities), "auto" (the first three in turn); or labels or
        responsibilities of all rows. With "low_rank" "kmeans", "random_from_data" (a few rows for
        each component), "auto" (both, and neighbourhoods of rows), or an array.
    weights_init : array-like of shape (K,), optional
    means_init : array-like of shape (K, D), optional
    precisions_init : array-like, optional
        Inverse covariances, shaped as `covariances_`. What is given replaces what a start found.
        None of the three with "low_rank".
    accelerate : bool, default=True
        Extrapolate where EM is slow (SQUAREM), never at the cost of likelihood. Without it, steps
        are those of plain EM. Always on with "low_rank".
    warm_start : bool, default=False
        Begin where the last fit ended, if there was one with as many components and columns.
    batch_size : int, optional
        Rows held in memory at once; by default chosen to suit the data and the device.
    device : str or torch.device, default="auto"
    dtype : {"float32", "float64"} or None
        Precision of the large products; by default float64, whatever the data's, since small
        covariances are differences of large numbers. Sums are in float64.
    random_state : int, Generator or RandomState, optional
    checkpoint : path, optional
        Keep the fit in this file every few iterations. A fit to the same data with the same
        settings goes on from there, to the same bits; only `max_iter` may be another one.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    weights_ : ndarray of shape (K,)
    means_ : ndarray of shape (K, D)
    covariances_ : ndarray of shape (K, D, D), (D, D), (K, D) or (K,)
    precisions_ : ndarray
        Inverse covariances, shaped as they are. Neither is there with "low_rank".
    loadings_ : ndarray of shape (K, D, rank)
        With "low_rank": W, its columns orthogonal and by decreasing length.
    noise_variances_ : ndarray of shape (K,)
        With "low_rank": sigma^2.
    lower_bound_ : float
        Mean log-likelihood per row.
    lower_bounds_ : ndarray
        The same after every accepted step of the kept restart; it never falls.
    restart_lower_bounds_ : ndarray of shape (n_init,)
        Of all restarts: how much they differ tells how far the result can be trusted. One that
        another had left far behind stopped early; nan for one that failed.
    n_iter_ : int
    converged_ : bool
    stop_reason_ : str
    degenerate_ : bool
        Whether even the kept restart has a component that has shrunk onto `reg_covar`.
    n_features_in_ : int

    Examples
    --------
    >>> import lowdim as ld
    >>> X = [[0.0], [0.1], [0.2], [5.0], [5.1], [5.3]]
    >>> ld.GaussianMixture(n_components=2, random_state=0).fit(X).predict(X).tolist()
    [0, 0, 0, 1, 1, 1]

    References
    ----------
    Dempster, Laird and Rubin (1977), Maximum likelihood from incomplete data via the EM
    algorithm. Varadhan and Roland (2008), Simple and globally convergent methods for accelerating
    the convergence of any EM algorithm.
    """

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        rank: int = 1,
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int | str = "auto",
        init_params: Any = "auto",
        weights_init: Any = None,
        means_init: Any = None,
        precisions_init: Any = None,
        accelerate: bool = True,
        warm_start: bool = False,
        batch_size: int | None = None,
        device: Any = "auto",
        dtype: Any = None,
        random_state: Any = None,
        checkpoint: Any = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.rank = rank
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.accelerate = accelerate
        self.warm_start = warm_start
        self.batch_size = batch_size
        self.device = device
        self.dtype = dtype
        self.random_state = random_state
        self.checkpoint = checkpoint
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the mixture.

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
        ValueError
            The covariance of a component was singular in every restart.

        Warns
        -----
        ConvergenceWarning
            The kept restart had not settled after `max_iter` passes.
        """
        source = read_rows(self, X)
        weight = check_sample_weight(sample_weight, source.n_rows)
        self._past: Past | SubspaceMixture | None = None
        if self._has_low_rank:
            fit_low_rank(self, source, weight)
        else:
            self._fit(source, weight)
        reason = StopReason(self.stop_reason_)
        if not self.converged_ and reason is not StopReason.INTERRUPTED:
            warnings.warn(
                f"GaussianMixture did not converge: {reason.sentence}",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def _fit(self, source: RowSource, weight: np.ndarray | None) -> None:
        arguments = check_arguments(self, source)
        go_on = self.warm_start and self._could_go_on(arguments.n_components, source.n_cols)
        given = {"sample_weight": weight, "the fit before": self.means_ if go_on else None}
        long_fit = LongFit(self, source, generator(self.random_state), given)
        with threads_for(source.n_rows * source.n_cols), long_fit as journal:
            data = standardized(self, source, weight, dtype=DTYPE)
            start = parameters_of(self, data) if go_on else None
            fit = fit_rows(
                *(self.covariance_type, arguments, data, journal.rng),
                start=start,
                verbose=int(self.verbose),
                journal=journal,
            )
            set_fitted(self, fit, data)

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Update the mixture with more rows (stepwise EM with decaying steps).

        The first call fits its rows as `fit` does; later ones make one pass over theirs, so an
        early piece should represent the data. `lower_bound_` is that of the latest piece before
        its step.
        """
        if not hasattr(self, "means_"):
            return self.fit(X, sample_weight=sample_weight)
        source = read_rows(self, X, reset=False)
        weight = check_sample_weight(sample_weight, source.n_rows)
        past: Any = getattr(self, "_past", None)  # not kept in files
        if self._has_low_rank:
            self._past = update_low_rank(self, source, weight, past)
            return self
        arguments = check_arguments(self, source, fitted=True)
        with threads_for(source.n_rows * source.n_cols):
            units = past.units if past else units_of(self)
            data = standardized(self, source, weight, moments=units, dtype=DTYPE)
            self._past = update(self, arguments, data, past)
        return self

    @lazy
    def predict(self, X: Any) -> np.ndarray:
        """The most probable component of every row, (N,)."""
        return self._log_joint(X).argmax(1)

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> np.ndarray:
        """Fit, then the most probable component of every row, (N,)."""
        return self.fit(X, sample_weight=sample_weight).predict(X)

    def sample(self, n_samples: int = 1, random_state: Any = None) -> tuple[np.ndarray, np.ndarray]:
        """Draw rows, (n, D), and their components, (n,), from the mixture.

        `random_state` defaults to the estimator's own.
        """
        check_is_fitted(self)
        n_samples = check_positive_int(n_samples, "n_samples")
        rng = generator(self.random_state if random_state is None else random_state)
        if self._has_low_rank:
            return fitted_subspaces(self).sample(n_samples, rng)
        k, d = self.means_.shape
        labels = rng.choice(k, n_samples, p=self.weights_ / self.weights_.sum())
        rows = rng.normal(size=(n_samples, d))
        factors = np.linalg.cholesky(matrices(self.covariances_, self.covariance_type, k, d))
        for j in range(k):
            own = labels == j
            rows[own] = rows[own] @ factors[j].T + self.means_[j]
        return rows, labels

    def n_parameters(self) -> int:
        """Number of free parameters: means, covariances, and K - 1 weights."""
        check_is_fitted(self)
        if self._has_low_rank:
            return fitted_subspaces(self).n_parameters()
        k, d = self.means_.shape
        return k * d + k - 1 + SHAPES[self.covariance_type].n_parameters(k, d)

    def _log_joint(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        if self._has_low_rank:
            return low_rank_log_joint(self, X)
        data = read_new_rows(self, X, units_of(self), dtype=DTYPE)
        return log_joint(parameters_of(self, data), data)

    @property
    def _has_low_rank(self) -> bool:
        return check_in(self.covariance_type, "covariance_type", KINDS) == "low_rank"

    def _could_go_on(self, n_components: int, n_columns: int) -> bool:
        """Whether the last fit is one of this shape."""
        if not hasattr(self, "covariances_"):
            return False
        shape = covariances_shape(self.covariance_type, n_components, n_columns)
        same_size = self.means_.shape == (n_components, n_columns)
        return same_size and self.covariances_.shape == shape

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

"""Nonnegative spatial factors of counts."""

from __future__ import annotations

from typing import Any, Self

from sklearn.base import BaseEstimator

from lowdim._validation import check_positive_int
from lowdim.factorization._base import PositiveFactors


class SpatialFactorization(PositiveFactors, BaseEstimator):
    """Counts as sums of nonnegative factors that vary smoothly over space (NSF).

    ``y_ij ~ Poisson(s_i sum_l w_jl exp(f_l(x_i)))``: every factor's logarithm is a Gaussian process
    over the coordinates with a linear mean, loadings w are not negative, and s are size factors.

    Parameters
    ----------
    n_factors : int, default=10
        L.
    likelihood : {"poisson", "negative_binomial"}, default="poisson"
        The negative binomial learns a dispersion for every column.
    kernel : {"matern12", "matern32", "matern52", "rbf"}, default="matern32"
    length_scale : float, array-like of shape (D,) or "auto", default="auto"
        In the units of the coordinates, for all axes or for each; "auto" is three times the
        distance between neighbouring places (or inducing points; 600 with "hilbert").
    amplitude : float, default=1.0
        Standard deviation of the logarithm of a factor.
    nugget : float, default=1e-3
        Variance of what differs between rows at the same place.
    inducing : "auto", "all", "hilbert", int or array-like of shape (M, D), default="auto"
        Places through which a process is known: all; or so many centroids of k-means; or these.
        With "hilbert" it is a sum of up to 1,024 sines over a box instead, for any number of rows
        and up to three coordinates. "auto" is all of up to 2,500 places, and "hilbert" beyond.
    size_factors : "mean", "median", array-like of shape (N,) or None, default=None
        Row totals over their mean or median, given numbers, or one for all.
    n_init : int, default=8
        Starts of the nonnegative factorization that the fit begins with, of which the best is
        kept.
    max_iter : int, default=100
        Rounds at most.
    tol : float, default=2e-5
        Stop when two rounds in turn raise the bound by less than this share of it.
    prune : bool, default=True
        Loadings that fall and hold a negligible share of their column's rate become zero.
    device : str or torch.device, default="auto"
    dtype : {"float32", "float64"}, optional
        By default float64.
    random_state : int, Generator or RandomState, optional
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    factors_ : ndarray of shape (N, L)
        Posterior means of the factors exp(f).
    log_factors_, log_factor_variances_ : ndarray of shape (N, L)
        Mean and variance of f.
    loadings_ : ndarray of shape (J, L)
        w.
    components_ : ndarray of shape (L, J)
        The same as scikit-learn lays them out.
    lower_bound_ : float
        The bound on the log-likelihood, per row.
    lower_bounds_ : ndarray
        After every round.
    dispersions_ : ndarray of shape (J,)
        With the negative binomial: the variance is ``mu + dispersion mu^2``.
    length_scale_ : ndarray of shape (1,) or (D,)
    size_factors_ : ndarray of shape (N,)
    n_iter_ : int
    converged_ : bool
    n_features_in_ : int

    References
    ----------
    Townes and Engelhardt (2023), Nonnegative spatial factorization applied to spatial genomics.
    Khan and Lin (2017), Conjugate-computation variational inference.
    """

    def __init__(
        self,
        n_factors: int = 10,
        *,
        likelihood: str = "poisson",
        kernel: str = "matern32",
        length_scale: Any = "auto",
        amplitude: float = 1.0,
        nugget: float = 1e-3,
        inducing: Any = "auto",
        size_factors: Any = None,
        n_init: int = 8,
        max_iter: int = 100,
        tol: float = 2e-5,
        prune: bool = True,
        device: Any = "auto",
        dtype: Any = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.n_factors = n_factors
        self.likelihood = likelihood
        self.kernel = kernel
        self.length_scale = length_scale
        self.amplitude = amplitude
        self.nugget = nugget
        self.inducing = inducing
        self.size_factors = size_factors
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.prune = prune
        self.device = device
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, coordinates: Any) -> Self:
        """Fit the factors.

        Parameters
        ----------
        X : array-like, sparse, DataFrame, AnnData or row source, shape (N, J)
            Counts.
        coordinates : array-like of shape (N, D)
            Where each row is, in any units.

        Returns
        -------
        The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            An argument or the data cannot be used; nothing has been computed by then.
        """
        self._fit_counts(X, coordinates, check_positive_int(self.n_factors, "n_factors"))
        return self


class HybridSpatialFactorization(SpatialFactorization):
    """Spatial and nonspatial factors of counts (NSFH).

    The first T factors are those of `SpatialFactorization`; the logarithms of the others are
    independent between rows, normal with a mean and variance of their own for every factor.

    Parameters
    ----------
    n_factors : int, default=10
        L, of both kinds.
    n_spatial : int, optional
        T; by default half of them, rounded up.
    **others
        As `SpatialFactorization`.
    """

    def __init__(
        self,
        n_factors: int = 10,
        n_spatial: int | None = None,
        *,
        likelihood: str = "poisson",
        kernel: str = "matern32",
        length_scale: Any = "auto",
        amplitude: float = 1.0,
        nugget: float = 1e-3,
        inducing: Any = "auto",
        size_factors: Any = None,
        n_init: int = 8,
        max_iter: int = 100,
        tol: float = 2e-5,
        prune: bool = True,
        device: Any = "auto",
        dtype: Any = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(
            n_factors, likelihood=likelihood, kernel=kernel, length_scale=length_scale,
            amplitude=amplitude, nugget=nugget, inducing=inducing, size_factors=size_factors,
            n_init=n_init, max_iter=max_iter, tol=tol, prune=prune, device=device, dtype=dtype,
            random_state=random_state, verbose=verbose,
        )  # fmt: skip
        self.n_spatial = n_spatial

    def fit(self, X: Any, coordinates: Any) -> Self:
        """Fit the factors; see `SpatialFactorization.fit`."""
        n_factors = check_positive_int(self.n_factors, "n_factors")
        n_spatial = -(-n_factors // 2) if self.n_spatial is None else self.n_spatial
        n_spatial = check_positive_int(n_spatial, "n_spatial")
        if n_spatial >= n_factors:
            raise ValueError(
                f"n_spatial={n_spatial} must be below n_factors={n_factors}; for spatial factors "
                "only take SpatialFactorization."
            )
        self._fit_counts(X, coordinates, n_spatial)
        return self

"""Spatial factors of counts and values: nonnegative, real-valued, and beside nonspatial ones."""

from __future__ import annotations

from typing import Any, Self

from lowdim._validation import check_positive_int
from lowdim.factorization._over_places import SpatialFactors


class SpatialFactorization(SpatialFactors):
    """Rows as sums of factors that vary smoothly over space (NSF, RSF; MEFISTO-like).

    Every factor is a Gaussian process over the coordinates with a linear mean, f_l.

    ========== ============================================ ============================
    likelihood nonnegative factors (NSF)                    real-valued factors (RSF)
    ========== ============================================ ============================
    counts     ``E y_ij = s_i sum_l w_jl exp(f_l(x_i))``    ``s_i exp(b_j + sum w_jl f_l)``
    values     ``E y_ij = sum_l w_jl exp(f_l(x_i))``        ``b_j + sum_l w_jl f_l(x_i)``
    ========== ============================================ ============================

    Loadings w of nonnegative factors are not negative; s are size factors. The model of MEFISTO is
    ``nonnegative=False, likelihood="gaussian", kernel="rbf", length_scale="learned"``.

    Parameters
    ----------
    n_factors : int, default=10
        L.
    likelihood : {"poisson", "negative_binomial", "gaussian"}, default="poisson"
        The negative binomial learns a dispersion for every column, the Gaussian a variance.
    nonnegative : bool, default=True
        Nonnegative factors and loadings, or real-valued ones.
    rotation : {"varimax", "quartimax"} or None, default="varimax"
        Of real-valued factors that have the same prior, which may be turned among themselves: axes
        on which most columns load on few factors, or None, those of largest variance.
    kernel : {"matern12", "matern32", "matern52", "rbf"}, default="matern32"
    length_scale : float, array-like of shape (D,), "auto" or "learned", default="auto"
        In the units of the coordinates, for all axes or for each; "auto" is three times the
        distance between neighbouring places (or inducing points; 600 with "hilbert"). "learned"
        chooses every factor's from a grid by the evidence, and, where all places are kept, its
        nugget.
    amplitude : float, default=1.0
        Standard deviation of a factor, or of its logarithm where it is nonnegative.
    nugget : float, default=1e-3
        Variance of what differs between rows at the same place.
    inducing : "auto", "all", "grid", "hilbert", int or array-like of shape (M, D), default="auto"
        Places through which a process is known: all; those of a regular grid with 600 points that
        have rows near; so many centroids of k-means; or these.
        With "hilbert" it is a sum of up to 1,024 sines over a box instead, for any number of rows
        and up to three coordinates. "auto" is all of up to 2,500 places, and "hilbert" beyond.
    size_factors : "mean", "median", "median_ratio", array-like of shape (N,) or None, default=None
        Of counts: row totals over their mean or median, medians of ratios, given numbers, or one
        for all.
    n_init : int, default=8
        Starts of the nonnegative factorization that a fit of nonnegative factors begins with, of
        which the best is kept.
    max_iter : int, default=100
        Rounds at most.
    tol : float, default=2e-5
        Stop when two rounds in turn raise the bound by less than this share of it.
    stopping : {"bound", "cubic"}, default="bound"
        "cubic" smooths the last bounds by a cubic, whose last step must be below `tol`.
    prune : bool, default=True
        Nonnegative loadings of counts that fall and hold a negligible share of their column's rate
        become zero.
    polish : int, default=0
        For counts of nonnegative factors: so many draws of the factors take the place of Jensen's
        inequality in further rounds. See `monte_carlo_bound`.
    checkpoint : path, optional
        Keep the fit in this file every few rounds. A fit to the same data with the same settings
        goes on from there, to the same bits; only `max_iter` may be another one.
    device : str or torch.device, default="auto"
    dtype : {"float32", "float64"}, optional
        Of products with the data; by default float64. Sums, factors and processes are in float64.
    random_state : int, Generator or RandomState, optional
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    factors_ : ndarray of shape (N, L)
        Posterior means of the factors: exp(f), or real-valued f.
    log_factors_, log_factor_variances_ : ndarray of shape (N, L)
        Mean and variance of f, of nonnegative factors.
    factor_variances_ : ndarray of shape (N, L)
        Of real-valued factors.
    loadings_ : ndarray of shape (J, L)
        w.
    components_ : ndarray of shape (L, J)
        The same as scikit-learn lays them out.
    intercepts_ : ndarray of shape (J,)
        b, of real-valued factors.
    lower_bound_ : float
        The bound on the log-likelihood, per row.
    lower_bounds_ : ndarray
        After every round.
    dispersions_ : ndarray of shape (J,)
        With the negative binomial: the variance is ``mu + dispersion mu^2``.
    noise_variances_ : ndarray of shape (J,)
        With the Gaussian.
    length_scales_ : ndarray of shape (T, 1) or (T, D)
        Of the spatial factors, in the units of the coordinates.
    nuggets_ : ndarray of shape (T,)
    jitter_ : float
        The largest share of the variance that was added to the diagonal of a covariance, so that
        rounding did not make it indefinite: 1e-6 with inducing points, else 0. Beyond 1e-6, a
        RuntimeWarning tells of it.
    samples_ : ndarray
        Names of the slides.
    size_factors_ : ndarray of shape (N,)
    n_iter_ : int
    n_refused_ : int
        Steps of factors that were refused, since they lowered the bound, after the first rounds. At
        the end of a fit that is normal.
    converged_ : bool
    n_features_in_ : int

    References
    ----------
    Townes and Engelhardt (2023), Nonnegative spatial factorization applied to spatial genomics.
    Velten et al. (2022), Identifying temporal and spatial patterns of variation from multimodal
    data using MEFISTO.
    Khan and Lin (2017), Conjugate-computation variational inference.
    """

    def __init__(
        self,
        n_factors: int = 10,
        *,
        likelihood: str = "poisson",
        nonnegative: bool = True,
        rotation: str | None = "varimax",
        kernel: str = "matern32",
        length_scale: Any = "auto",
        amplitude: float = 1.0,
        nugget: float = 1e-3,
        inducing: Any = "auto",
        size_factors: Any = None,
        n_init: int = 8,
        max_iter: int = 100,
        tol: float = 2e-5,
        stopping: str = "bound",
        prune: bool = True,
        polish: int = 0,
        checkpoint: Any = None,
        device: Any = "auto",
        dtype: Any = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.n_factors = n_factors
        self.likelihood = likelihood
        self.nonnegative = nonnegative
        self.rotation = rotation
        self.kernel = kernel
        self.length_scale = length_scale
        self.amplitude = amplitude
        self.nugget = nugget
        self.inducing = inducing
        self.size_factors = size_factors
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.stopping = stopping
        self.prune = prune
        self.polish = polish
        self.checkpoint = checkpoint
        self.device = device
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, coordinates: Any, samples: Any = None) -> Self:
        """Fit the factors.

        Parameters
        ----------
        X : array-like, sparse, DataFrame, AnnData or row source, shape (N, J)
            Counts, or values with the Gaussian likelihood. NaN says that a value is not known.
        coordinates : array-like of shape (N, D)
            Where each row is, in any units; one axis (time), two or three.
        samples : array-like of shape (N,), optional
            The slide that every row is on. Loadings are shared, and every slide has processes of
            its own.

        Returns
        -------
        The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            The data, or an argument, cannot be used; the message says which and why.
        """
        n_factors = check_positive_int(self.n_factors, "n_factors")
        self._fit_rows(X, coordinates, samples, n_factors)
        return self


class HybridSpatialFactorization(SpatialFactorization):
    """Spatial factors beside factors that are not (NSFH, RSFH).

    The first `n_spatial` factors are as in `SpatialFactorization`. The others are independent
    between rows: their logarithms normal with a learned mean and variance, or, real-valued,
    standard normal.

    Parameters
    ----------
    n_factors : int, default=10
        L, spatial and not.
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
        nonnegative: bool = True,
        rotation: str | None = "varimax",
        kernel: str = "matern32",
        length_scale: Any = "auto",
        amplitude: float = 1.0,
        nugget: float = 1e-3,
        inducing: Any = "auto",
        size_factors: Any = None,
        n_init: int = 8,
        max_iter: int = 100,
        tol: float = 2e-5,
        stopping: str = "bound",
        prune: bool = True,
        polish: int = 0,
        checkpoint: Any = None,
        device: Any = "auto",
        dtype: Any = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(
            n_factors, likelihood=likelihood, nonnegative=nonnegative, rotation=rotation,
            kernel=kernel, length_scale=length_scale, amplitude=amplitude, nugget=nugget,
            inducing=inducing, size_factors=size_factors, n_init=n_init, max_iter=max_iter,
            tol=tol, stopping=stopping, prune=prune, polish=polish, checkpoint=checkpoint,
            device=device, dtype=dtype, random_state=random_state, verbose=verbose,
        )  # fmt: skip
        self.n_spatial = n_spatial

    def fit(self, X: Any, coordinates: Any, samples: Any = None) -> Self:
        """Fit the factors; see `SpatialFactorization.fit`."""
        n_factors = check_positive_int(self.n_factors, "n_factors")
        n_spatial = -(-n_factors // 2) if self.n_spatial is None else self.n_spatial
        n_spatial = check_positive_int(n_spatial, "n_spatial")
        if n_spatial >= n_factors:
            raise ValueError(
                f"n_spatial={n_spatial} must be below n_factors={n_factors}; for spatial factors "
                "only take SpatialFactorization."
            )
        self._fit_rows(X, coordinates, samples, n_spatial)
        return self

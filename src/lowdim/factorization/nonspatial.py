"""Factors without places: Poisson nonnegative matrix factorization and factor analysis."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from lowdim.factorization._base import Factors, as_numpy


class _Nonspatial(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Factors):
    """What the two have in common."""

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit the factors.

        Parameters
        ----------
        X : (N, J)
            Array, sparse matrix, DataFrame or AnnData; counts must be whole numbers. NaN says that
            a value is not known.
        y
            Ignored.

        Raises
        ------
        TypeError, ValueError
            The data or an argument cannot be used; the message says which and why.
        """
        self._fit_rows(X, None, None, 0)
        return self

    def transform(self, X: Any, size_factors: Any = None) -> np.ndarray:
        """Posterior means of the factors of rows, (n, L), with everything else as fitted.

        Parameters
        ----------
        X : (n, J)
        size_factors : optional
            As in the constructor, and by default what was said there; numbers that were given to
            the fit must be given here as well.
        """
        return self._natural(*self._transform(X, None, None, size_factors))[0]

    def fit_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Fit, and `transform` with the size factors of the fit."""
        self.fit(X, y)
        return self.transform(X, self.size_factors if np.ndim(self.size_factors) else None)

    def mean_row(self) -> np.ndarray:
        """Expected values of a row of size factor one of which nothing else is known, (J,)."""
        check_is_fitted(self)
        state = self._fit.state
        mean, variance = as_numpy(state.prior_mean), as_numpy(state.prior_variance)
        return self._expected(mean[None], variance[None], np.ones(1))[0]


class PoissonNMF(_Nonspatial):
    """Counts as sums of nonnegative factors (probabilistic NMF; PNMF).

    ``y_ij ~ Poisson(s_i sum_l w_jl exp(f_il))`` with ``f_il ~ N(mu_l, tau_l^2)``, whose mean and
    variance are learned, and loadings w that are not negative.

    Parameters
    ----------
    n_factors : int, default=10
        L.
    likelihood : {"poisson", "negative_binomial", "gaussian"}, default="poisson"
        The negative binomial learns a dispersion for every column, the Gaussian a variance.
    size_factors : "mean", "median", "median_ratio", array-like of shape (N,) or None, default=None
        Row totals over their mean or median, medians of ratios, given numbers, or one for all.
        `transform` follows the same rule, in the unit of the fit.
    n_init : int, default=8
        Starts of the factorization by multiplicative steps that the fit begins with, of which the
        best is kept.
    max_iter : int, default=200
        Rounds at most.
    tol : float, default=2e-5
        Stop when two rounds in turn raise the bound by less than this share of it.
    stopping : {"bound", "cubic"}, default="bound"
        "cubic" smooths the last bounds by a cubic, whose last step must be below `tol`.
    prune : bool, default=True
        Loadings that fall and hold a negligible share of their column's rate become zero.
    polish : int, default=0
        So many draws of the factors take the place of Jensen's inequality in further rounds.
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
        Of the negative binomial: the variance is ``mu + dispersion mu^2``.
    noise_variances_ : ndarray of shape (J,)
        Of the Gaussian.
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
    Khan and Lin (2017), Conjugate-computation variational inference.
    """

    def __init__(
        self,
        n_factors: int = 10,
        *,
        likelihood: str = "poisson",
        size_factors: Any = None,
        n_init: int = 8,
        max_iter: int = 200,
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

    @property
    def _positive(self) -> bool:
        return True


class FactorAnalysis(_Nonspatial):
    """Values or counts by real-valued factors (FA; with counts, generalised factor analysis).

    ``y_ij ~ N(b_j + sum_l w_jl f_il, sigma_j^2)``, or ``Poisson(s_i exp(b_j + sum_l w_jl f_il))``,
    or negative binomial around that rate, with ``f ~ N(0, 1)``.

    For values without gaps the posterior is exact.

    Parameters
    ----------
    n_factors : int, default=10
        L.
    likelihood : {"gaussian", "poisson", "negative_binomial"}, default="gaussian"
        The Gaussian learns a variance for every column, the negative binomial a dispersion.
    rotation : {"varimax", "quartimax"} or None, default="varimax"
        Axes on which most columns load on few factors, or None, those of largest variance. All
        describe the data equally well.
    size_factors : "mean", "median", "median_ratio", array-like of shape (N,) or None, default=None
        Of counts: row totals over their mean or median, medians of ratios, given numbers, or one
        for all. `transform` follows the same rule, in the unit of the fit.
    max_iter : int, default=500
        Rounds at most.
    tol : float, default=5e-6
        Stop when two rounds in turn raise the bound by less than this share of it.
    stopping : {"bound", "cubic"}, default="bound"
        "cubic" smooths the last bounds by a cubic, whose last step must be below `tol`.
    checkpoint : path, optional
        Keep the fit in this file every few rounds. A fit to the same data with the same settings
        goes on from there, to the same bits; only `max_iter` may be another one.
    device : str or torch.device, default="auto"
    dtype : {"float32", "float64"}, optional
        Of products with the data; by default float64. Sums, factors and processes are in float64.
    random_state : int, Generator or RandomState, optional
        Nothing is random here; for the conventions' sake.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    factors_, factor_variances_ : ndarray of shape (N, L)
        Posterior means and variances of f.
    loadings_ : ndarray of shape (J, L)
        w.
    components_ : ndarray of shape (L, J)
        The same as scikit-learn lays them out.
    intercepts_ : ndarray of shape (J,)
        b.
    noise_variances_ : ndarray of shape (J,)
        Of the Gaussian.
    dispersions_ : ndarray of shape (J,)
        Of the negative binomial: the variance is ``mu + dispersion mu^2``.
    lower_bound_ : float
        The bound on the log-likelihood, per row; for values without gaps it is the log-likelihood.
    lower_bounds_ : ndarray
        After every round.
    size_factors_ : ndarray of shape (N,)
    n_iter_ : int
    n_refused_ : int
        Steps of factors that were refused, since they lowered the bound, after the first rounds. At
        the end of a fit that is normal.
    converged_ : bool
    n_features_in_ : int

    References
    ----------
    Rubin and Thayer (1982), EM algorithms for ML factor analysis.
    Khan and Lin (2017), Conjugate-computation variational inference.
    """

    def __init__(
        self,
        n_factors: int = 10,
        *,
        likelihood: str = "gaussian",
        rotation: str | None = "varimax",
        size_factors: Any = None,
        max_iter: int = 500,
        tol: float = 5e-6,
        stopping: str = "bound",
        checkpoint: Any = None,
        device: Any = "auto",
        dtype: Any = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.n_factors = n_factors
        self.likelihood = likelihood
        self.rotation = rotation
        self.size_factors = size_factors
        self.max_iter = max_iter
        self.tol = tol
        self.stopping = stopping
        self.checkpoint = checkpoint
        self.device = device
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose

    @property
    def _positive(self) -> bool:
        return False

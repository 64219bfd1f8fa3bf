"""What the estimators of positive factors of counts share: checks, fitted attributes, answers."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from lowdim._device import resolve_device, resolve_dtype
from lowdim._random import generator
from lowdim._threads import threads_for
from lowdim._validation import check_in, check_interval, check_positive_int
from lowdim.data.estimator_rows import read_rows
from lowdim.factorization._fit import FittedFactors, Settings, fit_factors
from lowdim.factorization._places import check_coordinates
from lowdim.factorization._size_factors import size_factors_of
from lowdim.kernels import KERNELS
from lowdim.mixture._counts.size_factors import check_size_factors

LIKELIHOODS = ("poisson", "negative_binomial")


class PositiveFactors:
    """``E y_ij = s_i sum_l w_jl exp(f_il)``; what is said of the factors is up to the estimator."""

    def _fit_counts(self, X: Any, coordinates: Any, n_spatial: int) -> None:
        source = read_rows(self, X, counts=True)
        counts = _dense(source)
        n, j = counts.shape
        settings = _check(self, n_spatial)
        sizes = size_factors_of(self.size_factors, counts.sum(1))  # type: ignore[attr-defined]
        places = None
        if n_spatial:
            places = check_coordinates(coordinates, n)
        rng = generator(self.random_state)  # type: ignore[attr-defined]
        with threads_for(n * j):
            fit = fit_factors(counts, sizes, places, settings, rng)
        self._set(fit, sizes)
        if not fit.course.converged:
            warnings.warn(
                f"{type(self).__name__} did not converge within max_iter={settings.max_iter} "
                "rounds; raise max_iter, or tol.",
                ConvergenceWarning,
                stacklevel=3,
            )

    def _set(self, fit: FittedFactors, sizes: np.ndarray) -> None:
        state = fit.state
        n = len(sizes)
        self._fit = fit
        self.loadings_ = state.loadings.cpu().numpy().astype(np.float64)
        self.log_factors_ = state.mean.T.cpu().numpy().astype(np.float64)
        self.log_factor_variances_ = state.variance.T.cpu().numpy().astype(np.float64)
        self.factors_ = np.exp(self.log_factors_ + 0.5 * self.log_factor_variances_)
        self.size_factors_ = sizes
        self.lower_bounds_ = np.array(fit.course.bounds) / n
        self.lower_bound_ = state.bound / n
        self.n_iter_ = len(fit.course.bounds)
        self.converged_ = fit.course.converged
        self.length_scale_ = fit.length_scale
        if state.shapes is not None:
            self.dispersions_ = 1.0 / state.shapes.cpu().numpy().astype(np.float64)

    @property
    def components_(self) -> np.ndarray:
        """`loadings_` as scikit-learn lays them out, (L, J)."""
        return self.loadings_.T

    def reconstruct(self) -> np.ndarray:
        """Expected counts of the rows that were fitted, (N, J)."""
        check_is_fitted(self)
        return np.asarray(self.size_factors_[:, None] * (self.factors_ @ self.loadings_.T))

    def predict(self, coordinates: Any, size_factors: Any = 1.0) -> np.ndarray:
        """Expected counts at other places, (n, J).

        Parameters
        ----------
        coordinates : array-like of shape (n, D)
        size_factors : float or array-like of shape (n,), default=1.0
        """
        n = len(coordinates)
        sizes = np.full(n, size_factors) if np.ndim(size_factors) == 0 else size_factors
        sizes = check_size_factors(sizes, n)
        mean, variance = self.predict_log_factors(coordinates)
        rates = np.exp(mean + 0.5 * variance) @ self.loadings_.T
        return np.asarray(rates * sizes[:, None])

    def predict_log_factors(self, coordinates: Any) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of the logarithms of the factors at other places, (n, L) each."""
        check_is_fitted(self)
        n_axes = None if self._fit.places is None else len(self._fit.places.centre)
        places = check_coordinates(coordinates, len(coordinates), n_axes)
        return self._fit.at(places)


def _check(model: Any, n_spatial: int) -> Settings:
    scale = model.length_scale
    if isinstance(scale, str):
        check_in(scale, "length_scale", ("auto",))
        scale = None
    if scale is not None:
        scale = np.asarray(scale, dtype=np.float64)
        if not (np.isfinite(scale).all() and (scale > 0).all()):
            raise ValueError(f"length_scale={model.length_scale!r} must be positive and finite.")
    likelihood = check_in(model.likelihood, "likelihood", LIKELIHOODS)
    return Settings(
        n_factors=check_positive_int(model.n_factors, "n_factors"),
        n_spatial=n_spatial,
        negative_binomial=likelihood == "negative_binomial",
        kernel=check_in(model.kernel, "kernel", tuple(KERNELS)),
        length_scale=scale,
        amplitude=check_interval(model.amplitude, "amplitude", low=0.0, closed="neither"),
        nugget=check_interval(model.nugget, "nugget", low=0.0, closed="neither"),
        inducing=model.inducing,
        n_init=check_positive_int(model.n_init, "n_init"),
        max_iter=check_positive_int(model.max_iter, "max_iter"),
        tol=check_interval(model.tol, "tol", low=0.0),
        prune=bool(model.prune),
        device=resolve_device(model.device),
        dtype=resolve_dtype(model.dtype, torch.float64),
        verbose=int(model.verbose),
    )


def _dense(source: Any) -> np.ndarray:
    """All counts, (N, J), float64."""
    rows = source.rows(0, source.n_rows)
    dense = rows if isinstance(rows, np.ndarray) else rows.toarray()
    return np.ascontiguousarray(dense, dtype=np.float64)

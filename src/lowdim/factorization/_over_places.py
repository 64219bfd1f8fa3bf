"""What estimators with spatial factors share: answers about other places and slides."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from lowdim.factorization._base import NO_SIZES, Factors, as_numpy
from lowdim.factorization._places import check_coordinates
from lowdim.factorization._slide_names import check_known_samples
from lowdim.mixture._counts.size_factors import check_size_factors


class SpatialFactors(Factors):
    """Factors some of which are processes over places."""

    def predict(self, coordinates: Any, size_factors: Any = 1.0, samples: Any = None) -> np.ndarray:
        """Expected values at other places, (n, J).

        Parameters
        ----------
        coordinates : array-like of shape (n, D)
        size_factors : float or array-like of shape (n,), default=1.0
            Of counts; values have none.
        samples : array-like of shape (n,), optional
            The fitted slide that every place is on; needed where there are several.
        """
        mean, variance = self._latent(coordinates, samples)
        n = len(mean)
        sizes = np.full(n, size_factors) if np.ndim(size_factors) == 0 else size_factors
        sizes = check_size_factors(sizes, n)
        if not self._counted and (sizes != 1).any():
            raise ValueError(NO_SIZES)
        return self._expected(mean, variance, sizes)

    def predict_factors(
        self, coordinates: Any, samples: Any = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of the factors at other places, (n, L) each."""
        return self._natural(*self._latent(coordinates, samples))

    def predict_log_factors(
        self, coordinates: Any, samples: Any = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of the logarithms of nonnegative factors elsewhere, (n, L) each."""
        check_is_fitted(self)
        if not self._positive:
            raise ValueError("Real-valued factors have no logarithms; see predict_factors.")
        return self._latent(coordinates, samples)

    def transform(
        self, X: Any, coordinates: Any, samples: Any = None, size_factors: Any = None
    ) -> np.ndarray:
        """Posterior means of the factors of other rows, such as a new slide's, (n, L).

        Loadings stay; the factors' processes begin anew at these rows.

        Parameters
        ----------
        X : (n, J)
        coordinates : array-like of shape (n, D)
            In the units of the fit.
        samples : array-like of shape (n,), optional
            Names of slides, where there are several.
        size_factors : optional
            As in the constructor, and by default what was said there.
        """
        return self._natural(*self._transform(X, coordinates, samples, size_factors))[0]

    def fit_transform(self, X: Any, coordinates: Any, samples: Any = None) -> np.ndarray:
        """Fit, and the factors, (N, L)."""
        self.fit(X, coordinates, samples)  # type: ignore[attr-defined]
        return self.factors_

    def _latent(self, coordinates: Any, samples: Any) -> tuple[np.ndarray, np.ndarray]:
        """Of factors, or of the logarithms of nonnegative ones."""
        check_is_fitted(self)
        state, space = self._fit.state, self._fit.space
        assert space is not None
        places = check_coordinates(coordinates, None, space.coordinates.shape[1])
        n = len(places)
        codes = check_known_samples(samples, n, self.samples_)
        mean, variance = np.empty((n, len(state.mean))), np.empty((n, len(state.mean)))
        T = len(state.processes)
        own = space.at(state, places, codes)
        mean[:, :T], variance[:, :T] = as_numpy(own[0].T), as_numpy(own[1].T)
        mean[:, T:], variance[:, T:] = as_numpy(state.prior_mean), as_numpy(state.prior_variance)
        return mean, variance

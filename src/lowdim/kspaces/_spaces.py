"""Affine subspaces with a Gaussian density: what a kspaces model is made of."""

from __future__ import annotations

import copy
from typing import Any, Self

import numpy as np

from lowdim._typing import Float64Array, RandomState
from lowdim._validation import check_interval, check_positive_int, check_sample_weight
from lowdim.kspaces._basis import orthonormal
from lowdim.kspaces._random import seeded
from lowdim.kspaces._rows import by_rows

LOG_2PI = float(np.log(2 * np.pi))


class affine_subspace:
    """A Gaussian around an affine subspace.

    Points are ``translation + z @ vectors + e``: the z are independent normal with standard
    deviations `latent_sigmas`, and e is normal with standard deviation `sigma` in each of the
    D - d directions off the subspace.

    Parameters
    ----------
    vectors : array-like of shape (d, D)
        What spans the subspace; ``[]`` for a point. Orthonormal vectors are kept bit for bit,
        others are replaced by the orthonormal ones that lie closest to them, in the same order.
    translation : array-like of shape (D,)
        A point of the subspace: the mean.
    sigma : float
        Standard deviation in each direction off the subspace, >= 0. Of no meaning for d = D.
    latent_sigmas : array-like of shape (d,)
        Standard deviations along the vectors, noise included, >= 0. For d = 0, whatever is given
        is dropped.
    prior : float
        Weight of the component in a mixture, >= 0.

    Attributes
    ----------
    vectors : ndarray of shape (d, D)
        Orthonormal rows; no rows for d = 0.
    translation : ndarray of shape (D,)
    latent_sigmas : ndarray of shape (d,)
    sigma, prior : float
    d, D : int
        Dimension of the subspace and of the space around it.

    Raises
    ------
    ValueError, TypeError
        A shape is wrong, d > D, a vector is zero or depends on the others, or a number is
        negative or not finite.
    """

    def __init__(
        self, vectors: Any, translation: Any, sigma: Any, latent_sigmas: Any, prior: Any
    ) -> None:
        self.translation = _finite(translation, "translation")
        if self.translation.ndim != 1 or not len(self.translation):
            raise ValueError(
                f"translation has shape {self.translation.shape}; pass one number per column."
            )
        self.D = len(self.translation)
        self.vectors = orthonormal(vectors, self.D)
        self.d = len(self.vectors)
        self.sigma = check_interval(sigma, "sigma", low=0.0)
        self.prior = check_interval(prior, "prior", low=0.0)
        self.update_latent_sigmas(latent_sigmas)

    def __str__(self) -> str:
        lines = [f"{type(self).__name__}: {self.d} of {self.D} dimensions"]
        for name in ("vectors", "latent_sigmas", "translation", "sigma", "prior"):
            lines.append(f"  {name}: {np.round(getattr(self, name), 3).tolist()}")
        return "\n".join(lines)

    def copy(self) -> Self:
        """An independent copy."""
        return copy.deepcopy(self)

    # Geometry -------------------------------------------------------------------------------

    def vectors_to_orthonormal_basis(self, vectors: Any) -> Float64Array:
        """Orthonormal axes of the span of vectors, (d, D); the space itself stays as it is."""
        return orthonormal(vectors, self.D)

    def update_vectors(self, vectors: Any) -> None:
        """Span the space by other vectors, as many as before, (d, D)."""
        axes = orthonormal(vectors, self.D)
        if len(axes) != self.d:
            raise ValueError(f"vectors has {len(axes)} rows, expected d={self.d}.")
        self.vectors = axes

    def displacement(self, points: Any) -> Any:
        """Coordinates of points along the vectors, from the translation.

        Parameters
        ----------
        points : array-like of shape (N, D) or (D,)
            An array, sparse matrix, DataFrame, tensor or list.

        Returns
        -------
        ndarray of shape (N, d) or (d,); no columns for d = 0.

        Raises
        ------
        ValueError, TypeError
            The points are no finite numbers or not in D columns.
        """
        return by_rows(points, self.D, lambda rows: (rows - self.translation) @ self.vectors.T)

    def transform(self, points: Any) -> Any:
        """The same as `displacement`, under scikit-learn's name."""
        return self.displacement(points)

    def projection(self, points: Any) -> Any:
        """The nearest points of the subspace.

        Parameters
        ----------
        points : array-like of shape (N, D) or (D,)

        Returns
        -------
        ndarray of shape (N, D) or (D,)

        Raises
        ------
        ValueError, TypeError
            As `displacement`.
        """

        def project(rows: Float64Array) -> Float64Array:
            along = (rows - self.translation) @ self.vectors.T
            return along @ self.vectors + self.translation

        return by_rows(points, self.D, project)

    def project(self, points: Any) -> Any:
        """The same as `projection`."""
        return self.projection(points)

    def orthogonal_distance(self, points: Any, squared: bool = False) -> Any:
        """Distance of points to the subspace.

        Parameters
        ----------
        points : array-like of shape (N, D) or (D,)
        squared : bool, default=False
            Return squared distances.

        Returns
        -------
        ndarray of shape (N,), or a float for a single point

        Raises
        ------
        ValueError, TypeError
            As `displacement`.
        """
        distances = by_rows(points, self.D, lambda rows: self._split(rows)[1])
        return distances if squared else np.sqrt(distances)

    def _split(self, rows: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Coordinates along the vectors, (n, d), and squared distances to the space, (n,)."""
        off = rows - self.translation
        along = off @ self.vectors.T
        off -= along @ self.vectors
        return along, np.einsum("ij,ij->i", off, off)

    # Density --------------------------------------------------------------------------------

    def probability(self, points: Any, log: bool = False, true_val: bool = False) -> Any:
        """Probability density of points, by default without the factor (2 pi)^(-D/2).

        Parameters
        ----------
        points : array-like of shape (N, D) or (D,)
        log : bool, default=False
            Return logarithms, which do not underflow.
        true_val : bool, default=False
            Include the factor (2 pi)^(-D/2): -D/2 log(2 pi) in the logarithm. (kspaces
            multiplies the logarithm by the factor.)

        Returns
        -------
        ndarray of shape (N,), or a float for a single point

        Raises
        ------
        ValueError, TypeError
            As `displacement`, or a standard deviation is zero, so that there is no density.
        """
        constant = -0.5 * self.D * LOG_2PI if true_val else 0.0
        values = by_rows(points, self.D, lambda rows: self.log_density(rows) + constant)
        return values if log else np.exp(values)

    def log_density(self, rows: Float64Array) -> Float64Array:
        """Log-density of dense rows, (n, D), without the factor (2 pi)^(-D/2), (n,)."""
        left = self.D - self.d
        if not self.latent_sigmas.all() or (left and not self.sigma):
            raise ValueError(
                "A subspace whose sigma or latent_sigmas contain 0 has no density; set them > 0."
            )
        with np.errstate(over="ignore"):  # so far off, the density is zero
            along, distances = self._split(rows)
            along /= self.latent_sigmas
            value = -0.5 * np.einsum("ij,ij->i", along, along) - np.log(self.latent_sigmas).sum()
            if left:
                value -= left * np.log(self.sigma) + 0.5 * (distances / self.sigma) / self.sigma
        return value

    def generate(self, size: int = 1, random_state: RandomState = None) -> Float64Array:
        """Draw points.

        Parameters
        ----------
        size : int, default=1
            How many, >= 0.
        random_state : int, Generator or RandomState, optional
            Seed; by default one is drawn from ``np.random``, so that ``np.random.seed`` makes
            the points repeat.

        Returns
        -------
        ndarray of shape (size, D)
        """
        size, rng = check_positive_int(size, "size", minimum=0), seeded(random_state)
        rows = rng.normal(size=(size, self.D)) * self.sigma
        rows -= (rows @ self.vectors.T) @ self.vectors
        if self.d == self.D:
            rows[:] = 0.0
        latent = rng.normal(size=(size, self.d)) * self.latent_sigmas
        return rows + latent @ self.vectors + self.translation

    # Fit ------------------------------------------------------------------------------------

    def fit(self, points: Any, responsibilities: Any, verbose: bool) -> Self:
        """Fit the space, in place, to weighted points by maximum likelihood.

        The translation is the weighted mean, the vectors are the leading principal axes, and
        the variances are divided by the sum of the weights. The prior stays as it is.

        Parameters
        ----------
        points : array-like of shape (N, D)
        responsibilities : array-like of shape (N,)
            Nonnegative weights.
        verbose : bool
            Accepted and not used, as in kspaces.

        Returns
        -------
        The space itself.

        Raises
        ------
        ValueError, TypeError
            As `displacement`, or the weights are negative, not finite or all zero.
        """
        from lowdim.kspaces._engine import fit_weighted

        fitted = fit_weighted(points, responsibilities, self.d, self.D)
        for name in ("vectors", "translation", "sigma", "latent_sigmas"):
            setattr(self, name, getattr(fitted, name))
        return self

    def update_sigma(
        self, points: Any, responsibilities_: Any, verbose: bool, sigma: Any = None
    ) -> None:
        """Set sigma, or estimate it from weighted points: root mean square per direction off.

        Parameters
        ----------
        points : array-like of shape (N, D)
        responsibilities_ : array-like of shape (N,)
            Nonnegative weights.
        verbose : bool
            Accepted and not used, as in kspaces.
        sigma : float, optional
            The value to set; the points are then not looked at.
        """
        if sigma is not None:
            self.sigma = check_interval(sigma, "sigma", low=0.0)
        elif self.d < self.D:
            self.sigma = float(np.sqrt(self._mean(self._squares(points), responsibilities_)))

    def update_latent_sigmas(self, latent_sigmas: Any) -> None:
        """Set the standard deviations along the vectors, (d,); for d = 0 there are none."""
        values = np.atleast_1d(_finite(latent_sigmas, "latent_sigmas"))
        if self.d == 0:
            values = np.zeros(0)
        if values.shape != (self.d,):
            raise ValueError(
                f"latent_sigmas has shape {values.shape}, expected ({self.d},): one number per "
                "vector."
            )
        if (values < 0).any():
            raise ValueError(f"latent_sigmas must not be negative, got {values.min():g}.")
        self.latent_sigmas = values

    def _squares(self, points: Any) -> Float64Array:
        return np.atleast_1d(self.orthogonal_distance(points, squared=True)) / (self.D - self.d)

    @staticmethod
    def _mean(values: Float64Array, weights: Any) -> Float64Array:
        weights = check_sample_weight(np.atleast_1d(weights), len(values))
        mean: Float64Array = weights @ values / weights.sum()
        return mean


class fixed_space(affine_subspace):
    """A subspace whose place is known: a fit learns its sigma and its prior only.

    Parameters and attributes are those of `affine_subspace`. One that `run_EM` made from a
    dictionary without "latent_sigmas" learns those as well (``learns_latent_sigmas`` is True).
    """

    learns_latent_sigmas = False

    def fit(self, points: Any, responsibilities: Any, verbose: bool) -> Self:
        """Estimate sigma from weighted points, in place; see `update_sigma`."""
        if self.learns_latent_sigmas:
            along = np.atleast_2d(self.displacement(points))
            self.latent_sigmas = np.sqrt(self._mean(np.square(along), responsibilities))
        self.update_sigma(points, responsibilities, verbose)
        return self


class bg_space(affine_subspace):
    """A background: a fit learns its prior only.

    Parameters and attributes are those of `affine_subspace`.
    """

    def fit(self, points: Any, responsibilities: Any, verbose: bool) -> Self:
        """Nothing is learned; returns the space itself."""
        return self


def _finite(values: Any, name: str) -> Float64Array:
    array = np.array(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} contains NaN or infinity; pass finite numbers.")
    return array

"""What linear projections have in common."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import scipy.linalg
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from lowdim._device import resolve_device
from lowdim._saving import Saved
from lowdim._validation import check_matrix, check_positive_int
from lowdim.data.estimator_rows import read_rows
from lowdim.data.sources import RowSource
from lowdim.embedding._spectral.centred_rows import Moments, blocks, coordinates


class LinearProjection(  # type: ignore[misc]
    Saved, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """Coordinates along principal axes; its parameters include ``whiten`` and ``device``."""

    def _keep(
        self, mean: np.ndarray, n: int, total: float, values: np.ndarray, axes: np.ndarray, k: int
    ) -> None:
        """Store k axes, (D, w), their scatters, (w,), of n rows with so much scatter in all."""
        values = np.maximum(values[:k], 0.0)
        peaks = np.abs(axes[:, :k]).argmax(0)
        signs = np.where(axes[peaks, np.arange(k)] < 0, -1.0, 1.0)
        self.components_ = np.ascontiguousarray((axes[:, :k] * signs).T)
        self.mean_ = mean
        self.n_components_, self.n_samples_ = k, n
        self.singular_values_ = np.sqrt(values)
        self.explained_variance_ = values / max(n - 1, 1)
        self.explained_variance_ratio_ = values / total if total > 0 else np.zeros(k)
        left = min(len(mean), n) - k
        rest = max(total - float(values.sum()), 0.0) / max(n - 1, 1)
        self.noise_variance_ = rest / left if left > 0 else 0.0

    def _take_in(self, moments: Moments, source: RowSource) -> None:
        """Add the second moments of all rows of a source, found where `device` says."""
        device = resolve_device(self.device)
        if device.type == "cpu":
            for rows in blocks(source):
                moments.add(rows)
            return
        from lowdim.embedding._spectral.device_rows import DeviceCentredRows

        rows_there = DeviceCentredRows(source, device)
        moments.join(source.n_rows, rows_there.mean, rows_there.squares())

    def _keep_moments(self, moments: Moments, wanted: int | float) -> None:
        """Store the axes of rows whose second moments are known."""
        total = float(np.trace(moments.squares))
        values, axes = scipy.linalg.eigh(moments.squares)
        values, axes = values[::-1], axes[:, ::-1]
        k = number_for(wanted, values[: moments.n], total)
        self._keep(moments.mean.copy(), moments.n, total, values, axes, k)

    def transform(self, X: Any) -> np.ndarray:
        """Coordinates of rows along the axes.

        Parameters
        ----------
        X : array-like, sparse, DataFrame, tensor, AnnData, row source or path, shape (n, D)
            Sparse rows stay sparse, those of a file are read in pieces.

        Returns
        -------
        ndarray of shape (n, k)
            In the dtype of the data.
        """
        check_is_fitted(self)
        device = resolve_device(self.device)
        source = read_rows(self, X, reset=False)
        axes = self.components_.T / self._units()
        if device.type == "cpu":
            return coordinates(source, axes, self.mean_)
        from lowdim.embedding._spectral.device_rows import device_coordinates

        largest = float(np.sqrt(self.explained_variance_.max(initial=0.0)))
        return device_coordinates(source, axes, self.mean_, largest or 1.0, device)

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Rows with given coordinates, (n, k), on the flat of the axes, (n, D)."""
        check_is_fitted(self)
        places = check_matrix(X)
        if places.shape[1] != self.n_components_:
            raise ValueError(
                f"X has {places.shape[1]} columns, but there are {self.n_components_} components; "
                "pass coordinates as transform returns them."
            )
        rows = (places * self._units()) @ self.components_ + self.mean_
        return np.asarray(rows).astype(places.dtype, copy=False)

    def _units(self) -> np.ndarray:
        """Lengths of one along each axis, (k,); one where an axis explains nothing."""
        if not self.whiten:
            return np.ones(self.n_components_)
        scales = np.sqrt(self.explained_variance_)
        return np.where(scales > 1e-12 * scales.max(initial=0.0), scales, 1.0)

    @property
    def _n_features_out(self) -> int:
        return int(self.n_components_)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def check_components(n_components: Any, most: int | None) -> int | float:
    """How many components are wanted, or the share of the variance that they must explain.

    At most so many, where that is known.
    """
    if n_components is None:
        return sys.maxsize if most is None else most
    if isinstance(n_components, float) and 0.0 < n_components < 1.0:
        return n_components
    k = check_positive_int(n_components, "n_components")
    if most is not None and k > most:
        raise ValueError(
            f"n_components={k}, but the data have only {most} directions: the lesser of rows and "
            f"columns; pass n_components <= {most}."
        )
    return k


def number_for(wanted: int | float, values: np.ndarray, total: float) -> int:
    """How many of the leading scatters, (w,), are wanted."""
    if isinstance(wanted, int):
        return wanted
    shares = np.cumsum(np.maximum(values, 0.0)) / (total if total > 0 else 1.0)
    return min(int(np.searchsorted(shares, wanted, side="right")) + 1, len(values))

"""Principal components in the space of a kernel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from scipy.sparse.linalg import eigsh
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from lowdim._device import resolve_device, to_host
from lowdim._random import generator
from lowdim._threads import serial_blas
from lowdim._validation import (
    check_in,
    check_interval,
    check_positive,
    check_positive_int,
    check_shape,
)
from lowdim.data.estimator_rows import read_rows
from lowdim.data.sources import RowSource, as_rows
from lowdim.embedding._by_blocks import by_blocks
from lowdim.embedding._spectral.centred_rows import Moments, blocks

if TYPE_CHECKING:
    import torch

    from lowdim.embedding._spectral.device_kernel import DeviceKernel

KERNELS = ("linear", "rbf", "poly", "cosine", "precomputed")
#: Rows up to which all eigenvectors are worked out.
DENSE = 200
#: Eigenvalues below this share of the largest are rounding.
NEGLIGIBLE = 1e-11


class KernelPCA(  # type: ignore[misc]
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """Principal components of rows in the space of a kernel.

    A kernel is a product of rows in a space of many dimensions. Landmarks span a part of that
    space; rows have coordinates in it, and components are those of the coordinates. With all rows
    as landmarks that is kernel PCA itself (Schölkopf, Smola and Müller 1998), with fewer of them
    the Nyström approximation, in a time that grows with the number of rows.

    Parameters
    ----------
    n_components : int or None, default=None
        How many; or all with an eigenvalue above zero.
    kernel : {"linear", "rbf", "poly", "cosine", "precomputed"}, default="linear"
        ``x'y``, ``exp(-gamma |x - y|^2)``, ``(gamma x'y + coef0)^degree``, the cosine of the angle;
        or X holds the kernel, (N, N).
    gamma : float or None, default=None
        None is one over the number of columns.
    degree : int, default=3
    coef0 : float, default=1.0
    n_landmarks : int or None, default=4000
        With more rows than that, so many random ones are landmarks; None takes all rows.
    device : str or torch.device, default="cpu"
        Where kernels, their products and eigenvectors are found, in float64: "cpu", "cuda",
        "cuda:1", or "auto" for a CUDA device where there is one.
    random_state : int, Generator or RandomState, optional
        Of the landmarks.

    Attributes
    ----------
    embedding_ : ndarray of shape (N, c), float64
    eigenvalues_ : ndarray of shape (c,)
        Of the centred kernel: sums of squares of the columns of `embedding_`.
    landmarks_ : ndarray of shape (L,)
        Rows that are landmarks.
    n_features_in_ : int

    Examples
    --------
    >>> import numpy as np, lowdim as ld
    >>> t = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    >>> X = np.c_[np.cos(t), np.sin(t)] * np.repeat([1.0, 3.0], 30)[:, None]
    >>> ld.KernelPCA(2, kernel="rbf", gamma=0.5).fit_transform(X).shape
    (60, 2)
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        kernel: str = "linear",
        gamma: float | None = None,
        degree: int = 3,
        coef0: float = 1.0,
        n_landmarks: int | None = 4000,
        device: Any = "cpu",
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.n_landmarks = n_landmarks
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the components.

        Parameters
        ----------
        X : array-like, sparse, DataFrame, tensor, AnnData, row source or path, shape (N, D)
            Rows, or with ``kernel="precomputed"`` the kernel, (N, N).
        y : ignored

        Returns
        -------
        The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            An argument or the data cannot be used.
        """
        self._check_arguments()
        rng, device = generator(self.random_state), resolve_device(self.device)
        source = read_rows(self, X)
        check_shape((source.n_rows, source.n_cols), min_rows=2)
        n, chosen = source.n_rows, np.arange(source.n_rows)
        if self.kernel == "precomputed" and source.n_cols != n:
            raise ValueError(
                f"X has shape ({n}, {source.n_cols}); kernel='precomputed' needs one square matrix."
            )
        if self.n_landmarks is not None and n > self.n_landmarks:
            chosen = np.sort(rng.choice(n, self.n_landmarks, replace=False))
        with serial_blas():  # sums of several threads are rounded otherwise
            self.landmarks_, self._landmark_rows = chosen, source.take(chosen)
            if device.type != "cpu":
                self._find_on_device(source, device, rng)
            elif len(chosen) == n:
                self._find_in(self._kernel_with(self._landmark_rows), rng)
            else:
                self._find_among(source)
            self._turn(self._coordinates(source, device))
        return self

    def fit_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Find the components and return the coordinates of the rows, (N, c), float64."""
        return self.fit(X, y).embedding_

    @by_blocks
    def transform(self, X: Any) -> np.ndarray:
        """Coordinates of new rows, (m, c), float64.

        Parameters
        ----------
        X : array-like, sparse, DataFrame, tensor, AnnData, row source or path, shape (m, D)
            New rows, or with ``kernel="precomputed"`` their kernel with those of the fit, (m, N).
        """
        check_is_fitted(self)
        device = resolve_device(self.device)
        source = read_rows(self, X, reset=False)
        with serial_blas():
            return self._coordinates(source, device)

    def save(self, path: str | Path) -> None:
        """Write the fitted model to one HDF5 file; `lowdim.load` reads it. Never a pickle."""
        from lowdim.embedding._saved import save

        save(self, path, ("_landmark_rows", "_projection", "_shift"))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a model that `save` wrote."""
        from lowdim.embedding._saved import load

        model: Self = load(cls, path)
        return model

    def _check_arguments(self) -> None:
        check_in(self.kernel, "kernel", KERNELS)
        if self.n_components is not None:
            check_positive_int(self.n_components, "n_components")
        if self.n_landmarks is not None:
            check_positive_int(self.n_landmarks, "n_landmarks", minimum=2)
        if self.gamma is not None:
            check_positive(self.gamma, "gamma")
        check_positive_int(self.degree, "degree")
        check_interval(self.coef0, "coef0", low=0.0)

    def _find_in(self, kernel: np.ndarray, rng: np.random.Generator) -> None:
        """Components of a kernel of all rows: eigenvectors of the centred one."""
        mean = kernel.mean(0)
        centred = kernel - mean
        centred -= centred.mean(1, keepdims=True)
        n, wanted = len(kernel), self.n_components
        if wanted is not None and self._few(n):
            start = rng.uniform(-1.0, 1.0, size=n)
            values, vectors = eigsh(centred, int(wanted), which="LA", v0=start)
        else:
            values, vectors = scipy.linalg.eigh(centred)
        k, order = self._number(values), np.argsort(-values, kind="stable")
        self.eigenvalues_ = values[order[:k]]
        self._projection = vectors[:, order[:k]] / np.sqrt(self.eigenvalues_)
        self._shift = mean @ self._projection

    def _few(self, n: int) -> bool:
        """Whether few components of a kernel of n rows are wanted, which are found alone."""
        wanted = self.n_components
        return wanted is not None and n > DENSE and wanted < n // 10

    def _find_on_device(
        self, source: RowSource, device: torch.device, rng: np.random.Generator
    ) -> None:
        """Components by products on a device."""
        from lowdim.embedding._spectral.device_kernel import axes_among, axes_of_all

        n, kernel = source.n_rows, self._device_kernel(device)
        if len(self.landmarks_) < n:
            found = axes_among(kernel, source, _rank)
        else:
            wanted = self.n_components if self._few(n) else None
            found = axes_of_all(kernel.square(), wanted, rng)
        k = self._number(found.values)
        self.eigenvalues_ = found.values[:k].copy()
        self._projection, self._shift = to_host(found.projection[:, :k], found.shift[:k])

    def _device_kernel(self, device: torch.device) -> DeviceKernel:
        from lowdim.embedding._spectral.device_kernel import DeviceKernel, KernelForm

        gamma = 1.0 / self.n_features_in_ if self.gamma is None else float(self.gamma)
        form = KernelForm(self.kernel, gamma, int(self.degree), float(self.coef0))
        return DeviceKernel(form, as_rows(self._landmark_rows), self.landmarks_, device)

    def _find_among(self, source: RowSource) -> None:
        """Components of the coordinates of all rows in the space that the landmarks span."""
        kernel = self._kernel_with(self._landmark_rows)
        values, vectors = np.linalg.eigh((kernel + kernel.T) / 2)
        r = _rank(values)
        to_features = vectors[:, -r:] / np.sqrt(values[-r:])
        moments = Moments(to_features.shape[1])
        for rows in self._blocks(source):
            moments.add(self._kernel_with(rows) @ to_features)
        values, axes = scipy.linalg.eigh(moments.squares)
        k = self._number(values)
        self.eigenvalues_ = values[::-1][:k].copy()
        self._projection = to_features @ axes[:, ::-1][:, :k]
        self._shift = moments.mean @ axes[:, ::-1][:, :k]

    def _number(self, values: np.ndarray) -> int:
        """How many components there are of those that are wanted."""
        n_found = int((values > NEGLIGIBLE * max(values.max(), 0.0)).sum())
        if not n_found:
            raise ValueError("X is the same for all rows in the space of the kernel; no axes.")
        return n_found if self.n_components is None else min(int(self.n_components), n_found)

    def _turn(self, coordinates: np.ndarray) -> None:
        """Keep the coordinates, of every column the entry of largest absolute value positive."""
        peaks = np.abs(coordinates).argmax(0)
        signs = np.where(coordinates[peaks, np.arange(coordinates.shape[1])] < 0, -1.0, 1.0)
        self._projection, self._shift = self._projection * signs, self._shift * signs
        self.embedding_ = coordinates * signs

    def _kernel_with(self, rows: Any) -> np.ndarray:
        """The kernel of rows with the landmarks, (n, L), float64."""
        if self.kernel == "precomputed":
            own = rows[:, self.landmarks_]
            return np.asarray(own.toarray() if sp.issparse(own) else own, dtype=np.float64)
        from sklearn.metrics.pairwise import pairwise_kernels

        numbers: dict[str, Any] = {}
        if self.kernel in ("rbf", "poly"):
            numbers["gamma"] = self.gamma
        if self.kernel == "poly":
            numbers |= {"degree": self.degree, "coef0": self.coef0}
        made = pairwise_kernels(
            rows.astype(np.float64), self._landmark_rows.astype(np.float64), self.kernel, **numbers
        )
        return np.asarray(made.toarray() if sp.issparse(made) else made)

    def _blocks(self, source: RowSource) -> Iterator[Any]:
        return blocks(source, len(self.landmarks_))

    def _along(self, rows: Any) -> np.ndarray:
        return self._kernel_with(rows) @ self._projection - self._shift

    def _coordinates(self, source: RowSource, device: torch.device) -> np.ndarray:
        if device.type != "cpu":
            kernel = self._device_kernel(device)
            return kernel.coordinates(source, self._projection, self._shift)
        return np.concatenate([self._along(rows) for rows in self._blocks(source)])

    @property
    def _n_features_out(self) -> int:
        return len(self.eigenvalues_)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = []  # always float64
        tags.input_tags.pairwise = self.kernel == "precomputed"
        return tags


def _rank(values: np.ndarray) -> int:
    """How many of the eigenvalues of a kernel, rising, (L,), count: the last ones.

    Raises
    ------
    ValueError
        The kernel is none: it has an eigenvalue well below zero.
    """
    largest = float(values[-1])
    if values[0] < -1e-6 * abs(largest) or largest <= 0:
        raise ValueError(
            f"The kernel of X has eigenvalues from {values[0]:.3g} to {largest:.3g}, and must "
            "have none below zero; pass another kernel."
        )
    return int((values > NEGLIGIBLE * largest).sum())

"""Principal components of rows that come in pieces."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from lowdim._device import resolve_device
from lowdim._threads import serial_blas
from lowdim._validation import check_shape
from lowdim.data.estimator_rows import read_rows
from lowdim.data.sources import as_rows
from lowdim.embedding._spectral.centred_rows import Moments
from lowdim.embedding._spectral.linear import LinearProjection, check_components


class IncrementalPCA(LinearProjection):
    """Principal components of rows that come in pieces, the same as of all rows at once.

    Means and second moments are summed, so that nothing is lost from piece to piece; they take D x
    D numbers.

    Parameters
    ----------
    n_components : int, float or None, default=None
        As of `PCA`; fewer as long as there have been fewer rows.
    whiten : bool, default=False
        Scale coordinates to a variance of one.

    device : str or torch.device, default="cpu"
        As of `PCA`.

    Attributes
    ----------
    components_, explained_variance_, explained_variance_ratio_, singular_values_, mean_, \
noise_variance_, n_components_
        As of `PCA`.
    n_samples_seen_ : int
    scatter_ : ndarray of shape (D, D)
        Sums of squares and products about the mean of all rows so far.
    n_features_in_ : int

    Examples
    --------
    >>> import numpy as np, lowdim as ld
    >>> X = np.random.default_rng(0).normal(size=(60, 4))
    >>> model = ld.IncrementalPCA(2)
    >>> for piece in np.split(X, 3):
    ...     _ = model.partial_fit(piece)
    >>> bool(np.allclose(model.components_, ld.PCA(2).fit(X).components_))
    True
    """

    def __init__(
        self, n_components: Any = None, *, whiten: bool = False, device: Any = "cpu"
    ) -> None:
        self.n_components = n_components
        self.whiten = whiten
        self.device = device

    def fit(self, X: Any, y: Any = None) -> Self:
        """Forget earlier rows and find the axes of these; arguments are those of `PCA.fit`."""
        resolve_device(self.device)
        source = as_rows(X)
        check_shape((source.n_rows, source.n_cols), min_rows=2)
        if hasattr(self, "scatter_"):
            del self.scatter_
        return self.partial_fit(source)

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Take in more rows.

        Parameters
        ----------
        X : array-like, sparse, DataFrame, tensor, AnnData, row source or path, shape (n, D)
        y : ignored

        Returns
        -------
        The estimator, fitted to all rows so far.

        Raises
        ------
        ValueError, TypeError
            An argument or the data cannot be used.
        """
        resolve_device(self.device)
        first = not hasattr(self, "scatter_")
        wanted = check_components(self.n_components, None)
        source = read_rows(self, X, reset=first)
        with serial_blas():  # sums of several threads are rounded otherwise
            moments = Moments(source.n_cols) if first else self._so_far()
            self._take_in(moments, source)
            most = min(moments.n, source.n_cols)
            self._keep_moments(moments, min(wanted, most) if isinstance(wanted, int) else wanted)
        self.n_samples_seen_: int = moments.n
        self.scatter_: np.ndarray = moments.squares
        return self

    def _so_far(self) -> Moments:
        moments = Moments(self.n_features_in_)
        moments.n, moments.mean = int(self.n_samples_seen_), self.mean_.copy()
        moments.squares = self.scatter_.copy()
        return moments

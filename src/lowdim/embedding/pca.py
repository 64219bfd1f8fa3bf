"""Principal component analysis."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import scipy.linalg
import torch

from lowdim._device import resolve_device
from lowdim._random import generator
from lowdim._threads import serial_blas
from lowdim._validation import check_in, check_positive, check_positive_int, check_shape
from lowdim.data.estimator_rows import read_rows
from lowdim.data.sources import RowSource
from lowdim.embedding._spectral.centred_rows import CentredRows, Moments
from lowdim.embedding._spectral.linear import LinearProjection, check_components, number_for
from lowdim.math.block_lanczos import largest_basis, leading_axes, leading_values

SOLVERS = ("auto", "full", "covariance_eigh", "randomized")
#: Columns up to which "auto" takes the covariance matrix.
FEW_COLUMNS = 2_000
#: Share of all components up to which "auto" looks for the leading ones only.
FEW_COMPONENTS = 0.2


class PCA(LinearProjection):
    """Principal components of anything that holds rows.

    Sparse rows stay sparse, and those of a file are read in pieces, several times by "randomized".
    Results are scikit-learn's, signs included: of every axis the entry of largest absolute value is
    positive.

    Parameters
    ----------
    n_components : int, float or None, default=None
        How many; or the share of the variance, between 0 and 1, that they must explain; or all.
    whiten : bool, default=False
        Scale coordinates to a variance of one.
    svd_solver : {"auto", "full", "covariance_eigh", "randomized"}, default="auto"
        "full": singular values of dense rows in memory, by LAPACK. "covariance_eigh": eigenvectors
        of the D x D covariance matrix, in one pass. "randomized": a block Krylov space, one pass
        for each of its blocks, until residuals are below `tol`; for many columns and few
        components.
    tol : float, default=1e-8
        Of "randomized": largest residual, relative to the largest eigenvalue; on a device 1e-6 at
        least for float32 rows.
    max_iter : int, default=100
        Of "randomized": passes at most.
    device : str or torch.device, default="cpu"
        Where products are found: "cpu", "cuda", "cuda:1", or "auto" for a CUDA device where there
        is one. There, products of float32 rows are in float32.
    random_state : int, Generator or RandomState, optional
        Of "randomized".

    Attributes
    ----------
    components_ : ndarray of shape (k, D)
    explained_variance_, explained_variance_ratio_, singular_values_ : ndarray of shape (k,)
    mean_ : ndarray of shape (D,)
    noise_variance_ : float
        Mean variance along the other axes.
    n_iter_ : int
        Blocks of "randomized"; otherwise one.
    n_components_, n_samples_, n_features_in_ : int

    Examples
    --------
    >>> import numpy as np, lowdim as ld
    >>> X = np.array([[-1.0, -1], [-2, -1], [-3, -2], [1, 1], [2, 1], [3, 2]])
    >>> ld.PCA(2).fit(X).explained_variance_ratio_.round(3)
    array([0.992, 0.008])
    """

    def __init__(
        self,
        n_components: Any = None,
        *,
        whiten: bool = False,
        svd_solver: str = "auto",
        tol: float = 1e-8,
        max_iter: int = 100,
        device: Any = "cpu",
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.whiten = whiten
        self.svd_solver = svd_solver
        self.tol = tol
        self.max_iter = max_iter
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the axes.

        Parameters
        ----------
        X : array-like, sparse, DataFrame, tensor, AnnData, row source or path, shape (N, D)
            At least two rows.
        y : ignored

        Returns
        -------
        The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            An argument or the data cannot be used.
        """
        check_in(self.svd_solver, "svd_solver", SOLVERS)
        tol = check_positive(self.tol, "tol")
        max_iter = check_positive_int(self.max_iter, "max_iter")
        rng, device = generator(self.random_state), resolve_device(self.device)
        source = read_rows(self, X)
        check_shape((source.n_rows, source.n_cols), min_rows=2)
        wanted = check_components(self.n_components, min(source.n_rows, source.n_cols))
        with serial_blas():  # sums of several threads are rounded otherwise
            solver = self._solver(source, wanted)
            self.n_iter_ = 1
            if solver == "full":
                self._by_svd(source, wanted, device)
            elif solver == "covariance_eigh":
                moments = Moments(source.n_cols)
                self._take_in(moments, source)
                self._keep_moments(moments, wanted)
            elif device.type == "cpu":
                rows = CentredRows(source)
                values, axes, self.n_iter_ = leading_axes(
                    rows.scatter, source.n_cols, int(wanted), rng, tol=tol, max_iter=max_iter
                )
                self._keep(rows.mean, source.n_rows, rows.total, values, axes, int(wanted))
            else:
                self._on_device(source, int(wanted), device, rng)
        return self

    def _solver(self, source: RowSource, wanted: int | float) -> str:
        """The solver that is meant, if it can do what is wanted."""
        solver, least = self.svd_solver, min(source.n_rows, source.n_cols)
        few = isinstance(wanted, int) and wanted < least
        if solver == "randomized" and not few:
            raise ValueError(
                f"svd_solver='randomized' finds fewer than {least} components, and "
                f"n_components={self.n_components!r}; pass a smaller number, or "
                "svd_solver='auto'."
            )
        if solver == "full" and source.is_sparse:
            raise ValueError(
                "svd_solver='full' would make the sparse X dense; pass 'covariance_eigh', "
                "'randomized' or 'auto'."
            )
        if solver != "auto":
            return str(solver)
        if source.n_cols <= min(FEW_COLUMNS, source.n_rows):
            return "covariance_eigh"
        if few and wanted <= FEW_COMPONENTS * least:
            return "randomized"
        return "covariance_eigh" if source.is_sparse else "full"

    def _by_svd(self, source: RowSource, wanted: int | float, device: torch.device) -> None:
        rows = source.rows(0, source.n_rows).astype(np.float64)
        mean = rows.mean(0)
        if device.type == "cpu":
            singular, axes = scipy.linalg.svd(rows - mean, full_matrices=False)[1:]
        else:
            from lowdim.embedding._spectral.device_rows import device_svd

            singular, axes = device_svd(rows - mean, device)
        total = float(singular @ singular)
        k = number_for(wanted, singular**2, total)
        self._keep(mean, source.n_rows, total, singular**2, axes.T, k)

    def _on_device(
        self, source: RowSource, k: int, device: torch.device, rng: np.random.Generator
    ) -> None:
        """The leading axes, by products with rows on a device."""
        from lowdim.embedding._spectral.device_basis import DeviceBasis
        from lowdim.embedding._spectral.device_rows import DeviceCentredRows

        rows = DeviceCentredRows(source, device)
        basis = DeviceBasis(source.n_cols, largest_basis(source.n_cols, k), device)
        tol = rows.reachable(float(self.tol))
        values, self.n_iter_ = leading_values(
            rows.scatter, basis, k, rng, tol=tol, max_iter=int(self.max_iter)
        )
        axes = basis.columns.cpu().numpy()
        self._keep(rows.mean, source.n_rows, rows.total(), values, axes, k)

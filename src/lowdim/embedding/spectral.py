"""Laplacian eigenmaps: leading eigenvectors of the random walk on a graph of neighbours."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from lowdim._device import resolve_device
from lowdim._random import generator
from lowdim._threads import serial_blas
from lowdim._validation import check_interval, check_positive, check_positive_int
from lowdim._warnings import warn_caller
from lowdim.affinities import UniformAffinity
from lowdim.data.estimator_rows import read_rows
from lowdim.embedding._base import NeighborLayout
from lowdim.embedding._by_blocks import by_blocks

if TYPE_CHECKING:
    import torch

#: Rows up to which all eigenvectors are worked out.
DENSE = 300
#: Restarts of Arnoldi's method at most.
RESTARTS = 3_000
#: Products with the graph at most, where they are found on a device.
PRODUCTS = 20_000


class LaplacianEigenmaps(NeighborLayout):
    """Coordinates along which a random walk on the graph of neighbours mixes slowest.

    ``P = D^-1 W`` steps from row to row with probabilities in proportion to their affinities W, D
    being the sums of W. The coordinates are its leading eigenvectors but the constant one, of
    length one in units of D: ``y' D y = 1``, as scikit-learn's ``SpectralEmbedding`` has them
    (Belkin and Niyogi 2003; Shi and Malik 2000). Multiplied with their eigenvalues to the power t
    they are a diffusion map (Coifman and Lafon 2006).

    Parameters
    ----------
    n_components : int, default=2
        Fewer than N - 1.
    n_neighbors : int, default=15
        Neighbours with a weight, where `affinity` is None.
    n_steps : float, default=0.0
        t.
    tol : float, default=1e-8
        Of the eigenvalues, relative.
    metric : str, default="euclidean"
        As of `lowdim.neighbors.NeighborIndex`. With "precomputed" X holds distances, (N, N): all of
        them, or a sparse matrix of those to neighbours.
    neighbors : {"auto", "exact", "approximate", "faiss"} or Neighbors, default="auto"
        How neighbours are sought, or what they are.
    affinity : None, "precomputed" or an object of `lowdim.affinities`, default=None
        What makes a graph of neighbours: None is `UniformAffinity`, the same weight for each. With
        "precomputed" X is a graph, (N, N), which is made symmetric.
    device : str or torch.device, default="cpu"
        Where neighbours and, of more than 300 rows, eigenvectors are found: "cpu", "cuda",
        "cuda:1", or "auto" for a CUDA device where there is one.
    n_jobs : int, optional
        Threads of the search for neighbours.
    random_state : int, Generator or RandomState, optional

    Attributes
    ----------
    embedding_ : ndarray of shape (N, c), float64
        Of every column the entry of largest absolute value is positive.
    eigenvalues_ : ndarray of shape (c,)
        Of P, falling from at most one.
    affinities_ : Graph
        W.
    neighbors_ : Neighbors or None
    n_parts_ : int
        Parts of the graph without a way between them. With several of them the first coordinates
        only tell these apart, and there is a warning.
    n_features_in_ : int

    Examples
    --------
    >>> import numpy as np, lowdim as ld
    >>> t = np.linspace(0, 1, 100)
    >>> X = np.c_[np.cos(3 * t), np.sin(3 * t)]
    >>> Y = ld.LaplacianEigenmaps(1, n_neighbors=5).fit_transform(X)
    >>> bool(abs(np.corrcoef(Y[:, 0], np.cos(np.pi * t))[0, 1]) > 0.99)  # the slowest wave
    True
    """

    def __init__(
        self,
        n_components: int = 2,
        *,
        n_neighbors: int = 15,
        n_steps: float = 0.0,
        tol: float = 1e-8,
        metric: str = "euclidean",
        neighbors: Any = "auto",
        affinity: Any = None,
        device: Any = "cpu",
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.n_neighbors = n_neighbors
        self.n_steps = n_steps
        self.tol = tol
        self.metric = metric
        self.neighbors = neighbors
        self.affinity = affinity
        self.device = device
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the coordinates.

        Parameters
        ----------
        X : array-like, sparse, DataFrame, tensor, AnnData, row source or path, shape (N, D)
            Rows; or distances or a graph, (N, N), as `metric` and `affinity` say.
        y : ignored

        Returns
        -------
        The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            An argument or the data cannot be used.
        """
        c = check_positive_int(self.n_components, "n_components")
        tol = check_positive(self.tol, "tol")
        n_steps = check_interval(self.n_steps, "n_steps", low=0.0)
        device = resolve_device(self.device)
        rng = generator(self.random_state)
        source = read_rows(self, X)
        found = self._found(source, rng)
        n = found.graph.n_rows
        if c > n - 1:
            raise ValueError(
                f"n_components={c}, but a graph of {n} rows has {n - 1} coordinates; pass "
                f"n_components <= {n - 1}."
            )
        W = _without_loners(found.graph.matrix)
        self.n_parts_ = int(connected_components(W, directed=False)[0])
        if self.n_parts_ > 1:
            warn_caller(
                f"The graph has {self.n_parts_} parts without a way between them, which the first "
                f"{self.n_parts_ - 1} coordinates tell apart; use more neighbours, or fit each "
                "part."
            )
        with serial_blas():
            values, vectors = leading_eigenpairs(W, c + 1, tol=tol, rng=rng, device=device)
        peaks = np.abs(vectors).argmax(0)
        vectors *= np.where(vectors[peaks, np.arange(c + 1)] < 0, -1.0, 1.0)
        self.eigenvalues_ = np.minimum(values[1:], 1.0)
        self.embedding_ = vectors[:, 1:] * np.abs(self.eigenvalues_) ** n_steps
        self._remember(found)
        return self

    @by_blocks
    def transform(self, X: Any) -> np.ndarray:
        """Coordinates of new rows: the mean of those of their neighbours, over the eigenvalue.

        Nyström's formula: in a coordinate with eigenvalue l every row is ``1 / l`` times the mean
        of its neighbours by their affinities (Bengio and others 2004). New rows do not depend on
        each other.

        Parameters
        ----------
        X : array-like, sparse, DataFrame, tensor, AnnData, row source or path, shape (m, D)
            New rows; with ``metric="precomputed"`` their distances to the rows of the fit, (m, N).

        Returns
        -------
        ndarray of shape (m, c), float64

        Raises
        ------
        ValueError
            The fit was to a graph or to given neighbours, of which new rows have none; or an
            eigenvalue is zero.
        """
        index = self._fitted_index()
        if (np.abs(self.eigenvalues_) < 1e-10).any():
            raise ValueError(
                "Coordinates with an eigenvalue of zero say nothing of new rows; fit fewer "
                "components."
            )
        source = read_rows(self, X, reset=False)
        affinity = self._affinity() if self.affinity is None else self.affinity
        near = index.query(source, affinity.n_neighbors_for(index.n_points))
        weights = affinity.conditional(near).astype(np.float64)
        totals = np.asarray(weights.sum(1)).ravel()
        mean = (weights @ self.embedding_) / np.where(totals > 0, totals, 1.0)[:, None]
        return mean / self.eigenvalues_

    def _affinity(self) -> UniformAffinity:
        return UniformAffinity(self.n_neighbors)


def leading_eigenpairs(
    W: sp.csr_matrix, k: int, *, tol: float, rng: np.random.Generator, device: torch.device
) -> tuple[np.ndarray, np.ndarray]:
    """The k leading eigenvalues and eigenvectors of ``D^-1 W``, the vectors of length one in D.

    Parameters
    ----------
    W : CSR, (N, N)
        Symmetric, nonnegative, without empty rows.
    k : int
    tol : float
        Relative.
    rng : Generator
    device : torch.device
        Where products with W are found, of more rows than a few.
    """
    n = W.shape[0]
    W = W.astype(np.float64)  # whose sums are those of its own precision
    root = np.sqrt(np.asarray(W.sum(1)).ravel())
    if n <= DENSE or k > n // 3:
        values, vectors = np.linalg.eigh(W.toarray() / root[:, None] / root)
    else:
        scaled = sp.diags_array(1 / root) @ W @ sp.diags_array(1 / root)
        find = _lanczos if device.type == "cpu" else partial(_on_device, device=device)
        values, vectors = find(scaled.tocsr(), k, tol, rng)
    order = np.argsort(-values, kind="stable")[:k]
    return values[order], vectors[:, order] / root[:, None]


def _lanczos(
    S: sp.csr_matrix, k: int, tol: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Leading eigenpairs of a symmetric matrix whose eigenvalues are between -1 and 1."""
    n = S.shape[0]
    start = rng.uniform(0.5, 1.5, size=n)
    operator = LinearOperator(S.shape, matvec=lambda v: S @ v.ravel(), dtype=np.float64)
    width = min(n - 1, max(4 * k + 1, 40))
    try:
        return eigsh(operator, k, which="LA", v0=start, ncv=width, tol=tol, maxiter=RESTARTS)
    except ArpackNoConvergence as error:
        found = f"{len(error.eigenvalues)} were found within {RESTARTS} restarts"
        raise ValueError(_not_found(k, found, tol)) from None


def _on_device(
    S: sp.csr_matrix, k: int, tol: float, rng: np.random.Generator, device: torch.device
) -> tuple[np.ndarray, np.ndarray]:
    """The same by products on a device."""
    from lowdim.embedding._spectral.device_graph import device_eigenpairs

    values, vectors, found = device_eigenpairs(
        S, k, tol=tol, max_iter=PRODUCTS, rng=rng, device=device
    )
    if not found:
        raise ValueError(_not_found(k, f"not all were found within {PRODUCTS} products", tol))
    return values, vectors


def _not_found(k: int, found: str, tol: float) -> str:
    return f"Of {k} eigenvectors {found}; pass a larger tol than {tol:g}, or more neighbours."


def _without_loners(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """The same graph, whose rows all have a neighbour.

    Raises
    ------
    ValueError
        A row has none.
    """
    alone = np.flatnonzero(np.diff(matrix.indptr) == 0)
    if len(alone):
        raise ValueError(
            f"X has {len(alone)} row(s) without a neighbour in its graph, first row {alone[0]}; "
            "drop them, or use more neighbours."
        )
    return matrix

"""First layouts."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigsh

from lowdim._threads import serial_blas
from lowdim._validation import check_in

logger = logging.getLogger("lowdim")

INITS = ("auto", "pca", "spectral", "random")
#: Standard deviation of a first layout along its first axis.
SPREAD = 1e-4
#: Standard deviation of what is added at random, relative to the spread: equal rows must part.
JITTER = 1e-2
#: Rows up to which all eigenvectors are worked out.
DENSE = 200


def check_init(init: Any, n_rows: int, n_components: int, *, has_rows: bool) -> Any:
    """One of the names, resolved, or a checked layout.

    Raises
    ------
    ValueError
        There is no such name; a layout has another shape or is not finite; or "pca" without rows.
    """
    if isinstance(init, str):
        check_in(init, "init", INITS)
        if init == "pca" and not has_rows:
            raise ValueError("init='pca' needs rows, and only a graph is known; pass 'spectral'.")
        return init if init != "auto" else "pca" if has_rows else "spectral"
    layout = np.asarray(init, dtype=np.float64)
    if layout.shape != (n_rows, n_components):
        raise ValueError(
            f"init has shape {layout.shape}, expected ({n_rows}, {n_components}): one place per "
            "row."
        )
    if not np.isfinite(layout).all():
        raise ValueError("init contains NaN or infinity; pass finite places.")
    return layout


def first_layout(
    init: Any, n_components: int, rows: Any, graph: sp.csr_matrix, rng: np.random.Generator
) -> np.ndarray:
    """Where the rows begin, (N, c), float64.

    Parameters
    ----------
    init : str or ndarray
        As `check_init` returns it; an array is taken as it is.
    n_components : int
        c.
    rows : ndarray, CSR or None, (N, D)
    graph : CSR, (N, N)
        Symmetric affinities.
    rng : Generator
    """
    if not isinstance(init, str):
        return np.array(init, dtype=np.float64)
    n = graph.shape[0]
    if init == "random":
        return rng.normal(scale=SPREAD, size=(n, n_components))
    layout = (
        principal_components(rows, n_components, rng)
        if init == "pca"
        else laplacian_eigenmaps(graph, n_components, rng)
    )
    deviation = layout[:, 0].std()
    layout *= SPREAD / deviation if deviation > 0 else 0.0
    return layout + rng.normal(scale=JITTER * SPREAD, size=layout.shape)


def principal_components(rows: Any, n_components: int, rng: np.random.Generator) -> np.ndarray:
    """Coordinates along the leading axes, (N, c); zero where there are not so many axes."""
    from sklearn.decomposition import PCA

    layout = np.zeros((rows.shape[0], n_components))
    c = min(n_components, *rows.shape)
    if sp.issparse(rows) and c == min(rows.shape):
        rows = rows.toarray()
    model = PCA(c, random_state=int(rng.integers(2**31)))
    # One thread: sums of several are rounded otherwise. Constant columns have no explained ratios.
    with serial_blas(), np.errstate(divide="ignore", invalid="ignore"):
        layout[:, :c] = model.fit_transform(rows)
    return layout


def laplacian_eigenmaps(
    graph: sp.csr_matrix, n_components: int, rng: np.random.Generator
) -> np.ndarray:
    """Leading eigenvectors of the random walk on a graph but the constant one, (N, c).

    Belkin and Niyogi (2003), Laplacian eigenmaps. Where the eigenvectors of a graph cannot be found
    in the time that they are given, those that were are taken, and random places along other axes.
    """
    n = graph.shape[0]
    root = np.sqrt(np.asarray(graph.sum(1), dtype=np.float64).ravel())
    inverse = np.divide(1.0, root, out=np.zeros(n), where=root > 0)
    k = min(n_components + 1, n)
    if n <= DENSE or k >= n - 1:
        values, vectors = np.linalg.eigh(inverse[:, None] * graph.toarray() * inverse)
    else:
        values, vectors = _leading(graph, inverse, k, rng)
    vectors = vectors[:, np.argsort(-values, kind="stable")[1:k]] * inverse[:, None]
    peaks = np.abs(vectors).argmax(0)
    signs = np.sign(vectors[peaks, np.arange(vectors.shape[1])])
    layout = rng.normal(scale=max(float(vectors.std()), 1e-12), size=(n, n_components))
    layout[:, : vectors.shape[1]] = vectors * signs
    return layout


def _leading(
    graph: sp.csr_matrix, inverse: np.ndarray, k: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and eigenvectors of ``D^-1/2 W D^-1/2``, those that were found."""
    n = len(inverse)
    operator = LinearOperator(
        (n, n), matvec=lambda v: inverse * (graph @ (inverse * v.ravel())), dtype=np.float64
    )
    try:
        begin = rng.uniform(0.5, 1.5, size=n)
        values, vectors = eigsh(operator, k, which="LA", v0=begin, tol=1e-4, maxiter=20 * k + 200)
    except ArpackNoConvergence as error:
        logger.warning("Of %d eigenvectors %d were found.", k, len(error.eigenvalues))
        values, vectors = error.eigenvalues, error.eigenvectors
    except ArpackError:
        logger.warning("No eigenvectors were found; the first layout is random.")
        values, vectors = np.zeros(0), np.zeros((n, 0))
    return values, vectors

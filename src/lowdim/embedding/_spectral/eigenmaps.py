"""Leading eigenvectors of a graph, as a first layout."""

from __future__ import annotations

import logging

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigsh

logger = logging.getLogger("lowdim")

#: Rows up to which all eigenvectors are worked out.
DENSE = 200
#: Share of its square that a piece of a graph fills.
FILLED = 0.8


def spectral_layout(
    graph: sp.csr_matrix, n_components: int, rng: np.random.Generator
) -> np.ndarray:
    """Laplacian eigenmaps of a graph, (N, c); its pieces, if there are several, side by side.

    Eigenvectors of a graph in pieces say no more than which piece a row is in. So every piece has
    its own, in a square whose area is its share of the rows, and squares stand in lines.
    """
    n_pieces, piece = connected_components(graph, directed=False)
    if n_pieces == 1:
        return laplacian_eigenmaps(graph, n_components, rng)
    sizes = np.bincount(piece)
    by_size = np.argsort(-sizes, kind="stable")
    rows = np.split(np.argsort(piece, kind="stable"), np.cumsum(sizes)[:-1])
    plane = min(2, n_components)
    sides = (sizes[by_size] / len(piece)) ** (1 / plane)
    centres = _in_lines(sides) if plane == 2 else (np.cumsum(sides) - 0.5 * sides)[:, None]
    layout = np.zeros((len(piece), n_components))
    for k, side, centre in zip(by_size, sides, centres, strict=True):
        own = rows[k]
        if len(own) > 1:
            within = laplacian_eigenmaps(graph[own][:, own], n_components, rng)
            within -= 0.5 * (within.max(0) + within.min(0))
            layout[own] = within * (0.5 * FILLED * side / max(np.abs(within).max(), 1e-30))
        layout[own, :plane] += centre
    return layout


def _in_lines(sides: np.ndarray) -> np.ndarray:
    """Centres of squares, the largest first, that stand in lines about as wide as there are."""
    width = max(float(np.sqrt((sides**2).sum())), float(sides[0]))
    centres, x, y, height = np.empty((len(sides), 2)), 0.0, 0.0, float(sides[0])
    for k, side in enumerate(sides):
        if x > 0.0 and x + side > width * (1 + 1e-9):
            x, y, height = 0.0, y + height, float(side)
        centres[k] = x + 0.5 * side, y + 0.5 * side
        x += side
    return centres


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

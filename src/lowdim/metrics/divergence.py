"""The divergence that t-SNE minimises, of any layout."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from lowdim._validation import check_interval
from lowdim.metrics._rows import chosen_rows, read_matrix

#: Rows up to which the similarities of all pairs are summed; of more, those of so many rows.
SAMPLE_SIZE = 100_000


def kl_divergence(
    graph: Any,
    layout: Any,
    *,
    dof: float = 1.0,
    sample_size: int | None = SAMPLE_SIZE,
    random_state: Any = 0,
) -> float:
    """``KL(P || Q)`` of a layout: how well its similarities stand for the affinities of rows.

    ``sum_ij p_ij log(p_ij / q_ij)`` with ``q_ij = w_ij / sum w``, ``w_ij = (1 + r_ij^2 / a)^-a``, P
    divided by its sum, and the diagonals left out: one definition for layouts of any method.

    Parameters
    ----------
    graph : Graph or sparse matrix of shape (N, N)
        P, such as ``model.affinities_`` or ``lowdim.affinities.EntropicAffinity().graph(X)``.
    layout : array-like of shape (N, d)
    dof : float, default=1.0
        a.
    sample_size : int or None, default=100000
        Rows from which the sum of all weights is known: all of so few, of more so many at random.
    random_state : int, Generator or RandomState, default=0

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        An argument cannot be used.

    References
    ----------
    van der Maaten and Hinton (2008), Visualizing data using t-SNE.
    """
    from lowdim.metrics._weights import total_weights

    a = check_interval(dof, "dof", low=0.0, closed="neither")
    places = np.asarray(read_matrix(layout, "layout"), dtype=np.float64)
    P = _probabilities(graph, len(places))
    asked = chosen_rows(len(places), sample_size, random_state)
    axes = np.ascontiguousarray((places - places.mean(0)).T, dtype=np.float32)
    total = total_weights(asked, axes, np.float32(a)).mean() * len(places)
    squares = ((places[P.row] - places[P.col]) ** 2).sum(1)
    log_weights = -a * np.log1p(squares / a)
    return float(P.data @ (np.log(P.data) - log_weights) + np.log(max(total, 1e-300)))


def _probabilities(graph: Any, n: int) -> sp.coo_matrix:
    """Entries of P that are not zero, off the diagonal, which sum to one."""
    matrix = getattr(graph, "matrix", graph)
    if not sp.issparse(matrix) or matrix.shape != (n, n):
        shape = getattr(matrix, "shape", None)
        raise ValueError(
            f"graph is a {type(matrix).__name__} of shape {shape}; pass a sparse matrix or Graph "
            f"of shape ({n}, {n}), as layout has {n} rows."
        )
    P = sp.coo_matrix(matrix, dtype=np.float64, copy=True)
    P.sum_duplicates()
    kept = (P.row != P.col) & (P.data != 0)
    P = sp.coo_matrix((P.data[kept], (P.row[kept], P.col[kept])), shape=P.shape)
    if not len(P.data) or not np.isfinite(P.data).all() or P.data.min() < 0:
        raise ValueError("graph must have weights >= 0, and some between different rows.")
    P.data /= P.data.sum()
    return P

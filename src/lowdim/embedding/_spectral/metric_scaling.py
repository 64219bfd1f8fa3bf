"""Metric multidimensional scaling: places whose distances are as near as can be to given ones."""

from __future__ import annotations

import numpy as np

from lowdim._compile import compiled_exact, compiled_fast
from lowdim.embedding._spectral.stress import CLOSEST, Stress


def metric_scaling(
    stress: Stress, start: np.ndarray, *, max_iter: int, tol: float
) -> tuple[np.ndarray, float, int]:
    """Places of least stress near a start, by L-BFGS, with the stress and the iterations.

    Parameters
    ----------
    stress : Stress
    start : (L, c)
    max_iter : int
    tol : float
        Stop when an iteration lowers the squared stress by less than this share of the first.

    Returns
    -------
    places : (L, c), float64
    stress : float
        ``sqrt(sum (d_ij - r_ij)^2 / sum d_ij^2)``, Kruskal's.
    n_iter : int
    """
    from scipy.optimize import minimize

    first = stress(start)[0]
    unit = first or 1.0  # the tolerance is one of values near one

    def scaled(flat: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = stress(flat.reshape(start.shape))
        return value / unit, gradient.ravel() * (4.0 / unit)

    options = {"maxiter": max_iter, "ftol": tol, "gtol": 0.0, "maxfun": 3 * max_iter}
    places, value, n_iter = start, 1.0, 0
    if max_iter and first:
        found = minimize(scaled, start.ravel(), jac=True, method="L-BFGS-B", options=options)
        places, value, n_iter = found.x.reshape(start.shape), float(found.fun), int(found.nit)
    return places, float(np.sqrt(value * first / (stress.largest or 1.0))), n_iter


@compiled_exact
def stress_gradient(first, last, places, distances, bounds, gradient, sums):
    """Write the gradient of ``sum_i<j (d_ij - r_ij)^2`` over two, and its twofold by part.

    Parameters
    ----------
    places : (c, L), float64
    distances : (L, L), float64
    bounds : (PARTS + 1,), int64
    gradient : (L, c), float64
        ``sum_j (1 - d_ij / r_ij) (y_i - y_j)``.
    sums : (PARTS,), float64
    """
    shares = np.empty(places.shape[1])
    for p in range(first, last):
        sums[p] = 0.0
        for i in range(bounds[p], bounds[p + 1]):
            shares[:] = CLOSEST
            for a in range(len(places)):
                _add_squares(places[a], places[a, i], shares)
            sums[p] += _shares(distances[i], shares)
            for a in range(len(places)):
                gradient[i, a] = _pull(places[a], places[a, i], shares)


@compiled_fast
def _add_squares(along, own, squares):
    for j in range(len(along)):
        squares[j] += (own - along[j]) ** 2


@compiled_fast
def _shares(distances, squares):
    """Overwrite squared distances with ``1 - d / r``, and return the sum of ``(d - r)^2``."""
    total = 0.0
    for j in range(len(squares)):
        r = np.sqrt(squares[j])
        total += (distances[j] - r) ** 2
        squares[j] = 1.0 - distances[j] / r
    return total


@compiled_fast
def _pull(along, own, shares):
    total = 0.0
    for j in range(len(along)):
        total += shares[j] * (own - along[j])
    return total

"""How likely rows are under a mixture that was fitted without them."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import logsumexp

from lowdim.mixture import GaussianMixture

#: Weights and shares of a variance below this are rounding.
TINY = float(np.finfo(float).eps)


def left_out_score(model: GaussianMixture, rows: np.ndarray) -> float:
    """Mean log-likelihood of the rows that were fitted, each under the mixture without it.

    Responsibilities of the other rows stay. A component of weight n in rows then loses the share r
    of a row at d from its mean: with ``n' = n - r`` its mean is ``d n / n'`` away, and its
    covariance ``(n / n') (S - (r / n') d d')``, of which inverse and determinant follow from those
    of S (Sherman and Morrison 1950). So a component that has closed on a few rows is worth nothing
    to them, where the likelihood of the fit would praise it.

    Parameters
    ----------
    model : GaussianMixture
        Fitted, with covariance_type "full" or "diag".
    rows : (N, D)
        The rows that it was fitted to.
    """
    N, D = rows.shape
    shares = model.predict_proba(rows)
    scores = np.empty_like(shares)
    for k, (mean, covariance) in enumerate(zip(model.means_, model.covariances_, strict=True)):
        r = shares[:, k]
        others = np.maximum(r.sum() - r, TINY)
        growth = 1 + r / others  # n / n'
        squares, log_det = _whitened(rows - mean, covariance)
        left = np.maximum(1 - (r / others)[:, None] * squares, TINY)
        distances = growth * (squares / left).sum(1)
        log_det = log_det + D * np.log(growth) + np.log(left).sum(1)
        scores[:, k] = np.log(others / (N - 1)) - 0.5 * (distances + log_det)
    return float(logsumexp(scores, axis=1).mean()) - 0.5 * D * float(np.log(2 * np.pi))


def _whitened(rows: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, float]:
    """Squared distances from a mean, and the log determinant.

    With variances (D,) distances are those of every column, (N, D), since each is a Gaussian by
    itself; with a matrix they are whole, (N, 1).
    """
    if covariance.ndim == 1:
        return rows**2 / covariance, float(np.log(covariance).sum())
    L = np.linalg.cholesky(covariance)
    z = solve_triangular(L, rows.T, lower=True, check_finite=False)
    return (z**2).sum(0)[:, None], 2 * float(np.log(np.diag(L)).sum())

"""Likelihood, degrees of freedom, and criteria to choose between models.

With ``legacy=True`` the functions that take it use the definitions of kspaces 0.1.5, for the sake
of numbers published with them: the weights of the components are not counted as parameters, a
component of full dimension is counted one parameter too many, and the ICL adds the entropy of the
assignments once, where on the scale of -2 log-likelihood it belongs twice.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import entr

from lowdim._validation import check_in
from lowdim.kspaces._mixture import as_spaces, log_likelihood, shares
from lowdim.kspaces._print import say
from lowdim.kspaces._rows import read_points
from lowdim.kspaces._spaces import affine_subspace, bg_space, fixed_space

__all__ = [
    "get_BIC",
    "get_ICL",
    "get_df",
    "get_entropy",
    "model_selection",
    "total_log_likelihood",
]


def total_log_likelihood(points: Any, spaces: Any, print_solution: bool = False) -> float:
    """Log-likelihood of points under a mixture, with all constants.

    Parameters
    ----------
    points : array-like of shape (N, D)
    spaces : list of affine_subspace
        Their priors should sum to one.
    print_solution : bool, default=False
        Print the spaces.

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError
        The points are no finite numbers in D columns, or a standard deviation is zero.
    """
    spaces = as_spaces(spaces)
    for space in spaces:
        say(space, silent=not print_solution)
    return log_likelihood(read_points(points, spaces[0].D), spaces)


def get_df(spaces: Any, eq_noise: bool, legacy: bool = False) -> int:
    """Number of free parameters.

    A learned space has D (d + 1) - d (d - 1) / 2 for its place, axes and variances along them,
    and one for its noise unless d = D. A `fixed_space` has its noise, and its latent sigmas if
    it learned them; a `bg_space` has none. The weights of K components add K - 1.

    Parameters
    ----------
    spaces : list of affine_subspace
        Or a single one.
    eq_noise : bool
        The noise of all spaces is one parameter: the model was fitted with
        ``set_noise_equal=True`` or ``assignment="closest"``.
    legacy : bool, default=False
        Count as kspaces does: no weights, and noise for d = D as well.

    Returns
    -------
    int
    """
    spaces = as_spaces(spaces)
    noisy = [s for s in spaces if not isinstance(s, bg_space) and (legacy or s.d < s.D)]
    total = int(legacy or bool(noisy)) if eq_noise else len(noisy)
    for space in spaces:
        d, n_columns = space.d, space.D
        if isinstance(space, fixed_space):
            total += d if space.learns_latent_sigmas and not legacy else 0
        elif not isinstance(space, bg_space):
            total += n_columns * (d + 1) - d * (d - 1) // 2
    return total if legacy else total + len(spaces) - 1


def get_BIC(df: float, num_points: int, log_likelihood: float) -> float:
    """Bayesian information criterion, ``df log N - 2 log-likelihood``: low is good.

    Parameters
    ----------
    df : float
        From `get_df`.
    num_points : int
        N.
    log_likelihood : float
        From `total_log_likelihood`.
    """
    return float(df * np.log(num_points) - 2 * log_likelihood)


def get_entropy(probs: Any) -> float:
    """Sum of the entropies, in nats, of the rows of assignment probabilities, (N, K)."""
    shares = np.asarray(probs, dtype=np.float64)
    return float(entr(shares / shares.sum(1, keepdims=True)).sum())


def get_ICL(probs: Any, points: Any, spaces: Any, eq_noise: bool, legacy: bool = False) -> float:
    """Integrated completed likelihood, BIC plus twice the entropy of assignments: low is good.

    Parameters
    ----------
    probs : array-like of shape (N, K)
        Assignment probabilities, from `E_step` with ``assignment="soft"``.
    points : array-like of shape (N, D)
    spaces : list of affine_subspace
    eq_noise : bool
        See `get_df`.
    legacy : bool, default=False
        As kspaces: the entropy once, and its count of parameters.

    Returns
    -------
    float
    """
    spaces = as_spaces(spaces)
    bic = _bic(points, spaces, eq_noise, legacy)
    return bic + (1 if legacy else 2) * get_entropy(probs)


def model_selection(
    points: Any,
    model: Any,
    null: Any,
    print_solution: bool = False,
    eq_noise: bool = False,
    test: str = "BIC",
    legacy: bool = False,
) -> str:
    """Choose between two models; prints both values of the criterion.

    Parameters
    ----------
    points : array-like of shape (N, D)
    model, null : list of affine_subspace
        Or single spaces; the priors of each should sum to one.
    print_solution : bool, default=False
        Print the spaces.
    eq_noise : bool, default=False
        See `get_df`; of both models.
    test : {"BIC", "ICL"}, default="BIC"
    legacy : bool, default=False
        Use the criteria of kspaces; see `get_df` and `get_ICL`.

    Returns
    -------
    "model" if its criterion is lower, otherwise "null".

    Raises
    ------
    ValueError, TypeError
        `test` is not a choice (kspaces prints that it takes BIC, and returns None), or as
        `total_log_likelihood`.
    """
    check_in(test, "test", ("BIC", "ICL"))
    values = []
    for spaces in (as_spaces(model, "model"), as_spaces(null, "null")):
        for space in spaces:
            say(space, silent=not print_solution)
        value = _bic(points, spaces, eq_noise, legacy)
        if test == "ICL":
            probs = shares(read_points(points, spaces[0].D), spaces, "soft")
            value += (1 if legacy else 2) * get_entropy(probs)
        values.append(value)
    chosen = "model" if values[0] < values[1] else "null"
    say(f"{test} of the model {values[0]}, of the null {values[1]}: {chosen}")
    return chosen


def _bic(points: Any, spaces: list[affine_subspace], eq_noise: bool, legacy: bool) -> float:
    source = read_points(points, spaces[0].D)
    df = get_df(spaces, eq_noise, legacy)
    return get_BIC(df, source.n_rows, log_likelihood(source, spaces))

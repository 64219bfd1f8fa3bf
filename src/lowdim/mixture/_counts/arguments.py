"""The arguments of a count mixture, checked before any work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lowdim._validation import check_in, check_interval, check_positive_int
from lowdim.mixture._counts.maximize import KINDS
from lowdim.mixture._counts.size_factors import RULES, check_size_factors
from lowdim.mixture._given_start import check_start

INITS = ("kmeans", "random")


@dataclass(frozen=True)
class Arguments:
    """Arguments of `NegativeBinomialMixture`, usable as they are.

    Attributes
    ----------
    given_sizes : ndarray of shape (N,) or None
        Size factors that the user gave.
    responsibilities : ndarray of shape (N, K) or None
        Where to begin, if the user says.
    init : str
        Otherwise, how.
    prior : float or "auto"
    shrinkage : float, "auto" or None
    """

    n_components: int
    dispersion: str
    size_factors: Any
    given_sizes: np.ndarray | None
    n_init: int
    init: str
    responsibilities: np.ndarray | None
    max_iter: int
    tol: float
    prior: float | str
    shrinkage: float | str | None
    verbose: int


def check_arguments(model: Any, n_rows: int, weight: np.ndarray | None) -> Arguments:
    """Check what an estimator was given against the number of rows."""
    k = check_positive_int(model.n_components, "n_components")
    n_usable = n_rows if weight is None else int(np.count_nonzero(weight))
    if n_usable < k:
        raise ValueError(
            f"X has {n_usable} sample(s) with a weight, but n_components={k}; pass more rows or "
            "ask for fewer components."
        )
    given = None
    if isinstance(model.size_factors, str):
        check_in(model.size_factors, "size_factors", RULES)
    elif model.size_factors is not None:
        given = check_size_factors(model.size_factors, n_rows)
    shares = None
    if isinstance(model.init, str):
        check_in(model.init, "init", INITS)
    else:
        shares = check_start(model.init, "init", INITS, n_rows, k)
    return Arguments(
        n_components=k,
        dispersion=check_in(model.dispersion, "dispersion", KINDS),
        size_factors=model.size_factors,
        given_sizes=given,
        n_init=check_positive_int(model.n_init, "n_init"),
        init=model.init if shares is None else "given",
        responsibilities=shares,
        max_iter=check_positive_int(model.max_iter, "max_iter"),
        tol=check_interval(model.tol, "tol", low=0.0),
        prior=check_prior(model.prior),
        shrinkage=check_shrinkage(model.shrinkage),
        verbose=int(model.verbose),
    )


def check_prior(value: Any) -> float | str:
    """A number of counts, or the word "auto"."""
    if isinstance(value, str):
        return check_in(value, "prior", ("auto",))
    return check_interval(value, "prior", low=0.0)


def check_shrinkage(value: Any) -> float | str | None:
    """None, "auto", or a positive standard deviation."""
    if value is None:
        return None
    if isinstance(value, str):
        return check_in(value, "shrinkage", ("auto",))
    return check_interval(value, "shrinkage", low=0.0, closed="neither")

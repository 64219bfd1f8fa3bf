"""How many factors, and how many of them spatial."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from lowdim._checkpoint import facts_of
from lowdim._journal import Journal, keeping
from lowdim._random import generator
from lowdim._validation import check_in, check_interval, check_positive_int, check_source
from lowdim.data.sources import as_rows
from lowdim.factorization._held_out import (
    HeldOut,
    check_held_out_sizes,
    fit_split,
    seeded,
    splits_by_place,
)
from lowdim.factorization._places import check_coordinates
from lowdim.factorization._slide_names import check_samples
from lowdim.metrics import gaussian_deviance, poisson_deviance
from lowdim.mixture._jobs import check_no_checkpoint, in_kept_jobs
from lowdim.mixture.sizes import elbow_of

if TYPE_CHECKING:
    from lowdim._typing import PathLike

CRITERIA = ("poisson", "squared_error")
RULES = ("elbow", "one_standard_error", "lowest")


@dataclass(frozen=True)
class FactorSelection:
    """Held-out deviance of factorizations of different size, and the best of them.

    Attributes
    ----------
    table : DataFrame
        One row per size, in ascending order: ``n_factors``; ``n_spatial`` if it was asked for;
        ``deviance`` (mean over the entries held out), ``standard_error`` (of that mean, between
        rows), ``explained`` (the share of the deviance of constant rates that is gone),
        ``converged`` (share of the fits), ``n_iter`` (mean).
    criterion : str
        "poisson" or "squared_error".
    rule : str
        "elbow", "one_standard_error" or "lowest".
    n_factors_ : int
        The number chosen.
    n_spatial_ : int or None
        Of spatial ones; None if it was not asked for.
    best_estimator_
        The estimator with these numbers, fitted to all rows.
    """

    table: pd.DataFrame
    criterion: str
    rule: str
    n_factors_: int
    n_spatial_: int | None
    best_estimator_: Any


def select_factors(
    X: Any,
    coordinates: Any,
    estimator: Any,
    *,
    samples: Any = None,
    n_factors: int | Iterable[int] = 10,
    n_spatial: Iterable[int] | None = None,
    criterion: str = "auto",
    rule: str = "auto",
    held_out: float = 0.05,
    n_splits: int = 3,
    held_out_size_factors: str = "own",
    n_jobs: int | None = None,
    random_state: Any = 0,
    checkpoint: PathLike | None = None,
    verbose: int = 0,
) -> FactorSelection:
    """Choose the number of factors by how well fits predict rows at places held out.

    Places are held out at random, the same ones for all sizes, with all rows at a place. Factors
    that are not needed seldom hurt the prediction, and may even help a little where the true ones
    have sharp edges: the deviance falls steeply up to the right number and then hardly changes.
    Look at the table before you take its word.

    Parameters
    ----------
    X : array-like, sparse, DataFrame, AnnData, row source or path, shape (N, J)
    coordinates : array-like of shape (N, D)
    estimator : SpatialFactorization, HybridSpatialFactorization or the like
        With all settings but the numbers of factors; it is not changed. Another one needs the
        argument `n_factors`, ``fit(X, coordinates)``, ``predict(coordinates, size_factors)``,
        `converged_` and `n_iter_`.
    samples : array-like of shape (N,), optional
        The slide that every row is on.
    n_factors : int or iterable of int, default=10
        Numbers of factors to try; a number means 1 up to it. Those that leave a hybrid without
        nonspatial factors are passed over.
    n_spatial : iterable of int, optional
        Numbers of spatial ones to try, in all pairs in which they are below the number of factors;
        by default the estimator's own. Nonspatial factors are not known at places held out, so
        their number is found less surely.
    criterion : {"auto", "poisson", "squared_error"}, default="auto"
        Poisson deviance, also of models with dispersions: these are fitted anew for every size,
        and a larger one would make any rate look better. "auto" takes squared errors if the
        estimator's `likelihood` is "gaussian".
    rule : {"auto", "elbow", "one_standard_error", "lowest"}, default="auto"
        "elbow" takes the number at which the curve is farthest below the line between its ends: the
        numbers to try must begin too low and end too high. "one_standard_error" takes the smallest
        size whose deviance is within one standard error of the lowest; with few inducing points it
        often has a factor or two too many. "auto" is the elbow, and one standard error where there
        are fewer than three sizes or pairs of them.
    held_out : float, default=0.05
        Share of the places held out in a split: of every slide, rounded up, but one place at least
        is fitted.
    n_splits : int, default=3
    held_out_size_factors : {"own", "one"}, default="own"
        A row held out has the size factor of its own total over the mean (or median) total of the
        rows that were fitted, by the estimator's rule; given size factors are its own as well.
        The deviance is then that of how a row's total falls to the columns, for which the total is
        known. With "one", nothing of a row held out is used, and how deeply it was counted adds
        to the deviance. Without a rule, the size factors are one in any case.
    n_jobs : int, optional
        Fits at the same time, in threads; -1 is one per core.
    random_state : int, Generator or RandomState, default=0
        Draws the places to hold out, and seeds for an estimator that has none.
    checkpoint : path, optional
        A file that keeps the fits that are done, but for that to all rows. The same call goes on
        from there.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    FactorSelection

    Raises
    ------
    ValueError, TypeError
        An argument or the data cannot be used, or the checkpoint is of other fits.
    KeyboardInterrupt
        By Ctrl-C: some sizes alone are no choice. The checkpoint keeps what is done.
    """
    check_no_checkpoint(estimator)
    sizes = _pairs(estimator, n_factors, n_spatial)
    criterion = _check_criterion(criterion, estimator)
    rule = _check_rule(rule, sizes)
    check_interval(held_out, "held_out", low=0.0, high=1.0, closed="neither")
    check_held_out_sizes(held_out_size_factors)
    source = as_rows(X)
    check_source(source)
    coordinates = check_coordinates(coordinates, source.n_rows)
    codes, _ = check_samples(samples, source.n_rows)
    check_positive_int(n_splits, "n_splits")
    given = {
        "work": "select_factors", "coordinates": coordinates, "samples": codes, "sizes": sizes,
        "criterion": criterion, "held_out": held_out, "n_splits": n_splits,
        "held_out_size_factors": held_out_size_factors, "seed": random_state,
        "max_iter": getattr(estimator, "max_iter", None),
    }  # fmt: skip
    facts = partial(facts_of, estimator, source, given)
    with keeping(checkpoint, facts, generator(random_state)) as journal:
        splits = splits_by_place(coordinates, codes, held_out, n_splits, journal.rng)
        model = seeded(estimator, journal.rng)

        def run(task: tuple[dict[str, int], int], _: Journal) -> dict[str, Any]:
            size, number = task
            split = splits[number]
            sized = clone(model).set_params(**size)
            fit = fit_split(sized, source, (coordinates, codes), split, held_out_size_factors)
            return {**_quality(fit, criterion), "rows": split.test}

        tasks = list(product(sizes, range(n_splits)))
        how: dict[str, Any] = {"n_jobs": n_jobs, "description": "fits", "verbose": verbose}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the table tells
            fits = list(in_kept_jobs(run, tasks, journal, **how))
    table = pd.DataFrame(
        [_row(size, fits[i * n_splits : (i + 1) * n_splits]) for i, size in enumerate(sizes)]
    )
    best = sizes[_best(table, rule)]
    chosen = model.set_params(**best).fit(
        source, coordinates, *([] if samples is None else [samples])
    )
    return FactorSelection(table, criterion, rule, best["n_factors"], best.get("n_spatial"), chosen)


def _pairs(estimator: Any, n_factors: Any, n_spatial: Any) -> list[dict[str, int]]:
    """The sizes to try as arguments of the estimator, smallest first."""
    if np.iterable(n_factors):
        numbers = sorted({check_positive_int(n, "n_factors") for n in n_factors})
    else:
        numbers = list(range(1, 1 + check_positive_int(n_factors, "n_factors")))
    if not numbers:
        raise ValueError("n_factors is empty; give at least one number to try.")
    if n_spatial is None:
        own = estimator.get_params().get("n_spatial", 0)
        least = 2 if own is None else own + 1  # a hybrid has a factor of either kind
        if numbers[-1] < least:
            raise ValueError(
                f"n_factors={numbers} leave no room for factors of both kinds; try {least} or more."
            )
        return [{"n_factors": n} for n in numbers if n >= least]
    if "n_spatial" not in estimator.get_params():
        raise ValueError(
            f"n_spatial has no meaning for {type(estimator).__name__}; leave it out, or pass "
            "HybridSpatialFactorization."
        )
    spatial = sorted({check_positive_int(t, "n_spatial") for t in n_spatial})
    pairs = [{"n_factors": n, "n_spatial": t} for n, t in product(numbers, spatial) if t < n]
    if not pairs:
        raise ValueError(
            f"n_spatial={spatial} are none of them below one of n_factors={numbers}; try fewer."
        )
    return pairs


def _check_criterion(criterion: Any, estimator: Any) -> str:
    if check_in(criterion, "criterion", ("auto", *CRITERIA)) != "auto":
        return str(criterion)
    gaussian = getattr(estimator, "likelihood", None) == "gaussian"
    return "squared_error" if gaussian else "poisson"


def _check_rule(rule: Any, sizes: list[dict[str, int]]) -> str:
    check_in(rule, "rule", ("auto", *RULES))
    curve = len(sizes) >= 3 and "n_spatial" not in sizes[0]
    if rule == "auto":
        return "elbow" if curve else "one_standard_error"
    if rule == "elbow" and not curve:
        raise ValueError(
            "rule='elbow' needs three n_factors or more, and no n_spatial; pass "
            "'one_standard_error' or 'lowest'."
        )
    return str(rule)


def _quality(fit: HeldOut, criterion: str) -> dict[str, Any]:
    """Deviance of each row held out, mean over columns, with that of constant rates."""
    deviance = poisson_deviance if criterion == "poisson" else gaussian_deviance
    own, null = [], []
    for values, expected, constant in fit.held_out.blocks():
        own.append(deviance(values, expected, axis=1) / values.shape[1])
        null.append(deviance(values, constant, axis=1) / values.shape[1])
    return {
        "deviance": np.concatenate(own),
        "null": np.concatenate(null),
        "converged": bool(fit.model.converged_),
        "n_iter": int(fit.model.n_iter_),
    }


def _row(size: dict[str, int], fits: list[dict[str, Any]]) -> dict[str, Any]:
    """A row of the table; a row of the data that was held out twice counts as one."""
    held = pd.DataFrame(
        {key: np.concatenate([fit[key] for fit in fits]) for key in ("rows", "deviance", "null")}
    )
    means = held.groupby("rows").mean()
    return {
        **size,
        "deviance": means["deviance"].mean(),
        "standard_error": means["deviance"].sem(),
        "explained": 1 - means["deviance"].sum() / means["null"].sum(),
        "converged": np.mean([fit["converged"] for fit in fits]),
        "n_iter": np.mean([fit["n_iter"] for fit in fits]),
    }


def _best(table: pd.DataFrame, rule: str) -> int:
    """The row of the table that is chosen."""
    deviance = table["deviance"].to_numpy()
    lowest = int(deviance.argmin())
    if rule == "elbow" and deviance[-1] < deviance[0]:
        return elbow_of(table["n_factors"].to_numpy(float), deviance)
    if rule == "one_standard_error":
        # A single row held out has no standard error.
        limit = deviance[lowest] + np.nan_to_num(table["standard_error"][lowest])
        return int((deviance <= limit).argmax())
    return lowest

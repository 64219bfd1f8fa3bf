"""The mixture of one sample: how many components it has, and what if one of them is singular."""

from __future__ import annotations

import warnings
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from lowdim._journal import Journal
from lowdim._random import generator
from lowdim._results import FitFailed
from lowdim._saving import as_bytes, of_bytes
from lowdim._validation import check_positive_int
from lowdim.data.estimator_rows import dense_rows
from lowdim.data.sources import RowSource
from lowdim.mixture import GaussianMixture
from lowdim.samples._left_out import left_out_score
from lowdim.samples._rows import listed

CRITERIA = ("bic", "aic", "heldout_nll")
SINGULARITY = ("guarded", "robust", "strict")
#: Numbers of components that are tried unless the user says.
CANDIDATES = (1, 2, 3, 4, 5, 6, 8, 10, 12)
#: Rows of a component for each of its dimensions where the user does not say.
ROWS_PER_AXIS = 2
#: "robust" adds so many times more to every variance of a sample with a singular component.
ROBUST = 100.0
#: Variances below this share of the mean variance are rounding.
ROUNDING = 1e-12


@dataclass(frozen=True)
class FitPlan:
    """How every sample is fitted.

    Attributes
    ----------
    model : GaussianMixture
        Unfitted, with a single start and all settings but the number of components.
    n_init : int
        Starts of every fit.
    n_components : tuple of int or None
        Numbers to try, ascending; None tries `CANDIDATES` as far as a sample has rows for.
    criterion : {"bic", "aic", "heldout_nll"}
    train_size : float
    refit : bool
    singularity : {"guarded", "robust", "strict"}
    """

    model: GaussianMixture
    n_init: int
    n_components: tuple[int, ...] | None
    criterion: str
    train_size: float
    refit: bool
    singularity: str

    @property
    def selects(self) -> bool:
        """Whether there is a choice of numbers."""
        return self.n_components is None or len(self.n_components) > 1

    @property
    def splits(self) -> bool:
        """Whether some rows are held out."""
        return self.selects and self.criterion == "heldout_nll"

    @property
    def least_rows(self) -> int:
        """Rows that a sample needs."""
        least = max(2, 1 if self.n_components is None else self.n_components[-1])
        if not self.splits:
            return least
        return int(np.ceil(max(least / self.train_size, 1 / (1 - self.train_size))))

    def candidates(self, n_rows: int, n_columns: int) -> tuple[int, ...]:
        """Numbers to try for a sample."""
        if self.n_components is not None:
            return self.n_components
        own = n_columns + 1 if self.model.covariance_type == "full" else 2
        share = self.train_size if self.splits else 1.0
        most = n_rows * share / (ROWS_PER_AXIS * own)
        return tuple(k for k in CANDIDATES if k <= most) or (1,)


@dataclass(frozen=True)
class SampleFit:
    """What a fit found.

    Attributes
    ----------
    model : GaussianMixture
    table : DataFrame or None
        Of all numbers of components that were tried, if there was a choice.
    log_likelihood : float
        Mean per row of all rows of the sample.
    added : float
        What was added to every variance, in squared units of the data.
    singular : (n,)
        Components that would be flat without it.
    """

    model: GaussianMixture
    table: pd.DataFrame | None
    log_likelihood: float
    added: float
    singular: np.ndarray

    def packed(self) -> dict[str, Any]:
        """For a file."""
        table = None if self.table is None else self.table.to_dict("list")
        return {**vars(self), "model": as_bytes(self.model), "table": table}

    @classmethod
    def of_packed(cls, kept: dict[str, Any]) -> SampleFit:
        """The inverse of `packed`."""
        table = None if kept["table"] is None else pd.DataFrame(kept["table"])
        return cls(**{**kept, "model": of_bytes(GaussianMixture, kept["model"]), "table": table})


@dataclass(frozen=True)
class Part:
    """Rows that get one mixture.

    Attributes
    ----------
    name : str
        Of their sample.
    rows : (n,)
        Their numbers.
    seed : int
    """

    name: str
    rows: np.ndarray
    seed: int


def fit_part(plan: FitPlan, source: RowSource, part: Part, journal: Journal) -> SampleFit:
    """Fit a part of the rows; what goes wrong is told with its name.

    The journal keeps each fit of a part that is all rows. Of samples it keeps what they come to.
    """
    journal = journal if len(part.rows) == source.n_rows else Journal()
    rows = _ordered(dense_rows(source, part.rows))
    if (rows == rows[0]).all():
        raise ValueError(f"Rows of {listed([part.name])} are all the same; drop them.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # told for all at once
            return fit_rows(plan, rows, part.seed, journal)
    except ValueError as error:
        raise ValueError(f"The mixture of {listed([part.name])}: {error}") from error


def _ordered(rows: np.ndarray) -> np.ndarray:
    """Rows in an order of their own, so that starts and sums do not depend on how they came."""
    key = np.zeros(len(rows))
    weights = np.random.default_rng(0).normal(size=(rows.shape[1],))
    for a, weight in enumerate(weights):
        key += weight * rows[:, a]
    return np.asarray(rows[key.argsort(kind="stable")])


def fit_rows(plan: FitPlan, rows: np.ndarray, seed: int, journal: Journal) -> SampleFit:
    """Fit the rows of a sample, (n, D), as the plan says.

    Raises
    ------
    ValueError
        A component is singular and that is not wanted; or as of `GaussianMixture.fit`.
    """
    model = _with(plan.model, random_state=seed)
    sizes = plan.candidates(*rows.shape)
    table, fitted_to = None, rows
    if plan.selects:
        best, table, fitted_to = _selected(model, rows, sizes, plan, journal)
    else:
        best = _fitted(_with(model, n_components=sizes[0]), rows, plan.n_init, journal)
    variance = float(fitted_to.var(0).mean())
    singular = _singular(best, variance)
    if len(singular) and plan.singularity == "strict":
        raise ValueError(_complaint(best, singular, len(fitted_to)))
    if len(singular) and plan.singularity == "robust":
        more = ROBUST * model.reg_covar
        again = _with(model, n_components=best.n_components, reg_covar=more)
        best = _fitted(again, fitted_to, plan.n_init, journal)
    # The bound of a fit to all rows is their likelihood.
    log_likelihood = best.lower_bound_ if len(fitted_to) == len(rows) else best.score(rows)
    return SampleFit(best, table, float(log_likelihood), best.reg_covar * variance, singular)


def check_sizes(
    n_rows: dict[str, int],
    least: int,
    wanted: tuple[int, ...] | None,
    *,
    argument: str = "n_components",
    drop: str = "drop these samples",
) -> None:
    """Raise ValueError where a sample has too few rows.

    Parameters
    ----------
    n_rows
        By sample.
    least
        Rows that each needs.
    wanted
        Numbers of components, ascending, that were asked for.
    argument, drop
        By which argument, and how to drop samples.
    """
    small = [f"{name} ({n} rows)" for name, n in n_rows.items() if n < least]
    if small:
        who = "A mixture" if wanted is None else f"{argument}={wanted[-1]}"
        raise ValueError(
            f"{who} needs {least} rows or more of every sample, and too few have {listed(small)}; "
            f"{drop}, or lower {argument}."
        )


def _with(model: GaussianMixture, **settings: Any) -> GaussianMixture:
    """A copy with other settings, to be fitted; what `clone` looks up takes as long as a step."""
    own = copy(model)
    for name, value in settings.items():
        setattr(own, name, value)
    return own


def _fitted(
    model: GaussianMixture, rows: np.ndarray, n_init: int, journal: Journal
) -> GaussianMixture:
    """The fit, of several starts, that tells rows best that are left out of it.

    The likeliest of several often has a component that has closed on a few rows, which says nothing
    of others; to refuse all such fits would be no better, where no good one is without. Starts are
    of one kind: samples are compared, and kinds would differ between them.
    """
    seeds = [model.random_state, *generator(model.random_state).integers(2**31, size=n_init - 1)]
    fits: list[GaussianMixture] = []
    for i, seed in enumerate(seeds):
        try:
            fits.append(_kept(_with(model, random_state=int(seed)), rows, journal))
        except FitFailed:
            if i == len(seeds) - 1 and not fits:
                raise
    return fits[0] if len(fits) == 1 else max(fits, key=lambda fit: left_out_score(fit, rows))


def _kept(model: GaussianMixture, rows: np.ndarray, journal: Journal) -> GaussianMixture:
    """A fit, or what the journal has of it."""
    return journal.once(
        lambda _: model.fit(rows),
        lambda fit: {"model": as_bytes(fit)},
        lambda kept: of_bytes(GaussianMixture, kept["model"]),
    )


def _selected(
    model: GaussianMixture,
    rows: np.ndarray,
    sizes: tuple[int, ...],
    plan: FitPlan,
    journal: Journal,
) -> tuple[GaussianMixture, pd.DataFrame, np.ndarray]:
    """The best fit, the table of all, and the rows that the best was fitted to.

    A fit with a component that has shrunk onto the regularisation is taken only if all have one:
    its likelihood means nothing.
    """
    train, held_out = rows, rows[:0]
    if plan.splits:
        seed = model.random_state
        train, held_out = train_test_split(rows, train_size=plan.train_size, random_state=seed)
    fits = [_fitted(_with(model, n_components=k), train, plan.n_init, journal) for k in sizes]
    table = pd.DataFrame([_row(fit, train, held_out, plan.criterion) for fit in fits])
    worth = table if table["degenerate"].all() else table[~table["degenerate"]]
    best = fits[int(worth["score"].idxmin())]
    if plan.splits and plan.refit:
        again = _with(model, n_components=best.n_components)
        return _fitted(again, rows, plan.n_init, journal), table, rows
    return best, table, train


def _row(
    fit: GaussianMixture, train: np.ndarray, held_out: np.ndarray, criterion: str
) -> dict[str, float | bool]:
    n_parameters, log_likelihood = fit.n_parameters(), fit.lower_bound_ * len(train)
    validation_nll = -fit.score(held_out) if len(held_out) else np.nan
    scores = {
        "bic": n_parameters * np.log(len(train)) - 2 * log_likelihood,
        "aic": 2 * n_parameters - 2 * log_likelihood,
        "heldout_nll": validation_nll,
    }
    return {
        "n_components": len(fit.weights_),
        "score": scores[criterion],
        "train_nll": -fit.lower_bound_,
        "validation_nll": validation_nll,
        "n_train": len(train),
        "n_validation": len(held_out),
        "degenerate": bool(fit.degenerate_),
    }


def _singular(model: GaussianMixture, variance: float) -> np.ndarray:
    """Components with a direction along which there is little but what was added."""
    covariances = model.covariances_
    full = model.covariance_type == "full"
    smallest = np.linalg.eigvalsh(covariances)[:, 0] if full else covariances.min(1)
    return np.flatnonzero(smallest <= max(2 * model.reg_covar, ROUNDING) * variance)


def _complaint(model: GaussianMixture, singular: np.ndarray, n_rows: int) -> str:
    k = int(singular[0])
    others = f" and {len(singular) - 1} other(s)" if len(singular) > 1 else ""
    return (
        f"component {k}{others} of {len(model.weights_)} is singular: its "
        f"{model.weights_[k] * n_rows:.3g} rows lie in fewer than {model.n_features_in_} "
        f"dimensions. Ask for {remedy(model.covariance_type)}, or pass "
        "singularity_handling='guarded'."
    )


def flatness(covariance_type: str) -> str:
    """What makes a component singular."""
    if covariance_type == "diag":
        return "along some column their rows do not vary"
    return "they have too few rows for the number of columns, or columns depend on each other"


def remedy(covariance_type: str) -> str:
    """What to ask for in place of singular components."""
    diagonal = "" if covariance_type == "diag" else ", fewer columns or covariance_type='diag'"
    return f"fewer components{diagonal}"


def numbers_of_components(wanted: Any, name: str) -> tuple[int, ...] | None:
    """The numbers to try, ascending, or None to choose by the size of samples.

    Raises
    ------
    TypeError, ValueError
        Not a whole number of at least one, or several of them; the argument is named.
    """
    if wanted is None:
        return None
    several = np.iterable(wanted) and not isinstance(wanted, str)
    sizes = {check_positive_int(k, name) for k in (wanted if several else [wanted])}
    if not sizes:
        raise ValueError(f"{name} is empty; give at least one number to try.")
    return tuple(sorted(sizes))

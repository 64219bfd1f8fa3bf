"""How many clusters or components."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lowdim._checkpoint import facts_of
from lowdim._interrupts import undivided
from lowdim._journal import Journal, keeping
from lowdim._packing import as_arrays, of_arrays
from lowdim._random import generator
from lowdim._results import FitFailed
from lowdim._validation import check_in, check_interval, check_positive_int, check_sample_weight
from lowdim.data.sources import RowSource, as_rows
from lowdim.data.subset import SubsetRows
from lowdim.mixture._jobs import check_no_checkpoint, in_kept_jobs
from lowdim.mixture._sizing import Kind, fit_quietly, grown, kind_of, packed_fit, unpacked_fit

if TYPE_CHECKING:
    from lowdim._typing import PathLike

INFORMATION = ("bic", "aic", "icl")


@dataclass(frozen=True)
class MixtureSelection:
    """Fits of different size, and the best of them.

    Attributes
    ----------
    table : DataFrame
        One row per size, in ascending order: ``n_components``; for mixtures ``log_likelihood``
        (total, nats), ``n_parameters``, ``aic``, ``bic`` and ``icl``; for k-means ``inertia``, for
        soft k-means ``free_energy``; ``heldout`` (mean log-likelihood of the rows held out, for
        k-means minus their mean squared distance) if it was asked for; ``from_smaller`` (whether
        the best fit began with the next smaller one); ``converged``. A fit that failed has nan.
    criterion : str
        What decided: "bic", "aic", "icl", "heldout" or "elbow".
    n_components_ : int
        The size chosen.
    best_estimator_
        The fit of that size.
    estimators_ : dict of int to estimator
        All fits by size; None for one that failed.
    """

    table: pd.DataFrame
    criterion: str
    n_components_: int
    best_estimator_: Any
    estimators_: dict[int, Any]


@undivided()
def select_mixture(
    X: Any,
    estimator: Any,
    *,
    n_components: int | Iterable[int] = 10,
    criterion: str = "auto",
    warm_start: bool = True,
    test_size: float = 0.3,
    sample_weight: Any = None,
    n_jobs: int | None = None,
    random_state: Any = 0,
    checkpoint: PathLike | None = None,
    verbose: int = 0,
) -> MixtureSelection:
    """Fit an estimator at several sizes and choose one.

    Parameters
    ----------
    X : array-like, sparse, DataFrame, AnnData, row source or path, shape (N, D)
    estimator : KMeans, SoftKMeans, GaussianMixture, NegativeBinomialMixture or SubspaceMixture
        With all settings but the size; it is not changed.
    n_components : int or iterable of int, default=10
        Sizes to try; a number means 1 up to it.
    criterion : {"auto", "bic", "aic", "icl", "heldout", "elbow"}, default="auto"
        "heldout" takes the size whose fit to the other rows gives the rows held out the highest
        likelihood; "elbow" the size at which the curve of the objective over the size is farthest
        from the line between its ends. "auto" is "heldout" for counts, whose many genes make
        information criteria too strict, "elbow" for k-means, and "bic" otherwise.
    warm_start : bool, default=True
        Where sizes follow one another, also begin with the fit of the size before, its largest
        clusters split, and keep the better end.
    test_size : float, default=0.3
        Share of the rows held out.
    sample_weight : array-like of shape (N,), optional
    n_jobs : int, optional
        Fits at the same time, in threads; -1 is one per core.
    random_state : int, Generator or RandomState, default=0
        Draws the rows to hold out.
    checkpoint : path, optional
        A file that keeps the fits that are done. The same call goes on from there.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    MixtureSelection

    Raises
    ------
    ValueError, TypeError
        An argument cannot be used, or the checkpoint is of other fits.
    KeyboardInterrupt
        By Ctrl-C: some sizes alone are no choice. The checkpoint keeps what is done.

    Warns
    -----
    UserWarning
        An information criterion was asked for with a mixture of counts.
    """
    kind = kind_of(estimator)
    check_no_checkpoint(estimator)
    sizes = _check_sizes(n_components)
    criterion = _check_criterion(criterion, kind)
    check_interval(test_size, "test_size", low=0.0, high=1.0, closed="neither")
    source = as_rows(X)
    weight = check_sample_weight(sample_weight, source.n_rows)
    given = {
        "work": "select_mixture", "sample_weight": weight, "sizes": sizes, "criterion": criterion,
        "warm_start": warm_start, "test_size": test_size, "seed": random_state,
        "max_iter": estimator.max_iter,
    }  # fmt: skip
    facts = partial(facts_of, estimator, source, given)
    with keeping(checkpoint, facts, generator(random_state)) as journal:
        how = {"n_jobs": n_jobs, "description": "sizes", "verbose": verbose}
        return _selected(kind, estimator, source, weight, given, journal, how)


def _selected(
    kind: Kind,
    estimator: Any,
    source: RowSource,
    weight: np.ndarray | None,
    given: dict[str, Any],
    journal: Journal,
    how: dict[str, Any],
) -> MixtureSelection:
    """Fit all sizes, which a journal keeps, and choose."""
    sizes, criterion = given["sizes"], given["criterion"]
    train, test = _split(source.n_rows, given["test_size"], journal.rng)
    pack, unpack = partial(packed_fit, kind), partial(unpacked_fit, kind, type(estimator))

    def run(task: tuple[int, bool], _: Journal) -> Any:
        size, on_part = task
        model = kind.sized(estimator, size)
        if not on_part:
            return fit_quietly(model, source, weight)
        own = None if weight is None else weight[train]
        return fit_quietly(model, SubsetRows(source, train), own)

    def larger(smaller: Any, _: Journal) -> list[Any]:
        return grown(kind, estimator, smaller, source, weight)

    parts = (False, True) if criterion == "heldout" else (False,)
    tasks = [(size, part) for part in parts for size in sizes]
    fits = list(in_kept_jobs(run, tasks, journal, pack=pack, unpack=unpack, **how))
    models = dict(zip(sizes, fits, strict=False))
    warm = dict.fromkeys(sizes, False)
    for size in sizes if given["warm_start"] else []:
        if models.get(size - 1) is not None:
            for model in journal.once(
                partial(larger, models[size - 1]),
                lambda found: as_arrays([pack(model) for model in found]),
                lambda arrays: [unpack(kept) for kept in of_arrays(arrays)],
            ):
                if model is not None and kind.better(models[size], model) is model:
                    models[size], warm[size] = model, True
    if all(model is None for model in models.values()):
        raise FitFailed("Every size failed; fit the estimator alone to see why.")
    table = pd.DataFrame([_row(kind, size, models[size], source) for size in sizes])
    if criterion == "heldout":
        held, per = SubsetRows(source, test), len(test) if kind.clusters else 1
        scores = [np.nan if model is None else model.score(held) for model in fits[len(sizes) :]]
        table["heldout"] = np.array(scores) / per
    table["from_smaller"] = [warm[size] for size in sizes]
    table["converged"] = [models[size] is not None and models[size].converged_ for size in sizes]
    best = sizes[_best(table, criterion, kind)]
    return MixtureSelection(table, criterion, best, models[best], models)


def _check_sizes(n_components: Any) -> list[int]:
    if not np.iterable(n_components):
        return list(range(1, 1 + check_positive_int(n_components, "n_components")))
    sizes = sorted({check_positive_int(size, "n_components") for size in n_components})
    if not sizes:
        raise ValueError("n_components is empty; pass at least one size.")
    return sizes


def _check_criterion(criterion: str, kind: Kind) -> str:
    check_in(criterion, "criterion", ("auto", *INFORMATION, "heldout", "elbow"))
    if criterion == "auto":
        return "heldout" if kind.counts else "elbow" if kind.clusters else "bic"
    if criterion in INFORMATION and kind.clusters:
        raise ValueError(
            f"criterion={criterion!r} needs a likelihood, which k-means has not; pass 'elbow' or "
            "'heldout', or use GaussianMixture(covariance_type='spherical')."
        )
    if criterion in INFORMATION and kind.counts:
        warnings.warn(
            f"criterion={criterion!r} counts every gene's parameters in full, so that with many "
            "genes it asks for too few components; prefer 'heldout'.",
            UserWarning,
            stacklevel=3,
        )
    return criterion


def _split(n_rows: int, test_size: float, random_state: Any) -> tuple[np.ndarray, np.ndarray]:
    """Rows to fit and rows to hold out, each in ascending order."""
    order = generator(random_state).permutation(n_rows)
    n_test = min(max(1, round(test_size * n_rows)), n_rows - 1)
    return np.sort(order[n_test:]), np.sort(order[:n_test])


def _row(kind: Kind, n_components: int, model: Any, source: RowSource) -> dict[str, Any]:
    size = {"n_components": n_components}
    if model is None:
        return size  # what is not known of it becomes nan
    if kind.clusters:
        return {**size, kind.objective.rstrip("_"): getattr(model, kind.objective)}
    return {**size, **model._criteria(source)}


def _best(table: pd.DataFrame, criterion: str, kind: Kind) -> int:
    """Which row of the table is chosen."""
    if criterion == "heldout":
        return int(np.nanargmax(table["heldout"]))
    if criterion in INFORMATION:
        return int(np.nanargmin(table[criterion]))
    column = kind.objective.rstrip("_") if kind.clusters else "log_likelihood"
    values = table[column].to_numpy(float) * (1 if kind.clusters else -1)
    known = np.flatnonzero(np.isfinite(values))
    return int(known[elbow_of(table["n_components"].to_numpy(float)[known], values[known])])


def elbow_of(sizes: np.ndarray, values: np.ndarray) -> int:
    """Where a falling curve lies farthest below the line between its ends."""
    if len(sizes) < 3 or values[0] == values[-1]:
        return 0
    across = (sizes - sizes[0]) / (sizes[-1] - sizes[0])
    down = (values - values[-1]) / (values[0] - values[-1])
    return int((1 - across - down).argmax())

"""How many subspaces, and of which dimensions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from lowdim._journal import Journal, LongFit
from lowdim._progress import progress
from lowdim._random import generator
from lowdim._results import StopReason
from lowdim._threads import threads_for
from lowdim._validation import check_in, check_interval, check_positive_int, check_sample_weight
from lowdim.data.estimator_rows import read_rows, standardized_rows
from lowdim.data.sources import RowSource
from lowdim.data.standardized import StandardizedRows
from lowdim.data.subset import SubsetRows
from lowdim.mixture._em import EMOptions
from lowdim.mixture._subspace import infer
from lowdim.mixture._subspace.arguments import Arguments, check_arguments
from lowdim.mixture._subspace.attributes import set_fitted
from lowdim.mixture._subspace.fit import SubspaceFit, make_starter, run_restarts
from lowdim.mixture._subspace.search import Candidate, Search
from lowdim.mixture._subspace.train import make_family
from lowdim.mixture.subspace import SubspaceMixture

if TYPE_CHECKING:
    from lowdim.mixture._subspace.parameters import SubspaceParameters

#: Largest dimension that is tried unless the caller names some.
DEFAULT_MAX_DIM = 5
#: Largest number of components that is tried unless the caller names some.
DEFAULT_MAX_COMPONENTS = 10


@dataclass(frozen=True)
class SubspaceSelection:
    """A ranked search.

    Attributes
    ----------
    table : DataFrame
        One row per list of dimensions that was visited, best first: ``dims`` (tuple),
        ``n_components``, ``log_likelihood`` (total, nats), ``n_parameters``, ``bic``, ``icl``,
        ``restarts_agreeing`` (runs that reached this likelihood), ``smallest_component``
        (expected rows), ``degenerate`` and, for criterion "heldout", ``heldout`` (mean
        log-likelihood of the rows held out).
    best_estimator_ : SubspaceMixture
        The mixture in the first row, fitted to all rows.
    criterion : str
        What ranked the table.
    """

    table: pd.DataFrame
    best_estimator_: SubspaceMixture
    criterion: str


def select_subspaces(
    X: Any,
    n_components: int | Iterable[int] | None = None,
    dims: int | Iterable[int] | None = None,
    *,
    criterion: str = "bic",
    n_init: int = 10,
    max_iter: int = 200,
    tol: float = 1e-6,
    init: str = "auto",
    shared_noise: bool = False,
    fixed: Any = None,
    background: Any = None,
    reg_covar: float = 1e-6,
    patience: int = 3,
    heldout_fraction: float = 0.2,
    sample_weight: Any = None,
    batch_size: int | None = None,
    device: Any = "auto",
    dtype: Any = None,
    random_state: Any = None,
    checkpoint: Any = None,
    verbose: int = 0,
) -> SubspaceSelection:
    """Search over the number of subspaces and the dimension of each.

    Parameters
    ----------
    X : array-like, sparse, DataFrame, tensor, AnnData, row source or path, shape (N, D)
        Observations as rows.
    n_components : int or iterable of int, optional
        Numbers of components to try; an int means 1 to that many; default 1 to 10.
    dims : int or iterable of int, optional
        Dimensions that a component may have; an int means 0 to that; default 0 to 5, or to
        D - 1 if that is less.
    criterion : {"bic", "icl", "heldout"}, default="bic"
        What ranks the mixtures: BIC; ICL, which also counts overlap against them; or the
        likelihood of rows held out of the search.
    n_init : int, default=10
        Fresh starts per number of components; splits, merges and changes of dimension of the
        best mixtures come on top.
    max_iter, tol, init, shared_noise, fixed, background, reg_covar, batch_size, device, dtype
        As in `SubspaceMixture`.
    patience : int, default=3
        Stop adding components when BIC has not improved for so many sizes.
    heldout_fraction : float, default=0.2
        Share of the rows held out by criterion "heldout".
    sample_weight : array-like of shape (N,), optional
        Nonnegative row weights.
    random_state : int, Generator or RandomState, optional
    checkpoint : path, optional
        Keep the search in this file. The same call goes on from there, to the same bits.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    SubspaceSelection
        Mixtures with a component on the variance floor, or with fewer than five rows or
        twice the points that span it, are ranked last whatever their likelihood. With criterion
        "heldout" the table's likelihoods are those of the rows searched; the best mixture is
        then refitted to all rows.

    Raises
    ------
    ValueError, TypeError
        An argument or the data cannot be used.
    """
    model = SubspaceMixture(
        n_init=n_init,
        max_iter=max_iter,
        tol=tol,
        init=init,
        shared_noise=shared_noise,
        fixed=fixed,
        background=background,
        reg_covar=reg_covar,
        batch_size=batch_size,
        device=device,
        dtype=dtype,
        random_state=random_state,
        checkpoint=checkpoint,
        verbose=verbose,
    )
    source = read_rows(model, X)
    weight = check_sample_weight(sample_weight, source.n_rows)
    with threads_for(source.n_rows * source.n_cols):
        return _select(
            model, source, weight, n_components, dims, criterion, patience, heldout_fraction
        )


def fit_auto(model: SubspaceMixture, source: RowSource, weight: np.ndarray | None) -> None:
    """Fit ``SubspaceMixture(dims="auto")`` in place."""
    if model.dims != "auto":
        raise ValueError(f"dims={model.dims!r} must be an int, a list of ints or 'auto'.")
    check_in(model.assignment, "assignment", ("soft",))
    if model.annealing is not None:
        raise ValueError("annealing has no meaning with dims='auto'; drop one of them.")
    if model.minibatch_size is not None:
        raise ValueError("minibatch_size has no meaning with dims='auto'; drop one of them.")
    sizes = None if model.n_components == 1 else model.n_components
    twin = SubspaceMixture(**{**model.get_params(), "dims": 1, "n_components": 1})
    twin.n_features_in_ = source.n_cols
    with threads_for(source.n_rows * source.n_cols):
        best = _select(twin, source, weight, sizes, None, "bic", 3, 0.2).best_estimator_
    for name, value in vars(best).items():
        if name.endswith("_") or name in ("_held", "_log_volume"):
            setattr(model, name, value)


def _select(
    model: SubspaceMixture,
    source: RowSource,
    weight: np.ndarray | None,
    n_components: Any,
    dims: Any,
    criterion: str,
    patience: int,
    heldout_fraction: float,
) -> SubspaceSelection:
    check_in(criterion, "criterion", ("bic", "icl", "heldout"))
    check_positive_int(patience, "patience")
    check_interval(heldout_fraction, "heldout_fraction", low=0.0, high=1.0, closed="neither")
    if not isinstance(model.init, str):
        raise ValueError("init must name a kind of start here, not give one.")
    sizes = _values(n_components, "n_components", 1, DEFAULT_MAX_COMPONENTS)
    allowed = _values(dims, "dims", 0, min(DEFAULT_MAX_DIM, max(source.n_cols - 1, 0)))
    largest = SubspaceMixture(
        **{**model.get_params(), "n_components": 1, "dims": [max(allowed)] * max(sizes)}
    )
    arguments = check_arguments(largest, source)
    settings: dict[str, Any] = {"n_components": sizes, "dims": allowed}
    settings |= {"criterion": criterion, "patience": patience}
    if criterion == "heldout":
        settings["heldout_fraction"] = heldout_fraction
    given = {**settings, "max_iter": model.max_iter, "sample_weight": weight}
    with LongFit(model, source, generator(model.random_state), given) as journal:
        everything = _rows(arguments, model, source, weight)
        data, heldout = everything, None
        if criterion == "heldout":
            data, heldout = _hold_out(arguments, model, everything, heldout_fraction, journal.rng)
        search = _search(arguments, data, allowed, journal)
        _run(search, sizes, patience, verbose=model.verbose > 0)
        table = _table(search, data, heldout)
        ascending = criterion != "heldout"
        order = table.sort_values(["degenerate", criterion], ascending=[True, ascending]).index
        table = table.loc[order].reset_index(drop=True)
        dims_best = table["dims"].iloc[0]
        best = _refit(search, everything, dims_best) if heldout else search.polish(dims_best)
    fitted = SubspaceMixture(**{**model.get_params(), "dims": list(dims_best), "n_components": 1})
    fitted.n_features_in_ = model.n_features_in_
    if hasattr(model, "feature_names_in_"):
        fitted.feature_names_in_ = model.feature_names_in_
    set_fitted(fitted, _as_fit(best, everything, interrupted=journal.asked), everything)
    fitted.search_trace_ = _trace(search, data)
    fitted.search_ = settings
    return SubspaceSelection(table, fitted, criterion)


def _run(search: Search, sizes: list[int], patience: int, *, verbose: bool) -> None:
    with progress(2 * len(sizes) - 1, description="subspaces", enabled=verbose) as bar:

        def report(what: str) -> None:
            bar.set_postfix_str(what)
            bar.update()

        search.report = report
        search.run(sizes, patience)


def _search(
    arguments: Arguments,
    data: StandardizedRows,
    allowed: list[int],
    journal: Journal,
) -> Search:
    largest = max([*allowed, *(len(given.basis) for given in arguments.given)])
    starter, _ = make_starter(data, largest, journal.rng, shared_noise=arguments.shared_noise)
    family = replace(
        make_family(arguments, data, starter),
        dim_penalty=float(np.log(data.total_weight) / 2),
        allowed_dims=tuple(allowed),
    )
    options: EMOptions = arguments.options
    return Search(family, data, options, arguments.strategies, journal)


def _table(
    search: Search, data: StandardizedRows, heldout: StandardizedRows | None
) -> pd.DataFrame:
    """One row per list of dimensions, in the data's units."""
    shift, constant = _shift(data), _held_parameters(search)
    log_n = np.log(data.total_weight)
    rows = []
    for dims, candidate in search.candidates.items():
        n_parameters = search.free_parameters(dims) + constant
        log_likelihood = candidate.log_likelihood - shift
        bic = n_parameters * log_n - 2 * log_likelihood
        row = {
            "dims": dims,
            "n_components": len(dims),
            "log_likelihood": log_likelihood,
            "n_parameters": n_parameters,
            "bic": bic,
            "icl": bic + 2 * _entropy(data, candidate.parameters),
            "restarts_agreeing": candidate.restarts_agreeing,
            "smallest_component": float(
                candidate.parameters.weights[0, : len(dims)].min() * data.total_weight
            ),
            "degenerate": candidate.degenerate,
        }
        if heldout is not None:
            row["heldout"] = _mean_log_likelihood(heldout, candidate.parameters)
        rows.append(row)
    return pd.DataFrame(rows)


def _trace(search: Search, data: StandardizedRows) -> np.ndarray:
    """Number of components and BIC of every run, in the data's units, (n_runs, 2)."""
    trace = np.array(search.history, dtype=np.float64)
    trace[:, 1] += _held_parameters(search) * np.log(data.total_weight) + 2 * _shift(data)
    return trace


def _shift(data: StandardizedRows) -> float:
    """What the units add to a total log-likelihood."""
    return float(data.n_columns * np.log(data.scale) * data.total_weight)


def _held_parameters(search: Search) -> int:
    """Free parameters of fixed and background components."""
    held = search.family.constraints
    if held is None:
        return 0
    return int(held.learn_noise.sum() + (held.dims * held.learn_latent).sum())


def _entropy(data: StandardizedRows, parameters: SubspaceParameters) -> float:
    """Summed entropy of the rows' posterior assignments, nats."""
    scores = torch.from_numpy(infer.log_joint(data, parameters))
    log_r = scores.log_softmax(1)
    rows = -(log_r.exp() * log_r.clamp(min=-745.0)).sum(1)
    if data.sample_weight is not None:
        rows = rows * torch.from_numpy(data.sample_weight)
    return float(rows.sum())


def _mean_log_likelihood(data: StandardizedRows, parameters: SubspaceParameters) -> float:
    rows = torch.from_numpy(infer.log_joint(data, parameters)).logsumexp(1).numpy()
    return float(np.average(rows, weights=data.sample_weight))


def _refit(search: Search, everything: StandardizedRows, dims: tuple[int, ...]) -> Candidate:
    """The chosen dimensions fitted to all rows, from the search's mixture."""
    family = replace(
        search.family, dim_penalty=None, reassign=False, total_weight=everything.total_weight
    )
    start = search.candidates[dims].parameters
    result = run_restarts(family, everything, [start], search.options, journal=search.journal)
    return Candidate(
        parameters=result.parameters,
        log_likelihood=float(result.objective[0]) * everything.total_weight,
        trace=result.traces[0],
        n_iter=int(result.n_iter[0]),
        converged=result.reasons[0] is StopReason.CONVERGED,
        degenerate=bool(result.degenerate[0]),
        totals=search.candidates[dims].totals,
    )


def _as_fit(candidate: Candidate, data: StandardizedRows, *, interrupted: bool) -> SubspaceFit:
    mean = candidate.log_likelihood / data.total_weight
    unsettled = StopReason.INTERRUPTED if interrupted else StopReason.ITERATION_LIMIT
    return SubspaceFit(
        parameters=candidate.parameters,
        objective=mean,
        log_likelihood=mean,
        trace=candidate.trace,
        n_iter=candidate.n_iter,
        reason=StopReason.CONVERGED if candidate.converged else unsettled,
        restart_objectives=np.array(candidate.totals) / data.total_weight,
        degenerate=candidate.degenerate,
    )


def _rows(
    arguments: Arguments,
    model: SubspaceMixture,
    source: RowSource,
    weight: np.ndarray | None,
    moments: tuple[np.ndarray, float] | None = None,
) -> StandardizedRows:
    return standardized_rows(
        source,
        device=arguments.device,
        dtype=arguments.dtype,
        sample_weight=weight,
        block_rows=model.batch_size,
        moments=moments,
    )


def _hold_out(
    arguments: Arguments,
    model: SubspaceMixture,
    everything: StandardizedRows,
    fraction: float,
    rng: np.random.Generator,
) -> tuple[StandardizedRows, StandardizedRows]:
    """Training and held-out rows in the units of all rows."""
    n = everything.n_rows
    out = np.zeros(n, dtype=bool)
    out[rng.choice(n, max(1, round(fraction * n)), replace=False)] = True
    units = (everything.mean, everything.scale)
    parts = []
    for index in (np.flatnonzero(~out), np.flatnonzero(out)):
        weight = everything.sample_weight
        part = SubsetRows(everything.source, index)
        own = None if weight is None else weight[index]
        parts.append(_rows(arguments, model, part, own, units))
    return parts[0], parts[1]


def _values(value: Any, name: str, lowest: int, highest: int) -> list[int]:
    """A sorted list of distinct ints from an int (up to it), an iterable or None."""
    if value is None:
        return list(range(lowest, highest + 1))
    if isinstance(value, (int, np.integer)):
        return list(range(lowest, check_positive_int(value, name, minimum=lowest) + 1))
    out = sorted({check_positive_int(int(v), name, minimum=lowest) for v in value})
    if not out:
        raise ValueError(f"{name} is empty; give at least one value to try.")
    return out

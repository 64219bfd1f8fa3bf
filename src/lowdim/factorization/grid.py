"""Many configurations fitted to the same rows: one tidy table of fit, sparsity and time."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import ParameterGrid

from lowdim._files import replacing
from lowdim._interrupts import undivided
from lowdim._progress import progress
from lowdim._random import generator
from lowdim._validation import check_interval, check_source
from lowdim.data.estimator_rows import dense_rows
from lowdim.data.sources import RowSource, as_rows
from lowdim.factorization._held_out import (
    Judged,
    Places,
    Split,
    check_held_out_sizes,
    fit_split,
    seeded,
    splits_by_place,
)
from lowdim.factorization._places import check_coordinates
from lowdim.factorization._slide_names import check_samples
from lowdim.factorization.models import MODELS, estimator_of
from lowdim.metrics import poisson_deviance, sparsity
from lowdim.metrics.deviance import nsf_paper_of, nsf_paper_sums
from lowdim.mixture._jobs import check_no_checkpoint

if TYPE_CHECKING:
    from lowdim._typing import PathLike

#: A fit that raises one of these gets a row that says so; the others go on.
_FAILURES = (ArithmeticError, MemoryError, RuntimeError, TypeError, ValueError)


@undivided()
def compare_factorizations(
    X: Any,
    coordinates: Any,
    configurations: Iterable[Any] | Mapping[str, Any],
    output: PathLike | None = None,
    *,
    samples: Any = None,
    held_out: float = 0.05,
    train: Any = None,
    held_out_size_factors: str = "own",
    random_state: Any = 0,
    verbose: int = 0,
) -> pd.DataFrame:
    """Fit a list of configurations and write fit, sparsity and time to one table.

    All are fitted to the same rows and judged by the same rows held out. The table is written
    after every fit; a fit that is in the file already, with the same settings, rows and package
    version, is not done again, so that a long list can be stopped and taken up again. Other
    fits in the file stay.

    Parameters
    ----------
    X : array-like, sparse, DataFrame, AnnData, row source or path, shape (N, J)
    coordinates : array-like of shape (N, D)
    configurations : iterable of dict or estimators, or dict of lists
        ``{"model": "nsf", "n_factors": 10, ...}``: models as in `lowdim.tl.spatial_factors`, "nsf",
        "nsfh", "rsf", "pnmf", "fa" or "mefisto", and the other entries are arguments of their
        estimators. A dict whose entries are lists stands for all combinations.
    output : path, optional
        A CSV file.
    samples : array-like of shape (N,), optional
        The slide that every row is on.
    held_out : float, default=0.05
        Share of the places held out.
    train : array-like of bool, shape (N,), optional
        The rows to fit, in place of a random part.
    held_out_size_factors : {"own", "one"}, default="own"
        As in `select_factors`.
    random_state : int, Generator or RandomState, default=0
        Draws the places to hold out, and seeds for configurations that have none.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    DataFrame
        One row per configuration, in their order: ``data`` (a digest of rows, places and split),
        ``version``, ``model``, every setting, ``n_train``, ``n_held_out``, ``converged``,
        ``n_iter``, ``bound`` (per row), ``deviance_train``, ``deviance_held_out`` (Poisson, mean
        over entries), ``explained_*`` (share of the deviance of constant rates), ``nsf_paper_*``
        (the measure of the paper; see `lowdim.metrics.nsf_paper_deviance`), ``rmse_*``,
        ``sparsity``, ``cpu_seconds`` (all threads of this process), ``wall_seconds``, ``error``
        (why a fit failed) and ``configuration`` (the settings as JSON). Deviances are empty where
        a value or its expectation is negative.

    Raises
    ------
    ValueError, TypeError
        An argument, the data or a configuration's name cannot be used; nothing is fitted then.

    Notes
    -----
    Time is that of `fit`. The first fit of a process may include compilation.
    """
    check_interval(held_out, "held_out", low=0.0, high=1.0, closed="neither")
    check_held_out_sizes(held_out_size_factors)
    source = as_rows(X)
    check_source(source)
    coordinates = check_coordinates(coordinates, source.n_rows)
    codes, _ = check_samples(samples, source.n_rows)
    rng = generator(random_state)
    if train is None:
        split = splits_by_place(coordinates, codes, held_out, 1, rng)[0]
    else:
        split = _given_split(train, source.n_rows)
    models = [(name, seeded(model, rng)) for name, model in estimators_of(configurations)]
    for _, model in models:
        check_no_checkpoint(model)
    labels = _labels(source, (coordinates, codes), split, held_out_size_factors)
    done = _read(output)
    keys = []
    for name, model in progress(models, description="configurations", enabled=verbose > 0):
        row = {**labels, "model": name, **_settings(model)}
        keys.append(tuple(row[column] for column in KEY))
        if keys[-1] in done and pd.isna(done[keys[-1]]["error"]):
            continue
        done[keys[-1]] = {
            **row,
            **_fitted(model, source, (coordinates, codes), split, held_out_size_factors),
        }
        if output is not None:
            with replacing(output) as temporary:
                _table(done.values()).to_csv(temporary, index=False)
    return _table(done[key] for key in keys)


#: What says which fit a row of the table is.
KEY = ("data", "version", "model", "configuration")


def estimators_of(configurations: Any) -> list[tuple[str, Any]]:
    """Names and unfitted estimators."""
    if isinstance(configurations, Mapping):
        lists = {k: v if isinstance(v, list | tuple) else [v] for k, v in configurations.items()}
        configurations = ParameterGrid(lists)
    names = {kind: name for name, (kind, settings) in MODELS.items() if not settings}
    out = []
    for entry in configurations:
        if isinstance(entry, BaseEstimator):
            out.append((names.get(type(entry), type(entry).__name__), entry))
            continue
        if not isinstance(entry, Mapping) or entry.get("model") not in MODELS:
            raise ValueError(
                f"configurations has {entry!r}; pass an estimator, or a dict with 'model' one of "
                f"{sorted(MODELS)} and its settings."
            )
        settings = {key: value for key, value in entry.items() if key != "model"}
        model = estimator_of(entry["model"])
        unknown = sorted(set(settings) - set(model.get_params()))
        if unknown:
            raise ValueError(
                f"configurations has {unknown}, which {type(model).__name__} does not know; it has "
                f"{sorted(model.get_params())}."
            )
        out.append((entry["model"], model.set_params(**settings)))
    if not out:
        raise ValueError("configurations is empty; give at least one.")
    return out


def _given_split(train: Any, n_rows: int) -> Split:
    mask = np.asarray(train)
    if mask.dtype != bool or mask.shape != (n_rows,) or mask.all() or not mask.any():
        raise ValueError(
            f"train must be {n_rows} booleans, some True (rows to fit) and some False (rows held "
            f"out), got shape {mask.shape} of {mask.dtype}."
        )
    return Split(np.flatnonzero(mask), np.flatnonzero(~mask))


def _labels(source: RowSource, places: Places, split: Split, sizes: str) -> dict[str, Any]:
    """What all rows of the table share."""
    from lowdim import __version__

    digest = hashlib.sha256(sizes.encode())
    rows = np.arange(source.n_rows)
    for start in range(0, source.n_rows, 1000):
        digest.update(dense_rows(source, rows[start : start + 1000]).tobytes())
    for part in (*places, split.train, split.test):
        digest.update(np.ascontiguousarray(part).tobytes())
    return {
        "data": digest.hexdigest()[:12],
        "version": __version__,
        "n_train": len(split.train),
        "n_held_out": len(split.test),
    }


def _settings(model: Any) -> dict[str, Any]:
    """Every argument of the estimator, for the table, and all of them as JSON."""
    plain = {}
    for key, value in model.get_params().items():
        value = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
        simple = value is None or isinstance(value, bool | int | float | str)
        plain[key] = value if simple else json.dumps(value, default=str)
    return {**plain, "configuration": json.dumps(plain, sort_keys=True)}


def _fitted(
    model: Any, source: RowSource, places: Places, split: Split, sizes: str
) -> dict[str, Any]:
    """Results of one configuration, or why there are none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the table tells
        try:
            fit = fit_split(model, source, places, split, sizes)
        except _FAILURES as error:
            return {"error": f"{type(error).__name__}: {error}"}
    own = fit.model
    quality = [_quality("train", fit.train), _quality("held_out", fit.held_out)]
    return {
        "converged": bool(own.converged_),
        "n_iter": int(own.n_iter_),
        "bound": float(own.lower_bound_),
        **quality[0],
        **quality[1],
        "sparsity": sparsity(own.loadings_),
        "cpu_seconds": fit.cpu_seconds,
        "wall_seconds": fit.wall_seconds,
        "error": None,
    }


def _quality(part: str, rows: Judged) -> dict[str, float]:
    """How well some rows are expected."""
    least, squares, own, null, n = np.inf, 0.0, 0.0, 0.0, 0
    paper = np.zeros(4)
    for values, expected, constant in rows.blocks():
        least = min(least, values.min(), expected.min())
        squares += float(np.square(values - expected).sum())
        n += values.size
        if least >= 0:
            own += poisson_deviance(values, expected)
            null += poisson_deviance(values, constant)
            paper += nsf_paper_sums(values, expected)
    out = {f"rmse_{part}": float(np.sqrt(squares / n))}
    if least < 0:
        return out
    return {
        f"deviance_{part}": own / n,
        f"explained_{part}": 1 - own / null if null > 0 else np.nan,
        f"nsf_paper_{part}": nsf_paper_of(paper),
        **out,
    }


def _read(output: Any) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Rows of an earlier table by their key."""
    if output is None or not Path(output).exists():
        return {}
    table = pd.read_csv(output, dtype=dict.fromkeys(KEY, str))
    missing = [column for column in (*KEY, "error") if column not in table]
    if missing:
        raise ValueError(f"output={str(output)!r} has no columns {missing}; name another file.")
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.to_numpy(dtype=object)]
    return {tuple(row[k] for k in KEY): row for row in rows}


def _table(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a table, the long column last."""
    table = pd.DataFrame(list(rows))
    return table[[c for c in table if c != "configuration"] + ["configuration"]]

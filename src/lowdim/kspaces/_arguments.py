"""Check the arguments of `run_EM` before any work."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from lowdim._validation import check_in, check_interval, check_positive_int
from lowdim.data.sources import RowSource
from lowdim.kspaces._engine import Problem
from lowdim.kspaces._given import read_fixed, split_init
from lowdim.kspaces._mixture import ASSIGNMENTS
from lowdim.kspaces._print import say
from lowdim.kspaces._rows import read_points
from lowdim.mixture._subspace.arguments import check_rows

#: kspaces stops when no parameter moves by more than `tol`. Near a maximum the likelihood is flat:
#: it gains the square of what parameters move, and some slow moves are still to come.
TOL_SHARE = 1e-2


def check_problem(
    points: Any,
    kd: Any,
    *,
    assignment: Any,
    max_iter: Any,
    tol: Any,
    batch_size: Any,
    batch_replace: Any,
    init_spaces: Any,
    fixed_spaces: Any,
    min_variance: Any,
    set_noise_equal: Any,
    annealing: tuple[Any, Any] | None,
    silent: bool,
) -> Problem:
    """The fit that the arguments ask for; raises before any work is done."""
    check_in(assignment, "assignment", ASSIGNMENTS)
    check_positive_int(max_iter, "max_iter")
    check_interval(tol, "tol", low=0.0)
    check_interval(min_variance, "min_variance", low=0.0)
    if annealing is not None:
        beta, rate = annealing
        check_interval(beta, "beta_0", low=0.0, high=1.0, closed="right")
        check_interval(rate, "anneal_rate", low=1.0, closed="neither")
        annealing = (float(beta), float(rate))
    source = read_points(points)
    dims = check_kd(kd, source.n_cols)
    fixed = read_fixed(fixed_spaces, source.n_cols)
    start, held = split_init(init_spaces, fixed, source.n_cols)
    if start or len(held) > len(fixed):
        say("init_spaces were given: kd is not used.", silent=silent or not dims)
        dims = [space.d for space in start]
    if not dims:
        raise ValueError("There is no space to learn: pass dimensions in kd, or init_spaces.")
    check_rows(source, dims, name="points")
    _check_range(source, min_variance, silent)
    return Problem(
        source=source,
        kd=dims,
        assignment=assignment,
        max_iter=int(max_iter),
        tol=TOL_SHARE * float(tol) ** 2,
        min_variance=float(min_variance),
        set_noise_equal=bool(set_noise_equal),
        annealing=annealing,
        batch_size=_check_batch(batch_size, source.n_rows),
        batch_replace=bool(batch_replace),
        start=start,
        held=held,
    )


def check_kd(kd: Any, n_columns: int) -> list[int]:
    """The dimensions of the learned spaces."""
    if isinstance(kd, (str, dict)) or not np.iterable(kd):
        raise TypeError(f"kd={kd!r} is no list; pass one dimension per space, as in [2, 1, 0].")
    dims = [check_positive_int(d, f"kd[{i}]", minimum=0) for i, d in enumerate(kd)]
    if dims and max(dims) > n_columns:
        raise ValueError(
            f"kd={dims} asks for {max(dims)} dimensions, but points has {n_columns} columns."
        )
    return dims


def _check_batch(batch_size: Any, n_rows: int) -> int | None:
    if isinstance(batch_size, float) and batch_size == np.inf:
        return None
    size = check_positive_int(batch_size, "batch_size", minimum=2)
    return size if size < n_rows else None


def _check_range(source: RowSource, min_variance: float, silent: bool) -> None:
    """Warn where a floor is so high that it decides the fit."""
    if silent or not min_variance:
        return
    low, high = np.full(source.n_cols, np.inf), np.full(source.n_cols, -np.inf)
    for block in _blocks(source):
        low = np.minimum(low, _flat(block.min(0)))
        high = np.maximum(high, _flat(block.max(0)))
    narrow = np.flatnonzero(high - low < 10 * min_variance)
    if len(narrow):
        warnings.warn(
            f"{len(narrow)} column(s) of points, the first {narrow[0]}, have a range below "
            f"10 min_variance = {10 * min_variance:g}; lower min_variance.",
            UserWarning,
            stacklevel=4,
        )


def _blocks(source: RowSource) -> Iterator[Any]:
    step = max(1, 2**20 // source.n_cols)
    for start in range(0, source.n_rows, step):
        yield source.rows(start, min(start + step, source.n_rows))


def _flat(values: Any) -> np.ndarray:
    dense = values.toarray() if hasattr(values, "toarray") else values
    return np.asarray(dense).ravel()

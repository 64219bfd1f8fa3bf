"""Check a SubspaceMixture's arguments against its data, before any work is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from lowdim._device import resolve_device, resolve_dtype
from lowdim._validation import check_in, check_interval, check_positive_int
from lowdim.data.sources import RowSource
from lowdim.mixture._em import EMOptions
from lowdim.mixture._jobs import check_n_jobs
from lowdim.mixture._subspace.given import GivenComponent, parse_given, parse_start
from lowdim.mixture._subspace.initialize import STRATEGIES
from lowdim.mixture._subspace.minibatch import Minibatches

if TYPE_CHECKING:
    from lowdim.mixture.subspace import SubspaceMixture


@dataclass(frozen=True)
class Arguments:
    """Everything a fit needs, checked.

    ``dims`` are those of the learned components. ``labels``, ``responsibilities``, or ``start``
    (components, and the weights of all) are the start that was given, if any; a start from
    components may come before those of the strategies. ``n_workers`` share the restarts.
    """

    source: RowSource
    dims: list[int]
    options: EMOptions
    strategies: list[str]
    labels: np.ndarray | None
    responsibilities: np.ndarray | None
    start: tuple[list[GivenComponent], np.ndarray] | None
    given: list[GivenComponent]
    minibatches: Minibatches | None
    n_workers: int
    shared_noise: bool
    reassign: bool
    reg_covar: float
    device: torch.device
    dtype: torch.dtype
    verbose: int


def check_arguments(model: SubspaceMixture, source: RowSource) -> Arguments:
    """Check all arguments of ``model`` for rows of ``source``."""
    dims = check_dims(model.n_components, model.dims, source.n_cols)
    check_in(model.assignment, "assignment", ("soft", "hard", "closest"))
    n_init = check_positive_int(model.n_init, "n_init")
    given = parse_given(model.fixed, model.background, source.n_cols)
    strategies: list[str] = []
    labels, shares, start = None, None, None
    if _is_components(model.init):
        start = parse_start(model.init, dims, len(given), source.n_cols)
    else:
        strategies, labels, shares = _check_init(model.init, n_init, source.n_rows, len(dims))
    check_rows(source, dims)
    if model.batch_size is not None:
        check_positive_int(model.batch_size, "batch_size")
    if model.assignment == "closest" and any(component.uniform for component in given):
        raise ValueError("assignment='closest' has no use for a uniform background; drop it.")
    options = EMOptions(
        assignment=model.assignment,
        max_iter=check_positive_int(model.max_iter, "max_iter"),
        tol=check_interval(model.tol, "tol", low=0.0),
        annealing=_check_annealing(model.annealing),
    )
    return Arguments(
        source=source,
        dims=dims,
        options=options,
        strategies=strategies,
        labels=labels,
        responsibilities=shares,
        start=start,
        given=given,
        minibatches=_check_minibatch(model.minibatch_size, dims, options.max_iter, source.n_rows),
        n_workers=min(check_n_jobs(model.n_jobs), max(1, len(strategies))),
        shared_noise=bool(model.shared_noise),
        reassign=bool(model.reassign_dims),
        reg_covar=check_interval(model.reg_covar, "reg_covar", low=0.0, high=1.0, closed="neither"),
        device=resolve_device(model.device),
        dtype=resolve_dtype(model.dtype, source.dtype),
        verbose=int(model.verbose),
    )


def check_dims(n_components: Any, dims: Any, n_columns: int) -> list[int]:
    """The dimension of every learned component."""
    k = check_positive_int(n_components, "n_components")
    if isinstance(dims, (list, tuple, np.ndarray)):
        out = [check_positive_int(d, "dims", minimum=0) for d in np.asarray(dims).tolist()]
        if not out:
            raise ValueError("dims=[] has no components; give one dimension per component.")
        if k not in (1, len(out)):
            raise ValueError(
                f"n_components={k} contradicts dims={out}, which has {len(out)} entries; "
                "give one of them."
            )
    else:
        out = [check_positive_int(dims, "dims", minimum=0)] * k
    if max(out) > n_columns:
        raise ValueError(
            f"dims={dims!r} asks for {max(out)} dimensions, but X has {n_columns} columns; "
            f"every dimension must be between 0 and {n_columns}."
        )
    return out


def check_rows(source: RowSource, dims: list[int], *, name: str = "X") -> None:
    """Raise ValueError where rows are too few for components of these dimensions."""
    least = 2 if len(dims) == 1 else len(dims) + 1
    if source.n_rows < least:
        raise ValueError(
            f"{name} has {source.n_rows} sample(s), but {len(dims)} component(s) need at least "
            f"{least}; pass more rows or ask for fewer components."
        )


def _check_minibatch(size: Any, dims: list[int], max_iter: int, n_rows: int) -> Minibatches | None:
    if size is None:
        return None
    size = check_positive_int(size, "minibatch_size")
    least = sum(dims) + 2 * len(dims)
    if size < least:
        raise ValueError(
            f"minibatch_size={size} is too few rows for components of dimensions {dims}; pass at "
            f"least {least}, better hundreds per component."
        )
    return Minibatches(size, -(-n_rows // size), max_iter) if size < n_rows else None


def _check_annealing(annealing: Any) -> tuple[float, float] | None:
    if annealing is None:
        return None
    if not isinstance(annealing, (tuple, list)) or len(annealing) != 2:
        raise ValueError(f"annealing={annealing!r} is not a pair (beta_0, rate), e.g. (0.1, 1.1).")
    beta, rate = annealing
    return (
        check_interval(beta, "annealing[0] (beta_0)", low=0.0, high=1.0, closed="right"),
        check_interval(rate, "annealing[1] (rate)", low=1.0, closed="neither"),
    )


def _is_components(init: Any) -> bool:
    return isinstance(init, (list, tuple)) and len(init) > 0 and isinstance(init[0], Mapping)


def _check_init(
    init: Any, n_init: int, n_rows: int, k: int
) -> tuple[list[str], np.ndarray | None, np.ndarray | None]:
    if isinstance(init, str):
        check_in(init, "init", ("auto", *STRATEGIES))
        kinds = STRATEGIES if init == "auto" else (init,)
        return [kinds[i % len(kinds)] for i in range(n_init)], None, None
    start = np.asarray(init)
    if start.shape == (n_rows, k) and start.ndim == 2:
        shares = start.astype(np.float64)
        if not np.isfinite(shares).all() or (shares < 0).any() or (shares.sum(1) <= 0).any():
            raise ValueError("init as responsibilities must be nonnegative with positive row sums.")
        return [], None, shares / shares.sum(1, keepdims=True)
    if start.shape == (n_rows,) and start.dtype.kind in "iu":
        valid = start.min() >= 0 and start.max() < k
        if not valid or not np.bincount(start, minlength=k).all():
            raise ValueError(f"init as labels must use every one of 0..{k - 1} and no other.")
        return [], start, None
    raise ValueError(
        f"init must be one of {('auto', *STRATEGIES)}, integer labels of shape ({n_rows},) or "
        f"responsibilities of shape ({n_rows}, {k}), or a list of dicts; got an array of shape "
        f"{start.shape}."
    )

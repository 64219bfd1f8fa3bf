"""Check a GaussianMixture's arguments, before any work is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim._validation import check_in, check_interval, check_positive_int
from lowdim.data.sources import RowSource
from lowdim.mixture._em import EMOptions
from lowdim.mixture._gaussian.covariance import covariances_shape
from lowdim.mixture._gaussian.starts import ALL_STARTS, STARTS
from lowdim.mixture._given_start import check_start

if TYPE_CHECKING:
    from lowdim.mixture.gaussian import GaussianMixture


@dataclass(frozen=True)
class Arguments:
    """Everything a fit needs, checked; given starts are in the data's units.

    ``kinds`` are those of all restarts. ``shares``, (N, K), or parameters may be given to begin
    with; what is given replaces what a start found.
    """

    n_components: int
    options: EMOptions
    kinds: list[str]
    reg: float
    shares: np.ndarray | None
    weights: np.ndarray | None
    means: np.ndarray | None
    precisions: np.ndarray | None


def check_arguments(
    model: GaussianMixture, source: RowSource, *, fitted: bool = False
) -> Arguments:
    """Check all arguments of ``model`` for rows of ``source``; a fitted one needs no start."""
    k = check_positive_int(model.n_components, "n_components")
    if source.n_rows < max(k, 2) and not fitted:
        raise ValueError(
            f"X has {source.n_rows} sample(s), but n_components={k} needs at least {max(k, 2)}; "
            "pass more rows or ask for fewer components."
        )
    if model.batch_size is not None:
        check_positive_int(model.batch_size, "batch_size")
    kinds, shares = ([], None) if fitted else _check_init(model, source.n_rows, k)
    weights = _given(model.weights_init, "weights_init", (k,))
    if weights is not None and ((weights < 0).any() or abs(weights.sum() - 1) > 1e-6):
        raise ValueError(
            f"weights_init must not be negative and must sum to 1, got a sum of {weights.sum():g}."
        )
    d = source.n_cols
    shape = covariances_shape(model.covariance_type, k, d)
    precisions = _given(model.precisions_init, "precisions_init", shape)
    _check_precisions(precisions, model.covariance_type)
    means = _given(model.means_init, "means_init", (k, d))
    if means is not None and weights is not None and precisions is not None:
        kinds = kinds[:1]  # all restarts would be the same
    return Arguments(
        n_components=k,
        options=EMOptions(
            max_iter=check_positive_int(model.max_iter, "max_iter"),
            tol=check_interval(model.tol, "tol", low=0.0),
            accelerate=bool(model.accelerate),
        ),
        kinds=kinds,
        reg=check_interval(model.reg_covar, "reg_covar", low=0.0),
        shares=shares,
        weights=weights,
        means=means,
        precisions=precisions,
    )


def _check_init(model: Any, n_rows: int, k: int) -> tuple[list[str], np.ndarray | None]:
    """The kind of every restart, or given shares."""
    init = model.init_params
    if isinstance(init, str):
        check_in(init, "init_params", ("auto", *STARTS))
        cycle = ALL_STARTS if init == "auto" else (init,)
        n_init = model.n_init
        if isinstance(n_init, str):
            check_in(n_init, "n_init", ("auto",))
            n_init = len(cycle)
        n_init = check_positive_int(n_init, "n_init")
        return [cycle[i % len(cycle)] for i in range(n_init)], None
    return ["given"], check_start(init, "init_params", ("auto", *STARTS), n_rows, k)


def _given(value: Any, name: str, shape: tuple[int, ...]) -> np.ndarray | None:
    if value is None:
        return None
    array = np.asarray(value, dtype=np.float64)
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, expected {shape}.")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} contains NaN or infinity; pass finite numbers.")
    return array


def _check_precisions(precisions: np.ndarray | None, kind: str) -> None:
    if precisions is None:
        return
    if kind in ("diag", "spherical"):
        positive = bool((precisions > 0).all())
    else:
        symmetric = np.allclose(precisions, precisions.swapaxes(-1, -2))
        positive = symmetric and bool((np.linalg.eigvalsh(precisions) > 0).all())
    if not positive:
        raise ValueError("precisions_init must be positive (and symmetric, if matrices).")

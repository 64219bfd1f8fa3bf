"""First layouts."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from lowdim._threads import serial_blas
from lowdim._validation import check_in
from lowdim.embedding._spectral.eigenmaps import laplacian_eigenmaps, spectral_layout

__all__ = ["check_init", "first_layout", "laplacian_eigenmaps", "needs_rows"]

INITS = ("auto", "pca", "spectral", "random")
#: Standard deviation of a first layout along its first axis.
SPREAD = 1e-4
#: Standard deviation of what is added at random, relative to the spread: equal rows must part.
JITTER = 1e-2
#: The same, relative to the reach.
REACH_JITTER = 1e-5


def check_init(init: Any, n_rows: int, n_components: int, *, has_rows: bool) -> Any:
    """One of the names, resolved, an estimator, or a checked layout.

    Raises
    ------
    ValueError
        There is no such name; a layout has another shape or is not finite; or "pca" or an estimator
        without rows.
    """
    if isinstance(init, str):
        check_in(init, "init", INITS)
        if init == "pca" and not has_rows:
            raise ValueError("init='pca' needs rows, and only a graph is known; pass 'spectral'.")
        return init if init != "auto" else "pca" if has_rows else "spectral"
    if _is_estimator(init):
        if not has_rows:
            raise ValueError(
                f"init={type(init).__name__} needs rows, and only a graph is known; pass "
                "'spectral' or places."
            )
        return init
    layout = np.asarray(init, dtype=np.float64)
    if layout.shape != (n_rows, n_components):
        raise ValueError(
            f"init has shape {layout.shape}, expected ({n_rows}, {n_components}): one place per "
            "row."
        )
    if not np.isfinite(layout).all():
        raise ValueError("init contains NaN or infinity; pass finite places.")
    return layout


def needs_rows(init: Any) -> bool:
    """Whether `first_layout` needs the rows: for their components, or those of an estimator."""
    return init == "pca" if isinstance(init, str) else _is_estimator(init)


def first_layout(
    init: Any,
    n_components: int,
    rows: Any,
    graph: sp.csr_matrix,
    rng: np.random.Generator,
    *,
    reach: float | None = None,
) -> np.ndarray:
    """Where the rows begin, (N, c), float64.

    Parameters
    ----------
    init : str, estimator or ndarray
        As `check_init` returns it; an array is taken as it is. Of an estimator the first columns of
        its `transform` are taken, or, if it has `reconstruct`, the leading principal components of
        what that returns: the coordinates of a mixture of subspaces have other axes in each
        component. One that is not fitted is cloned and fitted to the rows.
    n_components : int
        c.
    rows : ndarray, CSR or None, (N, D)
    graph : CSR, (N, N)
        Symmetric affinities.
    rng : Generator
    reach : float, optional
        Largest coordinate; by default the standard deviation along the first axis is `SPREAD`.
    """
    if not (isinstance(init, str) or _is_estimator(init)):
        return np.array(init, dtype=np.float64)
    shape = graph.shape[0], n_components
    if isinstance(init, str) and init == "random":
        if reach is None:
            return rng.normal(scale=SPREAD, size=shape)
        return rng.uniform(-reach, reach, size=shape)
    if not isinstance(init, str):
        layout = _coordinates(init, n_components, rows, rng)
    elif init == "pca":
        layout = principal_components(rows, n_components, rng)
    else:
        layout = spectral_layout(graph, n_components, rng)
    if reach is None:
        now, wanted, jitter = layout[:, 0].std(), SPREAD, JITTER
    else:
        layout -= 0.5 * (layout.max(0) + layout.min(0))
        now, wanted, jitter = np.abs(layout).max(), reach, REACH_JITTER
    layout *= wanted / now if now > 0 else 0.0
    return layout + rng.normal(scale=jitter * wanted, size=shape)


def principal_components(rows: Any, n_components: int, rng: np.random.Generator) -> np.ndarray:
    """Coordinates along the leading axes, (N, c); zero where there are not so many axes."""
    from sklearn.decomposition import PCA

    layout = np.zeros((rows.shape[0], n_components))
    c = min(n_components, *rows.shape)
    if sp.issparse(rows) and c == min(rows.shape):
        rows = rows.toarray()
    model = PCA(c, random_state=int(rng.integers(2**31)))
    # One thread: sums of several are rounded otherwise. Constant columns have no explained ratios.
    with serial_blas(), np.errstate(divide="ignore", invalid="ignore"):
        layout[:, :c] = model.fit_transform(rows)
    return layout


def _is_estimator(init: Any) -> bool:
    return hasattr(init, "fit") and hasattr(init, "transform")


def _coordinates(model: Any, n_components: int, rows: Any, rng: np.random.Generator) -> np.ndarray:
    """What an estimator makes of the rows, (N, c).

    Raises
    ------
    ValueError
        It is not one finite place for each row.
    """
    try:
        check_is_fitted(model)
    except NotFittedError:
        model = clone(model).fit(rows)
    if hasattr(model, "reconstruct"):
        return principal_components(np.asarray(model.reconstruct(rows)), n_components, rng)
    made = model.transform(rows)
    made = np.asarray(made.toarray() if sp.issparse(made) else made, dtype=np.float64)
    if made.ndim != 2 or len(made) != rows.shape[0] or not np.isfinite(made).all():
        raise ValueError(
            f"init={type(model).__name__} has a transform of shape {made.shape}, or with NaN or "
            f"infinity; expected ({rows.shape[0]}, c) finite coordinates."
        )
    layout = np.zeros((len(made), n_components))
    c = min(n_components, made.shape[1])
    layout[:, :c] = made[:, :c]
    return layout

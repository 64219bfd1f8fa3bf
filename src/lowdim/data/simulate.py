"""Simulated mixtures of affine subspaces, with everything about them known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from lowdim._random import generator
from lowdim._validation import check_interval, check_positive_int

if TYPE_CHECKING:
    from lowdim._typing import Float64Array, IntArray, RandomState


@dataclass(frozen=True)
class SimulatedSubspaces:
    """Rows drawn from a mixture of affine subspaces, and the mixture.

    Row i with label k is Gaussian around `means[k]` with variance `latent_variances[k]` along the
    rows of `bases[k]` and `noise_variances[k]` in all other directions.

    Attributes
    ----------
    X
        The rows, (N, D), float64.
    labels
        The component of each row, (N,).
    weights
        The mixing proportions, (K,), which sum to one.
    means
        A point of each subspace, (K, D).
    bases
        K arrays (d_k, D) with orthonormal rows.
    latent_variances
        K arrays (d_k,): the variance along each row of the basis, noise included, descending.
    noise_variances
        The variance in every direction off the subspace, (K,).
    """

    X: Float64Array
    labels: IntArray
    weights: Float64Array
    means: Float64Array
    bases: list[Float64Array]
    latent_variances: list[Float64Array]
    noise_variances: Float64Array


def subspaces(
    n_rows: int | Sequence[int],
    dims: Sequence[int],
    n_columns: int,
    *,
    weights: Sequence[float] | None = None,
    noise: float | Sequence[float] = 1.0,
    latent: float | Sequence[float | Sequence[float]] = 4.0,
    separation: float = 20.0,
    random_state: RandomState = None,
) -> SimulatedSubspaces:
    """Plant subspaces in random positions and draw rows around them.

    Parameters
    ----------
    n_rows
        N, each row's component being drawn with `weights` (so that a rare one can be missing); or
        the exact number of rows of each component, which then come in that order.
    dims
        The dimension of each component, d_k >= 0 and below `n_columns`; K of them.
    n_columns
        D.
    weights
        Mixing proportions, K positive numbers, normalised to sum to one; by default equal. Only
        with a single `n_rows`.
    noise
        Standard deviation in all D directions, >= 0, one or K.
    latent
        Standard deviation within the subspace before noise, > 0: one for all, or K of which each
        is one number or d_k.
    separation
        Typical distance between two means (its root mean square), in the same unit.
    random_state
        Seed or generator.

    Returns
    -------
    The rows and the mixture that they come from.

    Raises
    ------
    TypeError, ValueError
        An argument of the wrong type, length or range.
    """
    rng = generator(random_state)
    n_columns = check_positive_int(n_columns, "n_columns")
    dims = _check_dims(dims, n_columns)
    n_components = len(dims)
    noise_sd = _repeated(noise, n_components, "noise")
    latent_sd = _latent_sd(latent, dims)
    separation = check_interval(separation, "separation", low=0.0)
    proportions, labels = _draw_labels(n_rows, weights, n_components, rng)

    # Two independent means differ by twice their variance in each of D columns.
    scale = separation / np.sqrt(2 * n_columns)
    means = scale * rng.standard_normal((n_components, n_columns))
    bases = [np.linalg.qr(rng.standard_normal((n_columns, d)))[0].T.copy() for d in dims]
    return _draw_rows(labels, proportions, means, bases, latent_sd, noise_sd, rng)


def toy(random_state: RandomState = 0) -> SimulatedSubspaces:
    """Draw 4,600 points in 3-D: a plane, a thin line, a blob and a thick line across the plane.

    Labels 0 to 3 name them in this order: dimensions 2, 1, 0, 1 with 4000, 200, 100, 300 points,
    which come in that order.

    Parameters
    ----------
    random_state
        Seed or generator.

    Returns
    -------
    The points and the mixture that they come from.

    Raises
    ------
    TypeError, ValueError
        `random_state` is not one.
    """
    counts = np.array([4000, 200, 100, 300])
    means = np.array([[2.0, 2.0, 0.0], [0.0, 6.0, 6.0], [7.0, -8.0, 9.0], [0.0, 6.0, 3.0]])
    directions = [
        np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.3]]),
        np.array([[1.0, 1.0, 1.0]]),
        np.empty((0, 3)),
        np.array([[-1.0, 1.0, 3.0]]),
    ]
    bases = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in directions]
    latent_sd = [np.array([4.0, 4.0]), np.array([6.0]), np.empty(0), np.array([5.0])]
    noise_sd = np.array([0.1, 0.1, 2.0, 1.0])
    labels = np.repeat(np.arange(4), counts)
    return _draw_rows(
        labels, counts / counts.sum(), means, bases, latent_sd, noise_sd, generator(random_state)
    )


def _draw_rows(
    labels: IntArray,
    weights: Float64Array,
    means: Float64Array,
    bases: list[Float64Array],
    latent_sd: list[Float64Array],
    noise_sd: Float64Array,
    rng: np.random.Generator,
) -> SimulatedSubspaces:
    """Draw the rows of components that are fully specified."""
    X = rng.standard_normal((len(labels), means.shape[1]))
    for k, (basis, sd) in enumerate(zip(bases, latent_sd, strict=True)):
        mine = np.flatnonzero(labels == k)
        latents = sd * rng.standard_normal((len(mine), len(sd)))
        X[mine] = means[k] + latents @ basis + noise_sd[k] * X[mine]
    return SimulatedSubspaces(
        X=X,
        labels=labels,
        weights=weights,
        means=means,
        bases=bases,
        latent_variances=[sd**2 + s**2 for sd, s in zip(latent_sd, noise_sd, strict=True)],
        noise_variances=noise_sd**2,
    )


def _draw_labels(
    n_rows: int | Sequence[int],
    weights: Sequence[float] | None,
    n_components: int,
    rng: np.random.Generator,
) -> tuple[Float64Array, IntArray]:
    """Mixing proportions (K,) and the component of each row (N,)."""
    if isinstance(n_rows, (int, float, np.number)):
        total = check_positive_int(n_rows, "n_rows")
        shares = _repeated(
            1.0 if weights is None else weights, n_components, "weights", positive=True
        )
        proportions = shares / shares.sum()
        return proportions, rng.choice(n_components, size=total, p=proportions)
    if weights is not None:
        raise ValueError(
            "weights and a list of n_rows both set the sizes; pass n_rows as one int, or leave "
            "weights out."
        )
    counts = np.array([check_positive_int(n, "n_rows", minimum=0) for n in n_rows])
    if len(counts) != n_components or not counts.sum():
        raise ValueError(
            f"n_rows={n_rows!r} must have one count for each of the {n_components} dims, not all "
            "of them zero."
        )
    return counts / counts.sum(), np.repeat(np.arange(n_components), counts)


def _check_dims(dims: Sequence[int], n_columns: int) -> list[int]:
    """The dimensions as ints, each in [0, D)."""
    if np.ndim(dims) != 1 or len(dims) == 0:
        raise ValueError(f"dims={dims!r} must list the dimension of each component, like [2, 1].")
    checked = [check_positive_int(d, "dims", minimum=0) for d in dims]
    if max(checked) >= n_columns:
        raise ValueError(
            f"dims={dims!r} must all be below n_columns={n_columns}: a subspace with all "
            "dimensions has no direction left for noise."
        )
    return checked


def _repeated(
    value: float | Sequence[float], n: int, name: str, *, positive: bool = False
) -> Float64Array:
    """One number or `n` numbers as `n` numbers, >= 0 or, if `positive`, > 0."""
    each = [value] * n if isinstance(value, (int, float, np.number)) else list(value)
    if len(each) != n:
        raise ValueError(f"{name}={value!r} must be one number or {n} numbers.")
    closed: Literal["both", "neither"] = "neither" if positive else "both"
    return np.array([check_interval(v, name, low=0.0, closed=closed) for v in each], dtype=float)


def _latent_sd(
    latent: float | Sequence[float | Sequence[float]], dims: list[int]
) -> list[Float64Array]:
    """Standard deviations along each basis, descending: K arrays (d_k,)."""
    if isinstance(latent, (int, float, np.number)):
        return [_repeated(latent, d, "latent", positive=True) for d in dims]
    if len(latent) != len(dims):
        raise ValueError(f"latent={latent!r} must be one number or {len(dims)}, one per dims.")
    each = [_repeated(sd, d, "latent", positive=True) for sd, d in zip(latent, dims, strict=True)]
    return [np.sort(sd)[::-1].copy() for sd in each]

"""Orthonormal axes from whatever spans a subspace."""

from __future__ import annotations

from typing import Any

import numpy as np

from lowdim._typing import Float64Array

#: Axes whose products differ from those of orthonormal ones by less are kept bit for bit.
ROUNDING = 1e-12


def as_vectors(vectors: Any, n_columns: int) -> Float64Array:
    """Check that vectors are d independent rows of D finite numbers, (d, D); d may be zero.

    Raises
    ------
    ValueError
        Another shape, more than D rows, NaN, a zero vector, or linearly dependent rows.
    """
    rows = np.asarray(vectors, dtype=np.float64)
    if rows.size == 0:
        return np.zeros((0, n_columns))
    if rows.ndim != 2 or rows.shape[1] != n_columns:
        raise ValueError(
            f"vectors has shape {rows.shape}, expected (d, {n_columns}); pass one row per axis, "
            "as many numbers in each as translation has."
        )
    if len(rows) > n_columns:
        raise ValueError(
            f"vectors has {len(rows)} rows, but no subspace of D={n_columns} has more than "
            f"{n_columns} dimensions."
        )
    if not np.isfinite(rows).all():
        raise ValueError("vectors contains NaN or infinity; pass finite numbers.")
    zero = ~rows.any(1)
    if zero.any():
        raise ValueError(f"vectors[{int(zero.argmax())}] is zero and has no direction; drop it.")
    if np.linalg.matrix_rank(unit(rows)) < len(rows):
        raise ValueError("vectors has linearly dependent rows; drop those that add no direction.")
    return rows


def unit(rows: Float64Array) -> Float64Array:
    """Rows of length one."""
    rows = rows / np.abs(rows).max(1, keepdims=True)  # squares neither overflow nor vanish
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def is_orthonormal(rows: Float64Array) -> bool:
    """Whether the rows are orthonormal to rounding."""
    return bool(np.abs(rows @ rows.T - np.eye(len(rows))).max(initial=0.0) <= ROUNDING)


def orthonormal(vectors: Any, n_columns: int) -> Float64Array:
    """Orthonormal axes of the span of d vectors, (d, D), each as close to its vector as can be.

    Axes that are orthonormal already are returned as they are. Orthogonal ones are divided by
    their length. Others are turned as little as possible (the polar factor of the unit vectors),
    so that what belongs to a vector still belongs to its axis.

    Raises
    ------
    ValueError
        As `as_vectors`.
    """
    rows = as_vectors(vectors, n_columns)
    if is_orthonormal(rows):
        return rows
    if len(rows) == 1:
        return of_length_one(rows)
    rows = unit(rows)
    if is_orthonormal(rows):
        return rows
    left, _, right = np.linalg.svd(rows, full_matrices=False)
    return left @ right


def of_length_one(row: Float64Array) -> Float64Array:
    """A single vector, (1, D), scaled until its length is 1.0 to the last bit.

    kspaces divides a single vector by its length whenever it reads one, and then leaves this one
    as it is. Dividing seldom suffices; then entries move by their last bit, the largest first.
    """
    row = unit(row)
    order = np.argsort(-np.abs(row[0]))
    for i in np.resize(order, 4 * len(order)):
        length = np.linalg.norm(row)
        if length == 1.0:
            break
        row[0, i] = np.nextafter(row[0, i], np.sign(row[0, i]) * (2.0 if length < 1 else 0.0))
    return row


def principal(vectors: Any, n_columns: int) -> Float64Array:
    """The same span's left singular axes, or orthonormal rows as they are, (d, D)."""
    rows = as_vectors(vectors, n_columns)
    if len(rows) < 2 or is_orthonormal(rows):
        return orthonormal(rows, n_columns)
    left: Float64Array = np.linalg.svd(rows.T, full_matrices=False)[0]
    return left.T

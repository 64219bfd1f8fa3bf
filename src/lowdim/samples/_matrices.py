"""Distances between samples as they are given: a square table, with or without names."""

from __future__ import annotations

from typing import Any

import numpy as np

from lowdim.samples._rows import listed

#: What a distance may differ from its mirror image or, on the diagonal, from zero: a share of the
#: largest.
SLACK = 1e-6


def read_distances(distances: Any, *, least: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """The distances as exactly symmetric float64, (S, S), and the samples' names, (S,).

    Names are those of a DataFrame's rows, else "0", "1", ...

    Raises
    ------
    ValueError
        It is not square, not symmetric, not of numbers that are finite and not negative, has
        something on the diagonal, or fewer than `least` samples.
    """
    names = getattr(distances, "index", None)
    columns = getattr(distances, "columns", None)
    matrix = np.array(distances, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"distances has shape {matrix.shape}; pass a square matrix, (S, S).")
    if len(matrix) < least:
        raise ValueError(f"distances is of {len(matrix)} sample(s); this needs {least} or more.")
    if names is None or columns is None:
        named = np.array([str(s) for s in range(len(matrix))], dtype=object)
    else:
        named = np.array([str(name) for name in names], dtype=object)
        if [str(name) for name in columns] != list(named):
            raise ValueError("distances has rows and columns of other names; reindex one of them.")
    _check_values(matrix, named)
    matrix = (matrix + matrix.T) / 2
    np.fill_diagonal(matrix, 0.0)
    return matrix, named


def _check_values(matrix: np.ndarray, names: np.ndarray) -> None:
    bad = ~np.isfinite(matrix) | (matrix < 0)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(
            f"distances has {int(bad.sum())} value(s) that are negative or not finite, the first "
            f"{matrix[row, column]:g} between {listed(names[[row, column]])}."
        )
    slack = SLACK * matrix.max()
    own = np.diagonal(matrix)
    if (own > slack).any():
        raise ValueError(
            f"distances has {own.max():g} on the diagonal, at {listed(names[[own.argmax()]])}; no "
            "sample is away from itself. Costs of entropic plans are: pass what is left without "
            "the samples' own, or set the diagonal to zero."
        )
    gap = np.abs(matrix - matrix.T)
    if (gap > slack).any():
        row, column = np.unravel_index(gap.argmax(), gap.shape)
        raise ValueError(
            f"distances is not symmetric: {matrix[row, column]:g} from {names[row]!r} to "
            f"{names[column]!r}, and {matrix[column, row]:g} back."
        )

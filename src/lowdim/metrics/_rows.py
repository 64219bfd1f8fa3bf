"""Rows that measures of layouts look at, and their distances, block by block: never all pairs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from lowdim._random import generator
from lowdim._validation import check_positive_int, check_source
from lowdim.data.sources import as_rows

#: Distances in memory at once.
BLOCK_VALUES = 2**23


def read_matrix(X: Any, name: str) -> Any:
    """Finite rows, (N, D), an array or CSR."""
    source = as_rows(X, name=name)
    check_source(source, name=name)
    return source.rows(0, source.n_rows)


def read_pair(X: Any, layout: Any) -> tuple[Any, np.ndarray]:
    """Rows, (N, D), and their layout, (N, d).

    Raises
    ------
    TypeError, ValueError
        One of them is no finite matrix, or they differ in their number of rows.
    """
    rows, places = read_matrix(X, "X"), read_matrix(layout, "layout")
    if rows.shape[0] != places.shape[0]:
        raise ValueError(
            f"layout has {places.shape[0]} rows, expected {rows.shape[0]} as X has: the same rows "
            "in the same order."
        )
    return rows, np.asarray(places, dtype=np.float64)


def read_sizes(n_neighbors: Any, most: int) -> list[int]:
    """One number of neighbours, or several.

    Raises
    ------
    TypeError, ValueError
        One is no integer, or not between 1 and `most`.
    """
    sizes = [
        check_positive_int(k, "n_neighbors")
        for k in np.atleast_1d(np.asarray(n_neighbors)).tolist()
    ]
    if not sizes:
        raise ValueError("n_neighbors is empty; pass a number of neighbours, or several.")
    if max(sizes) > most:
        raise ValueError(
            f"n_neighbors={max(sizes)} is too large for so few rows; pass at most {most}."
        )
    return sizes


def chosen_rows(n: int, sample_size: Any, random_state: Any) -> np.ndarray:
    """Numbers of the rows to look at, ascending: all of them, or so many at random."""
    if sample_size is None or check_positive_int(sample_size, "sample_size") >= n:
        return np.arange(n)
    return np.sort(generator(random_state).choice(n, sample_size, replace=False))


def distance_blocks(
    rows: Any, chosen: np.ndarray, metric: str
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Numbers of some rows, (b,), and their distances to all rows, (b, N), infinite to themselves.

    `metric` is one that `sklearn.metrics.pairwise_distances` knows.
    """
    from sklearn.metrics import pairwise_distances

    step = max(1, BLOCK_VALUES // rows.shape[0])
    for start in range(0, len(chosen), step):
        own = chosen[start : start + step]
        distances = np.asarray(pairwise_distances(rows[own], rows, metric=metric))
        distances[np.arange(len(own)), own] = np.inf
        yield own, distances


def nearest(distances: np.ndarray, k: int) -> np.ndarray:
    """Columns of the k least of each row, ascending, (b, k)."""
    some = np.argpartition(distances, k - 1, axis=1)[:, :k]
    order = np.argsort(np.take_along_axis(distances, some, 1), axis=1, kind="stable")
    return np.take_along_axis(some, order, 1)

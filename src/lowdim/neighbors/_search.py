"""Nearest neighbours by looking at stretches of points, exactly or in chosen cells."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from lowdim._threads import in_threads, serial_blas
from lowdim.neighbors._points import Found, Points

#: Points whose distances to a block of queries are computed together: they stay in the caches.
TILE = 1024

Stretch = tuple[int, int, np.ndarray]
"""First and last position (exclusive) of points, and which rows look at them, ascending."""


def spare(k: int) -> int:
    """Candidates that are kept for k neighbours, until distances are computed exactly."""
    return k + 8 + k // 8


def search_block(
    points: Points,
    rows: Any,
    own: np.ndarray,
    stretches: Iterable[Stretch],
    k: int,
    *,
    certain: bool,
) -> Found:
    """The k nearest to each row among the points of some stretches.

    Parameters
    ----------
    points
    rows : (n, D)
        Queries, in the units of the points.
    own : (n,), int64
        Position of a point that is passed over, as of the row itself; -1 for none.
    stretches
        Of points, those first that are likely to be near.
    k : int
    certain : bool
        All points are among the stretches, and neighbours must be the nearest whatever the
        rounding.

    Returns
    -------
    positions, distances : (n, k), int64 and float32
        Nearest first, of those at the same distance the lower position.
    """
    from lowdim.neighbors._select import absorb

    kept, queries = min(spare(k), points.n_points), points.queries(rows)
    n = len(queries.offsets)
    state = (
        np.empty((n, 2 * kept + 32), np.uint64),
        np.zeros(n, np.int64),
        np.full(n, np.inf, np.float32),
    )
    room = np.empty(n * TILE, np.float32)
    for first, last, which in stretches:
        for start in range(first, last, TILE):
            gaps = queries.gaps(start, min(start + TILE, last), which, room)
            absorb(gaps, start, which, own, queries.offsets, kept, state)
    return queries.settle(own, k, kept, state, certain)


def search_all(
    points: Points,
    rows: Any,
    k: int,
    *,
    own: np.ndarray | None = None,
    n_threads: int | None = None,
) -> Found:
    """The k nearest of all points to each row, exactly.

    Parameters
    ----------
    own : (n,), optional
        Position of a point that is passed over for each row.
    """
    n = rows.shape[0]
    own = np.full(n, -1, np.int64) if own is None else own
    block = points.block_rows
    parts = [slice(start, min(start + block, n)) for start in range(0, n, block)]

    def one(part: slice) -> Found:
        everything = [(0, points.n_points, np.arange(part.stop - part.start))]
        return search_block(points, rows[part], own[part], everything, k, certain=True)

    return joined(one, parts, n_threads)


def joined(one: Callable[[Any], Found], tasks: list[Any], n_threads: int | None) -> Found:
    """What was found for blocks of queries, one after the other; int32 and float32."""
    with serial_blas():
        found = in_threads(one, tasks, n_threads=n_threads)
    indices = np.concatenate([own[0].astype(np.int32) for own in found])
    return indices, np.concatenate([own[1] for own in found])

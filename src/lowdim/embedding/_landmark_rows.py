"""Rows that stand for all."""

from __future__ import annotations

import numpy as np

from lowdim._threads import serial_blas
from lowdim.data.sources import RowSource
from lowdim.embedding._spectral.centred_rows import blocks

SELECTIONS = ("random", "k-means++")
#: Passes over the rows in which landmarks far from each other are drawn.
ROUNDS = 16
#: Weight of a row that equals a landmark: it is drawn when no other is left.
COPY = 1e-300


def landmark_rows(
    source: RowSource, n_landmarks: int, selection: str, rng: np.random.Generator
) -> np.ndarray:
    """Numbers of so many rows, (L,), ascending.

    Parameters
    ----------
    source : RowSource
    n_landmarks : int
        L, at most N.
    selection : {"random", "k-means++"}
        All rows alike; or each in proportion to its squared Euclidean distance from the nearest
        landmark of the rounds before, drawn in `ROUNDS` rounds (Bahmani and others 2012, Scalable
        k-means++).
    rng : Generator
    """
    if selection == "random":
        return np.sort(rng.choice(source.n_rows, n_landmarks, replace=False))
    nearest = np.ones(source.n_rows)
    chosen = np.zeros(source.n_rows, dtype=bool)
    sizes = np.diff(np.linspace(0, n_landmarks, ROUNDS + 1).astype(int))
    for number, size in enumerate(sizes[sizes > 0]):
        drawn = _drawn(nearest, np.flatnonzero(~chosen), size, rng)
        chosen[drawn] = True
        _lower(nearest, source, drawn, first=number == 0)
    return np.flatnonzero(chosen)


def _drawn(
    weights: np.ndarray, left: np.ndarray, size: int, rng: np.random.Generator
) -> np.ndarray:
    """So many of the rows left, ascending, one after the other in proportion to their weights.

    The first of exponential waiting times are those of such draws (Efraimidis and Spirakis 2006).
    """
    times = rng.exponential(size=len(left)) / np.maximum(weights[left], COPY)
    first = np.argpartition(times, size - 1)[:size]
    return np.sort(left[first])


def _lower(nearest: np.ndarray, source: RowSource, drawn: np.ndarray, *, first: bool) -> None:
    """Bring every row's squared distance from its nearest landmark up to date."""
    points = source.take(drawn)
    points = points if isinstance(points, np.ndarray) else points.toarray()
    centre = points.mean(0, dtype=np.float64)
    points = points - centre
    lengths = np.einsum("ij,ij->i", points, points)
    begin = 0
    with serial_blas():  # sums of several threads are rounded otherwise
        for rows in blocks(source, len(drawn)):
            if isinstance(rows, np.ndarray):
                rows = rows - centre
                own, products = np.einsum("ij,ij->i", rows, rows), rows @ points.T
            else:
                own = np.asarray(rows.multiply(rows).sum(1)).ravel() - 2.0 * (rows @ centre)
                own, products = own + centre @ centre, rows @ points.T - points @ centre
            squares = (lengths - 2.0 * products).min(1) + own
            end = begin + len(squares)
            if not first:
                squares = np.minimum(squares, nearest[begin:end])
            nearest[begin:end] = np.maximum(squares, 0.0)
            begin = end

"""Approximate neighbours: rows are grouped in cells, and sought in those around their own."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from lowdim.neighbors._points import Found, SquaredPoints
from lowdim.neighbors._search import Stretch, joined, search_all, search_block

#: Cells that each row looks into.
PROBES = 16
#: Steps of k-means that make the cells, and the rows per cell that it sees.
STEPS, ROWS_PER_CELL = 6, 64
#: Rows that are looked at together.
BLOCK = 256


class Cells:
    """Dense rows in cells around centroids, an inverted file (Sivic and Zisserman 2003).

    There are as many cells as the root of the number of rows, and a row looks into those whose
    centroids are nearest to it. Rows are gone through in the order of their cells, so that many of
    a block look into the same ones, and distances are products of matrices.

    Parameters
    ----------
    rows : (N, D), float32
    centroids : (C, D), float32
    order : (N,), int32
        Rows by cell.
    edges : (C + 1,), int64
        Where the rows of a cell begin in `order`.
    n_threads : int
    """

    def __init__(
        self,
        rows: np.ndarray,
        centroids: np.ndarray,
        order: np.ndarray,
        edges: np.ndarray,
        n_threads: int,
    ) -> None:
        self.centroids, self.order, self.edges = SquaredPoints(centroids), order, edges
        self.points = SquaredPoints(rows[order])
        self.n_threads = n_threads

    @classmethod
    def around(cls, rows: np.ndarray, rng: np.random.Generator, n_threads: int) -> Self:
        """Cells around the means of k-means, whose starts `rng` draws."""
        n_cells = max(1, round(np.sqrt(len(rows))))
        centroids = _centroids(rows, n_cells, rng, n_threads)
        labels = search_all(centroids, rows, 1, n_threads=n_threads)[0][:, 0]
        order = np.argsort(labels, kind="stable").astype(np.int32)
        edges = np.searchsorted(labels[order], np.arange(n_cells + 1))
        return cls(rows, centroids.rows, order, edges, n_threads)

    def neighbors(self, k: int) -> Found:
        """The k nearest other rows of every row, in the order of the rows."""
        found = self._search(self.points.rows, k, own=True)
        return self._in_order(found, self.order)

    def query(self, rows: np.ndarray, k: int) -> Found:
        """The k nearest rows of some new rows."""
        order = np.argsort(self._around(rows, 1)[:, 0], kind="stable")
        return self._in_order(self._search(rows[order], k, own=False), order)

    def _around(self, rows: np.ndarray, n_cells: int) -> np.ndarray:
        """The cells whose centroids are nearest to each row, (n, n_cells)."""
        return search_all(self.centroids, rows, n_cells, n_threads=self.n_threads)[0]

    def _search(self, rows: np.ndarray, k: int, *, own: bool) -> Found:
        """Neighbours of rows that lie in the order of their cells."""
        probes = self._probes(rows, k + 1)
        tasks = [slice(start, start + BLOCK) for start in range(0, len(rows), BLOCK)]

        def one(part: slice) -> Found:
            block, cells = rows[part], probes[part]
            mine = np.arange(part.start, part.start + len(block))
            if not own:
                mine = np.full(len(block), -1)
            return search_block(self.points, block, mine, self._stretches(cells), k, certain=False)

        return joined(one, tasks, self.n_threads)

    def _probes(self, rows: np.ndarray, needed: int, n_probes: int = PROBES) -> np.ndarray:
        """Cells that each row looks into, (n, at least PROBES), with enough points in them.

        Rows that need more cells have them; -1 fills up the others, whose cells do not depend on
        the company.
        """
        sizes = np.diff(self.edges)
        n_probes = min(n_probes, len(sizes))
        probes = self._around(rows, n_probes)
        lacking = sizes[probes].sum(1) < needed
        if not lacking.any() or n_probes == len(sizes):
            return probes
        more = self._probes(rows[lacking], needed, 2 * n_probes)
        filled = np.full((len(rows), more.shape[1]), -1, probes.dtype)
        filled[:, :n_probes] = probes
        filled[lacking] = more
        return filled

    def _stretches(self, probes: np.ndarray) -> list[Stretch]:
        """Points of the cells that some rows look into, the nearest cells of most rows first."""
        n, n_probes = probes.shape
        cells, rows = probes.T.ravel(), np.tile(np.arange(n), n_probes)
        cells, rows = cells[cells >= 0], rows[cells >= 0]
        order = np.argsort(cells, kind="stable")
        found, starts = np.unique(cells[order], return_index=True)
        groups = np.split(rows[order], starts[1:])
        rank = np.array([order[start] for start in starts])  # when each cell first comes up
        edges = self.edges
        return [
            (int(edges[found[g]]), int(edges[found[g] + 1]), np.sort(groups[g]))
            for g in np.argsort(rank)
        ]

    def _in_order(self, found: Found, order: np.ndarray) -> Found:
        indices, distances = np.empty_like(found[0]), np.empty_like(found[1])
        indices[order], distances[order] = self.order[found[0]], found[1]
        return indices, distances


def _centroids(
    rows: np.ndarray, n_cells: int, rng: np.random.Generator, n_threads: int
) -> SquaredPoints:
    """A few steps of k-means on some of the rows."""
    n_seen = min(len(rows), n_cells * ROWS_PER_CELL)
    seen = rows[np.sort(rng.choice(len(rows), n_seen, replace=False))]
    points = SquaredPoints(seen[rng.choice(n_seen, n_cells, replace=False)])
    for _ in range(STEPS):
        labels = search_all(points, seen, 1, n_threads=n_threads)[0][:, 0]
        points = SquaredPoints(_means(seen, labels, points.rows))
    return points


def _means(rows: np.ndarray, labels: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Means of the rows of each cell; an empty one stays where it was."""
    from scipy.sparse import csr_matrix

    n_cells = len(before)
    member: Any = csr_matrix(
        (np.ones(len(rows), np.float32), (labels, np.arange(len(rows)))), (n_cells, len(rows))
    )
    counts = np.bincount(labels, minlength=n_cells)[:, None]
    means = member @ rows / np.maximum(counts, 1)
    return np.where(counts > 0, means, before).astype(np.float32)

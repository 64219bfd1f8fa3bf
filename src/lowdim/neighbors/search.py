"""Nearest neighbours of rows: one call, or an index that answers again."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from lowdim._device import resolve_device
from lowdim._random import generator
from lowdim._threads import check_n_threads
from lowdim._validation import check_in, check_positive_int
from lowdim.neighbors._neighbors import Neighbors
from lowdim.neighbors._points import (
    Found,
    GivenDistances,
    ManhattanPoints,
    Points,
    SparsePoints,
    SquaredPoints,
)
from lowdim.neighbors._search import search_all
from lowdim.neighbors._space import METRICS, Space, read

if TYPE_CHECKING:
    from lowdim._typing import DeviceLike

logger = logging.getLogger("lowdim")

METHODS = ("auto", "exact", "approximate", "faiss")
#: Rows up to which "auto" searches exactly; sparse rows, Manhattan and given distances always.
EXACT_ROWS = 20_000
#: Rows whose neighbours are sought exactly as well, to measure the recall.
RECALL_ROWS = 500


@dataclass(frozen=True)
class CellsState:
    """Cells of an approximate index: centroids, (C, D), rows by cell, (N,), edges, (C + 1,)."""

    centroids: np.ndarray
    order: np.ndarray
    edges: np.ndarray


@dataclass(frozen=True)
class IndexState:
    """All that an index is made of, as a file holds it.

    Attributes
    ----------
    metric, method : str
    rows : (N, D), float32, dense or CSR
        In the units of the space; (N, N) distances where there is none.
    space : Space or None
    cells : CellsState or None
    n_threads : int
    """

    metric: str
    method: str
    rows: Any
    space: Space | None
    cells: CellsState | None
    n_threads: int


class NeighborIndex:
    """Points that are searched more than once: for their own neighbours, and for those of new rows.

    Parameters
    ----------
    X : (N, D)
        Points: anything that `lowdim.data.as_rows` takes, or, with ``metric="precomputed"``, their
        distances, (N, N).
    metric : {"euclidean", "sqeuclidean", "cosine", "correlation", "manhattan", "precomputed"}, \
default="euclidean"
    method : {"auto", "exact", "approximate", "faiss"}, default="auto"
        "exact" looks at all points, "approximate" in the cells around each row
        (`lowdim.neighbors._cells`), "faiss" leaves that to the package of this name, if it is
        installed. "auto" is exact up to 20,000 points, and wherever cells do not apply (sparse
        rows, Manhattan or given distances) or are not needed (`device`).
    random_state : int, Generator or None, default=None
        Of the cells, and of the rows whose recall is measured.
    n_jobs : int or None, default=None
        Threads: as many as torch has for None, one per core for -1. Results do not depend on it.
    device : str or torch.device, default="cpu"
        Where an exact search compares rows: "cpu", "cuda", "cuda:1", or "auto" for a CUDA device
        where there is one. Neighbours are the same. "auto" as `method` is exact there for any
        number of points. Sparse rows, Manhattan and given distances, for which products of dense
        matrices do not serve, are compared on the host, and so are rows in cells.

    Attributes
    ----------
    device : torch.device
        May be changed.
    method_ : str
        What `method` came to.

    Raises
    ------
    ValueError
        `X` has NaN, infinity or fewer than two rows; a row has no direction (cosine) or is constant
        (correlation); cells or faiss are asked for where they do not apply.
    ImportError
        faiss is asked for and not installed.

    Examples
    --------
    >>> index = NeighborIndex([[0.0], [1.0], [3.0]])
    >>> index.neighbors(1).indices.ravel().tolist()
    [1, 0, 1]
    >>> index.query([[2.5]], 2).indices.tolist()
    [[2, 1]]
    """

    def __init__(
        self,
        X: Any,
        *,
        metric: str = "euclidean",
        method: str = "auto",
        random_state: Any = None,
        n_jobs: int | None = None,
        device: DeviceLike = "cpu",
    ) -> None:
        check_in(metric, "metric", (*METRICS, "precomputed"))
        check_in(method, "method", METHODS)
        self.metric = metric
        self.n_threads = check_n_threads(n_jobs)
        self.device = resolve_device(device)
        self._rng = generator(random_state)
        source = read(X, min_rows=2)
        self.n_points = source.n_rows
        if metric == "precomputed":
            self._space, self.rows = None, _given(source, "X", self.n_points, own=True)
        else:
            self._space = Space.of(source, metric)
            self.rows = self._space.rows(source)
        self._exact = self._points()
        self.method_ = self._chosen(method)
        self._cells = self._approximate()

    @property
    def state(self) -> IndexState:
        """What `of_state` makes an index from that finds the same."""
        cells = None
        if self.method_ == "approximate":
            own = self._cells
            cells = CellsState(own.centroids.rows, own.order, own.edges)
        return IndexState(self.metric, self.method_, self.rows, self._space, cells, self.n_threads)

    @classmethod
    def of_state(cls, state: IndexState) -> Self:
        """An index that was taken apart by `state`; it searches on the host."""
        index = cls.__new__(cls)
        index.device = resolve_device("cpu")
        index.metric, index.method_, index.n_threads = state.metric, state.method, state.n_threads
        index.rows, index._space, index._rng = state.rows, state.space, generator(0)
        index.n_points = int(state.rows.shape[0])
        index._exact = index._points()
        index._cells = index._approximate(state.cells)
        return index

    def _points(self) -> Points:
        if self._space is None:
            return GivenDistances(self.n_points)
        if self._space.is_sparse:
            return SparsePoints(self.rows, manhattan=self.metric == "manhattan")
        if self.metric == "manhattan":
            return ManhattanPoints(self.rows)
        return SquaredPoints(self.rows)

    def _chosen(self, method: str) -> str:
        applies = isinstance(self._exact, SquaredPoints)
        if method == "auto":
            on_host = self.device.type == "cpu"
            few = self.n_points <= EXACT_ROWS
            return "approximate" if applies and on_host and not few else "exact"
        if method != "exact" and not applies:
            kind = "sparse rows" if self._space and self._space.is_sparse else repr(self.metric)
            raise ValueError(
                f"method={method!r} needs dense rows and a Euclidean, cosine or correlation "
                f"distance, and was given {kind}; pass method='exact'."
            )
        return method

    def _approximate(self, made: CellsState | None = None) -> Any:
        if self.method_ == "approximate":
            from lowdim.neighbors._cells import Cells

            if made is not None:
                return Cells(self.rows, made.centroids, made.order, made.edges, self.n_threads)
            return Cells.around(self.rows, self._rng, self.n_threads)
        if self.method_ == "faiss":
            from lowdim.neighbors._faiss import FaissIndex

            return FaissIndex(self.rows, self.n_threads)
        return None

    def neighbors(self, n_neighbors: int) -> Neighbors:
        """The nearest other points of every point.

        Parameters
        ----------
        n_neighbors : int
            k, less than N.

        Raises
        ------
        ValueError
            There are not so many other points.
        """
        k = self._checked(n_neighbors, self.n_points - 1, "other points")
        own = np.arange(self.n_points)
        if self._cells is not None:
            return self._found(self._cells.neighbors(k), self.rows, own)
        return self._result(self._search(self.rows, k, own), None)

    def query(self, X: Any, n_neighbors: int) -> Neighbors:
        """The nearest points of new rows, a point that equals a row among them.

        Parameters
        ----------
        X : (n, D)
            New rows, or, with ``metric="precomputed"``, their distances to the points, (n, N).
        n_neighbors : int
            k, at most N.
        """
        k = self._checked(n_neighbors, self.n_points, "points")
        source = read(X)
        if self._space is None:
            rows = _given(source, "X", self.n_points, own=False)
        else:
            rows = self._space.rows(source)
        if self._cells is not None:
            return self._found(self._cells.query(rows, k), rows, None)
        return self._result(self._search(rows, k, None), None)

    def _search(self, rows: Any, k: int, own: np.ndarray | None) -> Found:
        """The k nearest of all points, found where `device` says if it can."""
        if self.device.type == "cpu":
            return search_all(self._exact, rows, k, own=own, n_threads=self.n_threads)
        if not isinstance(self._exact, SquaredPoints):
            logger.info("Neighbours by %r distances of these rows are the host's.", self.metric)
            return search_all(self._exact, rows, k, own=own, n_threads=self.n_threads)
        from lowdim.neighbors._device_search import search_on_device

        return search_on_device(
            self._exact, rows, k, own=own, device=self.device, n_threads=self.n_threads
        )

    def _checked(self, n_neighbors: Any, most: int, what: str) -> int:
        k = check_positive_int(n_neighbors, "n_neighbors")
        if k > most:
            raise ValueError(
                f"n_neighbors={k}, but there are {most} {what}; pass n_neighbors <= {most}."
            )
        return k

    def _found(self, found: Found, rows: np.ndarray, own: np.ndarray | None) -> Neighbors:
        recall = self._recall(found, rows, own)
        logger.info(
            "%d neighbours among %d points (%s): recall %.4f, measured on %d rows.",
            found[0].shape[1],
            self.n_points,
            self.method_,
            recall,
            min(RECALL_ROWS, len(rows)),
        )
        return self._result(found, recall)

    def _recall(self, found: Found, rows: np.ndarray, own: np.ndarray | None) -> float:
        """Share of found neighbours of some rows that are no farther than the true k-th."""
        n, k = len(rows), found[0].shape[1]
        drawn = np.sort(self._rng.choice(n, min(RECALL_ROWS, n), replace=False))
        mine = None if own is None else own[drawn]
        true = search_all(self._exact, rows[drawn], k, own=mine, n_threads=self.n_threads)
        return float((found[1][drawn] <= true[1][:, -1:] * np.float32(1 + 1e-6)).mean())

    def _result(self, found: Found, recall: float | None) -> Neighbors:
        indices, gaps = found
        distances = gaps if self._space is None else self._space.distances(gaps)
        return Neighbors(indices, distances, self.metric, self.n_points, recall)


def nearest_neighbors(
    X: Any,
    n_neighbors: int,
    *,
    metric: str = "euclidean",
    method: str = "auto",
    random_state: Any = None,
    n_jobs: int | None = None,
    device: DeviceLike = "cpu",
) -> Neighbors:
    """The nearest other rows of every row.

    Parameters
    ----------
    X, metric, method, random_state, n_jobs, device
        As of `NeighborIndex`.
    n_neighbors : int
        k, less than N.

    Returns
    -------
    Neighbors

    Examples
    --------
    >>> nearest_neighbors([[0.0], [1.0], [3.0]], 1).distances.ravel().tolist()
    [1.0, 1.0, 2.0]
    """
    index = NeighborIndex(
        X, metric=metric, method=method, random_state=random_state, n_jobs=n_jobs, device=device
    )
    return index.neighbors(n_neighbors)


def _given(source: Any, name: str, n_points: int, *, own: bool) -> np.ndarray:
    """A checked matrix of distances, float32."""
    rows = source.rows(0, source.n_rows)
    if source.is_sparse:
        raise ValueError(
            f"{name} holds sparse distances, where metric='precomputed' needs all of them; use "
            "lowdim.neighbors.from_graph for a graph of neighbours."
        )
    if rows.shape[1] != n_points:
        wanted = "one square matrix" if own else f"{n_points} columns, one per point"
        raise ValueError(
            f"{name} has shape {rows.shape}; metric='precomputed' needs {wanted} of distances."
        )
    if (rows < 0).any():
        row = int(np.flatnonzero((rows < 0).any(1))[0])
        raise ValueError(f"{name} has a negative distance in row {row}; pass distances >= 0.")
    return np.ascontiguousarray(rows, np.float32)

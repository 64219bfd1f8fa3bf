"""Approximate neighbours by faiss, for those who have it and ask for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from lowdim.neighbors._points import Found

#: Lists that each row looks into, and rows per list that k-means sees.
PROBES, ROWS_PER_LIST = 16, 64


class FaissIndex:
    """An inverted file of faiss: as many lists as the root of the number of rows.

    Raises
    ------
    ImportError
        faiss is not installed.
    """

    def __init__(self, rows: np.ndarray, n_threads: int) -> None:
        self._faiss = _load()
        self.rows, self.n_threads = np.ascontiguousarray(rows), n_threads
        n_lists = max(1, round(np.sqrt(len(rows))))
        self._quantizer = self._faiss.IndexFlatL2(rows.shape[1])
        self._index = self._faiss.IndexIVFFlat(self._quantizer, rows.shape[1], n_lists)
        self._index.cp.min_points_per_centroid = 1
        self._index.nprobe = min(PROBES, n_lists)
        step = max(1, len(rows) // (n_lists * ROWS_PER_LIST))
        self._run(lambda: self._index.train(self.rows[::step]))
        self._run(lambda: self._index.add(self.rows))

    def neighbors(self, k: int) -> Found:
        """The k nearest other rows of every row."""
        indices, distances = self._search(self.rows, k + 1)
        own = indices == np.arange(len(indices))[:, None]
        own[~own.any(1), -1] = True  # a row that more copies than k pushed out of its own list
        keep = ~own
        shape = (len(indices), k)
        return indices[keep].reshape(shape), distances[keep].reshape(shape)

    def query(self, rows: np.ndarray, k: int) -> Found:
        """The k nearest rows of some new rows."""
        return self._search(np.ascontiguousarray(rows), k)

    def _search(self, rows: np.ndarray, k: int) -> Found:
        distances, indices = self._run(lambda: self._index.search(rows, k))
        missing = (indices < 0).any(1)
        if missing.any():  # lists with fewer rows than that
            flat = self._faiss.IndexFlatL2(self.rows.shape[1])
            flat.add(self.rows)
            again = self._run(lambda: flat.search(rows[missing], k))
            distances[missing], indices[missing] = again
        return indices.astype(np.int32), np.maximum(distances, 0)

    def _run(self, call: Any) -> Any:
        before = self._faiss.omp_get_max_threads()
        self._faiss.omp_set_num_threads(self.n_threads)
        try:
            return call()
        finally:
            self._faiss.omp_set_num_threads(before)


def _load() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise ImportError(
            "method='faiss' needs the package faiss; install it with pip install 'lowdim[ann]', or "
            "use method='approximate'."
        ) from error
    return faiss

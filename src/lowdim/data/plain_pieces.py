"""Datasets of HDF5 files whose pieces lie in the file as they are in memory, read past the library.

The library copies a piece twice, into memory of its own and from there; the system copies it once.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np


def read_straight(dataset: Any) -> Any:
    """The dataset, or what reads from its file directly, in the same way, if that is possible."""
    kind = getattr(sys.modules.get("h5py"), "Dataset", ())
    if not isinstance(dataset, kind) or not _is_plain(dataset):
        return dataset
    found: list[tuple[int, int]] = []
    dataset.id.chunk_iter(lambda piece: found.append((piece.chunk_offset[0], piece.byte_offset)))
    if len(found) < -(-len(dataset) // dataset.chunks[0]):  # what was never written has no piece
        return dataset
    return PlainPieces(dataset, np.array(sorted(found), np.int64))


def _is_plain(dataset: Any) -> bool:
    """Whether nobody writes to the file, and pieces hold numbers as they are in memory."""
    from h5py import h5t

    file, settings = dataset.file, dataset.id.get_create_plist()
    return bool(
        hasattr(os, "preadv")
        and hasattr(dataset.id, "chunk_iter")
        and file.mode == "r"
        and file.driver == "sec2"
        and not file.swmr_mode
        and file.userblock_size == 0
        and dataset.chunks is not None
        and dataset.ndim == 1
        and len(dataset)
        and settings.get_nfilters() == 0
        and dataset.dtype.kind in "iuf"
        and dataset.id.get_type().equal(h5t.py_create(dataset.dtype))
        and dataset.dtype.isnative
    )


class PlainPieces:
    """A one-dimensional dataset, and where the runs of its pieces lie in the file.

    Parameters
    ----------
    dataset : h5py.Dataset
    pieces : ndarray of shape (m, 2)
        First entry of each piece, ascending, and its first byte in the file.
    """

    def __init__(self, dataset: Any, pieces: np.ndarray) -> None:
        self._dataset = dataset
        self.dtype = dataset.dtype
        places = pieces[:, 1] - pieces[:, 0] * self.dtype.itemsize  # of entry 0, were all one run
        new = np.flatnonzero(np.diff(places, prepend=places[0] - 1))
        self._first, self._places = pieces[new, 0], places[new]

    def __getitem__(self, where: slice) -> np.ndarray:
        return np.asarray(self._dataset[where])

    def read_direct(self, out: np.ndarray, where: slice) -> None:
        """Read a slice into an array of its length."""
        handle = self._dataset.file.id.get_vfd_handle()  # an error if it has been closed
        size, into = self.dtype.itemsize, out.data.cast("B")
        run = int(np.searchsorted(self._first, where.start, side="right")) - 1
        at = where.start
        while at < where.stop:
            last = self._first[run + 1] if run + 1 < len(self._first) else where.stop
            last = min(int(last), where.stop)
            part = into[(at - where.start) * size : (last - where.start) * size]
            _fill(handle, part, int(self._places[run]) + at * size)
            at, run = last, run + 1


def _fill(handle: int, into: memoryview, place: int) -> None:
    """Read from a place of a file until memory is full; the system may give less at a time."""
    while len(into):
        n = os.preadv(handle, [into], place)
        if n == 0:
            raise OSError("The file ends before its data do: it was cut off.")
        into, place = into[n:], place + n

"""Memory that one block after another of a file is read into.

The system hands out fresh memory page by page and clears it first, which takes about as long as
reading what it has in its cache.
"""

from __future__ import annotations

import sys
from collections import deque
from typing import Any

import numpy as np

#: Arrays that are kept: the parts of so many blocks as threads work on side by side (see
#: `standardized`), and of one that is being replaced.
KEPT = 10


class ReadingRoom:
    """Reads parts of one-dimensional datasets, into arrays that nobody holds any longer."""

    def __init__(self) -> None:
        self._arrays: deque[np.ndarray] = deque(maxlen=KEPT)
        self._alone = 0  # references to an array that only a variable holds

    def __getstate__(self) -> dict[str, Any]:
        return {"_arrays": deque(maxlen=KEPT), "_alone": 0}

    def read(self, dataset: Any, first: int, last: int) -> np.ndarray:
        """The entries from first to last (exclusive), as they are stored."""
        if not hasattr(dataset, "read_direct") or last == first:  # not HDF5
            return np.asarray(dataset[first:last])
        out = self._array(last - first, dataset.dtype)
        dataset.read_direct(out, np.s_[first:last])
        return out

    def _array(self, length: int, dtype: np.dtype) -> np.ndarray:
        for _ in range(len(self._arrays)):
            try:
                held = self._arrays.popleft()  # so that no other thread takes it
            except IndexError:
                break
            free = sys.getrefcount(held) <= self._alone
            if held.dtype != dtype or not free:
                self._arrays.append(held)
            elif len(held) >= length:
                part = held[:length]
                self._arrays.append(held)
                return part
        held = np.empty(length + length // 64, dtype)  # the next block may be longer
        self._alone = sys.getrefcount(held)
        part = held[:length]
        self._arrays.append(held)
        return part

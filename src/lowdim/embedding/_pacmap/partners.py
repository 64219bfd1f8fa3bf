"""Pairs of PaCMAP as partners of points: each is stored with both of its points."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp


class Partners(NamedTuple):
    """Partners of every point: near ones, then further ones, then mid-near ones.

    Attributes
    ----------
    ends : (N, 4), int64
        Where those of a point begin, and where each kind ends.
    indices : (n,), uint32
    most : int
        Partners of the point that has most.
    """

    ends: np.ndarray
    indices: np.ndarray
    most: int


def partners(kinds: tuple[np.ndarray, ...]) -> Partners:
    """Those that each row has chosen, (N, k) of each kind, and those that have chosen it."""
    n = len(kinds[0])
    both = [both_ways(chosen) for chosen in kinds]
    counts = np.stack([np.diff(kind.indptr) for kind in both], axis=1).astype(np.int64)
    total = np.concatenate([[0], np.cumsum(counts.ravel())])
    ends = np.column_stack([total[:-1].reshape(n, -1), total[len(kinds) :: len(kinds)]])
    indices = np.empty(total[-1], np.uint32)
    for k, kind in enumerate(both):
        shift = np.repeat(ends[:, k] - kind.indptr[:-1], counts[:, k])
        indices[np.arange(len(kind.indices)) + shift] = kind.indices
    return Partners(ends, indices, int(counts.sum(1).max()))


def both_ways(chosen: np.ndarray) -> sp.csr_matrix:
    """Pairs of one kind with both of their points; one that was chosen by both is there twice."""
    n, k = chosen.shape
    starts = np.arange(n + 1, dtype=np.int64) * k
    by = sp.csr_matrix((np.ones(n * k, np.int8), chosen.ravel(), starts), shape=(n, n)).tocsc()
    indices = np.empty(2 * n * k, np.int32)
    indptr = starts + by.indptr
    indices[indptr[:-1, None] + np.arange(k)] = chosen
    indices[np.arange(n * k) + np.repeat(starts[1:], np.diff(by.indptr))] = by.indices
    return sp.csr_matrix((np.empty(2 * n * k, np.int8), indices, indptr), shape=(n, n))

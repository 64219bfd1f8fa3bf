"""How often edges fire, in whole numbers."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

#: Bits behind the point of a rate, which is a whole number of such units.
RATE_BITS = 24
#: How often an edge may fire in an epoch.
MOST_FIRES = 64.0

Edges = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Of CSR: indptr, indices, and rates in units of 2^-RATE_BITS."""


def edges_of(rates: sp.csr_matrix, n_epochs: int) -> Edges:
    """Edges with the rates at which they fire, but for those that would not in so many epochs.

    None fires more than `MOST_FIRES` times in one.
    """
    kept = sp.csr_matrix(rates, dtype=np.float32, copy=True)
    np.minimum(kept.data, np.float32(MOST_FIRES), out=kept.data)
    kept.data[kept.data * np.float32(n_epochs) < 1] = 0
    kept.eliminate_zeros()
    units = np.rint(kept.data.astype(np.float64) * 2**RATE_BITS).astype(np.uint32)
    return kept.indptr.astype(np.int64), kept.indices.astype(np.int32), units


def pool_size(edges: Edges, n: int, n_negatives: int) -> int:
    """How long a pool of n points is, with room for the longest stretch of random ones."""
    indptr, _, units = edges
    most = np.concatenate([[0], np.cumsum(-(-units.astype(np.int64) // 2**RATE_BITS))])
    longest = int(np.diff(most[indptr]).max(initial=0))
    return n + n_negatives * longest + 1


def keys_of(edges: Edges) -> np.ndarray:
    """What random numbers of new rows go by: the first neighbour of each, (m,), int64."""
    indptr, indices, _ = edges
    keys = np.zeros(len(indptr) - 1, np.int64)
    some = np.diff(indptr) > 0
    keys[some] = indices[indptr[:-1][some]]
    return keys

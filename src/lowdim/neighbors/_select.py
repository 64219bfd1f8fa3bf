"""The nearest of many candidates, compiled. Import on first use only: numba is slow to load.

A candidate is one number, its key: the bits of its distance, which sort like the distance as long
as that is not negative, and below them its index. So of candidates at the same distance the one
with the lower index is nearer, and the nearest are the same in whatever order candidates come.
"""

from __future__ import annotations

import numpy as np

from lowdim._compile import compiled

#: Gaps that are compared with the limit together.
CHUNK = 64


@compiled
def key_of(distance, index):
    """A distance and an index as one number."""
    bits = np.float32(distance).view(np.uint32)
    return (np.uint64(bits) << np.uint64(32)) | np.uint64(index)


@compiled
def distance_of(key):
    """The distance of a key."""
    return np.uint32(key >> np.uint64(32)).view(np.float32)


@compiled
def index_of(key):
    """The index of a key."""
    return np.int64(key & np.uint64(0xFFFFFFFF))


@compiled
def _how_many(row, limit):
    """How many numbers are below the limit, in vectors of the processor."""
    found = np.int32(0)
    for j in range(len(row)):
        found += np.int32(row[j] < limit)
    return found


@compiled
def absorb(gaps, first, which, own, offsets, k, state):
    """Take the candidates of one tile in: those with a gap below the k-th least so far.

    Parameters
    ----------
    gaps : (m, T), float32
        Distances of some rows less their offsets.
    first : int
        Position of the first candidate; the others follow.
    which : (m,), int64
        Which rows these are, of n.
    own : (n,), int64
        A candidate that is passed over; -1 for none.
    offsets : (n,), float32
    k : int
    state : (keys, counts, limits)
        Keys, (n, more than k), of which the first `counts` are in use; the least gap that is too
        large. Overwritten.
    """
    keys, counts, limits = state
    for r in range(len(gaps)):
        i = which[r]
        limit, offset, mine, count = limits[i], offsets[i], keys[i], counts[i]
        for start in range(0, gaps.shape[1], CHUNK):
            row = gaps[r, start : start + CHUNK]
            j, left, name = 0, _how_many(row, limit), first + start
            while left > 0:
                if row[j] < limit:
                    left -= 1
                    mine[count] = key_of(max(row[j] + offset, np.float32(0)), name + j)
                    count += name + j != own[i]
                    if count == len(mine):
                        count = keep_least(mine, count, k)
                        limit = distance_of(mine[k - 1]) - offset
                        left = _how_many(row[j + 1 :], limit)
                j += 1
        counts[i], limits[i] = count, limit


@compiled
def keep_least(keys, count, k):
    """Bring the k least of the first `count` keys to the front, the k-th in its place.

    Hoare's selection; numba's own takes longer to compile than all else in this file.
    """
    if count <= k:
        return count
    low, high = 0, count - 1
    while low < high:
        middle = (low + high) >> 1  # the middle one of three, which then bound both walks
        if keys[middle] < keys[low]:
            keys[middle], keys[low] = keys[low], keys[middle]
        if keys[high] < keys[low]:
            keys[high], keys[low] = keys[low], keys[high]
        if keys[high] < keys[middle]:
            keys[high], keys[middle] = keys[middle], keys[high]
        pivot, i, j = keys[middle], low, high
        while i <= j:
            while keys[i] < pivot:
                i += 1
            while keys[j] > pivot:
                j -= 1
            if i <= j:
                keys[i], keys[j] = keys[j], keys[i]
                i += 1
                j -= 1
        if k - 1 <= j:
            high = j
        elif k - 1 >= i:
            low = i
        else:
            break
    return k


@compiled
def write_nearest(keys, indices, distances):
    """Write sorted keys as indices and distances, (k,)."""
    for j in range(len(indices)):
        indices[j] = index_of(keys[j])
        distances[j] = distance_of(keys[j])


@compiled
def settle_given(k, state, indices, distances):
    """Write the k nearest candidates of each row, (n, k), by the distances that they came with."""
    keys, counts, _ = state
    for i in range(len(keys)):
        keep_least(keys[i], counts[i], k)
        keys[i, :k].sort()
        write_nearest(keys[i], indices[i], distances[i])

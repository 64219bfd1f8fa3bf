"""Exact nearest neighbours of dense rows, whose candidates a device finds.

There, squared distances of some rows to all points come tile by tile, and the least of them are
kept. They are in the precision of the products; which candidates are the nearest, and whether a
point that was passed over could be nearer, is settled on the host as after a search there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from lowdim._device import free_bytes, rounds_products
from lowdim._threads import in_threads
from lowdim.data.device_rows import RESIDENT
from lowdim.data.sending import Sender
from lowdim.neighbors._points import Found, SquaredPoints
from lowdim.neighbors._search import spare

#: Rows whose neighbours are sought together at most, and numbers that are made at a time.
QUERIES, TILE_VALUES = 8192, 2**26
#: Rows whose candidates a thread settles at a time.
SETTLED = 512
#: Key of what is no candidate, behind all others.
NONE = np.uint64(2**64 - 1)

Tile = tuple[int, Tensor]
"""Position of the first of some points, and these with their squared lengths, (T, D + 1)."""


def search_on_device(
    points: SquaredPoints,
    rows: np.ndarray,
    k: int,
    *,
    own: np.ndarray | None = None,
    device: torch.device,
    n_threads: int | None = None,
) -> Found:
    """The k nearest of all points to each row, exactly: those of `search_all`.

    The host waits for the device once per block of rows.

    Parameters
    ----------
    points : SquaredPoints
    rows : (n, D), float32
    k : int
    own : (n,), optional
        Position of a point that is passed over for each row.
    device : torch.device
    n_threads : int, optional
        That settle candidates.
    """
    own = np.full(len(rows), -1, np.int64) if own is None else own
    step = min(QUERIES, max(1, TILE_VALUES // max(2 * spare(k), points.extended.shape[1])))
    parts = [slice(start, start + step) for start in range(0, len(rows), step)]
    found = [
        _settled(points, rows[part], own[part], k, keys, n_threads)
        for part, keys in _candidates(points, rows, parts, k, device)
    ]
    indices, distances = zip(*found, strict=True)
    return np.concatenate(indices), np.concatenate(distances)


def _candidates(
    points: SquaredPoints, rows: np.ndarray, parts: list[slice], k: int, device: torch.device
) -> Iterator[tuple[slice, np.ndarray]]:
    """Keys of the candidates of some rows after the other, (n, kept), uint64, in any order."""
    # One more than on the host: the row itself may be among them.
    kept = min(spare(k) + 1, points.n_points)
    dtype = torch.float64 if rounds_products() else torch.float32
    tiles = _Tiles(points.extended, device, dtype)

    def pieces() -> Iterator[tuple[slice, list[np.ndarray]]]:
        for part in parts:
            queries = points.queries(rows[part])
            yield part, [queries.left, queries.offsets]

    for part, (left, offsets) in Sender(device).ahead(pieces()):
        keys = _nearest_keys(left.to(dtype), offsets, tiles, kept)
        yield part, keys.cpu().numpy().view(np.uint64)


def _nearest_keys(left: Tensor, offsets: Tensor, tiles: Iterable[Tile], kept: int) -> Tensor:
    """Keys as of `_select.py` of the points at the least rounded distance, (n, kept), int64."""
    near = left.new_empty((len(left), 0))
    which = torch.empty((len(left), 0), dtype=torch.int64, device=left.device)
    for start, tile in tiles:
        gaps, places = (left @ tile.T).topk(min(kept, len(tile)), largest=False, sorted=False)
        near, which = torch.cat([near, gaps], 1), torch.cat([which, places + start], 1)
        if near.shape[1] > kept:
            near, order = near.topk(kept, largest=False, sorted=False)
            which = which.gather(1, order)
    distances = (near + offsets[:, None]).clamp_(min=0.0).float()
    return (distances.view(torch.int32).long() << 32) | which


class _Tiles:
    """Points on a device, in pieces: kept there where they fit, else sent whenever they are asked.

    Parameters
    ----------
    extended : (N, D + 1), float32
    device, dtype : torch.device, torch.dtype
    """

    def __init__(self, extended: np.ndarray, device: torch.device, dtype: torch.dtype) -> None:
        self._extended, self._device, self._dtype = extended, device, dtype
        n_bytes = extended.size * dtype.itemsize
        fits = device.type == "cpu" or n_bytes <= RESIDENT * free_bytes(device)
        self._kept: list[Tile] | None = list(self._sent()) if fits else None

    def __iter__(self) -> Iterator[Tile]:
        return self._sent() if self._kept is None else iter(self._kept)

    def _sent(self) -> Iterator[Tile]:
        size = max(1, TILE_VALUES // max(QUERIES, self._extended.shape[1]))
        pieces = (
            (start, [self._extended[start : start + size]])
            for start in range(0, len(self._extended), size)
        )
        for start, (tile,) in Sender(self._device).ahead(pieces):
            yield start, tile.to(self._dtype)


def _settled(
    points: SquaredPoints,
    rows: np.ndarray,
    own: np.ndarray,
    k: int,
    keys: np.ndarray,
    n_threads: int | None,
) -> Found:
    """The k nearest points of some rows, of which a device has found candidates."""
    from lowdim.neighbors._settle import settle_dense

    n, width = keys.shape
    kept = min(spare(k), points.n_points)
    mine = (keys & np.uint64(0xFFFFFFFF)) == own.astype(np.uint64)[:, None]
    room = np.empty((n, 2 * kept + 32), np.uint64)
    room[:, :width] = np.where(mine, NONE, keys)
    room[:, :width].sort(axis=1)
    counts = width - mine.sum(1)
    # Whether any point was passed over.
    limits = np.full(n, np.inf if width == points.n_points else 0.0, np.float32)
    indices, distances = np.empty((n, k), np.int64), np.empty((n, k), np.float32)

    def one(part: slice) -> None:
        state = room[part], counts[part], limits[part]
        own_part, to = own[part], (indices[part], distances[part])
        settle_dense(points.rows, rows[part], own_part, k, kept, False, True, state, *to)

    parts = [slice(start, start + SETTLED) for start in range(0, n, SETTLED)]
    in_threads(one, parts, n_threads=n_threads)
    return indices.astype(np.int32), distances

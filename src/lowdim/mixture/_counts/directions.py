"""Log-normalised counts along their leading directions, where k-means of the starts looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from lowdim.data.blocks import Block, SparseBlock
from lowdim.data.passes import Passes
from lowdim.math.linalg import descending_eigh, orthonormal_rows
from lowdim.mixture._counts.matrix import Counts
from lowdim.mixture._counts.model import AnyCounts
from lowdim.mixture._subspace.seeds import OVERSAMPLING, ROUNDS, leading_coordinates


class FileBlocks(Passes):
    """Blocks of rows that are made anew for every pass.

    Parameters
    ----------
    make : callable
    """

    def __init__(self, make: Callable[[], Iterator[SparseBlock]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[Block]:
        return self._make()


def coordinates_here(
    counts: AnyCounts, sizes: np.ndarray, rng: np.random.Generator, n_directions: int
) -> np.ndarray:
    """Log-normalised rows along their leading directions, (N, n), of counts in this process."""
    n = counts.shape[0]
    if isinstance(counts, Counts):
        own = normalised(counts, sizes)
        block = SparseBlock(own, column_sums(own) / n, 1.0)
        return leading_coordinates(block, rng, n_directions).host_rows

    def rows() -> Iterator[tuple[slice, sp.csr_matrix]]:
        for where, part in counts.parts():
            yield where, normalised(part, sizes[where])

    mean = np.sum([column_sums(own) for _, own in rows()], 0) / n
    blocks = FileBlocks(lambda: (SparseBlock(own, mean, 1.0, at.start) for at, own in rows()))
    return coordinates_by_passes(blocks, n, rng, n_directions)


def normalised(part: Counts, sizes: np.ndarray) -> sp.csr_matrix:
    """Rows divided by their size factors, and the logarithm of one more than that."""
    rows = part.rows
    values = np.log1p(rows.data / np.repeat(sizes, np.diff(rows.indptr)))
    return sp.csr_matrix((values, rows.indices, rows.indptr), rows.shape)


def column_sums(rows: sp.csr_matrix) -> np.ndarray:
    """(D,)."""
    return np.asarray(rows.sum(0)).ravel()


def coordinates_by_passes(
    blocks: Passes, n_rows: int, rng: np.random.Generator, n_directions: int
) -> np.ndarray:
    """The rows' coordinates along their leading principal directions, (N, n).

    As `_subspace/seeds.py` finds them, by subspace iteration from the same numbers, in one pass per
    round: what a round needs of the rows' coordinates are sums over the rows.
    """
    width, n = min(n_directions + OVERSAMPLING, n_rows), min(n_directions, n_rows)
    first = rng.normal(size=(width, n_rows))
    first -= first.mean(1, keepdims=True)
    sums = blocks.total(_begun, first.T)
    for _ in range(ROUNDS - 1):
        directions = orthonormal_rows(sums)
        sums, columns, rows, _ = blocks.total(partial(_seen, directions))
        sums -= rows[:, None] / n_rows * columns
    directions = orthonormal_rows(sums)
    _, _, rows, products = blocks.total(partial(_seen, directions))
    _, rotation = descending_eigh(products - torch.outer(rows, rows) / n_rows)
    found = blocks.each(partial(_projected, rotation[:n] @ directions))
    coordinates = np.concatenate(found)
    return coordinates - coordinates.mean(0)


def _begun(block: Block, coefficients: np.ndarray) -> Tensor:
    """The rows' sums for coefficients (n, w), (w, D)."""
    return block.accumulate(torch.from_numpy(coefficients).T.contiguous())


def _seen(directions: Tensor, block: Block) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Sums along directions (w, D): of rows by coordinates and alone, of coordinates and products.

    (w, D), (1, D), (w,) and (w, w).
    """
    along = block.project(directions).double()
    ones = torch.ones((1, block.n_rows), dtype=torch.float64)
    return block.accumulate(along), block.accumulate(ones), along.sum(1), along @ along.T


def _projected(directions: Tensor, block: Block) -> np.ndarray:
    """(n, w)."""
    return np.ascontiguousarray(block.project(directions).double().T.numpy())
